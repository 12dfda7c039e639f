"""What a webhook is sent: one JSON object per status and per reply."""

from __future__ import annotations

from typing import Any

import orjson

from include.simulator.gateway import clock
from include.simulator.gateway.fates import FAILED, Event
from include.simulator.gateway.journal import InboundRow, MessageRow
from include.simulator.gateway.settings import Settings


def status_body(message: MessageRow, event: Event, settings: Settings) -> bytes:
    """A status report: `msg` is one object and every value a string (cm_com.md 4.1)."""
    received = clock.local(message.arrived + event.after, settings.webhook_timezone)
    status = {
        "code": str(event.code),
        "errorCode": event.error if event.code == FAILED else "",
        "errorDescription": event.description,
    }
    content: dict[str, Any] = {
        "received": received.strftime("%Y-%m-%dT%H:%M:%S"),
        "to": message.recipient,
        "reference": message.reference or "",
        "status": status,
        "operator": "",
    }
    return orjson.dumps({"messages": {"msg": content}})


def inbound_body(inbound: InboundRow, settings: Settings) -> bytes:
    """A message of a person (cm_com.md 5.2)."""
    prefix = "+" if settings.mo_plus else "00"
    content = {
        "reference": inbound.reference,
        "messageContext": "",
        "from": {"number": prefix + inbound.sender, "name": ""},
        "to": {"number": inbound.recipient},
        "message": {
            "text": inbound.text,
            "media": {"mediaUri": "", "contentType": "", "title": ""},
            # Where a button's payload is found is unknown (5.2): receivers must search `custom` without
            # assuming a key.
            "custom": {"payload": inbound.payload} if inbound.payload else {},
        },
        "groupings": orjson.loads(inbound.groupings),
        "timeUtc": clock.local(inbound.at, "UTC").strftime("%Y-%m-%dT%H:%M:%S"),
        "channel": "WhatsApp",
    }
    return orjson.dumps(content)
