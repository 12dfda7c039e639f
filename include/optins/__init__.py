"""Opt-ins from source systems into staging."""

from include.optins.pull import Opener, PullResult, pull
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
    "Opener",
    "PullResult",
    "SourceProblem",
    "SourceRefused",
    "SourceShapeChanged",
    "SourceUnavailable",
    "kinds",
    "pull",
]
