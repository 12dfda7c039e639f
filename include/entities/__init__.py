"""Entities: a folder of YAML each, read into validated models. See docs/entities.md for every field."""

from include.entities.load import entities_folder, entity_names, load_entity
from include.entities.models import (
    Audience,
    CampaignDefinition,
    Entity,
    Source,
    Template,
    TemplateText,
    Variable,
    Wording,
)
from include.entities.problems import EntityProblem, EntityProblems

__all__ = [
    "Audience",
    "CampaignDefinition",
    "Entity",
    "EntityProblem",
    "EntityProblems",
    "Source",
    "Template",
    "TemplateText",
    "Variable",
    "Wording",
    "entities_folder",
    "entity_names",
    "load_entity",
]
