"""Whatever is posted, nothing breaks: no 500, no crash, nothing of it in the log. And a database that restarts."""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.database import connect, migrate
from include.local.postgres import embedded_postgres
from tests.message_log.ledger import add_campaign, add_messages, add_people
from tests.support.webhook import SECRET, WebhookProcess, free_port, running_webhook
from tests.webhooks.test_app import reply, status

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.binary(max_size=9).map(str)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def with_holes(document: Any) -> st.SearchStrategy[Any]:
    """A document of the right shape in which any part may be something else, or missing."""
    if isinstance(document, dict):
        kept = st.fixed_dictionaries({}, optional={key: with_holes(value) for key, value in document.items()})
        return st.one_of(kept, kept, kept, values)
    return st.one_of(st.just(document), st.just(document), values)


documents = st.one_of(
    with_holes(json.loads(status("202611c1s1a1"))), with_holes(json.loads(reply("Stop"))), values
)


@pytest.fixture(scope="module")
def process(postgres: Any, migrated_template: str) -> Iterator[WebhookProcess]:
    dsn = postgres.create_database("hostile", template=migrated_template)
    with connect(dsn) as conn:
        add_messages(conn, add_campaign(conn), add_people(conn, 3))
        conn.commit()
    with running_webhook(dsn) as webhook:
        yield webhook
    postgres.drop_database("hostile")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents, path=st.sampled_from(["status", "inbound"]))
def test_any_json_is_acknowledged(process: WebhookProcess, document: Any, path: str) -> None:
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    assert process.post(body, f"/{SECRET}/{path}") == 200


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(min_size=1, max_size=300))
def test_any_bytes_are_acknowledged(process: WebhookProcess, body: bytes) -> None:
    assert process.post(body, f"/{SECRET}/status") == 200


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=80))
def test_any_query_is_acknowledged(process: WebhookProcess, query: str) -> None:
    assert process.get(f"/{SECRET}/status?{query}") == 200


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=60))
def test_any_other_path_is_not_found(process: WebhookProcess, path: str) -> None:
    assert process.post("{}", f"/{path}x") == 404


def test_schemathesis_finds_no_500(process: WebhookProcess) -> None:
    """CM.com's shapes as a schema: what fits it, what nearly fits it, and parameters of every kind."""
    text = {"type": "string"}
    report = {
        "type": "object",
        "properties": {
            "received": text,
            "reference": {"enum": ["202611c1s1a1", "202611c1s2a1", "x"]},
            "to": text,
            "status": {"type": "object", "properties": {"code": {"enum": list("012349")}, "errorCode": text}},
        },
        "required": ["reference", "status"],
    }
    number = {
        "type": "object",
        "properties": {"number": {"type": "string", "pattern": r"^(00|\\+)\\d{9,12}$"}},
    }
    bodies = {
        "status": {
            "type": "object",
            "properties": {"messages": {"type": "object", "properties": {"msg": report}}},
        },
        "inbound": {
            "type": "object",
            "properties": {
                "from": number,
                "message": {"type": "object", "properties": {"text": text}},
                "timeUtc": text,
            },
            "required": ["from", "message"],
        },
        "optin": {"type": "array", "items": {"type": "object"}},
    }
    answers = {"responses": {"200": {"description": "taken"}}}
    paths: dict[str, Any] = {
        f"/{SECRET}/{name}": {
            "post": answers
            | {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}
        }
        for name, body in bodies.items()
    }
    fields = ("reference", "received", "statuscode", "errorcode", "errordescription")
    query = [{"name": name, "in": "query", "schema": text} for name in fields]
    paths[f"/{SECRET}/status"]["get"] = answers | {"parameters": query}
    token = {"name": "token", "in": "path", "required": True, "schema": text}
    agent = {"name": "User-Agent", "in": "header", "schema": text}
    paths["/l/{token}"] = {"get": answers | {"parameters": [token, agent]}}
    schema = schemathesis.openapi.from_dict(
        {"openapi": "3.0.0", "info": {"title": "webhook", "version": "1"}, "paths": paths}
    )
    codes: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        strategies = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

        @settings(
            max_examples=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(strategies))
        def try_it(case: schemathesis.Case) -> None:
            answer = case.call(base_url=f"http://127.0.0.1:{process.port}")
            codes.setdefault(case.operation.path, set()).add(answer.status_code)

        try_it()
    assert set().union(*codes.values()) <= {200, 400, 404, 405}, codes
    assert codes[f"/{SECRET}/status"] >= {200}
    assert 404 in codes["/l/{token}"]


def test_the_log_of_all_that_says_nothing_of_it(process: WebhookProcess) -> None:
    assert "Traceback" not in process.output()
    assert SECRET not in process.output()
    assert process.get("/health") == 200


@pytest.mark.timeout(240)
def test_a_database_restarted_under_load_loses_nothing_that_was_acknowledged() -> None:
    with tempfile.TemporaryDirectory(prefix="whatsapp-restart-") as folder:
        Path(folder).chmod(0o755)
        place = Path(folder) / "postgres"
        with embedded_postgres(place) as server:
            port, dsn = server.port, server.create_database("whatsapp")
            migrate(dsn)
            with connect(dsn) as conn:
                references = add_messages(conn, add_campaign(conn), add_people(conn, 4000))
                conn.commit()
            webhook = WebhookProcess(dsn, free_port())
            webhook.wait_ready()
            load = _Load(webhook.port, references)
            load.wait_for(500)
        # The server is gone; it comes back a moment later on the same port.
        try:
            time.sleep(2)
            with embedded_postgres(place, port=port) as server:
                assert server.port == port
                load.wait_for_end()
                with connect(server.dsn("whatsapp")) as conn:
                    found = conn.execute(
                        "select count(*) as all, count(delivered_at) as delivered from campaign_message"
                    ).fetchone()
        finally:
            webhook.stop()
    assert load.refused > 0, "the restart was felt"
    assert found == {"all": 4000, "delivered": 4000}


class _Load:
    """Posts every status until it is taken, as CM.com does, on a few connections at once."""

    def __init__(self, port: int, references: list[str]) -> None:
        self._port = port
        self._waiting = list(references)
        self._lock = threading.Lock()
        self.taken = 0
        self.refused = 0
        self._threads = [threading.Thread(target=self._send) for _ in range(8)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, taken: int) -> None:
        while self.taken < taken:
            time.sleep(0.01)

    def wait_for_end(self) -> None:
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while True:
            with self._lock:
                reference = self._waiting.pop() if self._waiting else None
            if reference is None:
                connection.close()
                return
            connection.request("POST", f"/{SECRET}/status", status(reference))
            answer = connection.getresponse()
            answer.read()
            with self._lock:
                if answer.status == 200:
                    self.taken += 1
                    continue
                self.refused += 1
                self._waiting.insert(0, reference)
            time.sleep(0.05)
