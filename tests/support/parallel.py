"""Tests on all cores: which of them share a worker, and how figures that tests measure reach the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Files that start a whole Airflow share a worker, or two of them would run at once.
WITH_AIRFLOW = {
    "tests/browser/test_report_in_airflow.py",
    "tests/local/test_demo.py",
    "tests/plugin/test_access.py",
    "tests/plugin/test_actions.py",
    "tests/system/test_scheduler.py",
    "tests/system/test_walks.py",
}
AIRFLOW = "with a whole Airflow"


class FileByFile(LoadScopeScheduling):
    """Hands out whole files, and first of all, as one, those that last longest.

    xdist 3.8 has groups for this, but pytest 9.2 no longer lets it mark a test's group in its node id.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return AIRFLOW if file in WITH_AIRFLOW else file

    def _assign_work_unit(self, node: Any) -> None:
        if AIRFLOW in self.workqueue:
            self.workqueue.move_to_end(AIRFLOW, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileByFile:
    """Use it."""
    return FileByFile(config, log)


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
