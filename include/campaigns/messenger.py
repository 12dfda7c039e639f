"""The seam to the gateway: what the sender hands over and what it must be told back. The Dag supplies the
real thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message of one ledger row, complete. `phone` is E.164; `payloads` are the quick replies', each with its
    button's index; `url_parts` what a URL button's address ends with for this person.
    """

    phone: str = field(repr=False)
    reference: str
    template: str
    namespace: str
    language: str
    variables: tuple[str, ...] = field(repr=False)
    payloads: tuple[tuple[int, str], ...]
    fallback_text: str = field(repr=False)
    groupings: tuple[str, str, str]
    header_media: tuple[Literal["image", "video", "document"], str] | None = None
    url_parts: tuple[tuple[int, str], ...] = field(default=(), repr=False)


class Result(Protocol):
    """One message's fate: accepted True, False (with the gateway's code) or None (not known)."""

    @property
    def accepted(self) -> bool | None: ...
    @property
    def code(self) -> int | None: ...


class Delivery(Protocol):
    """One request's fate; see cm_com.delivery.Delivery, which has this shape."""

    @property
    def outcome(self) -> str: ...
    @property
    def results(self) -> Sequence[Result]: ...
    @property
    def code(self) -> int | None: ...
    @property
    def retry_after(self) -> float | None: ...
    @property
    def left_at(self) -> float | None: ...
    @property
    def fatal(self) -> bool: ...
    @property
    def cause(self) -> str: ...


class Messenger(Protocol):
    """An open connection to a gateway. `send` never sends anything twice and reports failures as outcomes."""

    batch_size: int

    def encode(self, message: Outgoing) -> bytes:
        """The message as the gateway's JSON. Raises ValueError when the gateway could not take it."""
        ...

    async def send(self, messages: Sequence[bytes]) -> Any:
        """Post one batch; returns a Delivery with one result per message when it was answered."""
        ...
