"""Who may see what. Airflow decides; these pages only ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """The reader of one request: `may_read(entity)` opens pages, `may_edit(entity)` the numbers in exports."""

    may_read: Callable[[str], bool]
    may_edit: Callable[[str], bool]


class Forbidden(Exception):
    """The reader may not see this entity; the answer is 403 and says nothing about what is there."""


class NotThere(Exception):
    """There is no such page, campaign or person; the answer is 404."""
