"""One piece of work behind the caller's back, so that the database and the caller work at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class Behind:
    """Runs what it is given in one thread, one piece at a time and in order.

    Whoever shares a connection with the work calls `wait` before using it. At the end of the `with` block nothing is
    left to do; an error of the last piece is raised there, unless another one is on its way already.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="behind")
        self._piece: Future[None] | None = None

    def run(self, work: Callable[[], None]) -> None:
        """Begin `work` as soon as the piece before has ended. Raises what that piece raised."""
        self.wait()
        self._piece = self._pool.submit(work)

    def wait(self) -> None:
        """Until nothing is at work. Raises what the last piece raised, once."""
        piece, self._piece = self._piece, None
        if piece:
            piece.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if error is None:
            self.wait()
