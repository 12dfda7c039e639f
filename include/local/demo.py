"""``python -m include.local.demo``: the whole chain on this machine with a sample entity (`make demo`).

Starts PostgreSQL, the source systems, a simulated CM.com, the webhook app and Airflow; drives the real Dags
from opt-ins to report; prints the funnel; stays up until Ctrl-C. A later start in the same folder finds all
that and only starts the servers again. With ``--once``: from nothing, checks the books, exit code 0 or 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from include.database import connect
from include.entities import Entity, load_entity
from include.local import airflow as airflows
from include.local import books, commands, drive, processes
from include.local.airflow import Airflow
from include.local.api import RunFailed, RunTooSlow
from include.local.http import HttpRefused, HttpUnreachable
from include.local.instance import Instance, InstanceTaken, take_instance
from include.local.postgres import Postgres, embedded_postgres
from include.local.progress import Progress
from include.local.systems import Systems, plan_systems, start_systems
from include.reports import Funnel, campaigns, funnel, report_text
from include.simulator.sample import expected

ENTITY = "acme"
PEOPLE_VARIABLE = "WHATSAPP_DEMO_PEOPLE"
PEOPLE = 10_000
SEED = 26
ONCE_HOME = Path("var/once")  # so that `ONCE=1` does not throw away what somebody looks at
FINISHED = "finished"  # this file in the folder: the chain has run, a later start shows its outcome
CAMPAIGN = {
    "name": "Spring sale",
    "template": "spring_sale",
    "segment": "everyone",
    "dry_run": False,
    "workers": 2,
}
FAILURES = (
    processes.ProcessFailed,
    InstanceTaken,
    RunFailed,
    RunTooSlow,
    HttpRefused,
    HttpUnreachable,
    drive.NotApproved,
)


@dataclass
class Demo:
    """Everything that runs, for the time of a `running_demo` block."""

    instance: Instance
    postgres: Postgres
    systems: Systems
    airflow: Airflow
    entity: Entity
    is_new: bool


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, 1 when something failed or the books do not balance."""
    options = argparse.ArgumentParser(
        prog="make demo", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    options.add_argument("--once", action="store_true", help="from nothing, check the books, exit")
    once = options.parse_args(arguments).once
    progress = Progress()
    # SIGINT too: a shell starts its background jobs without it.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _interrupt)
    try:
        with running_demo(progress, fresh=once) as demo:
            if demo.is_new:
                drive_chain(demo, progress)
            found = show(demo, progress)
            if once:
                progress.say("the books balance" if not found else "THE BOOKS DO NOT BALANCE")
                return 1 if found else 0
            stay(demo, progress)
    except KeyboardInterrupt:
        progress.show()
    except FAILURES as problem:
        progress.show(f"\nmake demo: {problem}")
        return 1
    return 0


@contextmanager
def running_demo(progress: Progress, *, fresh: bool) -> Iterator[Demo]:
    """Start everything, and end everything that was started, whatever happens in between.

    ``fresh`` throws away what earlier runs left in the folder. Raises what is in `FAILURES`.
    """
    people = int(os.environ.get(PEOPLE_VARIABLE) or PEOPLE)
    entity = load_entity(ENTITY)
    with take_instance(ONCE_HOME if fresh else None) as instance:
        progress.say(f"data and logs are in {instance.folder}")
        for name in processes.end_leftovers(instance.folder):
            progress.say(f"ended {name}, left by an earlier demo")
        with embedded_postgres(instance.folder / "postgres") as postgres, _stopping(progress) as running:
            progress.say(f"PostgreSQL runs on port {postgres.port}")
            is_new = fresh or not (instance.folder / FINISHED).exists()
            if is_new:
                _forget(instance, postgres)
            systems = plan_systems(instance, postgres, entity, people=people, seed=SEED)
            env = airflows.environment(
                instance,
                postgres,
                entity=entity,
                port=processes.free_port(int(os.environ.get(airflows.UI_PORT_VARIABLE) or airflows.UI_PORT)),
                connections=systems.connections,
            )
            if not airflows.has_template(postgres):
                progress.say("migrating Airflow's database, this once …")
            airflows.prepare_database(instance, postgres, env)
            postgres.create_database("whatsapp")
            commands.run(commands.MIGRATE_STORE, env, instance.folder)
            progress.say("starting Airflow: API server, scheduler, Dag processor, triggerer …")
            airflow = airflows.start(instance, env, running)
            start_systems(systems, instance, postgres, entity, env, running, fill=is_new)
            progress.say(f"sources with {people:,} people, a simulated CM.com and the webhook app")
            airflows.wait_until_ready(airflow)
            airflows.ensure_users(airflow, instance, entity)
            progress.say(f"Airflow is ready at {airflow.url}")
            yield Demo(instance, postgres, systems, airflow, entity, is_new)


def drive_chain(demo: Demo, progress: Progress) -> None:
    """Sources → subscriptions → templates → campaign → answers → message log → reports."""
    name = demo.entity.name
    drive.collect_optins(demo.airflow, name, progress.say)
    drive.run_dag(demo.airflow, f"sync_templates__{name}", progress.say)
    drive.send_campaign(demo.airflow, name, CAMPAIGN, progress.say, password=demo.instance.secrets.login)
    progress.say("people receive, read and answer …")
    demo.systems.wait_for_answers()
    drive.run_dag(demo.airflow, f"pull_message_logs__{name}", progress.say)
    drive.run_dag(demo.airflow, f"refresh_reports__{name}", progress.say)
    (demo.instance.folder / FINISHED).touch()


def show(demo: Demo, progress: Progress) -> list[str]:
    """Print the funnel and what does not agree, and return the latter."""
    figures = _figures(demo)
    progress.show("\n" + report_text(figures, now=datetime.now(UTC)) + "\n")
    if not demo.is_new:
        return []
    found = books.problems(figures, demo.systems.stats(), expected(demo.systems.sample))
    for problem in found:
        progress.show(f"  ! {problem}")
    return found


def stay(demo: Demo, progress: Progress) -> None:
    """Say where to look and how to log in, then wait for Ctrl-C. Raises ProcessFailed when a part ends."""
    name = demo.entity.name
    _write_addresses(demo)
    progress.show(f"Airflow          {demo.airflow.url}")
    progress.show(f"Start a campaign {demo.airflow.url}/dags/send_campaign__{name}")
    progress.show(f"Log in as        {', '.join(airflows.USERS)} – password {demo.instance.secrets.login}")
    progress.show(f"CM.com simulated {demo.systems.simulator}/_sim/stats")
    progress.show(
        f"PostgreSQL       127.0.0.1:{demo.postgres.port}, password in postgres/password of the folder above"
    )
    progress.show("\nCtrl-C stops everything that was started here.")
    while True:
        time.sleep(2)
        demo.airflow.check()
        demo.systems.check()


def _figures(demo: Demo) -> Funnel:
    with connect(demo.postgres.dsn("whatsapp")) as connection:
        newest = campaigns(connection, demo.entity.name, most=1)
        if not newest:
            raise RunFailed("The Dags have run, but there is no campaign in the database.")
        return funnel(connection, newest[0]["id"])


def _write_addresses(demo: Demo) -> None:
    """``demo.json`` in the folder, for programs: the same as is shown, and the database's address."""
    addresses = {
        "airflow": demo.airflow.url,
        "password": demo.instance.secrets.login,
        "simulator": demo.systems.simulator,
        "database": demo.postgres.dsn("whatsapp"),
    }
    file = demo.instance.folder / "demo.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(addresses))


def _forget(instance: Instance, postgres: Postgres) -> None:
    for database in ("airflow", "whatsapp", "webshop"):
        postgres.drop_database(database)
    for file in [*instance.folder.glob("simulator.db*"), instance.folder / FINISHED]:
        file.unlink(missing_ok=True)
    shutil.rmtree(instance.folder / "drop", ignore_errors=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _stopping(progress: Progress) -> Iterator[list[processes.Process]]:
    """A list of processes, all ended after the block; a second Ctrl-C does not interrupt that."""
    running: list[processes.Process] = []
    try:
        yield running
    finally:
        for ignored in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ignored, signal.SIG_IGN)
        progress.say("stopping what was started here …")
        processes.stop_all(running)


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        sys.exit(main())
