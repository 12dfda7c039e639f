"""The templates registered per account, and what becomes of a message that does not fit its template.

CM.com accepts such a message and reports the failure by status; which code it then uses is unknown (cm_com.md
2.2), so the codes come from `Settings`. An account that has no template at all accepts every template.
"""

from __future__ import annotations

from typing import Any

import msgspec

from include.simulator.gateway.settings import Account, Settings, Template
from include.simulator.gateway.shapes import Component, WhatsAppTemplate

_SENDABLE = {"APPROVED", "FLAGGED", "REINSTATED", "UNARCHIVED"}
_DEAD = {"DISABLED", "DELETED", "REJECTED"}


class TemplateRegistry:
    """Templates by account, name and language."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._templates: dict[str, dict[tuple[str, str], Template]] = {}

    def register(self, account: Account, template: Template) -> None:
        """Add a template to an account, or replace the one of the same name and language."""
        self._templates.setdefault(account.account, {})[template.element_name, template.language] = template

    def of(self, account: Account) -> list[Template]:
        """The account's templates, in the order of their registration."""
        return list(self._templates.get(account.account, {}).values())

    def listing(self, account: Account) -> dict[str, Any]:
        """The answer to a template query. Its JSON is invented: CM.com's is undocumented (cm_com.md 2.4)."""
        return {"templates": [msgspec.to_builtins(template) for template in self.of(account)]}

    def failure(self, account: Account, sent: WhatsAppTemplate) -> str | None:
        """The errorCode with which a message of this template will fail, or None when it fits."""
        known = self._templates.get(account.account)
        if not known:
            return None
        language = (sent.language.code if sent.language else None) or ""
        template = known.get((sent.element_name or "", language))
        if template is None and sent.language is not None and sent.language.policy == "fallback":
            template = next((each for (name, _), each in known.items() if name == sent.element_name), None)
        if template is None or (template.namespace and template.namespace != sent.namespace):
            return self._settings.code_unknown_template
        if template.status not in _SENDABLE:
            dead = template.status in _DEAD
            return self._settings.code_disabled if dead else self._settings.code_not_approved
        return None if _fits(template, sent.components or ()) else self._settings.code_wrong_variables


def quick_reply(sent: WhatsAppTemplate, template: Template | None) -> tuple[str, str] | None:
    """Label and payload of the first quick reply button of a message, or None when it has none."""
    buttons = template.buttons if template else ()
    for component in sent.components or ():
        if (component.type or "").lower() == "button" and (component.sub_type or "").lower() == "quick_reply":
            payload = next((each.payload for each in component.parameters or () if each.payload), "")
            index = _index(component)
            label = buttons[index].text if 0 <= index < len(buttons) else ""
            return label or payload, payload
    return next(((each.text, each.text) for each in buttons if each.type == "quick_reply"), None)


def url_part(sent: WhatsAppTemplate) -> str | None:
    """What fills the variable of a message's first URL button, or None when it has none."""
    for component in sent.components or ():
        if (component.type or "").lower() == "button" and (component.sub_type or "").lower() == "url":
            return next((each.text for each in component.parameters or () if each.text), None)
    return None


def _fits(template: Template, components: tuple[Component, ...]) -> bool:
    counts = {"header": 0, "body": 0}
    urls: set[int] = set()
    for component in components:
        kind = (component.type or "").lower()
        parameters = component.parameters or ()
        if any(each.type == "text" and not (each.text or "").strip() for each in parameters):
            return False
        if kind == "button":
            if (component.sub_type or "").lower() == "url":
                urls.add(_index(component))
        elif kind in counts:
            counts[kind] += len(parameters)
            if kind == "header" and any(each.type != template.header for each in parameters):
                return False
    media = template.header in ("image", "video", "document")
    wanted = {index for index, each in enumerate(template.buttons) if each.type == "url" and each.variable}
    return (
        counts["body"] == template.body_variables
        and counts["header"] == (1 if media else template.header_variables)
        and urls == wanted
    )


def _index(component: Component) -> int:
    """A button's index, written as a number or a string; -1 for anything else."""
    text = str(component.index or 0)
    return int(text) if text.isdecimal() else -1
