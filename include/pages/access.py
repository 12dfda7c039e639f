"""Who may see and do what, and what only the host can do. Airflow decides; these pages only ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

# What became of a campaign's run after a resume: it is still there and goes on by itself; it had ended and was started
# again; or somebody has to clear it by hand.
GoesOn = Literal["goes_on", "started_again", "by_hand"]


@dataclass(frozen=True, slots=True)
class Access:
    """The reader of one request: `may_read(entity)` opens pages, `may_edit(entity)` the numbers in exports and the
    buttons that pause, resume and cancel. `reader` names them in the history.
    """

    may_read: Callable[[str], bool]
    may_edit: Callable[[str], bool]
    reader: str = ""


class Forbidden(Exception):
    """The reader may not see this entity; the answer is 403 and says nothing about what is there."""


class NotThere(Exception):
    """There is no such page, campaign or person; the answer is 404."""


class StaleForm(Exception):
    """A form that was not made by these pages for this reader, or too long ago; nothing was changed."""


def by_hand(_run_key: str) -> GoesOn:
    """For a host that cannot start a run again."""
    return "by_hand"
