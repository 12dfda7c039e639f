"""The funnel as text: what the demo and `whatsapp report <campaign>` print."""

from __future__ import annotations

from datetime import datetime

from include.reports.failures import Failure, explain_all
from include.reports.funnel import Funnel

LABEL = 26
BAR = 30


def report_text(funnel: Funnel, *, now: datetime | None = None) -> str:
    """The funnel with bars, the reasons behind it, times, cost and balance."""
    lines = [f"Campaign {funnel.campaign_id} · {funnel.entity} · {funnel.name} · {_state(funnel, now)}", ""]
    lines += [
        _step(funnel, "Target", funnel.target),
        _step(funnel, "Excluded", funnel.excluded),
        *_reasons(funnel, "excluded"),
        _step(funnel, "Planned", funnel.planned),
        *_only_some(funnel, ("waiting", "sending", "expired")),
        _step(funnel, "Uncertain", funnel.uncertain),
        _step(funnel, "Rejected", funnel.rejected),
        *_reasons(funnel, "rejected"),
        _step(funnel, "Accepted", funnel.accepted),
        _step(funnel, "Failed", funnel.failed),
        *_reasons(funnel, "failed"),
        *_only_some(funnel, ("awaiting",)),
        _step(funnel, "Delivered", funnel.delivered, funnel.delivery_rate, "accepted"),
        _step(funnel, "Read", funnel.read, funnel.read_rate, "delivered"),
        *(
            [_step(funnel, "Clicked", funnel.clicked, funnel.click_rate, "delivered")]
            if funnel.clicked or funnel.links
            else []
        ),
        _step(funnel, "Replied", funnel.replied, funnel.reply_rate, "delivered"),
        _step(funnel, "Opted out", funnel.opted_out, funnel.opt_out_rate, "delivered"),
        "",
    ]
    lines += _retried(funnel)
    lines += [_time(row) for row in funnel.times]
    lines += [_cost(funnel), f"{'Balance':<{LABEL}}{funnel.balance:>9,}{_verdict(funnel)}"]
    return "\n".join(lines)


def _state(funnel: Funnel, now: datetime | None) -> str:
    partial = funnel.is_partial(now) if now else funnel.in_flight > 0
    reason = f" ({funnel.state_reason})" if funnel.state_reason else ""
    return f"{funnel.state}{reason}{', figures still partial' if partial else ''}"


def _step(funnel: Funnel, label: str, people: int, rate: float | None = None, of: str = "") -> str:
    filled = round(BAR * people / funnel.target) if funnel.target else 0
    bar = "█" * max(filled, 1 if people else 0)
    share = f"  {rate:.1%} of {of}" if rate is not None else ""
    return f"{label:<{LABEL}}{people:>9,}  {bar}{share}".rstrip()


def _only_some(funnel: Funnel, names: tuple[str, ...]) -> list[str]:
    return [_step(funnel, "  " + name, getattr(funnel, name)) for name in names if getattr(funnel, name)]


def _reasons(funnel: Funnel, bucket: str) -> list[str]:
    if bucket == "excluded":
        return [_line(reason.replace("_", " "), people) for reason, people in funnel.excluded_by_reason()]
    return [
        _line(failure.label, failure.messages) + f"  {failure.meaning} ({_code(failure)})"
        for failure in explain_all(row for row in funnel.reasons if row["bucket"] == bucket)
    ]


def _line(label: str, people: int) -> str:
    return f"{'  ' + label:<{LABEL}}{people:>9,}"


def _code(failure: Failure) -> str:
    if failure.code is None:
        return "no code"
    return f"code {failure.code}" + (
        f", Meta {failure.meta_code}" if failure.meta_code != failure.code and failure.meta_code else ""
    )


def _retried(funnel: Funnel) -> list[str]:
    if len(funnel.attempts) < 2:
        return []
    steps = [f"attempt {attempt}: {people:,}" for attempt, people in funnel.attempts]
    return [f"{'Delivered by attempt':<{LABEL}}{' · '.join(steps)} · given up: {funnel.failed:,}"]


def _time(row: dict[str, object]) -> str:
    name = {"deliver": "Time to deliver", "read": "Time to read", "reply": "Time to reply"}[
        str(row["measure"])
    ]
    steps = " · ".join(f"{key} {_seconds(float(str(row[key])))}" for key in ("p50", "p90", "p99"))
    return f"{name:<{LABEL}}{steps}"


def _seconds(seconds: float) -> str:
    for limit, unit, size in ((60, "s", 1), (3600, "min", 60), (86400, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86400:.1f} d"


def _cost(funnel: Funnel) -> str:
    if funnel.cost is None:
        mixed = (
            "in several currencies; see the page" if funnel.cost_currency == "mixed" else "no price known yet"
        )
        return f"{'Cost':<{LABEL}}{mixed}"
    label = " (estimated)" if funnel.cost_estimated else ""
    missing = f", {funnel.cost_unpriced:,} messages without a price" if funnel.cost_unpriced else ""
    return f"{'Cost':<{LABEL}}{funnel.cost:>9,.2f} {funnel.cost_currency}{label}{missing}"


def _verdict(funnel: Funnel) -> str:
    return "  every person accounted for" if funnel.balance == 0 else "  THE BOOKS DO NOT BALANCE"
