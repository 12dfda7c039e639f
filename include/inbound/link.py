"""The door that needs no form: a link or QR code opens WhatsApp with a START word, and sending it is the opt-in."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import segno

from include.entities import Entity
from include.inbound.words import plain

DEFAULT_WORD = "START"
FORMATS = (".svg", ".png")


class NoOptInLink(Exception):
    """The entity's files do not make an opt-in of what people would send."""


def optin_link(entity: Entity, *, others: Iterable[Entity] = ()) -> str:
    """The https://wa.me link that opens a chat with the entity's number and its first START word, ready to be sent.

    `others`: the entities that may share its sender. Raises NoOptInLink with the remedy.
    """
    settings = entity.settings
    if settings.whatsapp_number is None:
        raise NoOptInLink(
            f"entity.yaml of {entity.name} does not say which number people write to. Add `whatsapp_number: "
            '"+32 …"`, the sender number of its CM.com connection.'
        )
    if not any(source.kind == "inbound" for source in entity.sources):
        raise NoOptInLink(
            f"{entity.name} has no source of the kind `inbound`, so a START word would subscribe nobody. "
            "Add sources/whatsapp.yaml as the sample entity has it."
        )
    word = start_word(entity)
    sharing = [
        other.name
        for other in others
        if other.name != entity.name and other.settings.connection == settings.connection
    ]
    if sharing and not settings.keywords.start:
        raise NoOptInLink(
            f"{entity.name} shares its number with {', '.join(sharing)}: give it a START word of its own, such as "
            f'`keywords: {{start: ["START {settings.label}"]}}`.'
        )
    return f"https://wa.me/{settings.whatsapp_number.removeprefix('+')}?text={quote(word, safe='')}"


def start_word(entity: Entity) -> str:
    """The START word of the entity's link: the first of its own, else START."""
    return next(iter(entity.settings.keywords.start), DEFAULT_WORD)


def addressed(text: str, entities: Iterable[Entity]) -> Entity | None:
    """The entity whose own START word a message is, where entities share a number; None if nobody's or several's."""
    said = plain(text)
    found = [
        entity
        for entity in entities
        if said and said in {plain(word) for word in entity.settings.keywords.start}
    ]
    return found[0] if len(found) == 1 else None


def terminal_code(link: str) -> str:
    """The link as a QR code of block characters, to be read from the screen."""
    text = io.StringIO()
    segno.make(link, error="m", micro=False).terminal(out=text, compact=True)
    return text.getvalue()


def write_code(link: str, path: Path) -> None:
    """Write the link's QR code as SVG or PNG, by the path's suffix, black on white with a quiet zone.

    Raises NoOptInLink for another suffix, OSError.
    """
    if path.suffix.lower() not in FORMATS:
        raise NoOptInLink(f"{path.name}: a QR code is written as {' or '.join(FORMATS)}.")
    segno.make(link, error="m", micro=False).save(str(path), scale=10, border=4, light="white")
