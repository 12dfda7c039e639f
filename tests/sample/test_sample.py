"""The sample through the real parts comes out as its generator says, to the last record."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from include.entities import load_entity
from include.local.postgres import Postgres
from include.local.processes import free_port
from include.optins import HttpAccess, pull
from include.simulator.preference_centre import TOKEN_VARIABLE
from include.simulator.sample import build_sample, expected, population, seed_webshop, write_survey
from include.subscriptions import reconcile
from tests.support.optins import KEY, Store

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TOKEN = "a token of the tests"
PEOPLE, SEED = 3_000, 26
SAMPLE = build_sample(PEOPLE, SEED)


@pytest.fixture
def shop(postgres: Postgres) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    dsn = postgres.create_database("sample_shop")
    seed_webshop(SAMPLE, dsn)
    with psycopg.connect(dsn) as conn:
        yield conn
    postgres.drop_database("sample_shop")


@pytest.fixture(scope="module")
def centre() -> Iterator[HttpAccess]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "include.simulator.preference_centre",
        f"--port={port}",
        f"--people={PEOPLE}",
    ]
    access = HttpAccess(f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"})
    with subprocess.Popen(command, env={**os.environ, TOKEN_VARIABLE: TOKEN}) as process:
        try:
            transport = httpx.HTTPTransport(retries=9)
            with httpx.Client(transport=transport, timeout=10) as client:
                client.get(access.base_url + "/health").raise_for_status()
            yield access
        finally:
            process.terminate()


@pytest.mark.timeout(180)
def test_the_whole_sample_comes_out_as_expected(
    migrated_database: str, tmp_path: Path, shop: psycopg.Connection[tuple[object, ...]], centre: HttpAccess
) -> None:
    store, acme, should = Store(migrated_database, tmp_path), load_entity("acme"), expected(SAMPLE)
    drop = tmp_path / "drop"
    drop.mkdir()
    write_survey(SAMPLE, drop)
    found = {
        name: pull(acme, acme.source(name), access, dsn=store.dsn, run_key="1", now=NOW)
        for name, access in {"webshop": shop, "preference_centre": centre, "survey": drop}.items()
    }
    assert {name: result.pulled for name, result in found.items()} == should["records"]
    reasons = {name: dict(result.reasons) for name, result in found.items() if result.reasons}
    assert reasons == should["rejected_records"]
    result = reconcile(acme, dsn=store.dsn, key=KEY, now=NOW)
    assert (result.state, result.people["new"], result.people["to_tell"]) == (
        "applied",
        should["people"],
        should["to_tell"],
    )
    assert Counter(store.people().values()) == {
        "subscribed": should["subscribed"],
        "unsubscribed": should["unsubscribed"],
    }
    for name, access in {"webshop": shop, "preference_centre": centre, "survey": drop}.items():
        pull(acme, acme.source(name), access, dsn=store.dsn, run_key="2", now=NOW)
    assert reconcile(acme, dsn=store.dsn, key=KEY, now=NOW).rows_written == 0


def test_the_same_seed_gives_the_same_sample() -> None:
    assert build_sample(200, 1) == build_sample(200, 1)
    assert build_sample(200, 1) != build_sample(200, 2)


def test_the_sample_is_as_varied_as_it_claims() -> None:
    should = expected(SAMPLE)
    assert len({customer.country for customer in SAMPLE.customers}) >= 8
    reasons = {reason for counts in should["rejected_records"].values() for reason in counts}
    assert {"not_mobile", "no_changed_at", "consent_missing", "phone_not_a_number", "no_record_id"} <= reasons
    assert {person["outcome"] for person in population(SAMPLE)} == {"read", "delivered", "failed"}
    assert len(population(SAMPLE)) == PEOPLE


def test_the_centre_wants_its_token_and_takes_an_opt_out(centre: HttpAccess) -> None:
    entry = next(each for each in SAMPLE.preferences if each.consent)
    address = f"/api/v1/preferences/{entry.id}/whatsapp"
    with httpx.Client(base_url=centre.base_url, timeout=10) as stranger:
        assert stranger.get("/api/v1/preferences").status_code == 401
        assert stranger.put(address, json={"consent": False}).status_code == 401
    with centre.client() as client:
        assert client.put("/api/v1/preferences/none/whatsapp", json={"consent": False}).status_code == 404
        assert client.put(address, json={}).status_code == 422
        changed = client.put(address, json={"consent": False}).json()["channels"]["whatsapp"]
        assert changed["consent"] is False
        # Told twice, it keeps the time of the first.
        assert client.put(address, json={"consent": False}).json()["channels"]["whatsapp"] == changed


def test_the_documentation_shows_what_comes_out() -> None:
    shown = (Path(__file__).parents[2] / "docs" / "sample.md").read_text()
    assert f"\n{expected(build_sample())['records']}\n" in shown
