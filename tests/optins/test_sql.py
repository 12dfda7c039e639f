"""The sql kind on real databases: PostgreSQL with a server-side cursor, and SQLite for everybody else's DB-API."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.entities.models import Columns, OptOutBack
from include.optins import SourceShapeChanged, SourceUnavailable
from include.optins.sources import OptOut, sql
from include.optins.sources.statement import bind
from tests.support.optins import source

COLUMNS = Columns(record_id="Customer Id", phone="mobile", consent="optin", changed_at="at")
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UPDATE = 'update crm.people set optin = false, at = :occurred_at where "Customer Id" = :record_id and optin'


def table(**changes: Any) -> Any:
    options = {"table": "crm.people", "changed_column": "touched"}
    return source(kind="sql", columns=COLUMNS, options=options | changes, optout=OptOutBack(statement=UPDATE))


@pytest.fixture
def crm(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database) as conn:
        conn.execute(
            """create schema crm
               create table people (
                   "Customer Id" bigint, mobile text, optin boolean, at timestamptz, touched timestamptz
               )"""
        )
        conn.execute(
            """insert into crm.people
               select n, '047012' || lpad(n::text, 4, '0'), n % 2 = 0, timestamptz '2026-02-01 10:00+00',
                      timestamptz '2026-02-28 00:00+00' + n * interval '1 hour'
               from generate_series(1, 48) n"""
        )
        conn.commit()
        yield conn


def test_only_what_changed_is_read_as_texts(crm: psycopg.Connection[Any]) -> None:
    (frame,) = sql.fetch(table(), crm, SINCE)
    assert frame["Customer Id"].tolist() == [str(n) for n in range(24, 49)]
    assert frame["optin"].tolist()[:2] == ["true", "false"]
    assert sum(len(frame) for frame in sql.fetch(table(), crm, None)) == 48


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_large_table_comes_in_chunks(crm: psycopg.Connection[Any], *, autocommit: bool) -> None:
    crm.execute("insert into crm.people select n, 'x', true, now(), now() from generate_series(1, 120000) n")
    crm.commit()
    crm.autocommit = autocommit
    assert [len(frame) for frame in sql.fetch(table(), crm, None)] == [50_000, 50_000, 20_048]


def test_a_query_may_do_anything_a_select_can(crm: psycopg.Connection[Any]) -> None:
    query = """select "Customer Id", mobile, optin, at::text as at, touched, ':since' as note
               from crm.people where touched >= :since and mobile like '%01'"""
    (frame,) = sql.fetch(table(query=query), crm, datetime(2026, 2, 1, tzinfo=UTC))
    assert frame["Customer Id"].tolist() == ["1"]


def test_a_missing_column_or_table_is_named(crm: psycopg.Connection[Any]) -> None:
    with pytest.raises(SourceShapeChanged, match=r'column "changed" does not exist'):
        list(sql.fetch(table(changed_column="changed"), crm, None))
    crm.rollback()
    with pytest.raises(SourceShapeChanged, match=r"crm\.nobody"):
        list(sql.fetch(table(table="crm.nobody"), crm, None))
    crm.rollback()
    with pytest.raises(SourceShapeChanged, match="has no column 'optin', 'at', 'touched'"):
        list(sql.fetch(table(query='select "Customer Id", mobile from crm.people'), crm, None))


def test_a_lost_connection_may_come_back(crm: psycopg.Connection[Any], database: str) -> None:
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s)", [crm.info.backend_pid])
    with pytest.raises(SourceUnavailable):
        list(sql.fetch(table(), crm, None))


def test_an_opt_out_is_written_once(crm: psycopg.Connection[Any]) -> None:
    at = datetime(2026, 4, 1, tzinfo=UTC)
    for _ in range(2):
        told = sql.tell(table(), crm, [OptOut("2", at), OptOut("999", at), OptOut("no number", at)], at)
    assert [each.problem for each in told] == [None, None, "InvalidTextRepresentation"]
    assert told[2].final
    row = crm.execute('select optin, at from crm.people where "Customer Id" = 2').fetchone()
    assert row == (False, at)


def test_any_other_driver_does_as_well(tmp_path: Path) -> None:
    conn = sqlite3.connect(tmp_path / "crm.db")
    conn.execute('create table people ("Customer Id", mobile, optin, at, touched)')
    conn.executemany(
        "insert into people values (?, ?, ?, ?, ?)",
        [
            (1, "0470", 1, "2026-02-01 10:00:00", "2026-02-01 10:00:00"),
            (2, "0471", 0, None, "2026-03-02 10:00:00"),
        ],
    )
    chosen = table(table="people")
    (frame,) = sql.fetch(chosen, conn, SINCE)
    assert frame.to_numpy().tolist()[0][:3] == ["2", "0471", "0"]
    assert frame["at"].isna().all()


@pytest.mark.parametrize(
    ("style", "statement", "bound", "values"),
    [
        (
            "pyformat",
            "a = :x and b like '%:x' or c::int = 1",
            "a = %(x)s and b like '%%:x' or c::int = 1",
            {"x": 1, "y": 2},
        ),
        ("qmark", "a = :x or a = :y or a = :x", "a = ? or a = ? or a = ?", [1, 2, 1]),
        ("named", 'a = :x -- :y\n and ":y" = 1', 'a = :x -- :y\n and ":y" = 1', {"x": 1, "y": 2}),
    ],
)  # fmt: skip
def test_parameters_are_bound_as_the_driver_wants(
    style: str, statement: str, bound: str, values: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn = sqlite3.connect(":memory:")
    monkeypatch.setattr(sqlite3, "paramstyle", style)
    assert bind(statement, {"x": 1, "y": 2}, conn) == (bound, values)
