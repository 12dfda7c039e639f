"""The gateway itself: which messages of a request are accepted, and what is remembered of them.

Knows nothing of HTTP. `Gateway.submit` is the path every message takes; it costs about 10 µs per message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from include.simulator.gateway import wire
from include.simulator.gateway.accounts import Accounts
from include.simulator.gateway.fates import OUTSIDE_WINDOW, SMS, WHATSAPP, WHATSAPP_OR_SMS
from include.simulator.gateway.journal import Journal, MessageRow
from include.simulator.gateway.judge import Judge
from include.simulator.gateway.population import Population, digits
from include.simulator.gateway.settings import Account, Settings
from include.simulator.gateway.shapes import Message, Messages, Recipient
from include.simulator.gateway.templates import TemplateRegistry
from include.simulator.gateway.wire import WireError

_REJECTIONS = {
    401: "Message has been spam filtered",
    402: "Message has been blacklisted",
    403: "Message has been rejected",
}


class Throttled(Exception):
    """The request would exceed the configured rate; nothing of it was taken."""


class Gateway:
    """One simulated CM.com: its accounts and everything it has been sent."""

    def __init__(
        self,
        *,
        settings: Settings,
        accounts: Accounts,
        templates: TemplateRegistry,
        population: Population,
        journal: Journal,
        judge: Judge,
    ) -> None:
        self.settings = settings
        self.accounts = accounts
        self.templates = templates
        self.population = population
        self.journal = journal
        self.judge = judge
        # Called with the rows of every request; whoever sends statuses puts itself here.
        self.on_messages: Callable[[list[MessageRow]], None] = _ignore
        self._window: deque[tuple[float, int]] = deque()
        self._in_window = 0
        self._last_inbound: dict[tuple[str, str], float] = {}
        self._requests = 0
        self._messages = 0

    def load(self) -> None:
        """Take up what the journal holds, after a restart."""
        self._requests, self._messages, _ = self.journal.last_ids()
        for inbound in self.journal.inbound():
            self.heard_from(inbound.account, inbound.sender, inbound.at, stop=bool(inbound.stop))
        for request in self.journal.requests():
            self.judge.request(request.outcome)
        for message in self.journal.messages():
            sent = b""
            if digits(message.recipient) in self.judge.stopped:
                sent = self.journal.sent(message.id, message.id).get(message.id, b"")
            self.judge.message(message, template=not sent or wire.read_message(sent).template is not None)

    def authenticate(self, header: str | None, body: Messages | None) -> Account:
        """The account of the header's token, else of the body's; raises WireError 101."""
        token = header
        if not token and body is not None and body.authentication is not None:
            token = body.authentication.token
        account = self.accounts.by_token(token)
        if account is None:
            raise WireError(wire.AUTHENTICATION, self.settings.auth_details)
        return account

    def submit(
        self,
        account: Account,
        messages: tuple[Message, ...],
        arrived: float,
        body: bytes,
        *,
        outcome: str = "answered",
    ) -> tuple[int, bytes]:
        """Take a request's messages: (HTTP status, answer). Raises WireError 203 and Throttled.

        `outcome` is what will be remembered of the request: answered, or the fault that will spoil the
        answer. What is accepted is in the journal only after `await journal.flushed()`.
        """
        if not messages or len(messages) > self.settings.max_messages:
            raise WireError(wire.MSG_ARRAY, "The number of messages in the request is not correct")
        total = sum(len(message.to or (None,)) for message in messages)
        self._admit(total, arrived)
        self._requests += 1
        answers: list[dict[str, Any]] = []
        rows: list[MessageRow] = []
        created = 0
        for position, message in enumerate(messages):
            code, details = self._problem(message)
            failure: str | None = None
            channel = _channel(message.allowed_channels)
            template = message.template
            if code == wire.OK and template is not None:
                failure = self.templates.failure(account, template)
            for recipient in message.to or (Recipient(),):
                number = recipient.number or ""
                reason, why = (code, details) if code else self._recipient_problem(number)
                ending = failure
                if reason == wire.OK:
                    created += 1
                    if (
                        template is None
                        and channel != SMS
                        and not self._window_open(account, number, arrived)
                    ):
                        ending = OUTSIDE_WINDOW
                answers.append(
                    {
                        "to": number,
                        "status": "Rejected" if reason else "Accepted",
                        "reference": message.reference,
                        "parts": 0 if reason else 1,
                        "messageDetails": why,
                        "messageErrorCode": reason,
                    }
                )
                self._messages += 1
                row = MessageRow(
                    self._messages,
                    self._requests,
                    position,
                    arrived,
                    account.account,
                    message.reference,
                    number,
                    message.grouping or "",
                    reason,
                    ending,
                    channel,
                )
                rows.append(row)
                self.judge.message(row, template=template is not None)
        status = 200 if created else 400
        self.judge.request(outcome)
        self.journal.add("request", (self._requests, arrived, account.account, status, outcome))
        if self.settings.keep_bodies:
            raw = wire.raw_messages(body)
            self.journal.extend("message", ((*row, raw[row.position]) for row in rows))
        else:
            self.journal.extend("message", ((*row, b"") for row in rows))
        self.on_messages(rows)
        error = wire.OK if created == total else wire.PARTIAL
        return status, wire.encode_answer(f"Created {created} message(s)", error, answers)

    def note_request(self, arrived: float, status: int, outcome: str) -> None:
        """Remember a request of which no message was taken."""
        self._requests += 1
        self.judge.request(outcome)
        self.journal.add("request", (self._requests, arrived, "", status, outcome))

    def heard_from(self, account: str, number: str, at: float, *, stop: bool) -> None:
        """A person wrote: the customer-care window opens; a STOP is remembered."""
        self._last_inbound[account, digits(number)] = at
        if stop:
            self.judge.stop(number, at)

    def clear(self) -> None:
        """Forget every message, reply and request; accounts and templates stay."""
        self.journal.clear()
        self.judge.clear()
        self._window.clear()
        self._last_inbound.clear()
        self._requests = self._messages = self._in_window = 0

    def _admit(self, count: int, now: float) -> None:
        if self.settings.rate is None:
            return
        while self._window and self._window[0][0] <= now - 1.0:
            self._in_window -= self._window.popleft()[1]
        if self._in_window + count > self.settings.rate:
            raise Throttled
        self._window.append((now, count))
        self._in_window += count

    def _problem(self, message: Message) -> tuple[int, str | None]:
        sender = message.sender
        if not sender or (
            len(sender) > 11 and not (sender.removeprefix("+").isdecimal() and len(sender) <= 17)
        ):
            # A WhatsApp sender that is none of the account's is not an error: CM.com then uses the first one
            # (2.1).
            return wire.FROM, "The sender is not valid"
        if not message.to:
            return wire.TO, "No recipients were found"
        content = message.body.content if message.body is not None else None
        if not content and not (
            content == "" and message.rich is not None and self.settings.accept_empty_content
        ):
            return wire.BODY, "A body without content was found"
        if self.settings.strict_reference and not _is_reference(message.reference):
            return wire.FIELD, "The reference is not valid"
        groupings = (message.grouping, message.grouping2, message.grouping3)
        if self.settings.strict_grouping and any(len(each or "") > 100 for each in groupings):
            return wire.FIELD, "The customGrouping is not valid"
        return wire.OK, None

    def _recipient_problem(self, number: str) -> tuple[int, str | None]:
        plain = number[1:] if number[:1] == "+" else number
        if not (plain.isascii() and plain.isdigit() and len(plain) > 5):
            return wire.NUMBER, f"Gsm '{number}' is not a number."
        if self.population.rejects:
            person = self.population.person(number)
            if person.outcome == "rejected":
                code = int(person.code or 403)
                return code, _REJECTIONS.get(code, "Message has been rejected")
        return wire.OK, None

    def _window_open(self, account: Account, number: str, now: float) -> bool:
        at = self._last_inbound.get((account.account, digits(number)))
        return at is not None and (now - at) * self.settings.speed < self.settings.window_seconds


def _is_reference(text: str | None) -> bool:
    return text is None or (0 < len(text) <= 32 and text.isascii() and text.isalnum())


def _ignore(rows: list[MessageRow]) -> None:
    """Nobody sends statuses."""


def _channel(allowed: tuple[str, ...] | None) -> int:
    if allowed is None or allowed == ("WhatsApp",):
        return WHATSAPP
    names = {each.lower() for each in allowed}
    if "whatsapp" not in names:
        return SMS
    return WHATSAPP_OR_SMS if "sms" in names else WHATSAPP
