"""How exactly and how fast the sender sends: real processes, a real gateway on the other core, the ledger durable.

What each figure shows is in docs/benchmarks.md.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg

from include.campaigns.bench_floor import floor
from include.campaigns.bench_stage import Stage, approved_campaign, most_in_a_second, senders, stage
from include.campaigns.settle import settle

# More than any core can send: nothing waits for a turn.
UNLIMITED = 1_000_000
# A gateway somewhere else: 80 ms, give or take a quarter.
LATENCY = (80.0, 20.0)
LANES_TO_A_FAR_GATEWAY = 4
# Workers that start agree on their shares within this time.
SETTLED = 2.0


def send_80(seconds: int = 30) -> dict[str, Any]:
    """A new number's rate, one worker: one message a request."""
    return _limited(80, seconds, campaigns=1, workers=1)


def send_400(seconds: int = 30) -> dict[str, Any]:
    """Two campaigns at once with two workers each share one integration's rate."""
    return _limited(400, seconds, campaigns=2, workers=2)


def send_1000(seconds: int = 30) -> dict[str, Any]:
    """Meta's highest rate of a number, one worker."""
    return _limited(1000, seconds, campaigns=1, workers=1)


def send_open(people: int = 150_000) -> dict[str, Any]:
    """Nothing but the work limits one worker: claim, request and outcome of every message, each committed with fsync.

    The baseline posts the same bodies with aiohttp to a server that answers without looking at them. The memory is the
    most the process ever held, and once more for a tenth of the audience.
    """
    with stage(people) as on:
        small = _send(on, "small", people // 10)[0]
        [sender] = _send(on, "all", people)
        _check(on, people)
        bare = floor(10 * people, on.folder)
    rate = sender["accepted"] / sender["seconds"]
    return {
        "value": round(rate),
        "unit": "messages/s",
        "baseline": round(bare),
        "ratio": round(rate / bare, 3),
        "messages": sender["accepted"],
        "seconds": round(sender["seconds"], 1),
        "cpu_us_each": _cpu([sender]),
        "peak_mb": round(sender["peak_mb"]),
        "peak_mb_of_a_tenth": round(small["peak_mb"]),
    }


def send_two(people: int = 120_000) -> dict[str, Any]:
    """Two workers of one campaign against one, to a gateway that takes 80 ms to answer.

    With latency a worker is limited by what it has under way (here four requests of 100 messages), as it is with a
    gateway outside this machine. Without latency one worker, the simulator and PostgreSQL use two cores up between
    them, and a second worker shows the machine's limit, not the sender's.
    """
    settings = {"lanes": LANES_TO_A_FAR_GATEWAY}
    with stage(people) as on:
        on.slow_down(*LATENCY)
        [alone] = _send(on, "one", people // 2, **settings)
        pair = _send(on, "two", people, workers=2, **settings)
        _check(on, people)
    one = alone["accepted"] / alone["seconds"]
    two = sum(each["accepted"] for each in pair) / max(each["seconds"] for each in pair)
    return {
        "value": round(two),
        "unit": "messages/s",
        "baseline": round(one),
        "ratio": round(two / one, 3),
        "cpu_us_each": _cpu(pair),
        "latency_ms": LATENCY[0],
        "lanes_each": LANES_TO_A_FAR_GATEWAY,
        "peak_mb": round(max(each["peak_mb"] for each in pair)),
    }


def _limited(rate: int, seconds: int, *, campaigns: int, workers: int) -> dict[str, Any]:
    """`value` is the rate while every worker sends: from `SETTLED` after the last one's first request until the first
    one's last. `whole` is that of all of it, start and end included, and so is every sliding second looked at.
    """
    people = rate * (seconds + 5) // campaigns
    with stage(people) as on:
        tasks = [
            {
                "campaign_id": plan.campaign_id,
                "settings": {"worker": f"send-{n}", "messages_per_second": rate},
            }
            for plan in [approved_campaign(on.dsn, f"campaign {number}") for number in range(campaigns)]
            for n in range(workers)
        ]
        reports = senders(on, tasks)
        _check(on, people * campaigns)
        stats = on.stats()
    departures = sorted(tuple(each) for report in reports for each in report["departures"])
    times = [[at for at, _ in report["departures"]] for report in reports]
    begun, ended = max(map(min, times)) + SETTLED, min(map(max, times))
    value = sum(number for at, number in departures if begun <= at < ended) / (ended - begun)
    messages = sum(number for _, number in departures)
    whole = messages / (departures[-1][0] - departures[0][0])
    return {
        "value": round(value, 2),
        "unit": "messages/s",
        "baseline": rate,
        "ratio": round(value / rate, 4),
        "sent_max_per_second": most_in_a_second(departures),
        "max_per_second": stats["max_per_second"],
        "whole": round(whole, 2),
        "seconds": round(ended - begun, 1),
        "messages": messages,
        "requests": len(departures),
        "duplicates": stats["duplicate_recipients"],
        "campaigns": campaigns,
        "workers": campaigns * workers,
        "cpu_us_each": _cpu(reports),
    }


def _send(on: Stage, name: str, people: int, *, workers: int = 1, **settings: Any) -> list[dict[str, Any]]:
    """Plan a campaign for so many people and send it as fast as it goes; each worker's report with what it sent."""
    plan = approved_campaign(on.dsn, name)
    _leave_out_all_but(on, plan.campaign_id, people)
    on.reset()
    tasks = [
        {
            "campaign_id": plan.campaign_id,
            "settings": {"worker": f"send-{number}", "messages_per_second": UNLIMITED, **settings},
        }
        for number in range(workers)
    ]
    reports = senders(on, tasks)
    settle(
        plan.campaign_id, dsn=on.dsn, now=datetime.now(UTC)
    )  # or it would count as under way beside the next one
    return [
        report | {"accepted": report["counts"].get("accepted", 0), "seconds": _seconds(report)}
        for report in reports
    ]


def _seconds(report: dict[str, Any]) -> float:
    """From a worker's first claim to its last commit: what it needs to start and to leave counts."""
    return float(report["ended_at"] - report["begun"])


def _leave_out_all_but(on: Stage, campaign_id: int, people: int) -> None:
    with psycopg.connect(on.dsn, autocommit=True) as conn:
        conn.execute(
            "update campaign_message set state = 'excluded', reason = 'bench' where campaign_id = %s "
            "and subscription_id > %s",
            (campaign_id, people),
        )
        conn.execute("vacuum (analyze) campaign_message")


def _check(on: Stage, people: int) -> None:
    """A figure of messages that were lost or sent twice is worth nothing."""
    stats = on.stats()
    if stats["accepted"] != people or stats["duplicate_recipients"]:
        raise RuntimeError(f"{people} messages were to be sent once each; the gateway saw {stats}")


def _cpu(reports: list[dict[str, Any]]) -> float:
    """Microseconds of a sender's CPU for one message."""
    messages = sum(report["counts"].get("accepted", 0) for report in reports)
    seconds = sum(float(report["cpu_seconds"]) for report in reports)
    return float(round(1e6 * seconds / messages, 1))
