"""Fetches of tracked links into the store, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg

from include.links.store import SQL


class Click(msgspec.Struct, frozen=True, gc=False):
    """One fetch of a link at an aware time, by a person or by a robot."""

    link_id: int
    subscription_id: int
    at: datetime
    is_robot: bool


def record_clicks(conn: psycopg.Connection[Any], clicks: Sequence[Click]) -> None:
    """Count fetches in the caller's transaction. Each call counts anew: call it once for a fetch."""
    SQL.record(
        conn,
        links=[click.link_id for click in clicks],
        people=[click.subscription_id for click in clicks],
        times=[click.at for click in clicks],
        robots=[click.is_robot for click in clicks],
    )
