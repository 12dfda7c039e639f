"""kill -9 inside a pull and inside a reconcile, and a withdrawal that arrives while a reconcile runs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from include.entities import Entity
from include.entities.models import Columns
from include.optins import HttpAccess, pull
from include.subscriptions import reconcile, withdraw
from tests.support.forking import FORKED
from tests.support.json_api import Answer, Request, json_api
from tests.support.optins import KEY, NOW, Store, entity, source, write_csv

COLUMNS = Columns(record_id="id", phone="tel", consent="ok", changed_at="at")
BRAND = entity(source(kind="http", columns=COLUMNS, options={"paging": "page_number"}))
FILES = entity(source())
AT = "2026-03-01T10:00:00Z"
YES = ("1", "0470123456", "yes", "2026-03-01T10:00:00Z", None, None, None)


def _pull(dsn: str, url: str) -> None:
    pull(BRAND, BRAND.sources[0], HttpAccess(url, timeout=60), dsn=dsn, run_key="one", now=NOW)


def _reconcile(brand: Entity, dsn: str) -> None:
    reconcile(brand, dsn=dsn, key=KEY, now=NOW)


@contextmanager
def child(target: Callable[..., None], *arguments: Any) -> Iterator[multiprocessing.process.BaseProcess]:
    """A process of its own, killed at the end if it still runs."""
    process = FORKED.Process(target=target, args=arguments)
    process.start()
    try:
        yield process
    finally:
        if process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGKILL)
        process.join(30)


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.05)


def backends(store: Store, application: str) -> list[dict[str, Any]]:
    query = "select wait_event_type from pg_stat_activity where application_name = %s and datname = current_database()"
    return store.rows(query, application)


def test_a_pull_killed_with_rows_on_the_way_leaves_nothing_and_is_done_again(store: Store) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    def answer(request: Request, number: int) -> Answer:
        page = int(request.query["page"])
        if page == 2 and not go_on.is_set():
            waiting.set()
            go_on.wait(60)
        first = (page - 1) * 50_000
        items = [
            {"id": f"{n}", "tel": f"+32470{n:06d}", "ok": True, "at": "2026-03-01T10:00:00Z"}
            for n in range(first, min(first + 50_000, 60_000))
        ]
        return Answer(items)

    with json_api(answer) as api:
        with child(_pull, store.dsn, api.url) as process:
            # The first page is in staging, uncommitted, when the second is asked for.
            wait_for(waiting.is_set)
            assert backends(store, "pull drop")
            assert process.pid
            os.kill(process.pid, signal.SIGKILL)
        go_on.set()
        wait_for(lambda: not backends(store, "pull drop"))
        assert store.value("select count(*) from sync_run") == 0
        assert store.value("select count(*) from optin_staging") == 0
        _pull(store.dsn, api.url)
    assert store.value("select count(*) from optin_staging") == 60_000
    assert store.value("select count(*) from sync_run") == 1


def _pull_files(dsn: str, folder: str, run_key: str) -> None:
    pull(FILES, FILES.sources[0], Path(folder), dsn=dsn, run_key=run_key, now=NOW)


def every_row(store: Store) -> dict[str, list[dict[str, Any]]]:
    names = ("subscription", "consent_event", "optin_staging", "rejected_record", "source_file", "sync_run")
    return {name: store.rows(f"select * from {name}") for name in names}  # noqa: S608


@pytest.mark.parametrize("table", ["optin_staging", "rejected_record", "source_file", "sync_run"])
def test_a_pull_killed_at_any_of_its_writes_leaves_the_tables_as_they_were(store: Store, table: str) -> None:
    """A lock on one table after the other holds the pull at its first write there, in the same transaction as all
    the others; `sync_run` at its last.
    """
    store.sync(FILES, [YES])
    before = every_row(store)
    rows = [(f"r{n}", f"047012{n:04d}", "yes", AT, None, None, None) for n in range(2_000)]
    write_csv(store.folder / "drop_2.csv", [*rows, ("bad", "12", "yes", AT, None, None, None)])
    with psycopg.connect(store.dsn) as holding:
        # Readers go on; whoever writes waits. A trigger's row lock stands for the last write: the run is closed there.
        if table == "sync_run":
            holding.execute(
                "create function wait_here() returns trigger language plpgsql as $$ begin "
                "perform pg_advisory_xact_lock(7); return new; end $$"
            )
            holding.execute(
                "create trigger wait_here before update on sync_run for each row execute function wait_here()"
            )
            holding.commit()
            holding.execute("select pg_advisory_lock(7)")
        else:
            holding.execute(f"lock table {table} in exclusive mode")
        with child(_pull_files, store.dsn, str(store.folder), "two") as process:
            wait_for(lambda: [row["wait_event_type"] for row in backends(store, "pull drop")] == ["Lock"])
            assert process.pid
            os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not backends(store, "pull drop"))
    assert every_row(store) == before
    _pull_files(store.dsn, str(store.folder), "two")
    assert store.value("select count(*) from optin_staging") == 2_000
    assert store.reasons() == {"phone_too_short": 1}
    store.reconcile(FILES)
    assert len(store.people()) == 2_001


def test_two_pulls_at_once_take_every_file_once(store: Store) -> None:
    rows = [(f"r{n}", f"047012{n:04d}", "yes", AT, None, None, None) for n in range(5_000)]
    write_csv(store.folder / "drop.csv", rows)
    folder = str(store.folder)
    with (
        child(_pull_files, store.dsn, folder, "one") as one,
        child(_pull_files, store.dsn, folder, "two") as two,
    ):
        one.join(60)
        two.join(60)
        assert (one.exitcode, two.exitcode) == (0, 0)
    assert sorted(row["pulled"] for row in store.rows("select pulled from sync_run")) == [0, 5_000]
    store.reconcile(FILES)
    assert len(store.people()) == 5_000
    assert store.value("select count(*) from consent_event") == 5_000


def test_a_reconcile_killed_with_events_written_leaves_the_table_as_it_was(store: Store) -> None:
    store.sync(FILES, [YES])
    before = store.rows("select * from subscription")
    no = [(f"r{n}", f"047012{n:04d}", "no", "2026-03-02T10:00:00Z", None, None, None) for n in range(5_000)]
    write_csv(store.folder / "drop.csv", no)
    store.pull(FILES)
    with psycopg.connect(store.dsn) as holding:
        # Holding one person's row stops the reconcile after it wrote the ledger and before it writes the table.
        holding.execute("select from subscription for update")
        with child(_reconcile, FILES, store.dsn) as process:
            wait_for(
                lambda: [row["wait_event_type"] for row in backends(store, "reconcile brand")] == ["Lock"]
            )
            assert process.pid
            os.kill(process.pid, signal.SIGKILL)
    # The server notices a vanished client when it next writes to it; the lock is free now, so at once.
    wait_for(lambda: not backends(store, "reconcile brand"))
    assert store.rows("select * from subscription") == before
    assert store.value("select count(*) from consent_event") == 1
    assert store.value("select state from sync_run order by id desc limit 1") == "staged"
    assert store.reconcile(FILES).outcomes.popitem()[1]["withdrawn"] == 5_000  # type: ignore[attr-defined]
    assert set(store.people().values()) == {"unsubscribed"}


def test_a_stop_that_commits_while_a_reconcile_runs_is_not_lost(store: Store) -> None:
    store.sync(FILES, [YES])
    person = store.value("select id from subscription")
    write_csv(store.folder / "drop.csv", [(*YES[:3], "2026-03-05T10:00:00Z", None, None, None)])
    store.pull(FILES)
    with psycopg.connect(store.dsn, row_factory=dict_row) as conn:
        withdraw(
            conn,
            entity="brand",
            subscription_id=person,
            occurred_at=datetime(2026, 3, 6, tzinfo=UTC),
            source="whatsapp",
            source_record_id="m",
            method="keyword",
        )
        with child(_reconcile, FILES, store.dsn) as process:
            wait_for(
                lambda: [row["wait_event_type"] for row in backends(store, "reconcile brand")] == ["Lock"]
            )
            conn.commit()
            process.join(30)
            assert process.exitcode == 0
    assert store.people() == {"+32470123456": "unsubscribed"}
    assert store.value("select count(*) from consent_event") == 3


def test_two_reconciles_at_once_do_the_work_once(store: Store) -> None:
    rows = [(str(n), f"047012{n:04d}", "yes", "2026-03-02T10:00:00Z", None, None, None) for n in range(9_000)]
    write_csv(store.folder / "drop.csv", rows)
    store.pull(FILES)
    with child(_reconcile, FILES, store.dsn) as one, child(_reconcile, FILES, store.dsn) as two:
        one.join(60)
        two.join(60)
        assert (one.exitcode, two.exitcode) == (0, 0)
    assert store.value("select count(*) from consent_event") == 9_000
    assert store.value("select count(*) from subscription where status = 'subscribed'") == 9_000
