"""One simulator for the tests that need no options, emptied before each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.simulator import Simulator, running_simulator


@pytest.fixture(scope="session")
def shared() -> Iterator[Simulator]:
    with running_simulator(speed=1000) as simulator:
        yield simulator


@pytest.fixture
def simulator(shared: Simulator) -> Simulator:
    """A simulator without messages and faults, a thousand times faster than life."""
    shared.faults()
    shared.reset()
    return shared
