"""Files as they are delivered: found by a dated pattern, unpacked on the way, recognised when they come again."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from include.entities import Source
from include.optins.sources.storage import stream_of

# Text packs 5 to 20 times smaller, very uniform text 100 times. What unpacks to more is made to fill memory or disk.
MOST_RATIO, HARMLESS = 200, 100 << 20
_DATE_PARTS = {
    "%Y": "[0-9]" * 4,
    "%m": "[0-9]" * 2,
    "%d": "[0-9]" * 2,
    "%H": "[0-9]" * 2,
    "%M": "[0-9]" * 2,
    "%S": "[0-9]" * 2,
}
# A zip with a password is a RuntimeError, one packed in a way that Python does not know a NotImplementedError.
DAMAGED = (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError)


class UnpacksTooMuch(ValueError):
    """A packed file that unpacks to more than any honest one."""


def glob_of(pattern: str) -> str:
    """`optins_%Y%m%d.csv` as a glob: the parts of a date stand for as many digits."""
    return re.sub(r"%[YmdHMS]", lambda part: _DATE_PARTS[part[0]], pattern)


def opened(path: Any) -> Iterator[tuple[str, BinaryIO]]:
    """The name and the bytes of a file, of a `.gz` file's content, or of each file in a `.zip`.

    Raises UnpacksTooMuch and the classes of DAMAGED, also while reading.
    """
    packed = path.name.lower()
    with stream_of(path) as stream:
        if packed.endswith(".gz"):
            budget = _Budget(path.name, path.stat().st_size)
            yield path.name, _bounded(gzip.GzipFile(fileobj=stream), budget)
        elif packed.endswith(".zip"):
            # One budget for all: a thousand files may share the same packed bytes.
            budget = _Budget(path.name, path.stat().st_size)
            with zipfile.ZipFile(stream) as archive:
                for member in archive.infolist():
                    if not member.is_dir() and not member.filename.startswith("__MACOSX/"):
                        with archive.open(member) as file:
                            yield f"{path.name}/{member.filename}", _bounded(file, budget)
        else:
            yield path.name, stream


def way_of(source: Source) -> str:
    """How a source's files are read: when it changes, they are all read again."""
    words = f"{source.true_values}{source.false_values}"
    return f"{source.columns!r}{words}{source.region}{source.time_zone}{source.options}"


def mark_of(path: Any, source: Source) -> str:
    """A hash of a file's content and of the way its source is read."""
    with stream_of(path) as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    return hashlib.sha256(f"{content}{way_of(source)}".encode()).hexdigest()


def _bounded(stream: Any, budget: _Budget) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Bounded(stream, budget), 1 << 20))


class _Budget:
    """How much a packed file may still unpack to."""

    def __init__(self, name: str, packed: int) -> None:
        self._name = name
        self._left = max(HARMLESS, packed * MOST_RATIO)

    def spend(self, size: int) -> None:
        """Raises UnpacksTooMuch."""
        self._left -= size
        if self._left < 0:
            raise UnpacksTooMuch(f"{self._name} unpacks to more than {MOST_RATIO} times its size")


class _Bounded(io.RawIOBase):
    """Reads on until there is too much."""

    def __init__(self, stream: Any, budget: _Budget) -> None:
        super().__init__()
        self._stream, self._budget = stream, budget

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes. Raises UnpacksTooMuch."""
        data = self._stream.read(len(buffer))
        self._budget.spend(len(data))
        buffer[: len(data)] = data
        return len(data)
