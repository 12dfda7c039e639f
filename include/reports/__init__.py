"""Delivery reports: roll-ups, the funnel, the rows behind it, exports."""

from include.reports.console import report_text
from include.reports.funnel import Funnel, campaigns, funnel
from include.reports.refresh import refresh, refresh_campaign
from include.reports.rollup import CampaignUnknown

__all__ = [
    "CampaignUnknown",
    "Funnel",
    "campaigns",
    "funnel",
    "refresh",
    "refresh_campaign",
    "report_text",
]
