"""Why messages were rejected or failed: cause, owner, and what that owner does next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from include.message_log.codes import CAUSES, explain, meta_code
from include.reports.funnel import funnel
from include.reports.rollup import Row


@dataclass(frozen=True, slots=True)
class Failure:
    """One code of one campaign. `code` is as received, `meta_code` Meta's number for it if there is one."""

    bucket: str
    error_source: str | None
    code: int | None
    meta_code: int | None
    cause: str
    label: str
    meaning: str
    owner: str
    action: str
    messages: int


def failures(conn: psycopg.Connection[Any], campaign_id: int) -> list[Failure]:
    """The campaign's rejected and failed messages by code, most frequent first. Raises CampaignUnknown."""
    return explain_all(funnel(conn, campaign_id).reasons)


def explain_all(reasons: Iterable[Row]) -> list[Failure]:
    """`failures`, from the reasons of a funnel that was read already."""
    return [_explain(row) for row in reasons if row["bucket"] in ("rejected", "failed")]


def by_cause(found: Iterable[Failure]) -> list[tuple[Failure, int]]:
    """One (example, messages) for each cause, the most frequent first."""
    examples: dict[str, Failure] = {}
    messages: dict[str, int] = {}
    for failure in found:
        examples.setdefault(failure.cause, failure)
        messages[failure.cause] = messages.get(failure.cause, 0) + failure.messages
    return sorted(((examples[cause], count) for cause, count in messages.items()), key=lambda item: -item[1])


def _explain(row: Row) -> Failure:
    source, code = row["error_source"], row["error_code"]
    known = explain(code, source)
    cause = CAUSES[known.cause]
    return Failure(
        bucket=row["bucket"],
        error_source=source,
        code=code,
        meta_code=None if source == "gateway" else meta_code(code),
        cause=known.cause,
        label=cause.label,
        meaning=known.meaning,
        owner=cause.owner,
        action=cause.action,
        messages=row["messages"],
    )
