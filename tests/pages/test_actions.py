"""Pause, resume, cancel and release from the page: for whoever may, with a form of ours, and noted with who and why."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from include.database import connect
from include.pages import Access, build_pages
from include.pages.access import GoesOn
from tests.support.ledger import add_campaign, many


class Pages:
    """A reader in front of the pages; `asked` are the runs that were to go on."""

    def __init__(
        self, dsn: str, *, reader: str = "ann", edits: bool = True, goes_on: GoesOn = "goes_on"
    ) -> None:
        self.asked: list[str] = []

        def go_on(run_key: str) -> GoesOn:
            self.asked.append(run_key)
            return goes_on

        def access() -> Access:
            return Access(
                may_read="acme".__eq__, may_edit=lambda entity: edits and entity == "acme", reader=reader
            )

        app = build_pages(dsn=lambda: dsn, access=access, form_key=lambda: b"key", go_on=go_on)
        self.client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)

    def seal(self, campaign_id: int, verb: str) -> str:
        page = self.client.get(f"/campaigns/{campaign_id}/do/{verb}")
        assert page.status_code == 200, page.text
        found = re.search(r'name="seal" value="([^"]+)"', page.text)
        assert found is not None, page.text
        return found[1]

    def do(self, campaign_id: int, verb: str, *, seal: str | None = None, **more: Any) -> Any:
        data = {
            "seal": self.seal(campaign_id, verb) if seal is None else seal,
            "reason": "too many complaints",
        }
        return self.client.post(f"/campaigns/{campaign_id}/do/{verb}", data=data, **more)


def campaign(dsn: str, state: str, *outcomes: dict[str, Any]) -> int:
    with connect(dsn) as conn:
        return add_campaign(conn, state=state, outcomes=[*many(3, state="planned"), *outcomes])


def row(dsn: str, campaign_id: int) -> dict[str, Any]:
    with connect(dsn) as conn:
        found = conn.execute(
            "select state, state_reason from campaign where id = %s", (campaign_id,)
        ).fetchone()
    assert found is not None
    return found


def history(dsn: str) -> list[tuple[str, str | None, str | None]]:
    with connect(dsn) as conn:
        rows = conn.execute("select state, reason, by from campaign_history order by id").fetchall()
    return [(each["state"], each["reason"], each["by"]) for each in rows]


def test_a_campaign_is_paused_resumed_and_cancelled_with_who_and_why(migrated_database: str) -> None:
    dsn, pages = migrated_database, Pages(migrated_database)
    number = campaign(dsn, "sending")
    page = pages.client.get(f"/campaigns/{number}").text
    assert f"/campaigns/{number}/do/pause" in page
    assert "/do/resume" not in page
    assert "/do/release" not in page, "nothing is uncertain"

    done = pages.do(number, "pause")
    assert (done.status_code, done.headers["location"]) == (303, f"/campaigns/{number}?notice=pause")
    assert row(dsn, number) == {"state": "paused", "state_reason": "too many complaints"}
    assert "Paused. Every worker stops within a second." in pages.client.get(done.headers["location"]).text

    done = pages.do(number, "resume")
    assert done.headers["location"].endswith("notice=goes_on")
    assert pages.asked == ["run-acme-Spring sale"]
    assert row(dsn, number) == {"state": "sending", "state_reason": None}

    assert pages.do(number, "cancel").headers["location"].endswith("notice=cancel")
    assert row(dsn, number)["state"] == "cancelled"
    with connect(dsn) as conn:
        left = conn.execute(
            "select state, reason, count(*) as n from campaign_message group by 1, 2"
        ).fetchall()
    assert left == [{"state": "expired", "reason": "cancelled", "n": 3}], "nobody waits for ever"
    assert history(dsn) == [
        ("paused", "too many complaints", "ann"),
        ("sending", "too many complaints", "ann"),
        ("cancelled", "too many complaints", "ann"),
    ]
    page = pages.client.get(f"/campaigns/{number}").text
    assert "What happened" in page
    assert "/do/" not in page, "what is over has no buttons"


@pytest.mark.parametrize("goes_on", ["goes_on", "started_again", "by_hand"])
def test_a_resume_says_what_becomes_of_the_run(migrated_database: str, goes_on: GoesOn) -> None:
    pages = Pages(migrated_database, goes_on=goes_on)
    number = campaign(migrated_database, "paused")
    told = pages.client.get(pages.do(number, "resume").headers["location"]).text
    assert {"goes_on": "is still there", "started_again": "was started again", "by_hand": "clear it"}[
        goes_on
    ] in told


def test_uncertain_messages_are_released_after_a_day_and_a_warning(migrated_database: str) -> None:
    dsn, pages = migrated_database, Pages(migrated_database)
    now = datetime.now(UTC)
    fresh = {"state": "uncertain", "claimed_at": now - timedelta(hours=1)}
    number = campaign(dsn, "sent", fresh)
    assert "gets it a second time" in pages.client.get(f"/campaigns/{number}/do/release").text
    assert pages.do(number, "release").headers["location"].endswith("notice=nothing")
    with connect(dsn) as conn:
        conn.execute(
            "update campaign_message set claimed_at = %s where state = 'uncertain'",
            (now - timedelta(days=2),),
        )
    assert pages.do(number, "release").headers["location"].endswith("notice=goes_on")
    with connect(dsn) as conn:
        found = conn.execute(
            "select state, attempt from campaign_message order by attempt desc limit 1"
        ).fetchone()
    assert found == {"state": "planned", "attempt": 2}
    assert history(dsn)[-1][1] == "1 uncertain message(s) released to be sent again: too many complaints"


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "release"])
def test_whoever_may_only_read_changes_nothing(migrated_database: str, verb: str) -> None:
    number = campaign(migrated_database, "sending")
    reader, editor = Pages(migrated_database, edits=False), Pages(migrated_database)
    assert "/do/" not in reader.client.get(f"/campaigns/{number}").text
    assert reader.client.get(f"/campaigns/{number}/do/{verb}").status_code == 403
    seal = editor.seal(number, "pause")
    assert reader.do(number, verb, seal=seal).status_code in (403, 409)
    assert row(migrated_database, number)["state"] == "sending"


def test_a_form_that_is_not_ours_changes_nothing(migrated_database: str) -> None:
    dsn, pages = migrated_database, Pages(migrated_database)
    number, other = campaign(dsn, "sending"), None
    with connect(dsn) as conn:
        other = add_campaign(conn, name="Other", state="sending", outcomes=many(1, state="planned"))
    seal = pages.seal(number, "pause")
    until, _, mac = seal.partition(".")
    attempts = [
        pages.do(number, "pause", seal=""),
        pages.do(number, "pause", seal="x.y"),
        pages.do(number, "pause", seal=f"{int(until) + 3600}.{mac}"),
        pages.do(number, "cancel", seal=seal),
        pages.do(other, "pause", seal=seal),
        Pages(dsn, reader="eve").do(number, "pause", seal=seal),
        pages.do(number, "pause", seal=seal, headers={"Sec-Fetch-Site": "cross-site"}),
        pages.client.post(f"/campaigns/{number}/do/pause", json={"seal": seal}),
        pages.client.post(f"/campaigns/{number}/do/pause", content=b"seal=" + b"a" * 100_000),
        pages.client.post(f"/campaigns/{number}/do/pause", content=b"\xff\xfe"),
    ]
    assert [attempt.status_code for attempt in attempts] == [409] * len(attempts)
    assert row(dsn, number)["state"] == row(dsn, other)["state"] == "sending"
    assert pages.client.get(f"/campaigns/{number}/do/explode").status_code == 404
    assert pages.client.post(f"/campaigns/{number}", data={"seal": seal}).status_code == 405
    assert pages.do(number, "pause", seal=seal, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_an_old_form_is_stale(migrated_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(migrated_database)
    number = campaign(migrated_database, "sending")
    seal = pages.seal(number, "pause")
    later = time.time() + 3601
    monkeypatch.setattr("include.pages.forms.time.time", lambda: later)
    assert pages.do(number, "pause", seal=seal).status_code == 409
    assert row(migrated_database, number)["state"] == "sending"


def test_what_somebody_else_did_first_is_told(migrated_database: str) -> None:
    pages = Pages(migrated_database)
    number = campaign(migrated_database, "sending")
    seal = pages.seal(number, "pause")
    pages.do(number, "cancel")
    assert pages.do(number, "pause", seal=seal).headers["location"].endswith("notice=too_late")
    assert "cannot be done now" in pages.client.get(f"/campaigns/{number}/do/pause").text
