"""The parameters of a campaign run: validated once, frozen, hashed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import Field, ValidationError, field_validator

from include.campaigns.errors import ParametersInvalid
from include.entities import Entity
from include.entities.models import Model


class CampaignParameters(Model):
    """What a marketer chose in the form. Defaults are the careful ones."""

    name: str = Field(min_length=1, max_length=80)
    template: str
    segment: str = "everyone"
    dry_run: bool = True
    workers: int = Field(default=2, ge=1, le=4, description="sending tasks side by side")
    holdout_percent: float = Field(default=0, ge=0, le=50)
    messages_per_second: int | None = Field(default=None, ge=1, le=1000)

    @field_validator("messages_per_second", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value in ("", 0) else value

    @property
    def hash(self) -> str:
        """Hash of all values, the same for the same choices."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def freeze(entity: Entity, raw: dict[str, Any]) -> CampaignParameters:
    """Validate the form against the entity. Raises ParametersInvalid with every reason."""
    try:
        parameters = CampaignParameters.model_validate(raw)
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ParametersInvalid(f"The campaign cannot start. {'; '.join(reasons)}.") from None
    reasons = []
    templates = {template.name for template in entity.templates}
    if parameters.template not in templates:
        reasons.append(
            f"template {parameters.template!r} is not known; {entity.name} has {_listed(templates)}"
        )
    segments = {segment.name for segment in entity.segments} | {"everyone"}
    if parameters.segment not in segments:
        reasons.append(f"segment {parameters.segment!r} is not known; {entity.name} has {_listed(segments)}")
    if reasons:
        raise ParametersInvalid(f"The campaign cannot start: {'; '.join(reasons)}.")
    return parameters


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
