"""What becomes of an accepted message, as a pure function of the message and the person.

Statuses are numbered twice by CM.com: webhooks count 0 accepted, 2 delivered, 3 failed, 4 read (cm_com.md
4.2), the Transactions API 37 sent, 20 delivered, 21 failed (6.1). Codes 51-65 and their texts are those of
4.3.
"""

from __future__ import annotations

from typing import NamedTuple

from include.simulator.gateway.journal import MessageRow
from include.simulator.gateway.population import Person, Visit
from include.simulator.gateway.settings import Settings

ACCEPTED, DELIVERED, FAILED, READ = 0, 2, 3, 4
WHATSAPP, WHATSAPP_OR_SMS, SMS = 0, 1, 2

NAMES = {ACCEPTED: "accepted", DELIVERED: "delivered", FAILED: "failed", READ: "read"}
DESCRIPTIONS = {ACCEPTED: "Accepted", DELIVERED: "Delivered", READ: "Read"}
ERRORS = {
    "51": "Unknown API error",
    "52": "Permission denied",
    "53": "Invalid parameter",
    "54": "User's number is part of an experiment",
    "55": "Something went wrong",
    "56": "Required parameter is missing",
    "57": "Parameter value is not valid",
    "58": "Recipient cannot be sender",
    "59": "Message undeliverable",
    "60": "Account has been locked",
    "61": "Business eligibility payment issue",
    "62": "Message failed to send because more than 24 hours have passed since the customer last replied",
    "63": "Spam rate limit hit",
    "64": "Media upload error",
    "65": "Business account, consumer account pair rate limit hit",
    "131049": "This message was not delivered to maintain healthy ecosystem engagement",
    "131050": "User has stopped receiving marketing messages",
    "132015": "Template is paused",
    "132016": "Template is disabled",
}
OUTSIDE_WINDOW = "62"

_HANDED_OVER = 0.3  # seconds until the channel has taken the message


class Event(NamedTuple):
    """One status of a message, `after` real seconds from its arrival; `error` is blank unless it failed."""

    after: float
    code: int
    error: str

    @property
    def description(self) -> str:
        return ERRORS.get(self.error, "Failed") if self.code == FAILED else DESCRIPTIONS[self.code]


def timeline(message: MessageRow, person: Person, settings: Settings) -> tuple[Event, ...]:
    """The statuses of an accepted message in order; the last one is its final state."""
    speed = settings.speed
    accepted = Event(_HANDED_OVER / speed, ACCEPTED, "")
    if person.outcome == "pending":
        return (accepted,)
    later = (_HANDED_OVER + person.deliver_after) / speed
    error = message.failure or (person.code if person.outcome == "failed" else "")
    if message.channel == SMS or (error and message.channel == WHATSAPP_OR_SMS):
        return accepted, Event(later, DELIVERED, "")
    if error:
        return accepted, Event(later, FAILED, error)
    delivered = Event(later, DELIVERED, "")
    if person.outcome != "read":
        return accepted, delivered
    return accepted, delivered, Event(later + person.read_after / speed, READ, "")


def reply_after(message: MessageRow, person: Person, settings: Settings) -> float | None:
    """Real seconds from a message's arrival to the person's answer, or None when none comes."""
    if not person.replies or message.channel == SMS:
        return None
    last = timeline(message, person, settings)[-1]
    if last.code not in (DELIVERED, READ) or message.failure:
        return None
    return last.after + person.reply_after / settings.speed


def visit_after(message: MessageRow, visit: Visit | None, person: Person, settings: Settings) -> float | None:
    """Real seconds from a message's arrival until its URL button is opened, or None when it never is."""
    if visit is None or message.channel == SMS:
        return None
    last = timeline(message, person, settings)[-1]
    if last.code not in (DELIVERED, READ) or message.failure:
        return None
    return last.after + visit.after / settings.speed


def state(events: tuple[Event, ...], age: float) -> Event | None:
    """The latest event of a message `age` seconds after its arrival, or None when there is none yet."""
    latest = None
    for event in events:
        if event.after <= age:
            latest = event
    return latest
