"""Folders, here or behind Airflow's object storage: their files as streams, and their failures as ours."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol, cast

from include.entities import Source
from include.optins.sources.errors import SourceProblem, SourceRefused, SourceUnavailable

# Object stores have classes of their own beside OSError, and no common base; these packages raise them.
_STORES = frozenset(
    {"aiobotocore", "aiohttp", "asyncssh", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs"}
)
_REFUSALS = frozenset(
    {
        "PermissionError",
        "PermissionDenied",  # asyncssh: a wrong password or key
        "HostKeyNotVerifiable",  # asyncssh: nobody vouches for the server
        "NoCredentialsError",  # botocore
        "PartialCredentialsError",
        "DefaultCredentialsError",  # google.auth
    }
)
SETTLED = (
    120  # seconds after its last change from which a file's size and time tell that it is still the same
)


class Folder(Protocol):
    """What we use of a `pathlib.Path`; Airflow's `ObjectStoragePath` has it too."""

    def exists(self) -> bool: ...

    def glob(self, pattern: str) -> Any: ...

    def __truediv__(self, name: str) -> Any: ...


@contextmanager
def storage_errors(source: Source, doing: str) -> Iterator[None]:
    """Turn what a disk or an object store raises into SourceProblem; anything else goes through."""
    try:
        yield
    except SourceProblem:
        raise
    except Exception as error:
        problem = _explain(source, error, doing)
        if problem is None:
            raise
        raise problem from None


@contextmanager
def stream_of(path: Any) -> Iterator[BinaryIO]:
    """A file's bytes. Object stores' own files lack some of what Arrow, zipfile and hashlib ask a file for."""
    with path.open("rb") as file, io.BufferedReader(_Stream(file), 1 << 20) as stream:
        yield cast("BinaryIO", stream)


def stamp_of(path: Any, way: str, now: datetime) -> str | None:
    """What tells without reading it that a file is the one that was read in the same `way`.

    Made of its path, size, time of change and, where the store has one, its entity tag. None where the store tells too
    little, and while the file may still be written to within the clock's tick.
    """
    found = path.stat()
    modified = found.st_mtime
    if isinstance(modified, int | float):
        modified = datetime.fromtimestamp(modified, UTC)
    if not isinstance(modified, datetime) or modified.year < 1980:  # 1970 means unknown
        return None
    modified = modified if modified.tzinfo else modified.replace(tzinfo=UTC)
    if (now - modified).total_seconds() < SETTLED:
        return None
    tag = found.get("ETag", found.get("etag", "")) if isinstance(found, dict) else found.st_ino
    told = f"{path}|{found.st_size}|{modified.isoformat()}|{tag}|{way}"
    return hashlib.sha256(told.encode()).hexdigest()


def _explain(source: Source, error: Exception, doing: str) -> SourceProblem | None:
    names = {each.__name__ for each in type(error).__mro__}
    packages = {each.__module__.partition(".")[0] for each in type(error).__mro__}
    if names & _REFUSALS:
        return SourceRefused(
            f"Source {source.name!r}: the store of the connection {source.connection!r} refuses {doing}: "
            f"{type(error).__name__}. Correct its credentials, its host key or its rights, then start again."
        )
    if isinstance(error, OSError) or packages & _STORES:
        return SourceUnavailable(
            f"Source {source.name!r}: the store of the connection {source.connection!r} fails on {doing}: "
            f"{type(error).__name__}. Nothing of this run was kept."
        )
    return None


class _Stream(io.RawIOBase):
    """The reading half of a file that has `read`, and perhaps `seek` and `tell`."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """As the file says."""
        return bool(self._file.seekable())

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; where the file does not say where it is then, ask."""
        place = self._file.seek(offset, whence)
        return int(self._file.tell() if place is None else place)

    def tell(self) -> int:
        """Where it is."""
        return int(self._file.tell())
