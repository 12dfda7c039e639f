"""The world around the sample entity: source systems with sample people, a CM.com, the webhook app."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from include.entities import Entity, Template
from include.local import commands, processes
from include.local.http import HttpRefused, HttpUnreachable, request_json
from include.local.instance import Instance
from include.local.postgres import Postgres
from include.simulator.sample import Sample, build_sample, population, seed_webshop, write_survey

SENDER = "+32460200200"  # a Belgian mobile number of the sample
ACCOUNT = "11111111-1111-4111-8111-111111111111"
CHANNEL = "22222222-2222-4222-8222-222222222222"
MESSAGES_PER_SECOND = 400
# People answer within 70 simulated minutes: with this, within 11 seconds.
SPEED = 400
ANSWERS_TIMEOUT = 120.0  # seconds
READY_TIMEOUT = 120.0  # seconds; 3 s when a core is free


@dataclass
class Systems:
    """What runs around Airflow. ``connections`` are Airflow's, by id."""

    sample: Sample
    simulator: str
    preference_centre: str
    webhook: str
    connections: Mapping[str, str] = field(repr=False)
    running: list[processes.Process] = field(default_factory=list)

    def check(self) -> None:
        """Raise `processes.ProcessFailed` if one of the processes has ended."""
        for process in self.running:
            process.check()

    def stats(self) -> dict[str, int]:
        """What the simulator has counted."""
        return dict(request_json(self.simulator + "/_sim/stats", "GET"))

    def wait_for_answers(self) -> None:
        """Wait until everybody has done what they will do, and all of it was reported."""
        deadline = time.monotonic() + ANSWERS_TIMEOUT
        while self.stats()["pushes_waiting"]:
            self.check()
            if time.monotonic() > deadline:
                raise processes.ProcessFailed(f"statuses still come after {ANSWERS_TIMEOUT:.0f} s")
            time.sleep(0.3)


def plan_systems(
    instance: Instance, postgres: Postgres, entity: Entity, *, people: int, seed: int
) -> Systems:
    """Choose addresses and make the sample; nothing is started yet."""
    simulator, preference_centre, webhook = (_address() for _ in range(3))
    connections = {
        "whatsapp_db": postgres.dsn("whatsapp"),
        "webshop": postgres.dsn("webshop"),
        "preference_centre": json.dumps(
            {"conn_type": "http", "host": preference_centre, "password": instance.secrets.login}
        ),
        "survey_drop": json.dumps({"conn_type": "fs", "extra": {"path": str(instance.folder / "drop")}}),
        entity.settings.connection: json.dumps(_cm_com(instance, simulator)),
    }
    sample = build_sample(people=people, seed=seed)
    return Systems(sample, simulator, preference_centre, webhook, connections)


def start_systems(
    systems: Systems,
    instance: Instance,
    postgres: Postgres,
    entity: Entity,
    env: Mapping[str, str],
    running: list[processes.Process],
    *,
    fill: bool,
) -> None:
    """Start the servers and add them to ``running``; returns when all of them answer. Raises ProcessFailed.

    ``fill`` puts the sample people into the sources.
    """
    if fill:
        drop = instance.folder / "drop"
        drop.mkdir(exist_ok=True)
        seed_webshop(systems.sample, postgres.create_database("webshop"))
        write_survey(systems.sample, drop)
    people = instance.folder / "population.jsonl"
    people.write_text("".join(json.dumps(person) + "\n" for person in population(systems.sample)))
    configuration = instance.folder / "simulator.json"
    configuration.write_text(json.dumps(_simulator(instance, systems, entity)))
    folder = instance.folder
    for name, url, command in (
        (
            "simulator",
            systems.simulator,
            (
                "whatsapp",
                "simulator",
                "--config",
                configuration,
                "--population",
                people,
                "--db",
                folder / "simulator.db",
            ),
        ),
        (
            "preference-centre",
            systems.preference_centre,
            (
                "python",
                "-m",
                "include.simulator.preference_centre",
                f"--people={systems.sample.people}",
                f"--seed={systems.sample.seed}",
            ),
        ),
        ("webhook", systems.webhook, ("whatsapp", "webhook")),
    ):
        port = ("--port", url.rsplit(":", 1)[1])
        arguments = [commands.program(command[0]), *map(str, command[1:]), *port]
        process = processes.start(name, arguments, folder=folder, env=env, cwd=commands.ROOT)
        running.append(process)
        systems.running.append(process)
    for process, url in zip(
        systems.running, (systems.simulator, systems.preference_centre, systems.webhook), strict=True
    ):
        _wait(process, url)


def _address() -> str:
    return f"http://127.0.0.1:{processes.free_port()}"


def _cm_com(instance: Instance, simulator: str) -> dict[str, Any]:
    extra = {
        "account_id": ACCOUNT,
        "channel_id": CHANNEL,
        "sender": SENDER,
        "messages_per_second": MESSAGES_PER_SECOND,
    }
    return {
        "conn_type": "cm_com",
        "host": simulator,
        "password": instance.secrets.product_token,
        "extra": extra,
    }


def _simulator(instance: Instance, systems: Systems, entity: Entity) -> dict[str, Any]:
    hooks = f"{systems.webhook}/whatsapp-hooks/{instance.secrets.webhook_secret}"
    account = {
        "token": instance.secrets.product_token,
        "account": ACCOUNT,
        "senders": ["00" + SENDER.removeprefix("+")],
        "webhook_url": f"{hooks}/status",
        "mo_url": f"{hooks}/inbound",
        "link_url": f"{systems.webhook}/whatsapp-hooks/l/",
        "templates": [text for template in entity.templates for text in _texts(template)],
    }
    return {"accounts": [account], "settings": {"speed": SPEED, "seed": 26}}


def _texts(template: Template) -> list[dict[str, Any]]:
    """A template of our YAML as CM.com knows it: one for each language."""
    return [
        {
            "element_name": template.name,
            "language": language,
            "namespace": template.namespace,
            "category": template.category.upper(),
            "header": "text" if text.header else "none",
            "body": text.body,
            "body_variables": len(template.variables),
            "footer": text.footer or "",
            "buttons": [
                {"type": button.type, "text": button.text, "variable": "{{1}}" in (button.url or "")}
                for button in text.buttons
            ],
        }
        for language, text in template.languages.items()
    ]


def _wait(process: processes.Process, url: str) -> None:
    """Wait until the server answers anything at all."""
    deadline = time.monotonic() + READY_TIMEOUT
    while True:
        process.check()
        try:
            request_json(url, "GET")
            return
        except (HttpRefused, ValueError):
            return
        except HttpUnreachable as problem:
            if time.monotonic() > deadline:
                log = processes.tail(process.log)
                raise processes.ProcessFailed(f"{process.name} does not answer: {problem}\n{log}") from None
        time.sleep(0.1)
