"""The listening socket, which can be closed for a while so that connections are refused."""

from __future__ import annotations

import asyncio

from aiohttp import web

from include.simulator.gateway.app import reset


class Listener:
    """Listens for an aiohttp server on one host and port."""

    def __init__(self, server: web.Server, host: str, port: int) -> None:
        self._server = server
        self._host = host
        self._port = port
        self._listening: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reopening: asyncio.Task[str] | None = None

    async def open(self) -> str:
        """Start to listen; the URL. Port 0 takes a free port, which is then kept. Raises OSError if it is
        taken.
        """
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._server, self._host, self._port, backlog=1024)
        self._port = self._listening.sockets[0].getsockname()[1]
        return f"http://{self._host}:{self._port}"

    def refuse(self, seconds: float) -> None:
        """Refuse new connections and reset the open ones, shortly from now (so that the caller gets an
        answer).
        """
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(0.05, self._refuse, seconds)

    def close(self) -> None:
        """Stop listening; open connections stay."""
        if self._timer is not None:
            self._timer.cancel()
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _refuse(self, seconds: float) -> None:
        self.close()
        for connection in self._server.connections:
            reset(connection.transport)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._reopen)

    def _reopen(self) -> None:
        self._reopening = asyncio.get_running_loop().create_task(self.open())
