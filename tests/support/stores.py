"""Real stores of files: an S3 server, and an SFTP server on a folder."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER, PASSWORD = "opt-in-user", "opt-in-password"


@dataclass(frozen=True)
class S3:
    """A running S3 server with one bucket, and a client of it that is not the one under test."""

    url: str
    bucket: str
    client: Any

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def names(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [each["Key"] for each in found]

    def get(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content


@contextmanager
def s3_server() -> Iterator[S3]:
    """moto's server in a thread; clients speak to it over HTTP."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id=USER,
            aws_secret_access_key=PASSWORD,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="drops")
        yield S3(url, "drops", client)
    finally:
        server.stop()


@contextmanager
def gcs_server(**objects: bytes) -> Iterator[str]:
    """A Google Cloud Storage emulator whose bucket `drops` holds the objects; gives its address."""
    from gcp_storage_emulator.server import create_server
    from gcsfs.core import GCSFileSystem

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="drops")
    server.start()
    try:
        host, port = server._api._httpd.server_address
        url = f"http://{host}:{port}"
        files = GCSFileSystem(endpoint_url=url, token="anon", project="tests", skip_instance_cache=True)
        for name, content in objects.items():
            files.pipe(f"drops/in/{name}.csv", content)
        yield url
    finally:
        server.stop()


@dataclass(frozen=True)
class Sftp:
    """A running SFTP server, the folder it shows as its root, and its key as a line of known_hosts has it."""

    port: int
    root: Path
    host_key: str


@contextmanager
def sftp_server(root: Path, *, client_key: str | None = None) -> Iterator[Sftp]:
    """asyncssh's server in a thread; lets USER in with PASSWORD, or with the public key `client_key`."""
    import asyncssh

    asyncssh.set_log_level("WARNING")

    connections: list[asyncssh.SSHServerConnection] = []

    class Door(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            connections.append(conn)

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

        def public_key_auth_supported(self) -> bool:
            return client_key is not None

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return client_key is not None and key == asyncssh.import_public_key(client_key)

    key = asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Door,
            server_host_keys=[key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root)),
        )

    async def close(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        for connection in connections:
            connection.abort()
        await acceptor.wait_closed()

    try:
        acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
        yield Sftp(acceptor.get_port(), root, key.export_public_key().decode().strip())
        asyncio.run_coroutine_threadsafe(close(acceptor), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
