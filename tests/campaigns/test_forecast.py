"""When a campaign would be done, against a sender of a second's steps; and what it would cost, from rates of a file."""

from __future__ import annotations

import random
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from include.campaigns.forecast import Pace, forecast
from include.campaigns.parameters import Hours
from include.campaigns.preview import as_markdown, preview
from include.campaigns.rates import RatesInvalid, read_rates
from include.cli import app
from include.database import connect
from include.reports import refresh
from tests.support.campaigns import acme, approve_templates, approved, planned, subscribe

NOW = datetime(2026, 11, 25, 14, 7, 30, tzinfo=UTC)
WEEK = NOW + timedelta(days=7)
NO_HOURS = (None, None)
DAYTIME = (Hours(start=time(9), end=time(20)), None)


def test_the_rate_alone() -> None:
    found = forecast({(1, "UTC"): 80_000}, now=NOW, expires_at=WEEK, hours=NO_HOURS, pace=Pace(80, 80))
    assert (found.begins, found.left, found.waits_for) == (NOW, 0, "nothing")
    assert found.ends is not None
    assert abs((found.ends - NOW).total_seconds() - 1000) < 2


def test_people_far_away_wait_for_their_morning() -> None:
    people = {(1, "Europe/Brussels"): 1000, (1, "Asia/Tokyo"): 1000}
    found = forecast(people, now=NOW, expires_at=WEEK, hours=DAYTIME, pace=Pace(100, 100))
    assert found.begins == NOW
    assert found.waits_for == "hours"
    assert found.ends is not None
    morning = datetime(2026, 11, 26, 9, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert timedelta(0) <= found.ends - morning <= timedelta(seconds=15)


def test_quiet_hours_across_midnight_and_a_day_on_which_clocks_change() -> None:
    quiet = (None, Hours(start=time(22), end=time(7)))
    late = datetime(2026, 10, 24, 23, tzinfo=ZoneInfo("Europe/Brussels"))
    found = forecast({(1, "Europe/Brussels"): 10}, now=late, expires_at=late + timedelta(days=2), hours=quiet,
                     pace=Pace(10, 10))  # fmt: skip
    assert found.begins == datetime(2026, 10, 25, 7, tzinfo=ZoneInfo("Europe/Brussels"))
    assert found.begins.astimezone(UTC) - late.astimezone(UTC) == timedelta(hours=9), (
        "the night had an hour more"
    )


def test_the_limit_of_a_day_counts_what_was_used_and_comes_back_by_the_hour() -> None:
    hour = NOW.replace(minute=0, second=0)
    pace = Pace(100, 100, daily=1000, used={hour - timedelta(hours=20): 900, hour - timedelta(hours=3): 50})
    found = forecast({(1, "UTC"): 500}, now=NOW, expires_at=WEEK, hours=NO_HOURS, pace=pace)
    assert found.waits_for == "limit"
    assert found.ends is not None
    freed = hour + timedelta(hours=5)  # 25 hours after the hour of the 900
    assert freed <= found.ends <= freed + timedelta(minutes=5)


def test_a_probe_and_other_campaigns_take_their_time() -> None:
    people = {(0, "UTC"): 100, (1, "UTC"): 9900}
    found = forecast(people, now=NOW, expires_at=WEEK, hours=NO_HOURS, pace=Pace(100, 100),
                     probe_wait=timedelta(minutes=30))  # fmt: skip
    assert found.waits_for == "probe"
    assert found.ends is not None
    assert timedelta(minutes=30) < found.ends - NOW < timedelta(minutes=40)
    busy = forecast(
        {(1, "UTC"): 10_000}, now=NOW, expires_at=WEEK, hours=NO_HOURS, pace=Pace(100, 100, others=10_000)
    )
    assert busy.ends is not None
    assert 190 < (busy.ends - NOW).total_seconds() <= 300


def test_what_cannot_be_in_time_is_counted() -> None:
    found = forecast({(1, "UTC"): 10_000}, now=NOW, expires_at=NOW + timedelta(seconds=40), hours=NO_HOURS,
                     pace=Pace(100, 100))  # fmt: skip
    assert (found.ends, found.left) == (None, 6000)
    never = forecast({(1, "UTC"): 5}, now=NOW, expires_at=NOW + timedelta(hours=5), hours=(
        Hours(start=time(9), end=time(10)), None), pace=Pace(1, 1))  # fmt: skip
    assert (never.begins, never.ends, never.left, never.waits_for) == (None, None, 5, "hours")


def test_random_campaigns_end_when_a_sender_of_small_steps_ends() -> None:
    chance = random.Random(26)
    zones = ["Europe/Brussels", "Asia/Tokyo", "America/New_York", "Asia/Kolkata", "UTC"]
    for _ in range(25):
        people = {(1, zone): chance.randint(1, 60_000) for zone in chance.sample(zones, 3)}
        start, length = chance.randint(0, 23), chance.randint(3, 14)
        hours = (Hours(start=time(start), end=time((start + length) % 24)), None)
        rate, daily = chance.choice([20, 80, 400]), chance.choice([None, 40_000])
        found = forecast(people, now=NOW, expires_at=WEEK, hours=hours, pace=Pace(rate, rate, daily=daily))
        expected = slow_sender(people, hours[0], rate, daily)
        if expected is None or found.ends is None:
            assert expected == found.ends
        else:
            assert abs(found.ends - expected) <= timedelta(minutes=10), (people, hours, rate, daily)


def slow_sender(
    people: dict[tuple[int, str], int], hours: Hours, rate: int, daily: int | None
) -> datetime | None:
    """The oracle: minute after minute, whoever's clock allows, under the limit."""
    waiting = {zone: count for (_, zone), count in people.items()}
    used: dict[datetime, int] = {}
    moment = NOW
    while moment < WEEK:
        hour = moment.replace(minute=0, second=0)
        room = (
            daily - sum(n for at, n in used.items() if at > moment - timedelta(hours=25)) if daily else 10**9
        )
        left = min(room, rate * 60)
        for zone in list(waiting):
            if moment.astimezone(ZoneInfo(zone)).time() in hours:
                sent = min(waiting[zone], left)
                left -= sent
                used[hour] = used.get(hour, 0) + sent
                waiting[zone] -= sent
                if not waiting[zone]:
                    del waiting[zone]
        moment += timedelta(minutes=1)
        if not waiting:
            return moment
    return None


GOOD = """\
effective_from,country,category,price,currency
2026-10-01,BE,marketing,0.0682,EUR
2026-10-01,**,marketing,0.05,EUR
"""


def cli(dsn: str, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments), env={"AIRFLOW_CONN_WHATSAPP_DB": dsn})
    return done.exit_code, done.output


