"""Whatever is asked of the pages: no 500, no phone number, no traceback. Addresses and bodies made by schemathesis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from include.database import connect
from include.pages import Access, build_pages
from include.reports import refresh
from tests.pages.test_pages import PHONE
from tests.support.ledger import START, add_campaign, small_campaign

FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def app(postgres: Any, migrated_template: str) -> Iterator[FastAPI]:
    dsn = postgres.create_database("hostile_pages", template=migrated_template)
    with connect(dsn) as conn:
        add_campaign(conn, outcomes=small_campaign())
    refresh("acme", dsn=dsn, now=START)

    def access() -> Access:
        return Access(may_read=lambda _: True, may_edit=lambda _: True)

    pages = build_pages(dsn=lambda: dsn, access=access, form_key=lambda: b"key")
    schema = _narrowed(pages.openapi())  # the app itself publishes none
    pages.add_api_route("/openapi.json", lambda: schema, include_in_schema=False)
    yield pages
    postgres.drop_database("hostile_pages")


def test_no_address_and_no_body_breaks_a_page(app: FastAPI) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    seen: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        seen[f"{operation.method.upper()} {operation.path}"] = _try(operation)
    assert len(seen) > 12
    assert all(seen.values())
    assert sum(200 in codes for codes in seen.values()) > len(seen) // 2, seen


def _try(operation: Any) -> set[int]:
    """The statuses that one route answers to what fits its schema, and to what does not."""
    codes: set[int] = set()
    modes = [schemathesis.GenerationMode.POSITIVE]
    if any(operation.iter_parameters()):
        modes.append(schemathesis.GenerationMode.NEGATIVE)

    @FEW
    @given(case=st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes]))
    def try_it(case: schemathesis.Case) -> None:
        answer = case.call()
        codes.add(answer.status_code)
        assert answer.status_code < 500, case.as_curl_command()
        assert "people.csv" in operation.path or not PHONE.search(answer.text)
        assert "Traceback" not in answer.text

    try_it()
    return codes


def _narrowed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with parameters that often hit what there is, or most addresses would lead nowhere."""
    likely = {
        "campaign_id": {"enum": [1, 2]},
        "entity": {"enum": ["acme", "other"]},
        "day": {"enum": ["2026-10-05"]},
    }
    likely |= {"subscription_id": {"enum": [1, 2, 3]}, "figure": {"enum": ["target", "failed", "nonsense"]}}
    likely |= {
        "verb": {"enum": ["pause", "resume", "cancel", "release"]},
        "name": {"enum": ["pages.css", "vega.css"]},
    }
    for path in schema["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = likely.get(parameter["name"], parameter["schema"])
    return schema
