"""One demo's folder: taken by one process at a time, with secrets made for it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

HOME_VARIABLE = "WHATSAPP_HOME"
DEFAULT_HOME = Path("var/demo")
PASSWORD_VARIABLE = "WHATSAPP_DEMO_PASSWORD"  # noqa: S105 - read when the folder is new
MOST_INSTANCES = 20


class InstanceTaken(RuntimeError):
    """Every folder that could be used is used by a running demo."""


@dataclass(frozen=True)
class Secrets:
    """What this instance's parts share. Never printed, apart from the password that people log in with."""

    login: str = field(repr=False)
    fernet_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    api_secret: str = field(repr=False)
    product_token: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    suppression_key: str = field(repr=False)


@dataclass(frozen=True)
class Instance:
    """A folder that this process holds, and its secrets."""

    folder: Path
    secrets: Secrets


@contextmanager
def take_instance(home: Path | None = None) -> Iterator[Instance]:
    """Hold ``home`` (WHATSAPP_HOME, else ``var/demo``) for the block; ``<home>-2`` … if it is taken.

    The kernel's lock goes with the process, however it ends. Raises `InstanceTaken` when ``home`` and
    the 19 folders beside it are all in use.
    """
    home = (home or Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)).resolve()
    for number in range(1, MOST_INSTANCES + 1):
        folder = home if number == 1 else home.with_name(f"{home.name}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield Instance(folder, _secrets(folder / "secrets.json"))
            return
    raise InstanceTaken(
        f"{MOST_INSTANCES} demos run in {home} and beside it. Stop one or set {HOME_VARIABLE}."
    )


def _secrets(file: Path) -> Secrets:
    known = json.loads(file.read_text()) if file.exists() else {}
    made = asdict(
        Secrets(
            login=os.environ.get(PASSWORD_VARIABLE) or secrets.token_urlsafe(9),
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            jwt_secret=secrets.token_urlsafe(64),
            api_secret=secrets.token_urlsafe(32),
            product_token=_guid(),
            webhook_secret=secrets.token_urlsafe(32),
            suppression_key=secrets.token_hex(32),
        )
    )
    values = {name: known.get(name, value) for name, value in made.items()}
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(values, out)
    return Secrets(**values)


def _guid() -> str:
    """A product token as CM.com writes it."""
    digits = secrets.token_hex(16).upper()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
