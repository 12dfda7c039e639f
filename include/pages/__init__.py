"""The report pages, for Airflow's UI or any other host that can tell who reads."""

from include.pages.access import Access
from include.pages.app import build_pages

__all__ = ["Access", "build_pages"]