def test_rates_are_loaded_corrected_and_shown(migrated_database: str, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(GOOD)
    assert cli(migrated_database, "rates", "load", str(file)) == (
        0,
        "2 new rate(s), 0 changed, 0 the same as before.\n",
    )
    assert cli(migrated_database, "rates", "load", str(file))[1].startswith(
        "0 new rate(s), 0 changed, 2 the same"
    )
    file.write_text(
        "\ufeff" + GOOD.replace(",", ";").replace("0.0682", "0,0700")
    )  # as a Belgian spreadsheet saves it
    assert "0 new rate(s), 1 changed, 1 the same" in cli(migrated_database, "rates", "load", str(file))[1]
    assert "BE  marketing          0.0700 EUR  since 2026-10-01" in cli(migrated_database, "rates", "show")[1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2026-13-01,BE,marketing,0.1,EUR", ":2: effective_from is no date"),
        ("2026-10-01,XX,marketing,0.1,EUR", ":2: country is neither"),
        ("2026-10-01,BE,promo,0.1,EUR", ":2: category is none of"),
        ("2026-10-01,BE,marketing,cheap,EUR", ":2: price is no number"),
        ("2026-10-01,BE,marketing,-1,EUR", ":2: price is not between"),
        ("2026-10-01,BE,marketing,68.2,EUR", ":2: price is not between"),
        ("2026-10-01,BE,marketing,NaN,EUR", ":2: price is not between"),
        ("2026-10-01,BE,marketing,0.1,€", ":2: currency is no code"),
        ("2026-10-01,BE,marketing,0.1", ":2: the line has not 5 values"),
        ("2026-10-01,BE,marketing,0.1,EUR,6", ":2: the line has not 5 values"),
        (
            "2026-10-01,BE,marketing,0.1,EUR\n2026-10-01,be,Marketing,0.2,EUR",
            ":3: this country, category and date",
        ),
        ("", "there is no rate in it"),
    ],
)
def test_a_wrong_file_of_rates_loads_nothing_and_names_the_line(
    migrated_database: str, tmp_path: Path, line: str, told: str
) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(GOOD.splitlines()[0] + "\n" + line + "\n")
    code, output = cli(migrated_database, "rates", "load", str(file))
    assert code == 1
    assert told in output
    assert cli(migrated_database, "rates", "show")[1].startswith("No rate is loaded")


def test_a_file_that_is_no_file_of_rates(tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("country;price\nBE;1\n")
    with pytest.raises(RatesInvalid, match="the columns must be"):
        read_rates(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RatesInvalid, match="not UTF-8"):
        read_rates(file)


def test_the_approver_sees_a_range_from_what_was_delivered_before(
    migrated_database: str, tmp_path: Path
) -> None:
    dsn, now = migrated_database, datetime.now(UTC)
    file = tmp_path / "rates.csv"
    file.write_text(GOOD)
    cli(dsn, "rates", "load", str(file))
    approve_templates(dsn, acme())
    subscribe(dsn, 150)
    subscribe(dsn, 50, first=500, country="NL")
    earlier = approved(dsn, acme(), run_key="earlier", max_messages_per_week=9)
    with connect(dsn) as conn:
        conn.execute("update campaign_message set accepted_at = now(), "
            "state = case when subscription_id % 4 = 0 then 'failed' else 'delivered' end")  # fmt: skip
        conn.execute("update campaign set state = 'sent', started_at = now() - interval '3 days' where id = %s",
                     (earlier.campaign_id,))  # fmt: skip
    refresh("acme", dsn=dsn, now=now)
    plan = planned(dsn, acme(), max_messages_per_week=9)
    figures = preview(acme(), plan.campaign_id, dsn=dsn, messages_per_second=80, now=now)
    text = as_markdown(figures)
    assert "| BE | 150 | 0.0682 EUR | 10.23 EUR |" in text
    assert "| NL | 50 | 0.05 EUR | 2.50 EUR |" in text
    assert "between **9.55 EUR** (if as few as in your weakest campaign of 90 days, 75%," in text
    assert "and **12.73 EUR** (if all are)" in text
    assert "(Europe/Brussels)**" in text
