"""Files as they are delivered: found by a dated pattern, unpacked on the way, recognised when they come again."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from include.entities import Source

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


class UnpacksTooMuch(ValueError):
    """A packed file that unpacks to more than any honest one."""


def glob_of(pattern: str) -> str:
    """`optins_%Y%m%d.csv` as a glob: the parts of a date stand for as many digits."""
    return re.sub(r"%[YmdHMS]", lambda part: _DATE_PARTS[part[0]], pattern)


def opened(path: Any) -> Iterator[tuple[str, BinaryIO]]:
    """The name and the bytes of a file, of a `.gz` file's content, or of each file in a `.zip`.

    Raises UnpacksTooMuch while reading; gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError for damaged ones.
    """
    with path.open("rb") as raw:
        if path.name.endswith(".gz"):
            yield path.name, _bounded(gzip.GzipFile(fileobj=raw), path.name, path.stat().st_size)
        elif path.name.endswith(".zip"):
            with zipfile.ZipFile(raw) as archive:
                for member in archive.infolist():
                    if not member.is_dir() and not member.filename.startswith("__MACOSX/"):
                        with archive.open(member) as file:
                            name = f"{path.name}/{member.filename}"
                            yield name, _bounded(file, name, member.compress_size)
        else:
            yield path.name, raw


def mark_of(path: Any, source: Source) -> str:
    """A hash of a file's content and of the way its source is read: when either changes, the file is read again."""
    words = f"{source.true_values}{source.false_values}"
    way = f"{source.columns!r}{words}{source.region}{source.time_zone}{source.options}"
    with path.open("rb") as raw:
        content = hashlib.file_digest(raw, "sha256").hexdigest()
    return hashlib.sha256(f"{content}{way}".encode()).hexdigest()


def _bounded(stream: Any, name: str, packed: int) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Bounded(stream, name, packed), 1 << 20))


class _Bounded(io.RawIOBase):
    """Reads on until there is too much."""

    def __init__(self, stream: Any, name: str, packed: int) -> None:
        super().__init__()
        self._stream, self._name = stream, name
        self._left = max(HARMLESS, packed * MOST_RATIO)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes. Raises UnpacksTooMuch."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._left -= len(data)
        if self._left < 0:
            raise UnpacksTooMuch(f"{self._name} unpacks to more than {MOST_RATIO} times its size")
        return len(data)
