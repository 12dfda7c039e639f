"""uvicorn's HTTP protocol with an end to its patience: by itself it waits for a request as long as the peer likes."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SECONDS = 15.0


class PatientProtocol(HttpToolsProtocol):
    """Closes a connection whose request has not come to its end in time, counted from its first byte.

    uvicorn 0.54 has a time limit between requests only (`timeout_keep_alive`); a peer that sends a byte a minute, or
    connects and says nothing, would hold its connection for ever.
    """

    _late: asyncio.TimerHandle | None = None
    _complete = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a request; most come in one piece and need no timer."""
        self._complete = False
        super().data_received(data)
        if self._complete:
            self._stop_waiting()
        elif self._late is None:
            self._wait()

    def on_message_begin(self) -> None:
        """Another request has begun."""
        self._complete = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """A request has come to its end."""
        self._complete = True
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._late = self.loop.call_later(SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
