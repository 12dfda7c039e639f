"""What Airflow makes of the provider: the entry point, the connection form, the plugins folder."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from cm_com.provider import get_provider_info

from tests.support.airflow_home import airflow

PLUGINS = Path(__file__).parents[2] / "plugins"


def run(code: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_entry_point_belongs_to_the_distribution_it_names() -> None:
    """Airflow refuses a provider whose package-name is not its distribution's."""
    (entry,) = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.value == "cm_com.provider:get_provider_info"
    ]
    assert entry.dist is not None
    assert get_provider_info()["package-name"] == entry.dist.name == "airflow-whatsapp-campaigns"


def test_importing_the_provider_info_imports_nothing_else() -> None:
    """Every `import airflow` loads this module: what it imports, everybody waits for, or fails with."""
    code = (
        "import sys; before = set(sys.modules); import cm_com.provider; cm_com.provider.get_provider_info();"
        "print(sorted(set(sys.modules) - before))"
    )
    loaded = run(code)
    heavy = {"airflow", "aiohttp", "msgspec", "requests", "include", "pydantic", "sqlalchemy"}
    assert not [name for name in heavy if f"'{name}" in loaded], loaded
    assert set(re.findall(r"'(cm_com[^']*)'", loaded)) == {"cm_com", "cm_com.provider"}


def test_the_pure_modules_do_without_airflow_and_aiohttp() -> None:
    code = (
        "import sys, cm_com.wire.messages, cm_com.wire.answers, cm_com.wire.transactions;"
        "import cm_com.wire.templates, cm_com.settings, cm_com.delivery, cm_com.reading, cm_com.once;"
        "print([name for name in ('airflow', 'aiohttp', 'requests', 'include') if name in sys.modules])"
    )
    assert run(code).strip() == "[]"
    assert run("import sys, cm_com.messenger; print('airflow' in sys.modules)").strip() == "False"


@pytest.mark.airflow
def test_airflow_lists_the_hook_and_reads_its_form(airflow_environment: dict[str, str]) -> None:
    hooks = json.loads(airflow(airflow_environment, "providers", "hooks", "--output", "json"))
    (row,) = [hook for hook in hooks if hook["connection_type"] == "cm_com"]
    assert row == {
        "connection_type": "cm_com",
        "class": "cm_com.hooks.CmComHook",
        "conn_id_attribute_name": "cm_com_conn_id",
        "package_name": "airflow-whatsapp-campaigns",
        "hook_name": "CM.com",
    }
    form = json.loads(
        run(
            "import logging, json; logging.disable()\n"
            "from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService\n"
            "(meta,) = [m for m in HookMetaService.hook_meta_data() if m.connection_type == 'cm_com']\n"
            "print('\\n' + meta.model_dump_json())",
            airflow_environment,
        ).splitlines()[-1]
    )
    standard: dict[str, Any] = form["standard_fields"]
    assert standard["password"]["title"] == "Product token"
    assert standard["host"]["placeholder"] == "https://gw.messaging.cm.com"
    assert [name for name in ("login", "port", "url_schema") if standard[name]["hidden"]] == [
        "login",
        "port",
        "url_schema",
    ]
    labels = {name: field["schema"]["title"] for name, field in form["extra_fields"].items()}
    assert labels["account_id"] == "Account id"
    assert labels["channel_id"] == "Channel id"
    assert labels["sender"] == "Sender number"
    assert labels["messages_per_second"] == "Messages per second"
    assert all(field["description"] for field in form["extra_fields"].values())


@pytest.mark.airflow
def test_airflow_runs_no_module_of_the_package_as_a_plugin(airflow_environment: dict[str, str]) -> None:
    code = (
        "import logging; logging.disable()\n"
        "from airflow._shared.module_loading import find_path_from_directory\n"
        f"found = find_path_from_directory({str(PLUGINS)!r}, '.airflowignore', 'glob')\n"
        "print('\\n' + '\\n'.join(found))"
    )
    found = [line for line in run(code, airflow_environment).splitlines() if line.endswith(".py")]
    assert [path for path in found if not path.endswith("_plugin.py")] == []
