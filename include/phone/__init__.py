"""Phone numbers in bulk: E.164, country, mobile or not, match key, time zone; and masked for display."""

from include.phone.bulk import normalize
from include.phone.masking import mask
from include.phone.match import match_key
from include.phone.zones import time_zone

__all__ = ["mask", "match_key", "normalize", "time_zone"]
