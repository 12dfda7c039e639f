"""CM.com's list of WhatsApp templates, read as far as it can be known.

Neither path nor JSON is documented: the keys below are Meta's (``name``, ``language``, ``status``,
``category``, ``components``) and those of CM.com's own send call (``namespace``, ``element_name``). ``raw``
keeps everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cm_com.exceptions import CmComUnreadable

_LISTS = ("templates", "data", "result", "results", "items")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One template in one language; ``status`` and ``quality`` in capitals as Meta writes them (APPROVED,
    PAUSED …; GREEN, YELLOW, RED), "" if not told."""

    namespace: str
    name: str
    language: str
    status: str
    category: str
    quality: str = ""
    components: tuple[Mapping[str, Any], ...] = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)


def read_templates(document: object) -> list[Template]:
    """Templates from parsed JSON: a list, or an object that holds one under a usual name.

    :raises CmComUnreadable: no list of templates is found, or an entry has no name or language.
    """
    rows = document
    if isinstance(document, Mapping):
        lowered = {str(key).lower(): value for key, value in document.items()}
        rows = next((lowered[name] for name in _LISTS if isinstance(lowered.get(name), list)), None)
    if not isinstance(rows, list):
        raise CmComUnreadable("The template list's answer holds no list of templates.")
    return [template for row in rows for template in _templates(row)]


def _templates(row: object) -> list[Template]:
    """CM.com groups languages under a template; Meta lists each language by itself. Both are taken."""
    if not isinstance(row, Mapping):
        raise CmComUnreadable("An entry of the template list is not an object.")
    languages = row.get("languages")
    if isinstance(languages, Mapping):
        return [
            _template({**row, **(inner if isinstance(inner, Mapping) else {}), "language": code}, row)
            for code, inner in languages.items()
        ]
    return [_template(row, row)]


def _template(row: Mapping[str, Any], raw: Mapping[str, Any]) -> Template:
    language = row.get("language") or row.get("languageCode")
    if isinstance(language, Mapping):
        language = language.get("code")
    name = row.get("element_name") or row.get("elementName") or row.get("name")
    if not name or not language:
        raise CmComUnreadable("An entry of the template list has no name or no language.")
    components = row.get("components")
    return Template(
        namespace=str(row.get("namespace") or ""),
        name=str(name),
        language=str(language),
        status=str(row.get("status") or "").upper(),
        category=str(row.get("category") or "").upper(),
        quality=_quality(row),
        components=tuple(components) if isinstance(components, list) else (),
        raw=raw,
    )


def _quality(row: Mapping[str, Any]) -> str:
    """GREEN, YELLOW, RED or UNKNOWN under one of Meta's names (``quality_score: {"score": …}``), "" if not told."""
    told = row.get("quality_score") or row.get("qualityScore") or row.get("quality")
    if isinstance(told, Mapping):
        told = told.get("score")
    return str(told or "").upper()
