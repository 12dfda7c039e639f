"""The actito kind against a server with Actito's documented manners: tokens that end, a pace, bulk imports."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from include.entities.models import Columns, OptOutBack
from include.optins import HttpAccess, SourceRefused, SourceShapeChanged
from include.optins.sources import OptOut, actito, http
from tests.support.json_api import Answer, Request, json_api
from tests.support.optins import Store, entity, source

KEY = "a long opaque key"
COLUMNS = Columns(
    record_id="attributes.customerId",
    phone="attributes.gsmNumber",
    consent="subscriptions.WhatsApp",
    changed_at="updateMoment",
    language="attributes.motherLanguage",
)
AT = datetime(2026, 3, 1, tzinfo=UTC)


def licence(**options: Any) -> Any:
    usual = {
        "entity": "acme",
        "table": "people",
        "subscription": "WhatsApp",
        "items": "profiles",
        "paging": "page_number",
    }
    return source(kind="actito", columns=COLUMNS, options=usual | options, optout=OptOutBack())


def profile(number: int) -> dict[str, Any]:
    return {
        "profileId": number,
        "updateMoment": "2026-03-01 10:00:00",
        "attributes": {
            "customerId": f"C{number}",
            "gsmNumber": f"+3247012345{number}",
            "motherLanguage": "NL",
        },
        "subscriptions": {"WhatsApp": number != 2},
    }


class Actito:
    """Tokens that end after so many calls, three profiles on two pages, and a memory of what it was told."""

    def __init__(self, calls_per_token: int = 1_000) -> None:
        self.calls_per_token, self.tokens, self.calls = calls_per_token, 0, 0
        self.told: list[Any] = []

    def __call__(self, request: Request, number: int) -> Answer:
        if request.path == "/auth/token":
            if request.headers.get("Authorization") != KEY:
                return Answer({}, 401)
            self.tokens, self.calls = self.tokens + 1, 0
            return Answer(
                {
                    "accessToken": f"t{self.tokens}",
                    "tokenType": "bearer",
                    "expiresIn": "900s",
                    "scope": "read",
                }
            )
        self.calls += 1
        if (
            request.headers.get("Authorization") != f"Bearer t{self.tokens}"
            or self.calls > self.calls_per_token
        ):
            return Answer({}, 401)
        if request.method == "PUT":
            body = json.loads(request.body)
            self.told.append(body)
            return Answer({}, 404) if body["key"]["customerId"] == "gone" else Answer({})
        if request.method == "POST":
            packed = request.body[request.body.index(b"PK\x03\x04") :]
            with zipfile.ZipFile(io.BytesIO(packed[: packed.rindex(b"\r\n--")])) as archive:
                self.told.append(archive.read("optouts.csv").decode())
            return Answer({"id": "e1"})
        assert request.path == "/profiles/v5/entities/acme/profile-tables/people/profiles"
        assert request.query["subscriptions"] == "WhatsApp"
        page = int(request.query["page"])
        return Answer({"profiles": [profile(n) for n in (1, 2, 3)][2 * (page - 1) : 2 * page]})


def access(url: str, key: str = KEY) -> HttpAccess:
    return HttpAccess(url, headers={"Authorization": f"Bearer {key}"}, timeout=5)


@pytest.mark.parametrize("more", [{}, {"parameters": {"attributes": "gsmNumber", "subscriptions": "Other"}}])
def test_profiles_come_with_their_subscription(more: dict[str, Any]) -> None:
    with json_api(Actito()) as api:
        (frame,) = actito.fetch(licence(**more), access(api.url), None)
        assert ("attributes" in api.requests[-1].query) is bool(more)
    assert frame["attributes.customerId"].tolist() == ["C1", "C2", "C3"]
    assert frame["subscriptions.WhatsApp"].tolist() == ["true", "false", "true"]


def test_a_token_that_ends_early_is_replaced() -> None:
    server = Actito(calls_per_token=1)
    with json_api(server) as api:
        (frame,) = actito.fetch(licence(), access(api.url), None)
    assert len(frame) == 3
    assert server.tokens == 3


def test_a_token_is_replaced_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actito, "MARGIN", 900.0)
    server = Actito()
    with json_api(server) as api:
        list(actito.fetch(licence(), access(api.url), None))
        assert server.tokens == 3
        # Three pages, each with a token of its own; nothing was refused on the way.
        assert len(api.requests) == 6


def test_a_wrong_key_is_refused_at_once_and_not_shown() -> None:
    with json_api(Actito()) as api:
        wrong = access(api.url, "wrong key")
        with pytest.raises(SourceRefused, match="API key") as refused:
            list(actito.fetch(licence(), wrong, None))
        assert len(api.requests) == 1
    assert "wrong key" not in str(refused.value) + repr(actito._with_token(wrong))


def test_the_pace_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actito, "CALLS", 2)
    monkeypatch.setattr(actito, "WINDOW", 0.5)
    with json_api(Actito()) as api:
        began = time.monotonic()
        list(actito.fetch(licence(), access(api.url), None))
    assert time.monotonic() - began >= 0.5


def test_opt_outs_are_put_one_by_one_and_by_one_file_when_many() -> None:
    server = Actito()
    with json_api(server) as api:
        chosen = licence(bulk={"etl": "e-7", "above": 2})
        few = actito.tell(chosen, access(api.url), [OptOut("C1", AT), OptOut("gone", AT)], AT)
        many = actito.tell(chosen, access(api.url), [OptOut(f"C{n}", AT) for n in range(3)], AT)
        assert api.requests[-1].path == "/mass-imports/v5/entities/acme/etls/e-7/trigger-execution"
    assert [each.problem for each in few] == [None, "HTTP 404"]
    assert server.told[0] == {"key": {"customerId": "C1"}, "subscriptions": {"WhatsApp": False}}
    assert [each.problem for each in many] == [None] * 3
    assert server.told[2].splitlines() == ["customerId,WhatsApp", "C0,FALSE", "C1,FALSE", "C2,FALSE"]


def test_too_much_at_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.01)
    server = Actito()
    with json_api(
        lambda request, number: Answer({}, 429) if number in (2, 3) else server(request, number)
    ) as api:
        (frame,) = actito.fetch(licence(), access(api.url), None)
    assert len(frame) == 3


class Limits:
    """What Actito documents: tokens of 900 s, five calls at once, of which the sixth is told 429, and 100 calls a
    minute, of which more are answered late. A minute of this server is `minute` seconds.
    """

    def __init__(self, profiles: int, minute: float) -> None:
        self.profiles, self.minute = profiles, minute
        self.tokens: dict[str, float] = {}
        self.calls: deque[float] = deque()
        self.busy = self.most_busy = self.refused = self.late = 0
        self.lock = threading.Lock()

    def __call__(self, request: Request, number: int) -> Answer:
        if request.path == "/auth/token":
            token = f"t{number}"
            self.tokens[f"Bearer {token}"] = time.monotonic() + 15 * self.minute
            return Answer({"accessToken": token, "expiresIn": f"{15 * self.minute:.0f}s"})
        if self.tokens.get(request.headers.get("Authorization", ""), 0.0) < time.monotonic():
            return Answer({}, 401)
        with self.lock:
            if self.busy >= 5:
                self.refused += 1
                return Answer({}, 429)
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
            now = time.monotonic()
            while self.calls and self.calls[0] < now - self.minute:
                self.calls.popleft()
            self.calls.append(now)
            too_many = len(self.calls) > 100
            self.late += too_many
        time.sleep(0.05 if too_many else 0.01)
        with self.lock:
            self.busy -= 1
        page = int(request.query["page"])
        found = [profile(n) for n in range(1, self.profiles + 1)][4 * (page - 1) : 4 * page]
        return Answer({"profiles": found})


def test_the_documented_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """440 profiles in 111 calls: over a minute and over a token's life, as one task does it."""
    monkeypatch.setattr(actito, "WINDOW", 1.0)
    monkeypatch.setattr(actito, "MARGIN", 14.5)
    server = Limits(profiles=440, minute=1.0)
    with json_api(server) as api:
        frames = list(actito.fetch(licence(), access(api.url), None))
    assert sum(len(frame) for frame in frames) == 440
    assert (server.late, server.refused, server.most_busy) == (0, 0, 1)
    assert len(server.tokens) >= 2


