"""Windows and quiet hours by people's own clocks, on the days the clocks change, in every zone there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import psycopg
import pytest

from include.campaigns.errors import ParametersInvalid
from include.campaigns.parameters import Hours, freeze
from include.campaigns.sender import SendSettings, send
from include.database import connect
from tests.support.campaigns import (
    LINK_KEY,
    acme,
    approve_templates,
    approved,
    planned,
    register_templates,
    states,
    subscribe,
)
from tests.support.campaigns import settings as of_the_simulator
from tests.support.simulator import running_simulator

YEAR = 2026
STEP = timedelta(
    minutes=15
)  # hours in these tests begin and end on quarters, and so do the changes of clocks
# window, quiet hours; each in a different relation to midnight and to the small hours in which clocks are changed
HOURS: list[tuple[Hours | None, Hours | None]] = [
    (Hours(start=time(9), end=time(20)), None),
    (None, Hours(start=time(22), end=time(7))),
    (Hours(start=time(20), end=time(2, 30)), None),
    (Hours(start=time(0), end=time(2)), Hours(start=time(0, 45), end=time(1, 15))),
    (Hours(start=time(2, 15), end=time(3)), None),
    (Hours(start=time(8), end=time(23)), Hours(start=time(21, 30), end=time(10))),
]


def changes(zone: ZoneInfo) -> list[datetime]:
    """When a zone's clocks change in the year: zoneinfo is asked every quarter of an hour of a day with two offsets."""
    found = []
    day = datetime(YEAR, 1, 1, tzinfo=UTC)
    while day.year == YEAR:
        following = day + timedelta(days=1)
        if day.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            moment = day
            while moment.astimezone(zone).utcoffset() == day.astimezone(zone).utcoffset():
                moment += STEP
            found.append(moment)
        day = following
    return found


def is_open(clock: time, window: Hours | None, quiet: Hours | None) -> bool:
    return (window is None or clock in window) and (quiet is None or clock not in quiet)


def test_the_next_opening_is_exact_when_clocks_change_in_every_zone(
    migrated_database: str, tell: Callable[[str], None]
) -> None:
    asked: list[tuple[str, datetime, int]] = []
    around_changes: set[tuple[str, datetime]] = set()
    expected: list[datetime] = []
    with connect(migrated_database) as conn:
        known = {row["name"] for row in conn.execute("select name from pg_timezone_names").fetchall()}
    zones = sorted(available_timezones() & known)
    assert available_timezones() - known <= {"Factory", "localtime", "posixrules"}, "names of no place"
    # Zones with the same changes and offsets behave alike; each name is asked all the same, its oracle is shared.
    oracle: dict[tuple[object, ...], list[datetime]] = {}
    for name in zones:
        zone = ZoneInfo(name)
        moments = changes(zone)[:2] or [datetime(2026, 3, 29, tzinfo=UTC)]
        around_changes |= {(name, change + STEP * n) for change in moments for n in range(-96, 97, 2)}
        for change in moments:
            starts = [change + timedelta(hours=hours) for hours in (-14, -2, -0.25, 0, 9)]
            likeness = (
                change,
                *(start.astimezone(zone).utcoffset() for start in (change - 2 * STEP, change)),
            )
            if likeness not in oracle:
                oracle[likeness] = [opening(zone, start, *hours) for hours in HOURS for start in starts]
            asked += [(name, start, number) for number in range(len(HOURS)) for start in starts]
            expected += oracle[likeness]
    with connect(migrated_database) as conn:
        told = conn.execute(
            """select next_opening(moment, zone, w.a, w.b, w.c, w.d) as opens
               from unnest(%s::text[], %s::timestamptz[], %s::integer[]) with ordinality as t (zone, moment, hours, n)
               join unnest(%s::time[], %s::time[], %s::time[], %s::time[]) with ordinality as w (a, b, c, d, number)
                 on w.number = t.hours + 1 order by n""",
            [*map(list, zip(*asked, strict=True)), *columns()],
        ).fetchall()
        differing = zones_that_differ(conn, around_changes)
    assert len(told) == len(expected) > 15_000
    # Two editions of the zones' data (PostgreSQL's and this machine's) differ where a government has just decided anew.
    tell(f"{len(told)} questions, {len(zones)} zones; the two editions differ on {sorted(differing)}")
    assert len(differing) < len(zones) / 50
    wrong = [
        (*question, row["opens"], right)
        for question, row, right in zip(asked, told, expected, strict=True)
        if row["opens"] != right and question[0] not in differing
    ]
    assert wrong == []


