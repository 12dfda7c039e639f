"""What people write back: read, understood, linked to the message it answers, obeyed, and sent on."""

from include.inbound.forward import (
    EmailForwarder,
    Forwarder,
    ForwardFailed,
    Reply,
    WebhookForwarder,
    forward_due,
)
from include.inbound.messages import Inbound, Unreadable, from_log_row, from_webhook
from include.inbound.record import kind_of, record_inbound

__all__ = [
    "EmailForwarder",
    "ForwardFailed",
    "Forwarder",
    "Inbound",
    "Reply",
    "Unreadable",
    "WebhookForwarder",
    "forward_due",
    "from_log_row",
    "from_webhook",
    "kind_of",
    "record_inbound",
]
