"""What a benchmark says of memory."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_mb() -> float:
    """The most memory this process ever held, in MB (10⁶ bytes).

    Linux says it of the program itself; what `getrusage` says there begins with the memory of whoever started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS: bytes
