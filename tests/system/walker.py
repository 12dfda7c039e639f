"""The company of the walks: small sources, a simulated CM.com, a store, and a process that walks through Dags."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from include.database import connect
from include.local import commands
from include.local.api import AirflowApi
from include.local.http import HttpRefused
from include.local.instance import Instance
from include.local.systems import Systems
from tests.support.airflow import AirflowServer
from tests.system.walk import RESULT

RUN_TIMEOUT = 600.0  # seconds without a line of output
LOOK = 1.0


@dataclass
class Walk:
    """What became of one Dag run; `printed` is all that the process wrote meanwhile."""

    run_id: str
    state: str
    states: dict[str, str]
    tries: dict[str, int]
    returned: dict[str, Any]
    printed: str = field(repr=False, default="")


class Walker:
    """Walks through Dags in a process of its own, one after the other."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.printed = ""
        self._lines: queue.Queue[str] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.walk", str(commands.ROOT / "dags")],
            env=env,
            cwd=commands.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def walk(
        self,
        dag: str,
        conf: dict[str, Any] | None = None,
        *,
        meanwhile: Callable[[], None] = lambda: None,
        **command: Any,
    ) -> Walk:
        """Run the Dag to its end. `command`: environment, cured_by (tests/system/walk.py)."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"dag": dag, "conf": conf, **command}) + "\n")
        self._process.stdin.flush()
        printed = ""
        for _ in range(int(RUN_TIMEOUT / LOOK)):
            try:
                while not (line := self._lines.get(timeout=LOOK)).startswith(RESULT):
                    printed += line
                self.printed += printed
                return Walk(**json.loads(line.removeprefix(RESULT)), printed=printed)
            except queue.Empty:
                assert self._process.poll() is None, printed
                meanwhile()
        raise AssertionError(f"{dag} has not ended after {RUN_TIMEOUT:.0f} s:\n{printed}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)


@dataclass
class Company:
    """The sample entity with few people, everything around it, and its Dags under `walk`."""

    walker: Walker
    server: AirflowServer
    instance: Instance
    systems: Systems
    metadata: str
    dsn: str
    webshop: str
    answers: dict[str, int] = field(default_factory=dict)
    _apis: dict[str, AirflowApi] = field(default_factory=dict, repr=False)

    def api(self, user: str) -> AirflowApi:
        """Airflow's REST API as this user, logged in once."""
        return self._apis.setdefault(user, self.server.api(user))

    def walk(
        self,
        verb: str,
        conf: dict[str, Any] | None = None,
        *,
        also: Callable[[], None] = lambda: None,
        answer: str = "Approve",
        **command: Any,
    ) -> Walk:
        """Run `<verb>__acme`; the approver gives this answer to whatever is asked. `also` is called while it runs."""
        dag_id = f"{verb}__acme"
        known: set[str] = set()
        asks = verb in ("send_campaign", "reconcile_subscriptions")
        if asks:
            known = {run["dag_run_id"] for run in self.api("admin").runs(dag_id)}

        def meanwhile() -> None:
            also()
            if asks:
                self._answer(dag_id, known, answer)

        return self.walker.walk(dag_id, conf, meanwhile=meanwhile, **command)

    def newest(self) -> dict[str, Any]:
        """The newest campaign."""
        return self.campaign("")

    def campaign(self, run_id: str) -> dict[str, Any]:
        """The campaign of a run, and its ledger rows by state."""
        with connect(self.dsn) as conn:
            found = conn.execute(
                "select id, name, month, state, state_reason, target, approved_by from campaign "
                "where run_key like %s order by id desc limit 1",
                (f"%{run_id}",),
            ).fetchone()
            assert found is not None, "the run has planned nothing"
            rows = conn.execute(
                "select state, count(*) as n from campaign_message where month = %s and campaign_id = %s "
                "group by state",
                (found["month"], found["id"]),
            ).fetchall()
        return {**found, "rows": {row["state"]: row["n"] for row in rows}}

    def let_a_week_pass(self) -> None:
        """Whoever got a message got it eight days ago."""
        with connect(self.dsn) as conn:
            conn.execute("update campaign_message set claimed_at = claimed_at - interval '8 days'")

    def _answer(self, dag_id: str, known: set[str], answer: str) -> None:
        """First those try to answer who may not: what they were told is in `answers`."""
        approver = self.api("approver")
        for run in approver.runs(dag_id):
            if run["dag_run_id"] in known:
                continue
            for question in approver.open_questions(dag_id, run["dag_run_id"]):
                for name in ("analyst", "marketer", "stripes"):
                    if name not in self.answers:
                        try:
                            self.api(name).answer(question, "Approve")
                            self.answers[name] = 200
                        except HttpRefused as refused:
                            self.answers[name] = refused.status
                approver.answer(question, answer)


def walk_environment(env: dict[str, str], server: AirflowServer) -> dict[str, str]:
    """`env` for a process that shares the server's entities and roles."""
    return {
        **env,
        "WHATSAPP_ENTITIES": str(server.folder / "entities"),
        "PYTHONPATH": os.pathsep.join([str(commands.ROOT), env.get("PYTHONPATH", "")]).rstrip(os.pathsep),
    }


def rewrite(file: Path, old: str, new: str) -> str:
    """Replace a text in a file once; its content before."""
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new, 1))
    return before
