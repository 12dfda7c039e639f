"""CM.com's own host names in front of a simulator, for clients that will not be told another address.

A proxy for `HTTPS_PROXY`: whatever host a client asks a tunnel to, it meets a TLS server with a certificate for
that host, made by a test authority, and behind it the simulator. Nothing of the client is changed: proxy and
authority are environment.
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = ["gw.messaging.cm.com", "gw.cmtelecom.com"]


class Front(NamedTuple):
    """`asked` collects the host of each tunnel."""

    proxy: str
    authority: Path
    asked: list[str]


@contextmanager
def https_front(target: str, directory: Path) -> Iterator[Front]:
    """A proxy to `target` (a URL without TLS); certificates are written to `directory`."""
    authority, certificate = _certificates(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    host, port = target.removeprefix("http://").split(":")
    asked: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def serve(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                return
            head += piece
        asked.append(head.split()[1].decode().split(":")[0])
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with (
            suppress(OSError),
            context.wrap_socket(connection, server_side=True) as client,
            socket.create_connection((host, int(port))) as server,
        ):
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join(10)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield Front(f"http://127.0.0.1:{listener.getsockname()[1]}", authority, asked)
    finally:
        listener.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _certificates(directory: Path) -> tuple[Path, Path]:
    """(the authority's certificate, certificate and key of the hosts), both PEM."""
    now = dt.datetime.now(dt.UTC)
    keys = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    root = (
        x509.CertificateBuilder()
        .subject_name(issuer)
        .issuer_name(issuer)
        .public_key(keys[0].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[0].public_key()), critical=False)
        .sign(keys[0], hashes.SHA256())
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])]))
        .issuer_name(issuer)
        .public_key(keys[1].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False
        )
        .sign(keys[0], hashes.SHA256())
    )
    authority, certificate = directory / "authority.pem", directory / "hosts.pem"
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    key = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + key)
    return authority, certificate
