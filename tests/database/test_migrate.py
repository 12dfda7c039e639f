"""Migrations: one head, from empty, twice, at once, and a refusal when one is pending."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic.script import ScriptDirectory

from include import database as db
from include.database.migrate import _config


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(_config()).get_heads()) == 1


def test_upgrade_from_empty_and_again(database: str) -> None:
    assert db.status(database).current is None
    before = db.migrate(database)
    assert before.current is None
    assert before.pending
    assert db.status(database).is_current
    assert db.migrate(database).is_current


def test_two_migrations_at_once_leave_one_schema(database: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(db.migrate, [database, database]))
    assert db.status(database).is_current


def test_an_empty_and_an_older_database_are_refused_with_one_sentence(database: str) -> None:
    with db.connect(database) as conn, pytest.raises(db.SchemaOutOfDate, match="is empty"):
        db.require_current(conn)
    db.migrate(database)
    with db.connect(database) as conn:
        db.require_current(conn)
        conn.execute("update alembic_version set version_num = 'ffff'")
        with pytest.raises(db.SchemaOutOfDate, match="the code is older"):
            db.require_current(conn)


def test_consent_events_cannot_be_changed(migrated_database: str) -> None:
    with (
        db.connect(migrated_database) as conn,
        pytest.raises(psycopg.errors.RestrictViolation, match="append-only"),
    ):
        conn.execute("delete from consent_event")


def test_the_address_in_an_error_has_no_password() -> None:
    with pytest.raises(db.DatabaseUnavailable) as caught:
        db.connect("postgresql://someone:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1:1/none" in str(caught.value)


def test_the_environment_gives_the_dsn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_WHATSAPP_DB", raising=False)
    with pytest.raises(db.DatabaseUnavailable, match="AIRFLOW_CONN_WHATSAPP_DB"):
        db.dsn_from_environment()
    monkeypatch.setenv("AIRFLOW_CONN_WHATSAPP_DB", "postgres://a:b@h:5/d")
    assert db.dsn_from_environment() == "postgresql://a:b@h:5/d"
    monkeypatch.setenv(
        "AIRFLOW_CONN_WHATSAPP_DB",
        '{"conn_type": "postgres", "host": "h", "login": "a@b", "password": "p/q", "schema": "d", "port": 5}',
    )
    assert db.dsn_from_environment() == "postgresql://a%40b:p%2Fq@h:5/d"
