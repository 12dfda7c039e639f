"""Keep what people write, link it to what it answers, and do what it asks, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd
import psycopg
from psycopg.types.json import Jsonb

from include import subscriptions
from include.campaigns import reference as references
from include.database import named_sql
from include.entities.models import Entity
from include.inbound.answers import plan_answer
from include.inbound.forward import places_for
from include.inbound.link import addressed
from include.inbound.messages import Inbound
from include.inbound.words import is_opt_out_payload, meaning, means_yes, plain
from include.phone import match_key

SQL = named_sql(__file__)
MEDIA = named_sql(__file__, "media.sql")
Kind = Literal["reply", "stop", "start", "help", "button"]
SOURCE = "whatsapp"
NAMED = 1  # the preference of a message that CM.com says is answered
_NO_KEY = references.LedgerKey(0, 0, 0, 0)


def record_inbound(
    conn: psycopg.Connection[Any],
    messages: Sequence[Inbound],
    *,
    entities: Sequence[Entity],
    suppression_key: bytes | None,
) -> Counter[str]:
    """Record messages in the caller's transaction; safe to repeat. Counts by kind, `linked`, `repeated`, `strangers`.

    `entities`: those that share the sender people wrote to, at least one. A STOP becomes a withdrawal for the entity
    whose message it answers; where that is not known, for every one of them that has the number. A number that
    nobody has is put on the suppression list, if its key is given.
    """
    counts: Counter[str] = Counter()
    if not messages:
        return counts
    keys = match_key(pd.Series([message.number for message in messages], dtype="string")).tolist()
    for message, match in zip(messages, keys, strict=True):
        hashed = subscriptions.person_hash(suppression_key, match) if suppression_key else None
        counts.update(_record(conn, message, match, entities, hashed))
    return counts


def kind_of(message: Inbound, entity: Entity) -> Kind:
    """What a message is. A button's payload says more than its label."""
    if is_opt_out_payload(message.payload):
        return "stop"
    if message.payload:
        return "button"
    said = plain(message.text)
    for button in _quick_replies(entity):
        if said and plain(button.text) == said:
            return "stop" if is_opt_out_payload(button.payload) else "button"
    found = meaning(message.text, entity.settings.keywords)
    return "reply" if found == "other" else found


def _record(
    conn: psycopg.Connection[Any],
    message: Inbound,
    match: str,
    entities: Sequence[Entity],
    hashed: bytes | None,
) -> list[str]:
    by_name = {entity.name: entity for entity in entities}
    named = references.parse(message.reference) or _NO_KEY
    found = list(
        SQL.find(
            conn,
            entities=list(by_name),
            match_key=match,
            occurred_at=message.occurred_at,
            **named._asdict(),
        )
    )
    chosen = addressed(message.text, entities)
    if chosen is not None:
        # A START word says whom it is for, whatever other entity of the same number the person knows.
        found = [row for row in found if row["entity"] == chosen.name]
    best = found[0] if found else None
    entity = by_name[best["entity"]] if best else chosen or entities[0]
    kind = kind_of(message, entity)
    kept = _keep(conn, message, entity, kind, best)
    if kept is None:
        return ["repeated"]
    _send_on(conn, kept, message, entity, kind, best)
    if best is None:
        if kind == "stop" and hashed is not None:
            for name in by_name:
                SQL.suppress(
                    conn, entity=name, person_hash=hashed, source=SOURCE, said_at=message.occurred_at
                )
        return [kind, "strangers"]
    _note(conn, message, kind, best)
    event = None
    if kind == "stop":
        # Without a message that it answers, it is meant for whoever writes from this sender.
        people = found[:1] if best["preference"] == NAMED else found
        events = {
            (name, person): _withdraw(conn, message, name, person)
            for name, person in {(row["entity"], row["subscription_id"]) for row in people}
        }
        event = events[best["entity"], best["subscription_id"]]
    elif _confirms(conn, message, entity, kind, best["campaign_id"]):
        event = _confirm(conn, message, entity, best, only_pending=kind == "start")
    if kind == "start" and event is None:
        event = _grant(conn, message, entity, best)
    if kind == "help" or event is not None:
        plan_answer(
            conn,
            entity,
            kind=kind if kind in ("stop", "help") else "start",
            inbound_id=kept,
            subscription_id=best["subscription_id"],
            consent_event_id=event,
            said_at=message.occurred_at,
        )
    return [kind] + ["linked"] * bool(best["campaign_id"])


def _confirms(
    conn: psycopg.Connection[Any], message: Inbound, entity: Entity, kind: Kind, campaign_id: int | None
) -> bool:
    """Whether a message confirms a yes: the button, a start word, or a yes to the message that asked for it."""
    choice = entity.settings.double_opt_in
    if choice is None or kind in ("stop", "help"):
        return False
    if kind == "start" or (message.payload and plain(message.payload) == plain(choice.payload)):
        return True
    texts = entity.template(choice.template).languages.values()
    # CM.com's log shows a button's label only.
    labels = {
        plain(button.text) for text in texts for button in text.buttons if button.payload == choice.payload
    }
    said_yes = plain(message.text) in labels or means_yes(message.text, choice.words)
    return said_yes and campaign_id is not None and bool(SQL.asks_to_confirm(conn, campaign_id=campaign_id))


