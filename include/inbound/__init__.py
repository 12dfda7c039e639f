"""What people write back: read, understood, linked to the message it answers, and obeyed."""

from include.inbound.messages import Inbound, Unreadable, from_log_row, from_webhook
from include.inbound.record import kind_of, record_inbound

__all__ = ["Inbound", "Unreadable", "from_log_row", "from_webhook", "kind_of", "record_inbound"]
