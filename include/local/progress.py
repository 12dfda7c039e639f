"""What the demo says while it works: one line a step, with the time since its start."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Lines on standard output, each at once on the screen."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, text: str = "") -> None:
        """One line with the time."""
        seconds = int(time.monotonic() - self._start)
        self.show(f"{seconds // 60:3d}:{seconds % 60:02d}  {text}")

    def show(self, text: str = "") -> None:
        """Text as it is."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Say what begins now, and how long it took when that is worth knowing."""
        self.say(f"{text} …")
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if took >= 1:
            self.say(f"{text}: {took:.0f} s")
