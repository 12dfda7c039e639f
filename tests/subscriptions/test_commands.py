"""`whatsapp subscriptions` and `whatsapp optouts`."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.rows import dict_row
from typer.testing import CliRunner, Result

from include.cli import app
from include.subscriptions import withdraw
from tests.support.campaigns import subscribe


@pytest.fixture
def dsn(migrated_database: str) -> str:
    """Three people of acme who said yes, one of whom has stopped."""
    subscribe(migrated_database, 3)
    with psycopg.connect(migrated_database, row_factory=dict_row) as conn:
        conn.execute(
            "insert into source_record (entity, source, record_id, subscription_id, record_at, occurred_at, consent) "
            "select 'acme', 'webshop', 'r' || id, id, now(), now() - interval '1 day', true from subscription"
        )
        withdraw(
            conn,
            entity="acme",
            subscription_id=conn.execute("select min(id) as id from subscription").fetchone()["id"],  # type: ignore[index]
            occurred_at=datetime.now(UTC),
            source="whatsapp",
            source_record_id="m1",
            method="keyword",
        )
    return migrated_database


def run(dsn: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"AIRFLOW_CONN_WHATSAPP_DB": dsn})


def test_rebuild_says_who_differs_and_brings_them_in_line(dsn: str) -> None:
    assert (
        run(dsn, "subscriptions", "rebuild", "acme").exit_code == 0
    )  # attributes and times of made-up people
    assert "is what the ledger says" in run(dsn, "subscriptions", "rebuild", "acme").stdout
    with psycopg.connect(dsn) as conn:
        conn.execute("update subscription set status = 'subscribed'")
    assert (
        "1 people differ from the ledger and would be"
        in run(dsn, "subscriptions", "rebuild", "acme", "--dry-run").stdout
    )
    assert "1 people differ from the ledger and are" in run(dsn, "subscriptions", "rebuild", "acme").stdout
    assert "is what the ledger says" in run(dsn, "subscriptions", "rebuild", "acme").stdout
    assert run(dsn, "subscriptions", "rebuild", "nobody").exit_code == 1


def test_what_was_given_up_is_shown_and_taken_up_again(dsn: str) -> None:
    shown = run(dsn, "optouts", "status", "acme")
    assert (shown.exit_code, "webshop: 1 waiting since" in shown.stdout) == (0, True)
    with psycopg.connect(dsn) as conn:
        conn.execute("update optout_outbox set state = 'given_up', problem = 'HTTP 404'")
    shown = run(dsn, "optouts", "status", "acme")
    assert shown.exit_code == 1
    assert "1 given up" in shown.stdout
    assert "HTTP 404" in shown.stdout
    assert "whatsapp optouts retry acme" in shown.stderr
    assert run(dsn, "optouts", "retry", "acme").stdout == "1 opt-out(s) are due again.\n"
    assert "1 waiting" in run(dsn, "optouts", "status", "acme").stdout
    with psycopg.connect(dsn) as conn:
        conn.execute("delete from optout_outbox")
    assert run(dsn, "optouts", "status", "acme").stdout == "Every source knows of every opt-out.\n"
