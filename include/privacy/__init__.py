"""Retention and erasure of personal data (reference: GDPR Art. 5(1)(e) and 17)."""

from include.privacy.erase import PersonUnknown, erase
from include.privacy.retain import retain

__all__ = ["PersonUnknown", "erase", "retain"]
