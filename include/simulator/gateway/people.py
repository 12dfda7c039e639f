"""People who write: the answers that follow from the population, and those a test asks for."""

from __future__ import annotations

import hashlib

import msgspec
import orjson

from include.simulator.gateway import clock
from include.simulator.gateway.gateway import Gateway
from include.simulator.gateway.journal import InboundRow, MessageRow
from include.simulator.gateway.population import asks_to_stop, digits
from include.simulator.gateway.settings import Account
from include.simulator.gateway.shapes import Message
from include.simulator.gateway.templates import quick_reply, url_part
from include.simulator.gateway.wire import read_message

_NO_GROUPINGS = '["","",""]'


class Writing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /_sim/inbound`; `sender` is written `from`, and `account` is an account's token or
    id.
    """

    sender: str = msgspec.field(name="from")
    text: str = ""
    to: str | None = None
    payload: str = ""
    reference: str | None = None
    stop: bool | None = None
    account: str | None = None


class People:
    """Turns answers into replies that are remembered; whoever pushes them takes the row that is returned."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._inbound = 0
        self._answered: set[int] = set()

    def load(self) -> None:
        """Take up what the journal holds, after a restart."""
        self._inbound = self._gateway.journal.last_ids()[2]
        self._answered = {each.message for each in self._gateway.journal.inbound()}

    def clear(self) -> None:
        self._inbound = 0
        self._answered.clear()

    @property
    def count(self) -> int:
        """How many messages people have written."""
        return self._inbound

    def has_answered(self, message: int) -> bool:
        """Whether the person has answered this message."""
        return message in self._answered

    def answer(self, message: MessageRow) -> InboundRow | None:
        """The answer of the person to a message, now; None when there is none after all, or STOP was said
        before.
        """
        gateway = self._gateway
        account = gateway.accounts.by_id(message.account)
        person = gateway.population.person(message.recipient)
        if account is None or message.id in self._answered:
            return None
        if person.stop and digits(message.recipient) in gateway.judge.stopped:
            return None
        text, payload = person.reply, person.payload
        sent = _sent(gateway, message)
        if person.click:
            button = self._button(account, sent)
            if button is None:
                return None
            text, payload = text or button[0], payload or button[1]
        sender = sent.sender if sent is not None else None
        groupings = [message.grouping, sent.grouping2 if sent else "", sent.grouping3 if sent else ""]
        return self._write(
            account,
            number=message.recipient,
            recipient=(account.senders[0] if account.senders else sender) or "",
            text=text,
            payload=payload,
            reference=(message.reference or "") if person.linked else None,
            groupings=orjson.dumps([each or "" for each in groupings]).decode()
            if person.linked
            else _NO_GROUPINGS,
            message=message.id,
            stop=person.stop or asks_to_stop(text),
        )

    def link(self, message: MessageRow) -> str | None:
        """The address behind the message's URL button, as this account's people open it; None without one."""
        account = self._gateway.accounts.by_id(message.account)
        sent = _sent(self._gateway, message)
        part = url_part(sent.template) if sent is not None and sent.template is not None else None
        return f"{account.link_url}{part}" if account and account.link_url and part else None

    def write(self, writing: Writing) -> InboundRow:
        """A person writes of their own accord, or answers the message of `reference`. Raises LookupError for
        an unknown one.
        """
        gateway = self._gateway
        accounts = gateway.accounts
        account = accounts.first()
        if writing.account is not None:
            found = accounts.by_token(writing.account) or accounts.by_id(writing.account)
            if found is None:
                raise LookupError("no such account")
            account = found
        answered: MessageRow | None = None
        if writing.reference is not None:
            ids = gateway.judge.accepted(account.account, 0.0, float("inf"), writing.reference)
            if not len(ids):
                raise LookupError("no message has this reference")
            answered = gateway.journal.message(int(ids[-1]))
        sent = _sent(gateway, answered) if answered else None
        groupings = [
            answered.grouping if answered else "",
            sent.grouping2 if sent else "",
            sent.grouping3 if sent else "",
        ]
        return self._write(
            account,
            number=writing.sender,
            recipient=writing.to or (account.senders[0] if account.senders else "0031687654321"),
            text=writing.text,
            payload=writing.payload,
            reference=writing.reference,
            groupings=orjson.dumps([each or "" for each in groupings]).decode(),
            message=answered.id if answered else 0,
            stop=asks_to_stop(writing.text) if writing.stop is None else writing.stop,
        )

    def _write(
        self,
        account: Account,
        *,
        number: str,
        recipient: str,
        text: str,
        payload: str,
        reference: str | None,
        groupings: str,
        message: int,
        stop: bool,
    ) -> InboundRow:
        self._inbound += 1
        own = hashlib.blake2b(f"{self._inbound}/{number}".encode(), digest_size=16).hexdigest()
        row = InboundRow(
            self._inbound,
            clock.now(),
            account.account,
            digits(number),
            recipient,
            text,
            payload,
            reference if reference is not None else own,
            groupings,
            message,
            int(stop),
            0,
        )
        if message:
            self._answered.add(message)
        self._gateway.journal.add("inbound", row)
        self._gateway.heard_from(account.account, row.sender, row.at, stop=stop)
        return row

    def _button(self, account: Account, sent: Message | None) -> tuple[str, str] | None:
        if sent is None or sent.template is None:
            return None
        code = sent.template.language.code if sent.template.language else None
        template = next(
            (
                each
                for each in self._gateway.templates.of(account)
                if each.element_name == sent.template.element_name and each.language == code
            ),
            None,
        )
        return quick_reply(sent.template, template)


def _sent(gateway: Gateway, message: MessageRow) -> Message | None:
    """The message as it was sent, or None when bodies are not kept."""
    sent = gateway.journal.sent(message.id, message.id).get(message.id)
    return read_message(sent) if sent else None
