"""CM.com's own SDKs, unchanged, against the simulator: they believe they talk to the real gateway."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cm_text import TextClient, WhatsappTemplate

from tests.simulator.front import Front, https_front
from tests.support.simulator import SENDER, TOKEN, Simulator, running_simulator

NAMESPACE = "11111111_2222_3333_4444_555555555555"
TEMPLATE = {"element_name": "order_update", "language": "en", "namespace": NAMESPACE, "body_variables": 2}
PARAMETERS = [{"type": "text", "text": "Jan"}, {"type": "text", "text": "A-1001"}]
PEOPLE = {"rules": [{"prefix": "+31", "outcome": "read", "deliver_after": 1, "read_after": 1, "reply": ""}]}
JAVASCRIPT = Path(__file__).parent / "js"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator(speed=1000, templates=[TEMPLATE], population=PEOPLE) as running:
        yield running


@pytest.fixture
def front(simulator: Simulator, tmp_path: Path) -> Iterator[Front]:
    """An empty simulator behind CM.com's host names."""
    simulator.reset()
    with https_front(simulator.url, tmp_path) as running:
        yield running


def python_client(token: str, *numbers: str) -> Any:
    client = TextClient(apikey=token)
    template = WhatsappTemplate(
        namespace=NAMESPACE,
        element_name="order_update",
        components=[{"type": "body", "parameters": PARAMETERS}],
        language_code="en",
    )
    for index, number in enumerate(numbers):
        client.AddWhatsappTemplateMessage(
            template=template, from_=SENDER, to=[number], reference=f"py{index}"
        )
    return client.send()


def test_python_sdk_sends_templates(
    simulator: Simulator, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", front.proxy)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(front.authority))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    answer = python_client(TOKEN, "0031612345671", "not a number", "0031612345672")
    assert answer.status_code == 200
    assert answer.json()["details"] == "Created 2 message(s)"
    assert [each["messageErrorCode"] for each in answer.json()["messages"]] == [0, 303, 0]
    assert front.asked == ["gw.messaging.cm.com"]
    assert {each["reference"]: each["final_state"] for each in simulator.truth().values()} == {
        "py0": "read",
        "py2": "read",
    }
    assert python_client("99999999-9999-9999-9999-999999999999", "0031612345671").json()["errorCode"] == 101


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the SDK at the version of the lock file."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: the JavaScript SDK was not tried")
    directory = tmp_path_factory.mktemp("javascript")
    shutil.copytree(JAVASCRIPT, directory, dirs_exist_ok=True)
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(npm, cwd=directory, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode:
        pytest.skip(f"npm could not install the JavaScript SDK: {done.stderr.strip()[-300:]}")
    return directory


def javascript_client(javascript: Path, front: Front, token: str, number: str) -> dict[str, Any]:
    environment = {key: each for key, each in os.environ.items() if key.lower() != "no_proxy"}
    environment |= {"HTTPS_PROXY": front.proxy, "NODE_EXTRA_CA_CERTS": str(front.authority)}
    done = subprocess.run(
        ["node", "send.js", token, number, "js1"],
        cwd=javascript,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_javascript_sdk_sends_templates(simulator: Simulator, front: Front, javascript: Path) -> None:
    answer = javascript_client(javascript, front, TOKEN, "0031612345671")
    assert answer == {
        "status": 200,
        "body": {
            "details": "Created 1 message(s)",
            "errorCode": 0,
            "messages": [
                {
                    "to": "0031612345671",
                    "status": "Accepted",
                    "reference": "js1",
                    "parts": 1,
                    "messageDetails": None,
                    "messageErrorCode": 0,
                }
            ],
        },
    }
    assert front.asked == ["gw.cmtelecom.com"]
    assert simulator.truth()["js1"]["final_state"] == "read", "the template was recognised"


def test_javascript_sdk_is_refused_like_by_the_real_gateway(front: Front, javascript: Path) -> None:
    wrong = "99999999-9999-9999-9999-999999999999"
    assert javascript_client(javascript, front, wrong, "0031612345671") == {
        "status": 400,
        "body": {
            "details": "No account found for the given authentication",
            "errorCode": 101,
            "messages": [],
        },
    }
    answer = javascript_client(javascript, front, TOKEN, "0044791112345a")
    assert (answer["status"], answer["body"]["errorCode"]) == (400, 201)
