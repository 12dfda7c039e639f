"""docker-compose.yaml: valid, the demo's commands, no secret with a default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from include.local import commands

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")
TEXT = (ROOT / "docker-compose.yaml").read_text()


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    whole: dict[str, Any] = yaml.safe_load(TEXT)
    return dict(whole["services"])


def test_meets_the_compose_specification() -> None:
    values = {match["name"]: "x" for match in VARIABLE.finditer(TEXT)}
    values |= {match["name"]: match["rest"] for match in VARIABLE.finditer(TEXT) if match["kind"] == "-"}
    plain = yaml.safe_load(
        VARIABLE.sub(lambda match: values[match["name"]], TEXT)
    )  # resolves the YAML merges
    known = PyCompose.from_yaml(yaml.safe_dump(plain))
    assert set(known.service_names()) == set(plain["services"])
    wrong = {**plain, "services": {**plain["services"], "worker": {"imagee": "typo"}}}
    with pytest.raises(ValueError, match="imagee"):
        PyCompose.from_yaml(yaml.safe_dump(wrong))


def test_runs_the_commands_of_the_demo(services: dict[str, Any]) -> None:
    ours = {name: tuple(services[name]["command"]) for name in [*commands.AIRFLOW, *commands.CLUSTER]}
    assert ours == {**commands.AIRFLOW, **commands.CLUSTER}
    assert services["init"]["command"] == ["python", "-m", "include.local.commands"]
    assert set(services) == {*ours, "init", "postgres", "valkey"}


def test_every_lasting_service_is_watched_and_restarted(services: dict[str, Any]) -> None:
    lasting = {name: service for name, service in services.items() if name != "init"}
    assert [name for name, service in lasting.items() if "healthcheck" not in service] == []
    assert {service["restart"] for service in lasting.values()} == {"unless-stopped"}
    waits_for_init = {name for name, service in lasting.items() if "init" in service.get("depends_on", {})}
    assert waits_for_init == set(lasting) - {"postgres", "valkey"}


def test_no_secret_works_by_default() -> None:
    required = {match["name"] for match in VARIABLE.finditer(TEXT) if match["kind"] == "?"}
    optional = {match["name"] for match in VARIABLE.finditer(TEXT) if match["kind"] == "-"}
    assert not {name for name in optional if re.search("PASSWORD|SECRET|KEY|TOKEN", name)}
    bare = {match["name"] for match in VARIABLE.finditer(TEXT) if match["kind"] is None}
    assert bare <= required, "used without a check anywhere"
    assert set(re.findall(r"^(\w+)=$", _example(), flags=re.MULTILINE)) == required
    assert set(re.findall(r"^# (\w+)=\S+$", _example(), flags=re.MULTILINE)) == optional
    assert not re.findall(r"^\w+=\S", _example(), flags=re.MULTILINE), (
        "a value in .env.example would be used as it is"
    )


def test_airflow_is_set_up_as_in_the_demo(services: dict[str, Any]) -> None:
    settings = services["scheduler"]["environment"]
    demo = (ROOT / "include" / "local" / "airflow.py").read_text()
    assert settings["AIRFLOW__CORE__AUTH_MANAGER"] in demo
    image = re.search(r"^FROM apache/airflow:(\S+?)-python3", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    pinned = re.search(r"^apache-airflow==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert image
    assert pinned
    assert image[1] == pinned[1]


def _example() -> str:
    return (ROOT / ".env.example").read_text()
