"""Opt-ins from source systems into staging."""

from include.optins.pull import PullResult, pull
from include.optins.sources import (
    HttpAccess,
    SourceProblem,
    SourceRefused,
    SourceShapeChanged,
    SourceUnavailable,
    kinds,
)

__all__ = [
    "HttpAccess",
    "PullResult",
    "SourceProblem",
    "SourceRefused",
    "SourceShapeChanged",
    "SourceUnavailable",
    "kinds",
    "pull",
]
