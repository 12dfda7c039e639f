"""Phone numbers in bulk: E.164, country, mobile or not, match key, time zone, mask."""

from include.phone.bulk import normalize

__all__ = ["normalize"]
