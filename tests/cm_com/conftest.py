"""Connections to a simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cm_com.examples import TOKEN
from tests.support.simulator import ACCOUNT, Simulator, running_simulator


@pytest.fixture
def connect(airflow_in_this_process: None, monkeypatch: pytest.MonkeyPatch) -> object:
    """Defines the connection ``cm_com_test`` in the environment."""

    def define(host: str | None, *, password: str | None = TOKEN, **extra: object) -> None:
        connection = {
            "conn_type": "cm_com",
            "host": host,
            "password": password,
            "extra": {
                "sender": "+31687654321",
                "account_id": ACCOUNT,
                "channel_id": "22222222-2222-2222-2222-222222222222",
            }
            | extra,
        }
        monkeypatch.setenv("AIRFLOW_CONN_CM_COM_TEST", json.dumps(connection))

    return define


@pytest.fixture(scope="session")
def _simulator() -> Iterator[Simulator]:
    with running_simulator(token=TOKEN, speed=60) as simulator:
        yield simulator


@pytest.fixture
def simulator(_simulator: Simulator) -> Iterator[Simulator]:
    """One simulator for the folder, empty and without faults at the start of each test."""
    _simulator.reset()
    _simulator.faults()
    yield _simulator
    _simulator.faults()
