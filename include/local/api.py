"""A small client of Airflow's REST API: what the demo needs to drive Dags and to say what went wrong."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.local.http import HttpRefused, HttpUnreachable, request_json

DONE = {"success", "failed"}
LOG_LINES = 25


class RunFailed(RuntimeError):
    """A Dag run failed; the message names the task and ends with the tail of its log."""


class RunTooSlow(RuntimeError):
    """A Dag run did not end in time; the message says where it stands."""


@dataclass
class AirflowApi:
    """Requests as one user. The token is fetched at the first request and again when it has expired."""

    url: str
    username: str
    password: str = field(repr=False)
    _token: str = field(default="", repr=False)

    def get(self, path: str, **query: str | int) -> Any:
        """GET ``/api/v2/<path>``, as parsed JSON. Raises HttpRefused, HttpUnreachable."""
        return self._call("GET", "/api/v2/" + path + ("?" + urllib.parse.urlencode(query) if query else ""))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST JSON to ``/api/v2/<path>``. Raises HttpRefused, HttpUnreachable."""
        return self._call("POST", "/api/v2/" + path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """PATCH JSON at ``/api/v2/<path>``. Raises HttpRefused, HttpUnreachable."""
        return self._call("PATCH", "/api/v2/" + path, body)

    def health(self) -> dict[str, str]:
        """Part → "healthy", "unhealthy" or "" (not started). Raises HttpUnreachable."""
        parts = request_json(self.url + "/api/v2/monitor/health", "GET")
        return {name: (part or {}).get("status") or "" for name, part in parts.items()}

    def add_user(self, name: str, *, password: str, roles: list[str]) -> None:
        """Create the user, or give an existing one this password and these roles."""
        body = {"password": password, "roles": [{"name": role} for role in roles]}
        try:
            whole = {
                "username": name,
                "email": f"{name}@example.org",
                "first_name": name.title(),
                "last_name": "Demo",
            }
            self._call("POST", "/auth/fab/v1/users", {**whole, **body})
        except HttpRefused as error:
            if error.status != 409:
                raise
            self._call("PATCH", f"/auth/fab/v1/users/{name}?update_mask=password&update_mask=roles", body)

    def wait_for_dag(self, dag_id: str, *, timeout: float = 120.0) -> None:
        """Wait until the Dag processor has put the Dag into the database.

        Raises RunTooSlow with the import errors that Airflow has noted.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.get(f"dags/{dag_id}")
                return
            except HttpRefused as error:
                if error.status != 404:
                    raise
            if time.monotonic() > deadline:
                raise RunTooSlow(
                    f"Airflow does not know the Dag {dag_id} after {timeout:.0f} s.{self._import_errors()}"
                )
            time.sleep(0.5)

    def unpause(self, dag_id: str) -> None:
        """Let the Dag run."""
        self.patch(f"dags/{dag_id}?update_mask=is_paused", {"is_paused": False})

    def trigger(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None
    ) -> str:
        """Start a run with these parameters and return its id."""
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf or {})}
        if run_id:
            body["dag_run_id"] = run_id
        return str(self.post(f"dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The Dag's runs, the newest first."""
        return list(self.get(f"dags/{dag_id}/dagRuns", order_by="-run_after", limit=50)["dag_runs"])

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        *,
        timeout: float,
        meanwhile: Callable[[], None] = lambda: None,
        every: float = 0.5,
    ) -> None:
        """Wait until the run has succeeded, calling ``meanwhile`` between two looks.

        Raises RunFailed, RunTooSlow.
        """
        path = f"dags/{dag_id}/dagRuns/{_quoted(run_id)}"
        deadline = time.monotonic() + timeout
        while (state := self.get(path)["state"]) not in DONE:
            if time.monotonic() > deadline:
                raise RunTooSlow(f"{dag_id} is {state!r} after {timeout:.0f} s: {self._failure(path)}")
            meanwhile()
            time.sleep(every)
        if state == "failed":
            raise RunFailed(f"{dag_id} failed: {self._failure(path)}")

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's task instances."""
        path = f"dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances"
        return list(self.get(path, limit=200)["task_instances"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task returned."""
        path = f"dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.get(path, deserialize="true")["value"]

    def open_questions(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's approvals that wait for a person."""
        details = self.get(f"dags/{dag_id}/dagRuns/{_quoted(run_id)}/hitlDetails")["hitl_details"]
        return [detail for detail in details if not detail["response_received"]]

    def answer(self, question: Mapping[str, Any], option: str) -> None:
        """Answer one of `open_questions`. Raises HttpRefused (403 without the permission)."""
        task = question["task_instance"]
        path = f"dags/{task['dag_id']}/dagRuns/{_quoted(task['dag_run_id'])}/taskInstances/{task['task_id']}"
        self.patch(
            f"{path}/{task['map_index']}/hitlDetails", {"chosen_options": [option], "params_input": {}}
        )

    def _failure(self, path: str) -> str:
        """The first task that failed or waits for another try, with the end of its log."""
        tasks = self.get(f"{path}/taskInstances", limit=200)["task_instances"]
        wrong = [task for task in tasks if task["state"] in ("failed", "up_for_retry")]
        if not wrong:
            return self._standing(path)
        task = min(wrong, key=lambda one: one["state"] != "failed")
        address = f"{path}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        try:
            entries = self.get(address, map_index=task["map_index"])["content"]
        except (HttpRefused, HttpUnreachable) as error:
            entries = [f"(its log cannot be read: {error})"]
        lines = [_log_line(entry) for entry in entries][-LOG_LINES:]
        return f"the task {task['task_id']} failed:\n" + "\n".join(lines)

    def _standing(self, path: str) -> str:
        tasks = self.get(f"{path}/taskInstances", limit=200)["task_instances"]
        return ", ".join(f"{task['task_id']} {task['state'] or 'waiting'}" for task in tasks) or "no task yet"

    def _import_errors(self) -> str:
        errors = self.get("importErrors")["import_errors"]
        return "".join(f"\n{error['filename']}: {error['stack_trace'].strip()}" for error in errors)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if not self._token:
            self._login()
        try:
            return request_json(self.url + path, method, body, token=self._token)
        except HttpRefused as error:
            if error.status != 401:
                raise
            self._login()
            return request_json(self.url + path, method, body, token=self._token)

    def _login(self) -> None:
        who = {"username": self.username, "password": self.password}
        self._token = request_json(self.url + "/auth/token", "POST", who)["access_token"]


def _log_line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    line = f"{entry.get('level', '')} {entry.get('event', '')}".strip()
    for error in entry.get("error_detail") or []:
        line += f"\n{error.get('exc_type')}: {error.get('exc_value')}"
    return line


def _quoted(run_id: str) -> str:
    return urllib.parse.quote(run_id, safe="")
