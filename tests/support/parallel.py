"""Tests on all cores: which of them share a worker, and how figures that tests measure reach the terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

# Whatever needs one of these shares a worker, or each worker would start its own.
SHARED = ("demo", "company", "airflow_server", "migrated_airflow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a module's tests together, and those that share a costly fixture; xdist hands out groups."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        shared = next((name for name in SHARED if name in fixtures), None)
        shared = "airflow_server" if shared == "company" else shared
        item.add_marker(pytest.mark.xdist_group(shared or item.nodeid.partition("::")[0]))


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Print a figure in the summary: what a test prints itself stays in its worker."""
    return lambda line: record_property("told", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests told."""
    told = [
        (report.nodeid.rpartition("::")[2], value)
        for report in terminalreporter.stats.get("passed", ())
        for name, value in report.user_properties
        if name == "told" and report.when == "call"
    ]
    if told:
        terminalreporter.section("figures")
        for test, line in told:
            terminalreporter.write_line(f"{test}: {line}")
