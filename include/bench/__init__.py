"""Benchmarks: each measures itself against a peer or a floor in the same run. `ratio` is written so that
larger is better.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

OUTPUT = Path("build/bench.json")


def _e164() -> dict[str, Any]:
    from include.phone.bench import e164

    return e164()


def _page() -> dict[str, Any]:
    from include.reports.bench import page

    return page()


def _webhook() -> dict[str, Any]:
    from include.webhooks.bench import webhook

    return webhook()


def _log_ingest() -> dict[str, Any]:
    from include.message_log.bench import log_ingest

    return log_ingest()


def _reconcile() -> dict[str, Any]:
    from include.subscriptions.bench import reconcile

    return reconcile()


def _reconcile_rerun() -> dict[str, Any]:
    from include.subscriptions.bench import reconcile_rerun

    return reconcile_rerun()


def _file_to_table() -> dict[str, Any]:
    from include.subscriptions.bench import file_to_table

    return file_to_table()


def _plan() -> dict[str, Any]:
    from include.campaigns.bench_plan import plan

    return plan()


def _sending(name: str) -> Callable[[], dict[str, Any]]:
    def measure() -> dict[str, Any]:
        from include.campaigns import bench

        result: dict[str, Any] = getattr(bench, name)()
        return result

    return measure


def _tasks_per_campaign() -> dict[str, Any]:
    from include.campaigns.bench_tasks import tasks_per_campaign

    return tasks_per_campaign()


BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "e164": _e164,
    "reconcile": _reconcile,
    "reconcile_rerun": _reconcile_rerun,
    "file_to_table": _file_to_table,
    "page": _page,
    "plan": _plan,
    **{name: _sending(name) for name in ("send_80", "send_400", "send_1000", "send_open", "send_two")},
    "tasks_per_campaign": _tasks_per_campaign,
    "webhook": _webhook,
    "log_ingest": _log_ingest,
}


def run_benchmarks(names: list[str], *, echo: Callable[[str], None], output: Path = OUTPUT) -> None:
    """Run benchmarks one after the other; each result replaces its entry in the file as soon as it is there."""
    for name in names:
        result = BENCHMARKS[name]()
        entries = json.loads(output.read_text()) if output.exists() else {}
        entries[name] = {**result, "python": platform.python_version()}
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")
        echo(f"{name}: {json.dumps(entries[name])}")
