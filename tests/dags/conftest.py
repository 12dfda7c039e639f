"""A store for opt-ins."""

from tests.optins.conftest import store

__all__ = ["store"]
