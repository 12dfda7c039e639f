"""Connections that lead to files, as folders: local disk, S3, SFTP, Google Cloud Storage, or any other store that an
installed provider offers through Airflow's object storage.
"""

from __future__ import annotations

import json
from typing import Any

from airflow.sdk import Connection, ObjectStoragePath
from airflow.sdk.io import attach, has_fs

# Airflow's connection types whose name is not the scheme of their store. Every other scheme is a type of its own name.
SCHEMES = {
    "fs": "file",
    "aws": "s3",
    "google_cloud_platform": "gs",
    "ssh": "sftp",
    "wasb": "abfs",
    "adls": "abfs",
}
ON_A_HOST = frozenset({"sftp"})
# Nobody there for so many seconds means gone; the provider would wait for ever.
SFTP_PATIENCE = {
    "connect_timeout": 30,
    "login_timeout": 30,
    "keepalive_interval": 15,
    "keepalive_count_max": 4,
}


def leads_to_files(connection: Connection) -> bool:
    """Whether a connection is of a type that holds files."""
    return connection.conn_type in SCHEMES or has_fs(str(connection.conn_type))


def folder(connection: Connection) -> ObjectStoragePath:
    """The folder that `path` in the connection's extra names; without one, *Schema* and *Host*. It is connected to.

    Raises what the store's client raises, ImportError or ValueError where the store's provider is not installed.
    """
    scheme = SCHEMES.get(str(connection.conn_type), str(connection.conn_type))
    path = connection.extra_dejson.get("path") or f"{connection.schema or ''}/{connection.host or ''}"
    if scheme in ("file", "local"):
        return ObjectStoragePath(f"file://{path}")
    if scheme in ON_A_HOST:
        path = f"{connection.host}/{str(connection.extra_dejson.get('path', '')).lstrip('/')}"
    own = {"sftp": _sftp, "gs": _gcs}.get(scheme)
    store = attach(scheme, conn_id=connection.conn_id, fs=own(connection) if own else None)
    # Connecting now, by the store's own client: a path that cannot would go on without credentials.
    # And what was listed an hour ago in this process is not what is there now.
    store.fs.invalidate_cache()
    return ObjectStoragePath(f"{scheme}://{path}", conn_id=connection.conn_id)


def _sftp(connection: Connection) -> Any:
    """The SFTP provider's file system (7.0.0), with what it leaves out: the host's key (sshfs 2026.8 checks none unless
    it is told to), a private key that is given as text (which it takes for a file's name), and patience that ends.
    """
    import asyncssh
    from airflow.providers.sftp.fs.sftp import get_fs

    extra = connection.extra_dejson
    options: dict[str, Any] = dict(SFTP_PATIENCE)
    asyncssh.set_log_level("WARNING")  # it tells twenty lines of every connection
    if str(extra.get("no_host_key_check", "")).lower() != "true":
        options["known_hosts"] = ()  # ~/.ssh/known_hosts
    if host_key := extra.get("host_key"):
        # As the provider's hook has it: `ssh-ed25519 AAAA…`, or the data of an RSA key alone.
        known = host_key if " " in host_key.strip() else f"ssh-rsa {host_key}"
        options["known_hosts"] = ([asyncssh.import_public_key(known)], [], [])
    if private_key := extra.get("private_key"):
        passphrase = extra.get("private_key_passphrase")
        options["client_keys"] = [asyncssh.import_private_key(private_key, passphrase)]
    return get_fs(connection.conn_id, options)


def _gcs(connection: Connection) -> Any:
    """gcsfs itself: Google's provider (22.8) brings 58 packages and cannot be installed beside tenacity 9.2.

    The connection's fields are the provider's: `keyfile_dict`, `key_path`, `is_anonymous`; with none of them, the
    credentials that the machine has.
    """
    try:
        from gcsfs.core import GCSFileSystem
    except ImportError:
        raise ImportError(
            "Google Cloud Storage needs gcsfs: pip install 'airflow-whatsapp-campaigns[gcs]'."
        ) from None
    extra = connection.extra_dejson
    token = (
        extra.get("keyfile_dict") or extra.get("key_path") or ("anon" if extra.get("is_anonymous") else None)
    )
    if isinstance(token, str) and token.lstrip().startswith("{"):
        token = json.loads(token)
    return GCSFileSystem(
        project=extra.get("project") or "",
        token=token,
        endpoint_url=extra.get("endpoint_url"),
        skip_instance_cache=True,
    )