def zones_that_differ(conn: psycopg.Connection[Any], moments: set[tuple[str, datetime]]) -> set[str]:
    """Zones whose clocks PostgreSQL and zoneinfo read differently at one of the moments."""
    asked = sorted(moments)
    rows = conn.execute(
        """select extract(epoch from (moment at time zone zone) - (moment at time zone 'UTC'))::integer as told
           from unnest(%s::text[], %s::timestamptz[]) with ordinality as t (zone, moment, n) order by n""",
        [*map(list, zip(*asked, strict=True))],
    ).fetchall()
    return {
        zone
        for (zone, moment), row in zip(asked, rows, strict=True)
        if moment.astimezone(ZoneInfo(zone)).utcoffset() != timedelta(seconds=row["told"])
    }


def opening(zone: ZoneInfo, start: datetime, window: Hours | None, quiet: Hours | None) -> datetime:
    """The oracle: look at the clock every quarter of an hour."""
    moment = start
    while not is_open(moment.astimezone(zone).time(), window, quiet):
        moment += STEP
    return moment


def columns() -> list[list[time | None]]:
    edges = [
        (w.start if w else None, w.end if w else None, q.start if q else None, q.end if q else None)
        for w, q in HOURS
    ]
    return [list(column) for column in zip(*edges, strict=True)]


def test_a_minute_of_the_day_is_open_or_not_as_the_model_says(migrated_database: str) -> None:
    with connect(migrated_database) as conn:
        told = conn.execute(
            """select w.number - 1 as number, clock::time as clock, is_open(clock::time, a, b, c, d) as is_open
               from unnest(%s::time[], %s::time[], %s::time[], %s::time[]) with ordinality as w (a, b, c, d, number),
                    generate_series('2000-01-01'::timestamp, '2000-01-01 23:59', '1 minute') clock""",
            columns(),
        ).fetchall()
    assert len(told) == 1440 * len(HOURS)
    assert [row for row in told if row["is_open"] != is_open(row["clock"], *HOURS[row["number"]])] == []


def around(now: datetime, zone: str, before: timedelta, after: timedelta) -> dict[str, str]:
    """Hours around now by a zone's clock; they cross midnight when now is near it."""
    local = now.astimezone(ZoneInfo(zone))
    start, end = local - before, local + after
    return {"start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}


def test_quiet_hours_are_kept_by_the_plan_and_by_the_claim(migrated_database: str) -> None:
    dsn, now = migrated_database, datetime.now(UTC)
    approve_templates(dsn, acme())
    subscribe(dsn, 2, time_zone="Asia/Tokyo")
    subscribe(dsn, 3, first=10, time_zone="Europe/Brussels")
    quiet = around(now, "Asia/Tokyo", timedelta(hours=2), timedelta(hours=3))
    plan = approved(dsn, acme(), quiet_hours=quiet)
    with connect(dsn) as conn:
        rows = conn.execute(
            "select s.time_zone, m.not_before from campaign_message m join subscription s on s.id = m.subscription_id"
        ).fetchall()
        for row in rows:
            wait = row["not_before"] - now
            quiet_now = row["time_zone"] == "Asia/Tokyo"
            assert (timedelta(hours=2, minutes=58) < wait < timedelta(hours=3, minutes=1)) is quiet_now, row
        # A plan that was made in other hours: the claim looks at the clock itself.
        conn.execute("update campaign_message set not_before = 'epoch'")
    with running_simulator(speed=1000) as simulator:
        register_templates(simulator, acme())
        from cm_com.messenger import CmComMessenger

        chosen = SendSettings(worker="send-0", messages_per_second=1000, link_key=LINK_KEY)
        report = send(
            acme(), plan.campaign_id, lambda: CmComMessenger(of_the_simulator(simulator)), chosen, dsn=dsn
        )
        assert simulator.stats()["accepted"] == 3
    assert report.ended == "waiting"
    assert report.next_due is not None
    assert timedelta(hours=2, minutes=58) < report.next_due - now < timedelta(hours=3, minutes=1)
    assert states(dsn, plan.campaign_id) == {"accepted": 3, "planned": 2}


def test_what_stays_quiet_until_the_end_is_left_out(migrated_database: str) -> None:
    dsn, now = migrated_database, datetime.now(UTC)
    approve_templates(dsn, acme())
    subscribe(dsn, 2, time_zone="Asia/Tokyo")
    quiet = around(now, "Asia/Tokyo", timedelta(hours=2), timedelta(hours=3))
    assert planned(dsn, acme(), quiet_hours=quiet, expires_hours=2).excluded == {"outside_window": 2}


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (
            {"window": {"start": "09:00", "end": "12:00"}, "quiet_hours": {"start": "08:00", "end": "12:30"}},
            "no minute",
        ),
        ({"quiet_hours": {"start": "22:00", "end": "22:00"}}, "start and end are the same"),
        ({"window": {"start": "9 o'clock", "end": "12:00"}}, "window.start"),
    ],
)
def test_hours_that_leave_nothing_are_refused(hours: dict[str, object], told: str) -> None:
    with pytest.raises(ParametersInvalid, match=told):
        freeze(acme(), {"name": "x", "template": "spring_sale", **hours})
