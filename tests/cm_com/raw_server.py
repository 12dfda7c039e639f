"""A TCP server that does what a test says, connection by connection: for faults no HTTP server makes."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

Script = Callable[[socket.socket], None]


class RawServer:
    """``url`` to call; ``requests``: what was received whole; ``connections``: how many were made."""

    def __init__(self, listener: socket.socket, scripts: Sequence[Script]) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.connections = 0
        self._listener = listener
        self._scripts = scripts
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def read(self, connection: socket.socket) -> bytes | None:
        """One request; its body, None when the client closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65536)
            if not chunk:
                return None
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            ),
            0,
        )
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return body

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            threading.Thread(target=self._run, args=(script, connection), daemon=True).start()

    def _run(self, script: Script, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            script(connection)


@contextmanager
def raw_server(*scripts: Callable[[RawServer, socket.socket], None]) -> Iterator[RawServer]:
    """Connection number n runs script n, the last one for all further connections; then it is closed."""
    listener = socket.create_server(("127.0.0.1", 0))
    server: RawServer
    server = RawServer(listener, [lambda sock, script=script: script(server, sock) for script in scripts])
    server.thread.start()
    try:
        yield server
    finally:
        # A close alone would leave the thread in accept().
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.thread.join(5)


def answers(
    content: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> Callable[[RawServer, socket.socket], None]:
    """Answer every request of a connection with ``content``: bytes, JSON, or made from the request's body."""

    def script(server: RawServer, connection: socket.socket) -> None:
        while (body := server.read(connection)) is not None:
            told = content(body) if callable(content) else content
            raw = told if isinstance(told, bytes) else json.dumps(told).encode()
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}"]
            lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)

    return script


def accepts_all(body: bytes) -> dict[str, Any]:
    """The gateway's answer when it takes every message."""
    messages = json.loads(body)["messages"]["msg"]
    return {
        "details": f"Created {len(messages)} message(s)",
        "errorCode": 0,
        "messages": [
            {
                "to": message["to"][0]["number"],
                "status": "Accepted",
                "reference": message.get("reference"),
                "parts": 1,
                "messageDetails": None,
                "messageErrorCode": 0,
            }
            for message in messages
        ],
    }


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def closed_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
