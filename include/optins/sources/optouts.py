"""An opt-out on its way back to a source, and what the source made of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OptOut:
    """Somebody said no; the source's record `record_id` still says yes. `occurred_at` is aware UTC."""

    record_id: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """What the source answered: no `problem` when it has taken it; `final` when trying again cannot help.

    `later`: it was not asked at all (a limit of ours or theirs), and is due again soon; `problem` says why.
    """

    problem: str | None = None
    final: bool = False
    later: bool = False