def test_several_sources_of_one_licence_at_once_get_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(http, "ATTEMPTS", 100)
    server = Limits(profiles=40, minute=60.0)
    with json_api(server) as api, ThreadPoolExecutor(12) as pool:
        pulls = [pool.submit(lambda: list(actito.fetch(licence(), access(api.url), None))) for _ in range(12)]
        found = [sum(len(frame) for frame in each.result()) for each in pulls]
    assert found == [40] * 12
    assert server.most_busy == 5


def test_the_prefixes_of_a_host_are_configurable() -> None:
    paths: list[str] = []

    def answer(request: Request, number: int) -> Answer:
        paths.append(request.path)
        token = {"accessToken": "t", "expiresIn": "900s"}
        return Answer(token if request.path == "/auth/token" else {"profiles": []})

    with json_api(answer) as api:
        plain = licence(prefix="/v5", bulk={"etl": "e-7", "above": 0, "prefix": "/v5/"})
        list(actito.fetch(plain, access(api.url), None))
        actito.tell(plain, access(api.url), [OptOut("C1", AT)], AT)
    assert paths[1] == "/v5/entities/acme/profile-tables/people/profiles"
    assert paths[3] == "/v5/entities/acme/etls/e-7/trigger-execution"


CHANGES = """customerId;gsmNumber;subscription;value;moment;language
C1;+32470123451;WhatsApp;Y;2026-03-01 10:00:00;NL
C1;+32470123451;Newsletter;N;2026-03-01 10:05:00;NL
C2;+32470123452;WhatsApp;Y;2026-03-01 10:00:00;FR
C2;+32470123452;WhatsApp;N;2026-03-01 11:00:00;FR
"C;3";+32470123453;Newsletter;Y;2026-03-01 10:00:00;FR
"""


