"""Copy the media of replies into the entity's own folder, where it asks for that, and delete them when it is time.

Without `keep_media` in `entity.yaml` nothing is copied: a reply has the address at CM.com and no more.
"""

from __future__ import annotations

import logging
import mimetypes
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from include.database import connect, named_sql, require_current
from include.entities import Entity
from include.entities.models import KeepMedia

log = logging.getLogger(__name__)
SQL = named_sql(__file__, "media.sql")
TIMEOUT = httpx.Timeout(10.0, read=30.0)
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=2), timedelta(hours=12)
# How long CM.com keeps media is not documented.
GIVE_UP_AFTER = timedelta(days=7)
CM_COM = "cm.com"
CHUNK = 1 << 16


class _Failed(Exception):
    """The media could not be copied; `final`: it never can be. The text says why and holds no address."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


def keep_due(
    entity: Entity,
    folder: Any,
    *,
    dsn: str,
    now: datetime,
    headers: Mapping[str, str] | None = None,
    limit: int = 500,
) -> Counter[str]:
    """Copy what is due into `folder` (a path, or Airflow's ObjectStoragePath) and delete what is old.

    One transaction each; at least once, under a name that a repeat overwrites. `headers` (CM.com's product token) go to
    CM.com's hosts alone. Counts `done`, `again`, `given_up`, `deleted`. Raises DatabaseUnavailable, SchemaOutOfDate.
    """
    settings = entity.settings.keep_media
    counts: Counter[str] = Counter()
    if settings is None:
        return counts
    with connect(dsn, application="whatsapp media") as conn, httpx.Client(timeout=TIMEOUT) as client:
        require_current(conn)
        conn.commit()
        while counts["deleted"] < limit and _delete_one(
            conn, entity, folder, now - timedelta(days=settings.days)
        ):
            counts["deleted"] += 1
        for _ in range(limit):
            outcome = _keep_one(conn, entity, settings, folder, client, dict(headers or {}), now)
            if outcome is None:
                break
            counts[outcome] += 1
    if counts := +counts:
        log.info("Media of %s: %s", entity.name, dict(counts))
    return counts


def _keep_one(
    conn: psycopg.Connection[Any],
    entity: Entity,
    settings: KeepMedia,
    folder: Any,
    client: httpx.Client,
    headers: dict[str, str],
    now: datetime,
) -> str | None:
    with conn.transaction():
        row = SQL.due(conn, entity=entity.name, now=now)
        if row is None:
            return None
        attempts, problem, name, size, final = row["attempts"] + 1, None, None, None, False
        try:
            name, size = _copy(row, entity, settings, folder, client, headers)
        except _Failed as failed:
            problem, final = str(failed), failed.final
        give_up = final or now - row["created_at"] >= GIVE_UP_AFTER
        outcome = "done" if problem is None else "given_up" if give_up else "again"
        SQL.outcome(
            conn,
            inbound_id=row["inbound_id"],
            state="due" if outcome == "again" else outcome,
            attempts=attempts,
            next_attempt_at=now + min(FIRST_WAIT * 2 ** min(attempts - 1, 20), LONGEST_WAIT),
            problem=problem,
            done_at=now if outcome == "done" else None,
            name=name,
            bytes=size,
        )
        return outcome


def _copy(
    row: dict[str, Any],
    entity: Entity,
    settings: KeepMedia,
    folder: Any,
    client: httpx.Client,
    headers: dict[str, str],
) -> tuple[str, int]:
    """The file's name and size. Raises _Failed."""
    if row["media_uri"] is None:
        raise _Failed("the reply's address has been forgotten", final=True)
    host = _host(row["media_uri"], settings)
    try:
        with client.stream(
            "GET", row["media_uri"], headers=headers if _is_of(host, CM_COM) else {}
        ) as answer:
            if not answer.is_success:
                raise _Failed(f"HTTP {answer.status_code}", final=answer.status_code in (404, 410))
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            suffix = mimetypes.guess_extension(kind) or ".bin"
            name = f"{entity.name}-{row['occurred_at']:%Y-%m}-{row['inbound_id']}{suffix}"
            return name, _write(folder / name, answer, settings.max_mb * 1_000_000)
    except httpx.HTTPError as error:
        raise _Failed(type(error).__name__) from None
    except OSError as error:
        raise _Failed(f"the folder: {type(error).__name__}") from None


def _write(path: Any, answer: httpx.Response, most: int) -> int:
    size = 0
    too_big = int(answer.headers.get("content-length") or 0) > most
    if not too_big:
        with path.open("wb") as file:
            for piece in answer.iter_bytes(CHUNK):
                size += len(piece)
                if too_big := size > most:
                    break
                file.write(piece)
    if too_big:
        path.unlink(missing_ok=True)
        raise _Failed("it is larger than max_mb", final=True)
    return size


def _host(address: str, settings: KeepMedia) -> str:
    """The host, if media may be fetched from it: what is posted to us must not make us ask our own network."""
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    if not any(_is_of(host, allowed) for allowed in settings.hosts):
        raise _Failed("its host is none of keep_media.hosts", final=True)
    if parts.scheme != "https" and not settings.allow_http:
        raise _Failed("its address is not https", final=True)
    return host


def _is_of(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)


def _delete_one(conn: psycopg.Connection[Any], entity: Entity, folder: Any, before: datetime) -> bool:
    with conn.transaction():
        row = SQL.old(conn, entity=entity.name, before=before)
        if row is None:
            return False
        if row["name"]:
            (folder / row["name"]).unlink(missing_ok=True)
        SQL.deleted(conn, inbound_id=row["inbound_id"])
        return True
