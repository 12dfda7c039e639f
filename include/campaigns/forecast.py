"""When a campaign would be done: people's hours by zone, the rate, the portfolio's limit, other campaigns. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from include.campaigns.parameters import Hours

# People's hours begin and end on minutes, mostly on quarters of an hour; a step of five is right to five minutes.
STEP = timedelta(minutes=5)
# The limit is kept by whole hours (pacing.sql): the hour that began more than 24 hours ago still counts.
DAY = timedelta(hours=25)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast messages may leave.

    `rate`: the campaign's messages per second; `shared`: the integration's, which `others` messages of other campaigns
    use too until they have left. `daily`: people per 24 hours of the portfolio (None: no limit), of which `used` were
    written to in each hour.
    """

    rate: int
    shared: int
    others: int = 0
    daily: int | None = None
    used: Mapping[datetime, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forecast:
    """`begins` and `ends` of the sending (None: never, in time); `left`: people whom the campaign's end would overtake.

    `waits_for`: what holds it up longest: nothing, hours, limit or probe.
    """

    begins: datetime | None
    ends: datetime | None
    left: int
    waits_for: str


def forecast(
    people: Mapping[tuple[int, str], int],
    *,
    now: datetime,
    expires_at: datetime,
    hours: tuple[Hours | None, Hours | None],
    pace: Pace,
    probe_wait: timedelta = timedelta(0),
) -> Forecast:
    """Send `people` (by wave and time zone: wave 0 is the probe) in steps of five minutes, as the sender would.

    The rest follows a probe `probe_wait` after its last message. Retries and people who say no are not foreseen.
    """
    waiting = dict(people)
    use = dict(pace.used)
    others, begins, last = pace.others, None, now
    held_until, lost = now, dict.fromkeys(("hours", "limit", "probe"), timedelta(0))
    for start, end in _steps(now, expires_at):
        if not waiting:
            break
        wave = min(wave for wave, _ in waiting)
        if start < held_until:
            lost["probe"] += end - start
            continue
        open_now = [key for key in waiting if key[0] == wave and _is_open(start, key[1], hours)]
        seconds = (end - start).total_seconds()
        # While others send, the integration is shared among the campaigns; a worker never has more than its own rate.
        rate = min(pace.rate, max(1, pace.shared // 2)) if others > 0 else min(pace.rate, pace.shared)
        others = max(0, others - int((pace.shared - rate) * seconds)) if others > 0 else 0
        room = _room(pace.daily, use, start)
        wanted = min(sum(waiting[key] for key in open_now), int(rate * seconds))
        sent = min(wanted, room)
        if not open_now:
            lost["hours"] += end - start
        elif not sent:
            lost["limit"] += end - start
        if sent:
            begins = begins or start
            last = start + timedelta(seconds=sent / rate)
            hour = start.replace(minute=0, second=0, microsecond=0)
            use[hour] = use.get(hour, 0) + sent
            _take(waiting, open_now, sent)
            if wave == 0 and not any(key[0] == 0 for key in waiting):
                held_until = last + probe_wait
    left = sum(waiting.values())
    longest = max(lost, key=lambda name: lost[name])
    return Forecast(begins, None if left else last, left, longest if lost[longest] else "nothing")


def _steps(now: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """From now to the next five minutes of the clock, then five minutes each."""
    start = now
    end = now.replace(minute=now.minute - now.minute % 5, second=0, microsecond=0) + STEP
    while start < until:
        yield start, min(end, until)
        start, end = end, end + STEP


def _is_open(moment: datetime, zone: str, hours: tuple[Hours | None, Hours | None]) -> bool:
    window, quiet = hours
    if window is None and quiet is None:
        return True
    clock = moment.astimezone(ZoneInfo(zone)).time()
    return (window is None or clock in window) and (quiet is None or clock not in quiet)


def _room(daily: int | None, use: Mapping[datetime, int], moment: datetime) -> int:
    if daily is None:
        return 10**9
    return max(0, daily - sum(people for hour, people in use.items() if moment - DAY < hour <= moment))


def _take(waiting: dict[tuple[int, str], int], keys: list[tuple[int, str]], sent: int) -> None:
    for key in keys:
        taken = min(waiting[key], sent)
        sent -= taken
        waiting[key] -= taken
        if not waiting[key]:
            del waiting[key]