def export(**options: Any) -> Any:
    columns = Columns(
        record_id="customerId", phone="gsmNumber", consent="value", changed_at="moment", language="language"
    )
    usual = {
        "export": "profile_changes_%Y%m%d*.zip",
        "subscription": "WhatsApp",
        "subscription_column": "subscription",
    }
    return source(kind="actito", columns=columns, options=usual | options)


def test_the_export_of_profile_changes_is_read_once_and_only_our_subscription(store: Store) -> None:
    with zipfile.ZipFile(store.folder / "profile_changes_20260302_0400.zip", "w") as archive:
        archive.writestr("profile_changes.csv", CHANGES)
    (store.folder / "profiles_20260302.zip").write_bytes(b"another export")
    brand = entity(export())
    assert store.pull(brand).staged == 3
    store.reconcile(brand)
    assert store.people() == {"+32470123451": "subscribed", "+32470123452": "unsubscribed"}
    assert store.pull(brand).pulled == 0


def test_an_export_needs_files_and_the_api_an_address(store: Store) -> None:
    with pytest.raises(SourceShapeChanged, match="connection of type HTTP"):
        store.pull(entity(licence()))
    with pytest.raises(SourceShapeChanged, match="a connection that leads to files"):
        list(actito.fetch(export(), access("http://127.0.0.1:1"), None))


def test_a_missing_option_is_named() -> None:
    broken = source(kind="actito", columns=COLUMNS, options={"entity": "acme"})
    with pytest.raises(SourceShapeChanged, match=r"options\.table"):
        actito.fetch(broken, access("http://127.0.0.1:1"), None)
