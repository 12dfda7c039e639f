"""``python -m include.local.clean``: remove the folders of demos that do not run. Needs no .venv."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from pathlib import Path

from include.local.instance import DEFAULT_HOME, HOME_VARIABLE


def clean(home: Path) -> list[Path]:
    """Remove ``home``, its numbered siblings and ``once``; return those that a running demo holds."""
    held = []
    for folder in [home, *home.parent.glob(f"{home.name}-[0-9]*"), *home.parent.glob("once*")]:
        if not (folder / "lock").exists():
            continue
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(folder)
                continue
            shutil.rmtree(folder)
    return held


if __name__ == "__main__":
    held = clean(Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).resolve())
    for folder in held:
        sys.stderr.write(f"make: a demo runs in {folder}: stop it first\n")
    sys.exit(1 if held else 0)
