"""The http kind against a real server: every way of paging, and every way in which a server can misbehave."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from include.entities.models import Columns, OptOutBack
from include.optins import HttpAccess, SourceRefused, SourceShapeChanged, SourceUnavailable
from include.optins.sources import OptOut, answers, http
from tests.support.json_api import Answer, Request, json_api
from tests.support.optins import Store, entity, source

ITEMS = [
    {"id": f"{n}", "tel": f"+3247012{n:04d}", "wa": {"ok": n % 2 == 0, "at": "2026-03-01T10:00:00Z"}}
    for n in range(25)
]
LATER = "Wed, 21 Oct 2099 07:28:00 GMT"
COLUMNS = Columns(record_id="id", phone="tel", consent="wa.ok", changed_at="wa.at")


def api_source(**options: Any) -> Any:
    way_back = OptOutBack(path="/people/{record_id}/wa", body={"ok": False, "at": "{occurred_at}"})
    return source(kind="http", columns=COLUMNS, options={"path": "/people"} | options, optout=way_back)


def fetched(chosen: Any, url: str, since: datetime | None = None) -> list[str]:
    frames = list(http.fetch(chosen, HttpAccess(url, timeout=5), since))
    return [record for frame in frames for record in frame["id"]]


def serve(request: Request, number: int) -> Answer:
    """A server that pages in four ways, ten at most."""
    query = request.query
    start = int(query.get("offset") or query.get("after") or 10 * (int(query.get("page", "1")) - 1))
    size = min(10, int(query.get("limit") or query.get("page_size") or 10))
    more = start + size if start + size < len(ITEMS) else None
    link = f"/people?offset={more}" if more else None
    return Answer({"data": ITEMS[start : start + size], "meta": {"after": more}, "links": {"next": link}})


@pytest.mark.parametrize(
    "options",
    [
        {"paging": "page_number"},
        {"paging": "page_number", "page_size": 500},
        {"paging": "page_number", "page_size": 7},
        {"paging": "offset", "page_size": 10},
        {"paging": "cursor", "cursor": "meta.after", "cursor_parameter": "after"},
        {"paging": "next_link", "next_link": "links.next"},
    ],
)
def test_every_way_of_paging_gives_every_item_once(options: dict[str, Any]) -> None:
    def answer(request: Request, number: int) -> Answer:
        if options.get("page_size") == 7:
            page = int(request.query["page"])
            return Answer({"data": ITEMS[7 * (page - 1) : 7 * page]})
        return serve(request, number)

    with json_api(answer) as api:
        assert fetched(api_source(items="data", **options), api.url) == [item["id"] for item in ITEMS]


def test_values_are_texts_and_paths_reach_into_items() -> None:
    with json_api(lambda *_: Answer(ITEMS[:2])) as api:
        (frame,) = http.fetch(api_source(), HttpAccess(api.url), None)
    assert frame["wa.ok"].tolist() == ["true", "false"]
    assert str(frame["wa.at"].dtype).startswith("string") or "string" in str(frame["wa.at"].dtype)


def test_since_is_asked_for_in_utc() -> None:
    with json_api(lambda *_: Answer([])) as api:
        fetched(
            api_source(since_parameter="from", parameters={"x": "1"}),
            api.url,
            datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
        )
    assert api.requests[0].query == {"x": "1", "from": "2026-03-01T09:30:00Z"}


@pytest.mark.parametrize(
    "trouble",
    [
        Answer({}, 500),
        Answer({}, 503, {"Retry-After": "0"}),
        Answer(b"<html>maintenance</html>"),
        Answer(b'[{"id": "1", "tel'),
        Answer(b"[" * 100_000),
        Answer(hang_up=True),
        Answer(ITEMS, cut=500),
        Answer(b"no gzip", headers={"Content-Encoding": "gzip"}),
    ],
)
def test_what_may_pass_is_tried_again(trouble: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.05)
    with json_api(lambda _, number: trouble if number <= 3 else Answer(ITEMS)) as api:
        assert len(fetched(api_source(), api.url)) == 25


def test_the_source_is_given_the_time_it_asks_for() -> None:
    with json_api(
        lambda _, number: Answer({}, 429, {"Retry-After": "1"}) if number == 1 else Answer(ITEMS)
    ) as api:
        began = time.monotonic()
        assert len(fetched(api_source(), api.url)) == 25
    assert time.monotonic() - began >= 1


def test_a_time_to_come_back_is_understood_and_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.2)
    with json_api(
        lambda _, number: Answer({}, 503, {"Retry-After": LATER}) if number == 1 else Answer(ITEMS)
    ) as api:
        began = time.monotonic()
        assert len(fetched(api_source(), api.url)) == 25
    assert 0.2 <= time.monotonic() - began < 60


def test_what_does_not_pass_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.01)
    with json_api(lambda *_: Answer({}, 502)) as api:
        with pytest.raises(SourceUnavailable, match="HTTP 502"):
            fetched(api_source(), api.url)
        assert len(api.requests) == http.ATTEMPTS
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        fetched(api_source(), api.url)


def test_refused_credentials_are_not_tried_again_and_not_shown() -> None:
    with json_api(lambda *_: Answer({}, 401)) as api:
        access = HttpAccess(api.url, headers={"Authorization": "Bearer s3cret"}, auth=("me", "s3cret"))
        with pytest.raises(SourceRefused) as refused:
            list(http.fetch(api_source(), access, None))
        assert len(api.requests) == 1
    assert "s3cret" not in str(refused.value) + repr(access)


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        ([{"id": "1", "tel": "x", "wa": {"at": "y"}}], {}, "'wa.ok'"),
        ({"data": {}}, {"items": "data"}, "no list"),
        ({"rows": []}, {"items": "data"}, "no list"),
        ([], {"paging": "sideways"}, "'sideways' is not known"),
    ],
)
def test_a_changed_shape_is_named(content: Any, options: dict[str, Any], told: str) -> None:
    with (
        json_api(lambda *_: Answer(content)) as api,
        pytest.raises(SourceShapeChanged, match=told),
    ):
        fetched(api_source(**options), api.url)


def test_a_link_to_another_host_is_not_followed() -> None:
    page = {"data": ITEMS[:1], "next": "http://elsewhere.example/steal"}
    with (
        json_api(lambda *_: Answer(page)) as api,
        pytest.raises(SourceShapeChanged, match="another host"),
    ):
        fetched(api_source(items="data", paging="next_link"), api.url)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"paging": "page_number"}, lambda *_: Answer({"data": ITEMS})),
        ({"paging": "offset"}, lambda *_: Answer({"data": ITEMS})),
        ({"paging": "cursor"}, lambda *_: Answer({"data": [], "cursor": "again"})),
        ({"paging": "next_link"}, lambda *_: Answer({"data": [], "next": "/people?page=2"})),
        ({"paging": "next_link"}, lambda _, number: Answer({"data": [], "next": f"/people?page={number}"})),
        ({"paging": "page_number"}, lambda _, number: Answer({"data": ITEMS[number % 3 : number % 3 + 1]})),
    ],
    ids=["no page", "no offset", "same cursor", "same link", "no end", "round and round"],
)
def test_a_listing_without_end_is_ended(options: Any, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_PAGES", 20)
    with json_api(answer) as api:
        with pytest.raises(SourceShapeChanged, match="goes round in circles"):
            fetched(api_source(items="data", **options), api.url)
        assert len(api.requests) <= 20


def test_an_answer_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_BYTES", 1 << 20)
    packed = gzip.compress(b"[" + b" " * (64 << 20) + b"]")
    with (
        json_api(lambda *_: Answer(packed, headers={"Content-Encoding": "gzip"})) as api,
        pytest.raises(SourceShapeChanged, match="larger than 1 MB"),
    ):
        fetched(api_source(), api.url)
    monkeypatch.setattr(answers, "LONGEST_ANSWER", 0.0)
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.0)
    with json_api(lambda *_: Answer(ITEMS)) as api, pytest.raises(SourceUnavailable, match="ReadTimeout"):
        fetched(api_source(), api.url)


def test_credentials_are_not_taken_to_another_host() -> None:
    with json_api(lambda *_: Answer(ITEMS)) as elsewhere:
        with json_api(lambda *_: Answer({}, 302, {"Location": elsewhere.url})) as api:
            access = HttpAccess(api.url, headers={"Authorization": "Bearer s3cret"}, timeout=5)
            with pytest.raises(SourceShapeChanged, match="another host; not followed"):
                list(http.fetch(api_source(), access, None))
        assert elsewhere.requests == []


def test_a_redirect_within_the_host_is_followed_but_not_for_ever() -> None:
    def answer(request: Request, number: int) -> Answer:
        moved = Answer({}, 308, {"Location": "/people/?since=1"})
        return moved if request.path == "/people" else Answer(ITEMS)

    with json_api(answer) as api:
        assert len(fetched(api_source(), api.url)) == 25
        assert api.requests[-1].query == {"since": "1"}
    with (
        json_api(lambda *_: Answer({}, 307, {"Location": "/people"})) as api,
        pytest.raises(SourceShapeChanged, match="again and again"),
    ):
        fetched(api_source(), api.url)


def test_odd_values_are_texts_or_rejects_and_stop_nothing(store: Store) -> None:
    at = {"at": "2026-03-01T10:00:00Z"}
    items = [
        ITEMS[0],
        {"id": 2**70, "tel": 32470123456.0, "wa": {"ok": True, **at}},
        {"id": "half an emoji \ud83d", "tel": "+32470123457", "wa": {"ok": True, **at}},
        {"id": "nul \x00", "tel": "+32470123458\x00", "wa": {"ok": True, **at}},
        {"id": ["a"], "tel": {"b": 1}, "wa": {"ok": [True], **at}},
        {"id": "nan", "tel": float("nan"), "wa": {"ok": True, "at": float("inf")}},
        None,
        "text",
        [],
    ]
    brand = entity(api_source())
    with json_api(lambda *_: Answer(items)) as api:
        result = store.pull(brand, access=HttpAccess(api.url))
    assert (result.pulled, result.staged) == (9, 4)
    assert dict(result.reasons) == {
        "phone_not_a_number": 1,
        "consent_unreadable": 1,
        "consent_missing": 3,
    }


def test_an_opt_out_is_put_to_its_record_and_a_refused_one_is_its_own_problem() -> None:
    def answer(request: Request, number: int) -> Answer:
        return Answer({}, 404) if "gone" in request.path else Answer({})

    at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    with json_api(answer) as api:
        told = http.tell(api_source(), HttpAccess(api.url), [OptOut("a/b", at), OptOut("gone", at)], at)
    assert [(each.problem, each.final) for each in told] == [(None, False), ("HTTP 404", True)]
    assert (api.requests[0].method, api.requests[0].path) == ("PUT", "/people/a%2Fb/wa")
    assert api.requests[0].body == b'{"ok":false,"at":"2026-03-01T10:00:00Z"}'
