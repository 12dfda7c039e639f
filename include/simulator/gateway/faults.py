"""Faults on request: what a test, a demo or a careful engineer wants to see survived.

`POST /_sim/faults` takes one fault or a list, `--faults FILE` the same in YAML or JSON:

    [{"kind": "answer_lost", "count": 1},
     {"kind": "unavailable", "status": 503, "retry_after": 2, "probability": 0.1},
     {"kind": "latency", "ms": 80, "jitter_ms": 40, "path": "/"},
     {"kind": "statuses", "duplicate": 4, "late_share": 0.05, "late": 3600, "missing_share": 0.01}]

Each applies to requests whose path begins with `path` (by default the gateway's), with `probability`, for the
next `count` requests (for ever without it). Of several that fit, every latency applies and the first other
one.
"""

from __future__ import annotations

import random
from typing import Any, Literal

import msgspec

from include.simulator.gateway.settings import convert

Kind = Literal[
    "latency",
    "refuse_connections",
    "reset_before_body",
    "reset_after_body",
    "answer_lost",
    "hang",
    "unavailable",
    "html",
    "malformed_json",
    "wrong_shape",
    "gateway_error",
    "statuses",
]

# The answer is spoilt although the messages were taken; elsewhere nothing was taken.
_REMEMBERED = {"answer_lost", "malformed_json", "wrong_shape"}


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One fault; which fields matter depends on its kind.

    latency: `ms`, `jitter_ms`. refuse_connections: for `seconds`, and open connections are reset.
    reset_before_body, reset_after_body: nothing taken. answer_lost: messages taken, then a reset. hang:
    `seconds`, then a reset. unavailable: `status` (429, 503, 500 …) and `retry_after` (null: without the
    header). html: an error page with `status`. malformed_json, wrong_shape: a 200 that cannot be read.
    gateway_error: a refused request with `code` (102, 103, 500 …). statuses: shares and amounts below, for
    messages accepted while it is set. `remember` decides whether the messages are taken although the answer
    is a fault; left out, it is what the kind usually means.
    """

    kind: Kind
    path: str = "/v1.0/message"
    probability: float = 1.0
    count: int | None = None
    remember: bool | None = None
    status: int = 503
    retry_after: int | None = None
    ms: float = 0.0
    jitter_ms: float = 0.0
    seconds: float = 3600.0
    code: int = 500
    duplicate: int = 0  # every status this many times more
    duplicate_share: float = 1.0
    late_share: float = 0.0
    late: float = 3600.0  # simulated seconds
    disorder_share: float = 0.0  # of the messages: their statuses in the opposite order
    missing_share: float = 0.0  # of the statuses: never pushed; the log has them
    hits: int = 0

    @property
    def takes_messages(self) -> bool:
        return self.kind in _REMEMBERED if self.remember is None else self.remember


def read(content: Any, *, where: str) -> list[Fault]:
    """Faults from plain data: one, a list, or {"faults": [...]}. Raises ConfigurationError that names `where`."""
    if isinstance(content, dict) and "faults" in content:
        content = content["faults"]
    faults: list[Fault] = convert(
        content if isinstance(content, list) else [content], list[Fault], where=where
    )
    return faults


class Faults:
    """The faults set at the moment, and which of them the next request meets."""

    def __init__(self, seed: int) -> None:
        self._faults: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311  repeatable on purpose
        self._seed = seed

    def add(self, faults: list[Fault]) -> None:
        """Set further faults."""
        self._faults += faults

    def clear(self) -> None:
        """Remove all faults and start the random sequence again."""
        self._faults.clear()
        self._random.seed(self._seed)

    def listing(self) -> list[dict[str, Any]]:
        """The faults with their hits, as plain data."""
        return [msgspec.to_builtins(fault) for fault in self._faults]

    def __bool__(self) -> bool:
        return bool(self._faults)

    def meet(self, path: str) -> tuple[float, Fault | None]:
        """(seconds to wait, the fault) for a request that has just arrived."""
        wait, chosen = 0.0, None
        for fault in self._faults:
            if fault.kind in ("statuses", "refuse_connections") or not path.startswith(fault.path):
                continue
            if fault.count is not None and fault.hits >= fault.count:
                continue
            if fault.kind != "latency" and chosen is not None:
                continue
            if fault.probability < 1.0 and self._random.random() >= fault.probability:
                continue
            fault.hits += 1
            if fault.kind == "latency":
                wait += (fault.ms + self._random.uniform(-fault.jitter_ms, fault.jitter_ms)) / 1000
            else:
                chosen = fault
        return max(wait, 0.0), chosen

    def statuses(self) -> Fault | None:
        """The fault on statuses that is set, if any: the last one wins."""
        if not self._faults:  # asked for every message
            return None
        return next((fault for fault in reversed(self._faults) if fault.kind == "statuses"), None)
