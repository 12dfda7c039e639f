"""What is wrong with an entity's files: file, line, cause and remedy, all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EntityProblem:
    """One mistake in one file. `line` counts from 1."""

    file: Path
    line: int
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.cause} {self.remedy}"


class EntityProblems(Exception):
    """An entity's files cannot be used as they are; `problems` says why, one by one."""

    def __init__(self, entity: str, problems: list[EntityProblem]) -> None:
        self.entity = entity
        self.problems = problems
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"Entity {entity!r} has {len(problems)} problem(s):\n{lines}")
