"""JSON schemas of the form's structured fields, from what the entity has: Airflow refuses a wrong value, and why."""

from __future__ import annotations

from typing import Any

from include.entities import Entity

Schema = dict[str, Any]
CLOCK: Schema = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}
HOURS: Schema = {
    "type": ["object", "null"],
    "properties": {"start": CLOCK, "end": CLOCK},
    "additionalProperties": False,
    # An editor that was emptied sends {}, which is as good as nothing.
    "if": {"minProperties": 1},
    "then": {"required": ["start", "end"]},
}
# What include.entities.models.Sendable refuses, as a schema says it.
TEXT: Schema = {
    "type": "string",
    "maxLength": 1024,
    "allOf": [{"pattern": r"\S"}, {"not": {"pattern": r"[\n\r\t\v\f\u0085\u2028\u2029]| {4}"}}],
}
NAME: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$"}


def variables(entity: Entity) -> Schema:
    """Variables by number, each one choice or one a language."""
    most = max((len(template.variables) for template in entity.templates), default=0)
    value: Schema = {
        "properties": {
            "attribute": {"enum": sorted(entity.attributes)},
            "constant": TEXT,
            "fallback": TEXT,
            "max_length": {"type": "integer", "minimum": 1, "maximum": 1024},
        },
        "oneOf": [{"required": ["attribute"]}, {"required": ["constant"]}],
        "additionalProperties": False,
    }
    return _numbered(most, _by_language(entity, value, ("attribute", "constant", "fallback", "max_length")))


def buttons(entity: Entity) -> Schema:
    """Buttons by number, each one choice or one a language."""
    texts = [text for template in entity.templates for text in template.languages.values()]
    value: Schema = {
        "properties": {
            "payload": {"type": "string", "minLength": 1, "maxLength": 256},
            "attribute": {"enum": sorted(entity.attributes)},
            "constant": {**TEXT, "pattern": r"^\S+$"},
            "fallback": {**TEXT, "pattern": r"^\S+$"},
        },
        "oneOf": [{"required": ["payload"]}, {"required": ["attribute"]}, {"required": ["constant"]}],
        "additionalProperties": False,
    }
    most = max((len(text.buttons) for text in texts), default=0)
    return _numbered(most, _by_language(entity, value, ("payload", "attribute", "constant", "fallback")))


def variants(entity: Entity) -> Schema:
    """Other templates and their shares."""
    return {
        "type": ["array", "null"],
        "maxItems": 5,
        "items": {
            "type": "object",
            "properties": {
                "name": NAME,
                "template": {"enum": [template.name for template in entity.templates]},
                "percent": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100},
            },
            "required": ["name", "template", "percent"],
            "additionalProperties": False,
        },
    }


def people(entity: Entity, *, most: int, with_variables: bool) -> Schema:
    """People by a source's own ids."""
    values: Schema = {"type": "object", "propertyNames": NAME, "additionalProperties": {"type": "string"}}
    return {
        "type": ["array", "null"],
        "maxItems": most,
        "items": {
            "type": "object",
            "properties": {
                "source": {"enum": [source.name for source in entity.sources]},
                "record_id": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 200,
                    "not": {
                        "pattern": r"^(\+|00)[0-9 ]{7,}$"
                    },  # a phone number would stay in Airflow's database
                },
                **({"variables": values} if with_variables else {}),
            },
            "required": ["source", "record_id"],
            "additionalProperties": False,
        },
    }


def languages(entity: Entity) -> list[str]:
    """Every language that a template of the entity has."""
    return sorted({language for template in entity.templates for language in template.languages})


def _numbered(most: int, value: Schema) -> Schema:
    numbers = {str(number): value for number in range(1, most + 1)}
    return {"type": ["object", "null"], "properties": numbers, "additionalProperties": False}


def _by_language(entity: Entity, value: Schema, fields: tuple[str, ...]) -> Schema:
    """`if` and not `anyOf`: the reason then names what is wrong with the value, not that nothing fits."""
    by_language = {
        "properties": {language: {"type": "object", **value} for language in languages(entity)},
        "minProperties": 1,
    }
    return {
        "type": "object",
        "if": {"anyOf": [{"required": [field]} for field in fields]},
        "then": value,
        "else": {**by_language, "additionalProperties": False},
    }
