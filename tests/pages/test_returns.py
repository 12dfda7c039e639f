"""The pages of what comes back: the log's books with a CSV of every difference, replies sent on, reputation."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.database import connect
from include.entities.models import Forward
from include.inbound import ForwardFailed, Reply, forward_due, from_webhook, record_inbound
from include.message_log import compare_due_days
from include.reports import refresh
from tests.pages.test_pages import client
from tests.support.ledger import START, add_campaign, many
from tests.support.optins import entity, source

NOW = datetime.now(UTC)
YESTERDAY = NOW - timedelta(days=1)
PLACES = (Forward(name="desk", connection="desk"), Forward(name="lost", connection="lost"))


def outcomes() -> list[dict[str, Any]]:
    return [
        *many(10, state="read", accepted=0, delivered=1, read=3),
        *many(4, state="delivered", accepted=0, delivered=1),
        *many(1, state="read", accepted=0, delivered=1, read=3, opted_out=5),
        *many(2, state="failed", accepted=0, failed=1, error_source="status", error_code=131049),
        *many(1, state="failed", accepted=0, failed=1, error_source="status", error_code=63),
        *many(1, state="failed", accepted=0, failed=1, error_source="status", error_code=59),
        *many(1, state="failed", accepted=0, failed=1, error_source="status", error_code=131050),
    ]


@pytest.fixture
def dsn(migrated_database: str) -> str:
    """A campaign of yesterday, three replies of which one waits, and the day compared with the log."""
    with connect(migrated_database) as conn:
        campaign_id = add_campaign(conn, entity="brand", name="Spring", outcomes=outcomes(), state="sent")
        shift = YESTERDAY - START
        conn.execute(
            """update campaign_message set accepted_at = accepted_at + %(d)s, delivered_at = delivered_at + %(d)s,
               read_at = read_at + %(d)s, opted_out_at = opted_out_at + %(d)s, logged_at = case when state <> 'failed'
               then now() end, price = 0.07, currency = 'EUR'""",
            {"d": shift},
        )
        conn.execute("update campaign set created_at = %s", (YESTERDAY - timedelta(hours=1),))
        conn.execute("insert into rate values ('2026-01-01', '**', 'marketing', 0.06, 'EUR')")
        brand = entity(source(), forwards=PLACES)
        for number, text in ((1, "Is het nog te koop?"), (2, "STOP"), (3, "Merci")):
            document = {
                "from": {"number": f"+32470{campaign_id % 100:02d}{number:04d}"},
                "message": {"text": text},
                "timeUtc": NOW.isoformat(),
            }
            record_inbound(conn, [from_webhook(document, now=NOW)], entities=[brand], suppression_key=None)

    def refuse(_: Reply) -> None:
        raise ForwardFailed("HTTP 503")

    forwarders = {"desk": lambda _: None, "lost": refuse}
    forward_due(brand, forwarders, dsn=migrated_database, now=datetime.now(UTC))
    compare_due_days("brand", dsn=migrated_database, now=NOW)
    refresh("brand", dsn=migrated_database, now=NOW)
    return migrated_database


def test_each_day_against_the_log_and_every_difference_in_a_file(dsn: str) -> None:
    pages = client(dsn, reads=("brand",))
    page = pages.get("/log").text
    day = f"{YESTERDAY:%Y-%m-%d}"
    row = next(each for each in page.split("<tr>") if f">{day}</th>" in each)
    assert re.findall(r'<td class="n">(\d+)</td>', row)[:2] == ["20", "15"]
    assert '<span class="state warn">5</span>' in row, "five are missing from the log"
    assert "1.05 EUR" in row
    assert "0.90 EUR" in row
    assert f'href="/log/brand/{day}.csv"' in row
    file = pages.get(f"/log/brand/{day}.csv")
    assert file.headers["content-disposition"] == f'attachment; filename="differences-brand-{day}.csv"'
    found = list(csv.DictReader(io.StringIO(file.text)))
    assert sum(each["difference"] == "missing" for each in found) == 5
    assert sum(each["difference"] == "price" for each in found) == 15


def test_replies_by_kind_and_what_was_not_sent_on(dsn: str) -> None:
    page = client(dsn, reads=("brand",)).get("/replies").text
    # The day on which they were received, which may have begun since this file was read.
    (day,) = re.findall(r'<th scope="row" class="nowrap">\d{4}-\d\d-\d\d</th>(.*?)</tr>', page)
    counts = re.findall(r'<td class="n">(\d+)</td>', day)
    assert counts == ["2", "0", "1", "0", "0"]
    desk = page.split('<th scope="row">desk</th>')[1].split("</tr>")[0]
    lost = page.split('<th scope="row">lost</th>')[1].split("</tr>")[0]
    assert re.findall(r'<td class="n">(\d+)</td>', desk) == ["0", "2", "0"]
    assert re.findall(r'<td class="n">(\d+)</td>', lost) == ["2", "0", "0"]
    assert "HTTP 503" in lost
    assert "te koop" not in page


def test_reputation_is_shares_by_day(dsn: str) -> None:
    page = client(dsn, reads=("brand",)).get("/reputation").text
    cards = re.findall(r'<span class="figure">([^<]*)</span><span class="soft">([^<]*)</span>', page)
    assert cards == [
        ("25.0 %", "5 of 20"),
        ("15.0 %", "3 of 20"),
        ("5.0 %", "1 of 20"),
        ("6.7 %", "1 of 15"),
        ("73.3 %", "11 of 15"),
    ]
    chart = json.loads(page.split('id="chart-reputation-brand">')[1].split("</script>")[0])
    assert {row["part"]: row["share"] for row in chart["datasets"]["rows"]} == {
        "Failed": 0.25,
        "Limited": 0.15,
        "Opted out": pytest.approx(1 / 15),
    }
    assert "Not known yet" in page
    with connect(dsn) as conn:
        view = conn.execute("select failure_share, limited_share, opt_out_share from v_reputation").fetchone()
    assert {name: float(value) for name, value in (view or {}).items()} == {
        "failure_share": 0.25,
        "limited_share": 0.15,
        "opt_out_share": 0.066667,
    }


@pytest.mark.parametrize("path", ["/log", "/replies", "/reputation"])
def test_who_may_read_what(dsn: str, path: str) -> None:
    mine = client(dsn, reads=("brand",)).get(path)
    assert mine.status_code == 200
    assert "default-src 'none'" in mine.headers["content-security-policy"]
    assert "+32470" not in mine.text
    assert " style=" not in mine.text
    other = client(dsn, reads=("acme",)).get(path)
    assert "brand" not in other.text
    assert "There is no entity that you may read" in client(dsn, reads=()).get(path).text
    assert client(dsn, reads=("acme",)).get("/log/brand/2026-11-22.csv").status_code == 403
    for nonsense in ("x", "2026-13-01", "99999-01-01"):
        assert client(dsn, reads=("brand",)).get(f"/log/brand/{nonsense}.csv").status_code == 422
