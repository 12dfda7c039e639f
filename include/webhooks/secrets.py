"""The unguessable part of a webhook's path: CM.com signs nothing, so who knows the path is CM.com."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping

ENVIRONMENT_NAME = "WHATSAPP_WEBHOOK_SECRETS"
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")


class SettingsProblem(Exception):
    """A setting of the webhook cannot be used."""


class SecretsProblem(SettingsProblem):
    """The configured secrets cannot be used; the message says which entity's and never shows one."""


class Secrets:
    """Finds the entities that a path's secret stands for.

    `of_entity`: entity name → its valid secrets, at least one: a new one beside the old while CM.com's settings are
    changed. A secret under two entities means that both send through one integration. `entity.source` instead of an
    entity is for a source that sends its opt-ins; its secret is good for nothing else. Raises SecretsProblem.
    """

    def __init__(self, of_entity: Mapping[str, Iterable[str]]) -> None:
        entities: dict[bytes, list[str]] = {}
        for name, secrets in of_entity.items():
            for secret in secrets:
                if not _SECRET.fullmatch(secret):
                    raise SecretsProblem(
                        f"A webhook secret of {name} is not 16 to 128 letters, digits, - or _. "
                        "Make one with `openssl rand -hex 24`."
                    )
                entities.setdefault(_digest(secret), []).append(name)
        self._entities = {digest: tuple(names) for digest, names in entities.items()}

    def entities(self, secret: str) -> tuple[str, ...]:
        """The entities of a secret, none for a wrong one. How long it takes tells nothing about how near a guess is."""
        return tuple(name for name in self._entities.get(_digest(secret), ()) if "." not in name)

    def source(self, secret: str) -> tuple[str, str] | None:
        """The entity and source whose opt-ins may be posted with a secret."""
        for name in self._entities.get(_digest(secret), ()):
            entity, separator, source = name.partition(".")
            if separator:
                return entity, source
        return None

    def named_source(self, name: str, secret: str) -> tuple[str, str] | None:
        """The entity and source of a name such as `acme.crm`, if the secret is one of that source."""
        entity, separator, source = name.partition(".")
        known = separator and name in self._entities.get(_digest(secret), ())
        return (entity, source) if known else None


def secrets_from_environment() -> Secrets:
    """WHATSAPP_WEBHOOK_SECRETS: `entity=secret[,secret]` or `entity.source=…`, separated by `;` or spaces.

    Raises SecretsProblem.
    """
    of_entity: dict[str, list[str]] = {}
    for pair in re.split(r"[;\s]+", os.environ.get(ENVIRONMENT_NAME, "").strip()):
        if not pair:
            continue
        name, separator, secrets = pair.partition("=")
        if not separator or not name:
            raise SecretsProblem(
                f"{ENVIRONMENT_NAME} must be entity=secret[,secret] pairs, separated by `;`."
            )
        of_entity.setdefault(name, []).extend(secret for secret in secrets.split(",") if secret)
    if not of_entity:
        raise SecretsProblem(
            f"{ENVIRONMENT_NAME} is not set: without a secret path nobody may post. Set entity=secret pairs; make a "
            "secret with `openssl rand -hex 24`, and register its URL with CM.com."
        )
    return Secrets(of_entity)


def _digest(secret: str) -> bytes:
    # Looking up a digest instead of comparing strings: a guess cannot be improved by timing, for its digest is random.
    return hashlib.blake2b(secret.encode("utf-8", "replace"), digest_size=16).digest()