def _note(conn: psycopg.Connection[Any], message: Inbound, kind: Kind, best: dict[str, Any]) -> None:
    SQL.note_person(conn, subscription_id=best["subscription_id"], occurred_at=message.occurred_at)
    if best["campaign_id"] is not None:
        SQL.note_reply(
            conn,
            month=best["month"],
            campaign_id=best["campaign_id"],
            subscription_id=best["addressee"],
            occurred_at=message.occurred_at,
            opted_out=kind == "stop",
        )


def _keep(
    conn: psycopg.Connection[Any],
    message: Inbound,
    entity: Entity,
    kind: Kind,
    best: dict[str, Any] | None,
) -> int | None:
    """Keep the message; its id. None when it was known, through this door or the other, and says nothing new."""
    if SQL.known(conn, entity=entity.name, key=message.key, source=message.source):
        return None
    raw = Jsonb(message.raw) if message.raw is not None else None
    details = {"key": message.key, "source": message.source, "raw": raw, "kind": kind}
    details |= {"payload": message.payload, "media_uri": message.media_uri}
    person = best["subscription_id"] if best else None
    same = SQL.same_through_other_door(
        conn,
        entity=entity.name,
        subscription_id=person,
        text=message.text,
        occurred_at=message.occurred_at,
        source=message.source,
    )
    if same is not None:
        # The log shows a button's label only; its payload, and that it means STOP, comes with the webhook.
        better = kind if message.source == "webhook" else same["kind"]
        SQL.complete(conn, id=same["id"], **(details | {"kind": better}))
        _keep_media(conn, same["id"], message, entity)
        return same["id"] if better == "stop" != same["kind"] else None
    added: int | None = SQL.add(
        conn,
        entity=entity.name,
        subscription_id=person,
        campaign_id=best["campaign_id"] if best else None,
        reference=best["reference"] if best else None,
        text=message.text,
        occurred_at=message.occurred_at,
        **details,
    )
    if added is not None:
        _keep_media(conn, added, message, entity)
    return added


def _keep_media(conn: psycopg.Connection[Any], inbound_id: int, message: Inbound, entity: Entity) -> None:
    if message.media_uri is not None and entity.settings.keep_media is not None:
        MEDIA.want(conn, inbound_id=inbound_id, entity=entity.name)


def _send_on(
    conn: psycopg.Connection[Any],
    inbound_id: int,
    message: Inbound,
    entity: Entity,
    kind: Kind,
    best: dict[str, Any] | None,
) -> None:
    if not entity.settings.forwards:
        return
    campaign = SQL.campaign_name(conn, campaign_id=best["campaign_id"]) if best else None
    places = places_for(entity.settings.forwards, kind=kind, text=message.text, campaign=campaign)
    if places:
        SQL.send_on(
            conn,
            inbound_id=inbound_id,
            entity=entity.name,
            forwards=places,
            occurred_at=message.occurred_at,
        )


def _withdraw(conn: psycopg.Connection[Any], message: Inbound, entity: str, person: int) -> int | None:
    return subscriptions.withdraw(
        conn,
        entity=entity,
        subscription_id=person,
        occurred_at=message.occurred_at,
        source=SOURCE,
        source_record_id=message.key,
        method="button" if message.payload else "keyword",
    )


def _confirm(
    conn: psycopg.Connection[Any],
    message: Inbound,
    entity: Entity,
    person: dict[str, Any],
    *,
    only_pending: bool,
) -> int | None:
    return subscriptions.confirm(
        conn,
        entity=entity.name,
        subscription_id=person["subscription_id"],
        occurred_at=message.occurred_at,
        source=SOURCE,
        source_record_id=message.key,
        method="double opt-in",
        only_pending=only_pending,
    )


def _grant(
    conn: psycopg.Connection[Any], message: Inbound, entity: Entity, person: dict[str, Any]
) -> int | None:
    """A yes needs its wording (C2): an entity that names none only keeps the message."""
    wording = next(
        (each for each in entity.settings.wordings if each.id == entity.settings.keywords.start_wording), None
    )
    if wording is None:
        return None
    wanted = (person["language"], entity.settings.default_language, next(iter(wording.texts)))
    return subscriptions.grant(
        conn,
        entity=entity.name,
        subscription_id=person["subscription_id"],
        occurred_at=message.occurred_at,
        source=SOURCE,
        source_record_id=message.key,
        method="keyword",
        collection_point="whatsapp reply",
        wording_id=wording.id,
        wording_language=next(language for language in wanted if language in wording.texts),
    )


def _quick_replies(entity: Entity) -> list[Any]:
    return [
        button
        for template in entity.templates
        for text in template.languages.values()
        for button in text.buttons
        if button.type == "quick_reply"
    ]
