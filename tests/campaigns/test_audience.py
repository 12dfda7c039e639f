"""Who is in, in which version, when and at what cost: the parts of a plan that depend on what was asked."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.campaigns.errors import ParametersInvalid
from include.campaigns.parameters import freeze
from include.campaigns.preview import preview
from include.campaigns.rehearsal import rehearse
from include.database import connect
from include.entities import Entity, load_entity
from tests.support.campaigns import LINK_KEY, acme, approve_templates, planned, states, subscribe


def entity_with(tmp_path: Path, **files: str) -> Entity:
    """acme with further or other files: `templates__b="…"` is templates/b.yaml."""
    folder = tmp_path / "acme"
    shutil.copytree(acme().folder, folder)
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.write_text(text)
    return load_entity("acme", tmp_path)


def rows(dsn: str, query: str, *parameters: Any) -> list[dict[str, Any]]:
    with connect(dsn) as conn:
        return conn.execute(query, parameters or None).fetchall()


def record(dsn: str) -> None:
    """Every person is known to the web shop as r<id>."""
    with connect(dsn) as conn:
        conn.execute(
            "insert into source_record (entity, source, record_id, subscription_id) "
            "select 'acme', 'webshop', 'r' || id, id from subscription"
        )


def test_variants_split_the_audience_by_their_shares_and_the_same_way_each_time(
    migrated_database: str, tmp_path: Path
) -> None:
    text = (
        (acme().folder / "templates" / "spring_sale.yaml")
        .read_text()
        .replace("name: spring_sale", "name: sale_b")
    )
    entity = entity_with(tmp_path, templates__sale_b=text)
    approve_templates(migrated_database, entity)
    subscribe(migrated_database, 2000)
    planned(migrated_database, entity, variants=[{"name": "b", "template": "sale_b", "percent": 20}])
    found = {
        row["variant"]: row["n"]
        for row in rows(migrated_database, "select variant, count(*) as n from campaign_message group by 1")
    }
    assert set(found) == {"base", "b"}
    assert 330 < found["b"] < 470


def test_variables_can_be_chosen_for_one_campaign_and_by_language(migrated_database: str) -> None:
    approve_templates(migrated_database, acme())
    subscribe(migrated_database, 1)
    subscribe(migrated_database, 1, first=10, language="fr")
    subscribe(migrated_database, 1, first=20, language="de")
    planned(
        migrated_database,
        acme(),
        variables={
            "1": {"attribute": "city", "fallback": "you"},
            "2": {"nl": {"constant": "ZOMER"}, "fr": {"constant": "ETE"}},
        },
    )
    found = {
        row["language"]: row["variables"] for row in rows(migrated_database, "select * from campaign_message")
    }
    assert found == {"nl": ["you", "ZOMER"], "fr": ["you", "ETE"], "de": ["you", "SPRING26"]}


def test_given_recipients_get_their_own_values_and_unknown_ones_stop_the_plan(migrated_database: str) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, 3)
    record(dsn)
    known = [
        {"source": "webshop", "record_id": f"r{n}", "variables": {"order_number": f"A-{n}"}} for n in (1, 2)
    ]
    with pytest.raises(ParametersInvalid, match="webshop:nobody"):
        planned(
            dsn,
            acme(),
            template="order_update",
            recipients=[*known, {"source": "webshop", "record_id": "nobody"}],
        )
    assert rows(dsn, "select * from campaign") == []
    plan = planned(dsn, acme(), template="order_update", recipients=[*known, known[0]])
    assert (plan.target, plan.planned) == (2, 2)
    found = rows(dsn, "select subscription_id as id, variables from campaign_message order by 1")
    assert found == [{"id": 1, "variables": ["Jan", "A-1"]}, {"id": 2, "variables": ["Jan", "A-2"]}]


@pytest.mark.parametrize(("negate", "expected"), [("false", 2), ("true", 3)])
def test_a_segment_asks_what_people_did_before(
    migrated_database: str, tmp_path: Path, negate: str, expected: int
) -> None:
    past = f"name: readers\npast: [{{campaign: Spring, did: read, negate: {negate}}}]\n"
    entity = entity_with(tmp_path, segments__readers=past)
    approve_templates(migrated_database, entity)
    subscribe(migrated_database, 5)
    planned(migrated_database, entity)
    with connect(migrated_database) as conn:
        conn.execute("update campaign_message set state = 'read', read_at = now() where subscription_id <= 2")
    assert planned(migrated_database, entity, run_key="run-2", segment="readers").target == expected


def test_a_window_is_by_the_persons_own_clock(migrated_database: str) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    now = datetime.now(UTC)
    # Where it is noon, whenever this runs: a window over midnight would turn start and end round.
    ahead = 12 - now.hour
    far = ahead + 9 if ahead <= 5 else ahead - 15  # the same clock, nine hours further
    subscribe(dsn, 1, time_zone=f"Etc/GMT{-ahead:+d}")
    subscribe(dsn, 1, first=10, time_zone=f"Etc/GMT{-far:+d}")
    noon = now + timedelta(hours=ahead)
    start, end = ((noon + timedelta(minutes=minutes)).time() for minutes in (-1, 20))
    window = {"start": start.isoformat("minutes"), "end": end.isoformat("minutes")}
    planned(dsn, acme(), window=window)
    here, there = rows(dsn, "select not_before from campaign_message order by subscription_id")
    assert here["not_before"].year == 1970
    assert timedelta(hours=10) < there["not_before"] - now < timedelta(hours=20)
    short = planned(dsn, acme(), run_key="run-2", window=window, expires_hours=5)
    assert short.excluded == {"outside_window": 1}


def test_a_budget_leaves_out_what_it_cannot_pay_and_needs_rates(migrated_database: str) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, 10)
    with pytest.raises(ParametersInvalid, match="BE"):
        planned(dsn, acme(), budget=1)
    with connect(dsn) as conn:
        conn.execute("insert into rate values ('2026-01-01', 'BE', 'marketing', 0.25, 'EUR')")
    assert planned(dsn, acme(), budget=1).excluded == {"over_budget": 6}


def test_a_probe_is_a_share_that_goes_first(migrated_database: str) -> None:
    approve_templates(migrated_database, acme())
    subscribe(migrated_database, 1000)
    plan = planned(migrated_database, acme(), probe_percent=5)
    found = {
        r["wave"]: r["n"]
        for r in rows(migrated_database, "select wave, count(*) n from campaign_message group by 1")
    }
    assert 20 < found[0] < 90
    assert rows(migrated_database, "select open_wave from campaign") == [{"open_wave": 0}]
    assert states(migrated_database, plan.campaign_id) == {"planned": 1000}


def test_the_preview_shows_messages_as_people_see_them(migrated_database: str) -> None:
    dsn = migrated_database
    approve_templates(dsn, acme())
    subscribe(dsn, 3, attributes=json.dumps({"first_name": "*Jan* <b>"}))
    subscribe(dsn, 3, first=10, language="fr")
    plan = planned(dsn, acme())
    figures = preview(acme(), plan.campaign_id, dsn=dsn, messages_per_second=80, now=datetime.now(UTC))
    assert len(figures.examples) == 5
    assert any("Hallo *Jan* <b>, onze lentesale" in example for example in figures.examples)
    assert any("[Montrez-moi] [Stop]" in example for example in figures.examples)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"variants": [{"name": "b", "template": "spring_sale", "percent": 100}]}, "less than 100"),
        ({"variants": [{"name": "b", "template": "order_update", "percent": 10}]}, "utility"),
        ({"window": {"start": "20:00", "end": "20:00"}}, "start and end are the same"),
        ({"variables": {"3": {"constant": "x"}}}, "no variable 3"),
        ({"variables": {"one": {"constant": "x"}}}, "variables.one"),
        ({"variables": {"1": {"constant": "x", "attribute": "y"}}}, "either an attribute or a constant"),
        ({"recipients": [{"source": "nowhere", "record_id": "1"}]}, "nowhere"),
        ({"header_media_url": "http://insecure/x.png"}, "header_media_url"),
        ({"test_first": True}, "test_records"),
        ({"budget": -1}, "budget"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(raw: dict[str, Any], told: str) -> None:
    with pytest.raises(ParametersInvalid, match=told):
        freeze(acme(), {"name": "x", "template": "spring_sale", **raw})


def test_a_rehearsal_needs_consent_and_happens_once(migrated_database: str, tmp_path: Path) -> None:
    from cm_com.messenger import CmComMessenger

    from tests.support.campaigns import register_templates, settings
    from tests.support.simulator import running_simulator

    text = (acme().folder / "entity.yaml").read_text()
    people = "test_records: [{source: webshop, record_id: r1}, {source: webshop, record_id: r2}]\n"
    entity = entity_with(tmp_path, entity=text + people)
    dsn = migrated_database
    approve_templates(dsn, entity)
    subscribe(dsn, 1)
    subscribe(dsn, 1, first=10, status="unsubscribed")
    record(dsn)
    with running_simulator(speed=1000) as simulator:
        register_templates(simulator, entity)
        for expected in (1, 0):
            sent = rehearse(
                entity,
                freeze(entity, {"name": "Spring", "template": "spring_sale", "test_first": True}),
                lambda: CmComMessenger(settings(simulator)),
                run_key="run/test",
                messages_per_second=80,
                dsn=dsn,
                now=datetime.now(UTC),
                link_key=LINK_KEY,
            )
            assert sent == expected
        assert simulator.stats()["accepted"] == 1
