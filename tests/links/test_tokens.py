"""Tokens, targets and who fetched: pure, and hostile input."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.entities.models import Button, LinkSettings
from include.links import LinkTokens
from include.links.robots import is_robot
from include.links.targets import with_utm
from include.links.tokens import LENGTH

KEY = b"k" * 32
TOKENS = LinkTokens(KEY)
CHROME = b"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36"


def test_ten_thousand_tokens_are_read_back_and_no_other_is() -> None:
    dice = random.Random(5)
    pairs = {(dice.randrange(1, 2**40), dice.randrange(1, 2**48)) for _ in range(10_000)}
    made = {TOKENS.make(*pair): pair for pair in pairs}
    assert len(made) == len(pairs)
    assert all(TOKENS.read(token) == pair for token, pair in made.items())
    for token in list(made)[:2_000]:
        place = dice.randrange(LENGTH)
        other = dice.choice([each for each in "Aa0-_zQ9" if each != token[place]])
        assert TOKENS.read(token[:place] + other + token[place + 1 :]) is None
        assert TOKENS.read(token[:-1]) is None
    assert all(TOKENS.read(os.urandom(27).hex()[:LENGTH]) is None for _ in range(1_000))
    assert LinkTokens(b"x" * 32).read(next(iter(made))) is None, "another key"


def test_a_token_is_always_the_same_and_tells_nothing_of_its_neighbours() -> None:
    assert TOKENS.make(1, 2) == LinkTokens(KEY).make(1, 2)
    first, second = TOKENS.make(1, 2), TOKENS.make(1, 3)
    assert sum(a == b for a, b in zip(first, second, strict=True)) < LENGTH // 3
    assert first.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=60) | st.text("abcXYZ019-_=+/%. ", min_size=LENGTH, max_size=LENGTH))
def test_nonsense_is_no_token(text: str) -> None:
    assert TOKENS.read(text) is None


@pytest.mark.parametrize(
    ("method", "headers", "robot"),
    [
        ("GET", {b"user-agent": CHROME}, False),
        (
            "GET",
            {b"User-Agent": b"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/604.1"},
            False,
        ),
        ("GET", {b"user-agent": b"Mozilla/5.0 (iPhone) [FBAN/FBIOS;FBAV/500.0]"}, False),
        ("HEAD", {b"user-agent": CHROME}, True),
        ("GET", {b"user-agent": b"WhatsApp/2.25.20 A"}, True),
        ("GET", {b"user-agent": b"facebookexternalhit/1.1"}, True),
        ("GET", {b"user-agent": b"Mozilla/5.0 (compatible; Googlebot/2.1)"}, True),
        ("GET", {b"user-agent": b"curl/8.5"}, True),
        ("GET", {b"user-agent": CHROME, b"sec-purpose": b"prefetch;prerender"}, True),
        ("GET", {b"user-agent": CHROME, b"Purpose": b"prefetch"}, True),
        ("GET", {b"user-agent": CHROME, b"x-purpose": b"preview"}, True),
        ("GET", {}, True),
        ("GET", {b"user-agent": b" "}, True),
    ],
)
def test_people_and_robots(method: str, headers: dict[bytes, bytes], robot: object) -> None:
    assert is_robot(method, headers.items()) is robot


def test_utm_parameters_are_added_and_those_that_are_there_stay() -> None:
    def target(address: str, **settings: str | None) -> str:
        return with_utm(address, LinkSettings(**settings), campaign="Spring & sale", content="sale.en.0")

    every = "utm_source=whatsapp&utm_medium=message&utm_campaign=Spring%20%26%20sale&utm_content=sale.en.0"
    assert target("https://a.example/x") == f"https://a.example/x?{every}"
    assert target("https://a.example/?q=1#top") == f"https://a.example/?q=1&{every}#top"
    assert target("https://a.example/?utm_source=app").count("utm_source") == 1
    assert (
        target("https://a.example/x?y=%2F", utm_source=None, utm_medium=None) == "https://a.example/x?y=%2F"
    )


@pytest.mark.parametrize(
    "target",
    [
        "http://a.example/",
        "javascript:alert(1)",
        "//a.example/",
        "https://",
        "https://user@a.example/",
        "https://a.example/\r\nX: y",
        "https://a.example/é",
        "https://a.example\\@b.example/",
    ],
)
def test_a_target_is_a_plain_web_address(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        Button(type="url", text="Go", url="https://go.example/l/{{1}}", target=target)


def test_a_target_needs_a_button_that_leads_to_the_link_service() -> None:
    for wrong in ({"type": "quick_reply"}, {"url": "https://go.example/{{1}}"}, {"url": None}):
        with pytest.raises(ValueError, match="/l/"):
            Button(**{"type": "url", "text": "Go", "target": "https://a.example/", **wrong})  # type: ignore[arg-type]
