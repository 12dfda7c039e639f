"""`whatsapp …` with bad input: one clear sentence each, exit code 1, nothing half-done."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from pydantic import ValidationError
from typer.testing import CliRunner

from include.cli import app
from include.entities.source_options import OPTIONS
from include.local.commands import ROOT

NOWHERE = "postgresql://whatsapp:secret@127.0.0.1:9/whatsapp"


def whatsapp(*arguments: str, **variables: str) -> Result:
    """Run the command with these environment variables."""
    return CliRunner().invoke(app, arguments, env=variables)


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("sources/webshop.yaml", "wording:", "wordin:", "Did you mean 'wording'?"),
        ("sources/survey.yaml", "wording: survey-2026-03", "wording: survey-2026-3", "survey-2026-3"),
        ("templates/spring_sale.yaml", "category: marketing", "category: marketting", "marketing"),
        ("campaigns/spring.yaml", "template: spring_sale", "template: spring_sail", "spring_sail"),
        ("sources/webshop.yaml", "  changed_column:", "  chaged_column:", "Did you mean 'changed_column'?"),
        ("sources/webshop.yaml", "options:\n  table: customers\n", "options:\n", "a `table` or by a `query`"),
        (
            "sources/survey.yaml",
            'options: {pattern: "survey_*.csv"',
            "options: {patern: 1",
            "mean 'pattern'?",
        ),
        (
            "sources/survey.yaml",
            "options: {pattern:",
            "options: {encoding: utf8mb4, pattern:",
            "no encoding 'utf8mb4'",
        ),
        (
            "sources/survey.yaml",
            "options: {pattern:",
            'options: {remember: "false", pattern:',
            "a valid boolean",
        ),
        (
            "sources/preference_centre.yaml",
            "options: {path:",
            "options: {first_page: x, path:",
            "a valid integer",
        ),
        (
            "sources/survey.yaml",
            "options: {pattern:",
            "options: {encoding: hex, pattern:",
            "no encoding 'hex' of texts",
        ),
        ("sources/survey.yaml", 'separator: ";"', 'separator: ";;"', "options.separator"),
        (
            "sources/preference_centre.yaml",
            "options: {path:",
            "options: {page_parameter: , path:",
            "nothing behind",
        ),
        (
            "sources/preference_centre.yaml",
            "options: {path:",
            "options: {offset_parameter: from, path:",
            "`offset_parameter` is of `paging: offset`",
        ),
        ("entity.yaml", "default_region: BE", "default_region: Belgium", "default_region"),
        ("entity.yaml", "label: Acme Outdoor", "label: Acme: Outdoor", "Not valid YAML"),
    ],
)
def test_check_names_file_line_and_remedy(tmp_path: Path, file: str, old: str, new: str, told: str) -> None:
    shutil.copytree(ROOT / "include" / "entities" / "acme", tmp_path / "acme")
    wrong = tmp_path / "acme" / file
    content = wrong.read_text()
    assert old in content
    wrong.write_text(content.replace(old, new, 1))
    line = content[: content.index(old)].count("\n") + 1
    done = whatsapp("check", WHATSAPP_ENTITIES=str(tmp_path))
    assert done.exit_code == 1
    assert f"acme/{file}:{line}" in done.stderr, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("{table: people, subscription: WhatsApp}", "no `entity`"),
        ("{export: changes.zip, subscription_column: subscription}", "needs `subscription`"),
        (
            "{entity: acme, table: people, subscription: WhatsApp, bulk: {above: 1}}",
            "options.bulk.etl is missing",
        ),
        ("{entity: acme, table: people, subscription: WhatsApp, prefix: v5}", "options.prefix:"),
        (
            "{entity: acme, table: people, subscription: WhatsApp, path: /x}",
            "options.path is not a known field",
        ),
    ],
)
def test_check_says_what_a_source_of_actito_lacks(tmp_path: Path, options: str, told: str) -> None:
    shutil.copytree(ROOT / "include" / "entities" / "acme", tmp_path / "acme")
    place = tmp_path / "acme" / "sources" / "preference_centre.yaml"
    text = place.read_text().replace("kind: http", "kind: actito")
    place.write_text(re.sub(r"^options: .*$", f"options: {options}", text, flags=re.MULTILINE))
    done = whatsapp("check", WHATSAPP_ENTITIES=str(tmp_path))
    assert done.exit_code == 1
    line = next(n for n, text in enumerate(place.read_text().splitlines(), 1) if text.startswith("options:"))
    assert f"preference_centre.yaml:{line}" in done.stderr
    assert told in done.stderr


def test_check_knows_both_endings_of_a_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "include" / "entities" / "acme", tmp_path / "acme")
    sources = tmp_path / "acme" / "sources"
    shop = (sources / "webshop.yaml").rename(sources / "webshop.yml")
    assert whatsapp("check", WHATSAPP_ENTITIES=str(tmp_path)).exit_code == 0
    shop.write_text(shop.read_text().replace("changed_column", "chaged_column"))
    done = whatsapp("check", WHATSAPP_ENTITIES=str(tmp_path))
    assert "webshop.yml:12: options.chaged_column is not a known field" in done.stderr
    shutil.copy(shop, sources / "webshop.yaml")
    assert "There is a webshop.yaml as well" in whatsapp("check", WHATSAPP_ENTITIES=str(tmp_path)).stderr


def test_numbers_of_actito_need_no_quotes() -> None:
    options = OPTIONS["actito"].model_validate({"entity": "acme", "table": 16, "subscription": "WhatsApp"})
    assert options.model_dump(exclude_none=True) == {
        "entity": "acme",
        "table": "16",
        "subscription": "WhatsApp",
    }
    with pytest.raises(ValidationError, match="table"):
        OPTIONS["actito"].model_validate({"entity": "acme", "table": 1.5, "subscription": "WhatsApp"})


@pytest.mark.parametrize("key", ["customerId", "customerId={customer-id}", "{a}{", ""])
def test_a_profile_key_names_a_field(key: str) -> None:
    table = {"entity": "acme", "table": "people", "subscription": "WhatsApp"}
    assert OPTIONS["actito_pushed"].model_validate({**table, "profile_key": "customerId={customer.id}"})
    with pytest.raises(ValidationError, match="profile_key"):
        OPTIONS["actito_pushed"].model_validate({**table, "profile_key": key})


def test_check_counts_a_templates_placeholders(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "include" / "entities" / "acme", tmp_path / "acme")
    template = tmp_path / "acme" / "templates" / "spring_sale.yaml"
    content = template.read_text()
    template.write_text(content.replace("{{2}}", "{{3}}", 1))
    done = whatsapp("check", WHATSAPP_ENTITIES=str(tmp_path))
    line = content[: content.index("languages:")].count("\n") + 1
    assert f"spring_sale.yaml:{line}: languages: language en has the placeholders" in done.stderr
    assert done.exit_code == 1


@pytest.mark.parametrize(
    "arguments", [("db", "status"), ("db", "migrate"), ("report", "1"), ("campaign", "pause", "1")]
)
def test_a_database_that_is_away_is_one_sentence(arguments: tuple[str, ...]) -> None:
    done = whatsapp(*arguments, AIRFLOW_CONN_WHATSAPP_DB=NOWHERE)
    assert done.exit_code == 1
    assert "127.0.0.1" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("arguments", [("report", "1"), ("campaign", "pause", "1")])
def test_a_database_without_our_tables_is_refused(database: str, arguments: tuple[str, ...]) -> None:
    done = whatsapp(*arguments, AIRFLOW_CONN_WHATSAPP_DB=database)
    assert done.exit_code == 1
    assert "whatsapp db migrate" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_no_database_at_all_says_what_to_set() -> None:
    done = whatsapp("db", "status", AIRFLOW_CONN_WHATSAPP_DB="")
    assert done.exit_code == 1
    assert "AIRFLOW_CONN_WHATSAPP_DB" in done.stderr


def test_a_campaign_that_does_not_exist_is_one_sentence(migrated_database: str) -> None:
    for arguments in (("report", "7"), ("campaign", "pause", "7")):
        done = whatsapp(*arguments, AIRFLOW_CONN_WHATSAPP_DB=migrated_database)
        assert done.exit_code == 1
        assert "7" in done.stderr
        assert "Traceback" not in done.stderr
