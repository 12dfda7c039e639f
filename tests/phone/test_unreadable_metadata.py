"""Patterns that we do not read make their countries slower, never wrong."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_metadata_we_do_not_read_is_left_to_phonenumbers(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-m", "tests.phone.unreadable_metadata"],
        cwd=root,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert child.returncode == 0, child.stderr
