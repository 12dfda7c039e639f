"""The pages on a real store: figures, rows, files, who may see what, and one sentence when something is wrong."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from fastapi import HTTPException, Request
from fastapi.testclient import TestClient

from include.database import connect
from include.pages import Access, build_pages
from include.reports import funnel, refresh
from tests.support.ledger import START, add_campaign, many, small_campaign

PHONE = re.compile(r"\+?32470\d{6}")


def client(dsn: str, *, reads: tuple[str, ...] = ("acme",), edits: tuple[str, ...] = ()) -> TestClient:
    def access() -> Access:
        return Access(may_read=reads.__contains__, may_edit=edits.__contains__)

    pages = build_pages(dsn=lambda: dsn, access=access, form_key=lambda: b"key")
    return TestClient(pages, raise_server_exceptions=False)


@pytest.fixture
def campaign_id(migrated_database: str) -> int:
    with connect(migrated_database) as conn:
        number = add_campaign(conn, name="<Spring> & sale", outcomes=small_campaign())
    refresh("acme", dsn=migrated_database, now=START + timedelta(days=1))
    return number


def test_the_list_shows_campaigns_of_readable_entities_only(migrated_database: str, campaign_id: int) -> None:
    with connect(migrated_database) as conn:
        add_campaign(conn, entity="zebra", name="Stripes", outcomes=many(1, state="planned"))
    mine = client(migrated_database).get("/")
    assert mine.status_code == 200
    assert "&lt;Spring&gt; &amp; sale" in mine.text
    assert "Stripes" not in mine.text
    assert "not counted yet" in client(migrated_database, reads=("zebra",)).get("/").text
    nobody = client(migrated_database, reads=()).get("/")
    assert "There is no entity that you may read" in nobody.text
    assert "Spring" not in nobody.text


def test_a_campaign_shows_its_figures(migrated_database: str, campaign_id: int) -> None:
    page = client(migrated_database).get(f"/campaigns/{campaign_id}").text
    with connect(migrated_database) as conn:
        figures = funnel(conn, campaign_id)
    for name in ("target", "accepted", "delivered", "read", "replied", "opted_out", "balance"):
        assert f'data-figure="{name}">{getattr(figures, name)}<' in page, name
    assert "Undeliverable" in page
    assert "Limited by Meta" in page
    assert "Has opted out" in page
    assert page.count('<script type="application/json"') == 4
    assert "<script>" not in page
    assert " style=" not in page


@pytest.mark.parametrize(
    "outcomes", [[], many(1, state="planned"), many(2, state="excluded", reason="holdout")]
)
def test_a_campaign_with_little_to_show_is_shown(
    migrated_database: str, outcomes: list[dict[str, object]]
) -> None:
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, outcomes=outcomes, state="planned")
    pages = client(migrated_database)
    for path in ("", "/people", "/people.csv"):
        assert pages.get(f"/campaigns/{campaign_id}{path}").status_code == 200, path


def test_every_page_has_the_security_headers_and_no_phone(migrated_database: str, campaign_id: int) -> None:
    pages = client(migrated_database)
    with connect(migrated_database) as conn:
        person = conn.execute("select max(subscription_id) as id from campaign_message").fetchone()
    addresses = (
        "/",
        f"/campaigns/{campaign_id}",
        f"/campaigns/{campaign_id}/people",
        f"/campaigns/{campaign_id}/people/{person['id'] if person else 0}",
        "/optins",
        "/campaigns/999",
        "/static/pages.css",
        "/nonsense",
    )
    for address in addresses:
        answer = pages.get(address)
        assert "script-src 'self'" in answer.headers["content-security-policy"], address
        assert answer.headers["x-content-type-options"] == "nosniff", address
        assert answer.headers["x-frame-options"] == "SAMEORIGIN", address
        assert ("no-store" in answer.headers["cache-control"]) != address.startswith("/static"), address
        assert not PHONE.search(answer.text), address
    assert "+32*****" in pages.get(addresses[2]).text


def test_people_behind_a_figure_and_their_csv_agree(migrated_database: str, campaign_id: int) -> None:
    pages = client(migrated_database)
    page = pages.get(f"/campaigns/{campaign_id}/people?figure=failed&error_source=status&error_code=59").text
    assert page.count("<tr>") == 1 + 2
    file = pages.get(f"/campaigns/{campaign_id}/people.csv?figure=failed&error_source=status&error_code=59")
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"] == f'attachment; filename="campaign-{campaign_id}-failed.csv"'
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [(row["state"], row["error_code"], row["cause"]) for row in rows] == [
        ("failed", "59", "Undeliverable")
    ] * 2


def test_numbers_are_in_the_file_only_for_those_who_may_edit(
    migrated_database: str, campaign_id: int
) -> None:
    address = f"/campaigns/{campaign_id}/people.csv"
    assert not PHONE.search(client(migrated_database).get(address).text)
    assert len(PHONE.findall(client(migrated_database, edits=("acme",)).get(address).text)) == 25


def test_another_entitys_reader_gets_nothing(migrated_database: str, campaign_id: int) -> None:
    stranger = client(migrated_database, reads=("zebra",), edits=("zebra",))
    for address in (
        f"/campaigns/{campaign_id}",
        f"/campaigns/{campaign_id}/people",
        f"/campaigns/{campaign_id}/people.csv",
        f"/campaigns/{campaign_id}/people/1",
        "/optins/acme/rejects?source=webshop&reason=no_date",
        "/optins/acme/rejects.csv",
    ):
        answer = stranger.get(address)
        assert answer.status_code == 403, address
        assert "Spring" not in answer.text
    assert "acme" not in stranger.get("/optins").text


def test_a_refused_reader_gets_nothing_at_all(migrated_database: str) -> None:
    def refuse(request: Request) -> Access:
        raise HTTPException(401, "Not authenticated")

    anonymous = TestClient(build_pages(dsn=lambda: migrated_database, access=refuse, form_key=lambda: b"key"))
    for address in ("/", "/campaigns/1", "/optins", "/static/pages.js", "/static/vega.js"):
        answer = anonymous.get(address)
        assert answer.status_code == 401, address
        assert "Please log in" in answer.text
    for address in ("/docs", "/redoc", "/openapi.json"):
        assert anonymous.get(address).status_code == 404


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/campaigns/999", 404),
        ("/campaigns/99999999999999999999999", 404),
        ("/campaigns/-1", 404),
        ("/campaigns/x", 422),
        ("/campaigns/{id}/people?figure=nonsense", 404),
        ("/campaigns/{id}/people?after=99999999999999999999999", 422),
        ("/campaigns/{id}/people?error_code=x", 422),
        ("/campaigns/{id}/people/999999", 404),
        ("/campaigns/{id}/people/99999999999999999999999", 404),
        ("/campaigns/{id}/people?reason=%00", 422),
        ("/static/../app.py", 404),
        ("/static/pages.py", 404),
    ],
)
def test_bad_addresses_are_answered_with_a_sentence(
    migrated_database: str, campaign_id: int, address: str, status: int
) -> None:
    answer = client(migrated_database).get(address.format(id=campaign_id))
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_nothing_but_get(migrated_database: str, campaign_id: int) -> None:
    pages = client(migrated_database)
    for method in (pages.post, pages.put, pages.delete, pages.patch):
        assert method(f"/campaigns/{campaign_id}").status_code == 405


def test_a_pending_migration_is_one_clear_sentence(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        conn.execute("update alembic_version set version_num = '0000'")
    answer = client(migrated_database).get("/")
    assert answer.status_code == 503
    assert "whatsapp db migrate" in answer.text


def test_an_empty_database_is_one_clear_sentence(database: str) -> None:
    answer = client(database).get("/campaigns/1/people.csv")
    assert answer.status_code == 503
    assert "whatsapp db migrate" in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/campaigns/1", "/campaigns/1/people.csv", "/optins", "/optins/acme/rejects.csv"]
)
def test_a_dead_database_is_one_clear_sentence(path: str) -> None:
    answer = client("postgresql://someone:hunter2@127.0.0.1:1/none").get(path)
    assert answer.status_code == 503
    assert "cannot be reached" in answer.text
    assert "hunter2" not in answer.text
    assert "127.0.0.1" not in answer.text


def test_optins_show_runs_and_rejected_records(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        run = conn.execute(
            """insert into sync_run (entity, source, run_key, state, pulled, staged, rejected, outcome)
               values ('acme', 'webshop', 'r1', 'applied', 3, 1, 2, '{"granted": 1}') returning id"""
        ).fetchone()
        conn.execute(
            """insert into rejected_record (sync_run_id, entity, source, record_id, reason) values
               (%(run)s, 'acme', 'webshop', '=cmd', 'invalid_number'),
               (%(run)s, 'acme', 'webshop', 'b', 'not_mobile')""",
            {"run": run["id"] if run else None},
        )
    pages = client(migrated_database)
    page = pages.get("/optins").text
    assert "The number is not valid" in page
    assert "granted 1" in page
    assert "=cmd" in pages.get("/optins/acme/rejects?source=webshop&reason=invalid_number").text
    rows = list(csv.DictReader(io.StringIO(pages.get("/optins/acme/rejects.csv").text)))
    assert {(row["record_id"], row["reason"]) for row in rows} == {
        ("'=cmd", "invalid_number"),
        ("b", "not_mobile"),
    }


def test_optins_show_what_sources_were_not_told_and_where_they_differ(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        add_campaign(conn, outcomes=[{"state": "planned"}])
        conn.execute(
            """insert into optout_outbox (entity, source, source_record_id, subscription_id, consent_event_id, state,
                                          problem, created_at)
               select 'acme', t.source, '=cmd', min(s.id), min(e.id), t.state, t.problem, now() - t.waited
               from subscription s, consent_event e, (values
                   ('webshop', 'due', null, interval '2 hours'), ('survey', 'given_up', 'HTTP <404>', interval '1 day'),
                   ('desk', 'due', null, interval '1 minute')) t (source, state, problem, waited)
               group by t.source, t.state, t.problem, t.waited"""
        )
        conn.execute(
            """insert into optin_comparison (entity, source, compared_at, records, alerts, differences) values
               ('acme', 'webshop', now(), 1200, 2, '{"withdrawn_here_true_there": 2, "newer_yes_there": 1}'),
               ('acme', 'survey', now(), 10, 0, '{}')"""
        )
        conn.execute(
            """insert into optin_difference (entity, source, record_id, difference, is_alert, compared_at) values
               ('acme', 'webshop', '@x', 'withdrawn_here_true_there', true, now())"""
        )
    pages = client(migrated_database)
    page = pages.get("/optins").text
    for text in ("late", "given up", "on its way", "HTTP &lt;404&gt;", "2 to look at", "agrees", "1,200"):
        assert text in page, text
    assert "Withdrew here, says yes there 2" in page
    untold = list(csv.DictReader(io.StringIO(pages.get("/optins/acme/optouts.csv").text)))
    assert {(row["source"], row["record_id"], row["state"]) for row in untold} == {
        ("webshop", "'=cmd", "due"),
        ("survey", "'=cmd", "given_up"),
        ("desk", "'=cmd", "due"),
    }
    (difference,) = csv.DictReader(io.StringIO(pages.get("/optins/acme/differences.csv").text))
    assert (difference["record_id"], difference["is_alert"]) == ("'@x", "t")
    assert pages.get("/optins/other/optouts.csv").status_code in (403, 404)


def test_the_chart_library_is_served_from_here_and_revalidated(migrated_database: str) -> None:
    pages = client(migrated_database)
    script = pages.get("/static/vega.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "vegaEmbed" in script.text
    again = pages.get("/static/vega.js", headers={"If-None-Match": script.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
