"""Which kinds of sources there are: a module each, ours in `include/optins/sources`, a team's own in the folder `kinds`
beside its entities. Their names are known without importing them.
"""

from __future__ import annotations

import re
from pathlib import Path

OURS = Path(__file__).parents[1] / "optins" / "sources"
OWN = "kinds"
_VERB = re.compile(r"^def fetch\(", re.MULTILINE)


def kind_files(root: Path) -> dict[str, Path]:
    """The modules that have the verb `fetch`, by the name that `kind:` gives them; `root` holds the entities.

    A team's module cannot take the place of one of ours: a name that both have is ours.
    """
    return _with_the_verb(root / OWN) | _with_the_verb(OURS)


def hidden_kinds(root: Path) -> list[Path]:
    """Modules of a team that have the name of one of ours, and are therefore never used."""
    ours = _with_the_verb(OURS)
    return [path for name, path in _with_the_verb(root / OWN).items() if name in ours]


def _with_the_verb(folder: Path) -> dict[str, Path]:
    files = sorted(folder.glob("*.py"))
    return {
        path.stem: path for path in files if _VERB.search(path.read_text(encoding="utf-8", errors="replace"))
    }
