"""Send a list of messages once, however often the task that sends it is retried, cleared or killed.

CM.com has no idempotency key, so the memory of what left is kept here: one record per request, written
before the request leaves and completed after its answer. A request whose record was never completed is
uncertain and is not made again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from cm_com.delivery import MessageResult
from cm_com.exceptions import CmComError, CmComRequestError, CmComUnavailable, CmComUncertain
from cm_com.wire.answers import identify

Message = Mapping[str, Any]


class Store(Protocol):
    """Where the records are: Airflow's task state store, which retries and clears of a task share."""

    def get(self, key: str) -> Any: ...
    def set(self, key: str, value: Any) -> None: ...
    def delete(self, key: str) -> None: ...


def send_once(
    send: Callable[[Sequence[Message]], list[MessageResult]],
    messages: Sequence[Message],
    *,
    size: int,
    store: Store,
    secret: str,
) -> list[MessageResult]:
    """Send ``messages`` in requests of ``size``, except those that have left in an earlier call.

    ``store`` holds no phone number: recipients are remembered as an HMAC under ``secret``. The first
    request that fails ends the call; the next call goes on behind it if its outcome is unknown, and with it
    if nothing was sent.

    Returns one result per message, in order. ``accepted`` is None where the outcome is unknown.

    :raises CmComRequestError: ``messages`` has other recipients than in the earlier call. Nothing was sent.
    :raises CmComError: what ``send`` raised.
    """
    _check_recipients(messages, store=store, secret=secret)
    results: list[MessageResult] = []
    for number, first in enumerate(range(0, len(messages), size)):
        batch = messages[first : first + size]
        results += _send_request(send, batch, store=store, key=f"request_{number}")
    return results


def _send_request(
    send: Callable[[Sequence[Message]], list[MessageResult]],
    batch: Sequence[Message],
    *,
    store: Store,
    key: str,
) -> list[MessageResult]:
    record = store.get(key)
    if record is not None:
        told = record.get("results")
        if told is None:
            return [MessageResult(one.reference, None, None) for one in identify(batch)]
        return [MessageResult(*result) for result in told]
    _write(store, key, {"state": "sending"})
    try:
        results = send(batch)
    except CmComUncertain as error:
        references = [one.reference for one in identify(batch)]
        raise CmComUncertain(f"{error} They are {references[0]} to {references[-1]}.") from error
    except CmComError:
        # Every other class says that nothing was sent.
        store.delete(key)
        raise
    store.set(key, {"state": "answered", "results": [list(result) for result in results]})
    return results


def _check_recipients(messages: Sequence[Message], *, store: Store, secret: str) -> None:
    recipients = [one.to for one in identify(messages)]
    digest = hmac.new(secret.encode(), "\n".join(recipients).encode(), hashlib.sha256).hexdigest()
    if len(set(recipients)) < len(recipients):
        raise CmComRequestError(
            f"{len(recipients) - len(set(recipients))} of the {len(recipients)} recipients are named twice. "
            "Name each person once. Nothing was sent."
        )
    before = store.get("recipients")
    if before is None:
        _write(store, "recipients", digest)
    elif before != digest:
        raise CmComRequestError(
            "The recipients, or the product token, are not those of this task's earlier try: who has "
            "the message already cannot be told. Start a new run for new recipients. Nothing was sent."
        )


def _write(store: Store, key: str, value: Any) -> None:
    """Write and read back: Airflow 3.3.2's store does not raise when the API server refuses a write."""
    store.set(key, value)
    if store.get(key) != value:
        raise CmComUnavailable(
            "Airflow's task state store did not keep a record that has to be there before a message leaves. "
            "Check the API server. Nothing was sent by this request."
        )
