"""The subscription table: consent ledger, present state, suppression, and word back to the sources."""

from include.subscriptions.compare import Comparison, ConsentDiffers, compare
from include.subscriptions.expiry import expire_inactive, expire_unconfirmed
from include.subscriptions.guard import GuardFigures, Release
from include.subscriptions.ledger import confirm, grant, withdraw
from include.subscriptions.projection import rebuild
from include.subscriptions.propagate import backlog, propagate, retry
from include.subscriptions.reconcile import ReconcileResult, hold_entity, reconcile
from include.subscriptions.suppression import (
    SuppressionKeyProblem,
    check_key,
    person_hash,
    suppression_key_from_environment,
)
from include.subscriptions.wordings import WordingChanged

__all__ = [
    "Comparison",
    "ConsentDiffers",
    "GuardFigures",
    "ReconcileResult",
    "Release",
    "SuppressionKeyProblem",
    "WordingChanged",
    "backlog",
    "check_key",
    "compare",
    "confirm",
    "expire_inactive",
    "expire_unconfirmed",
    "grant",
    "hold_entity",
    "person_hash",
    "propagate",
    "rebuild",
    "reconcile",
    "retry",
    "suppression_key_from_environment",
    "withdraw",
]
