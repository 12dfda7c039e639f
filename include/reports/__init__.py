"""Delivery reports: roll-ups, the funnel, the rows behind it, exports."""

from include.reports.console import report_text
from include.reports.failures import Failure, failures
from include.reports.funnel import Funnel, campaigns, funnel
from include.reports.recipients import Filters, csv_chunks, recipient, recipients, write_csv
from include.reports.refresh import refresh, refresh_campaign
from include.reports.rollup import CampaignUnknown

__all__ = [
    "CampaignUnknown",
    "Failure",
    "Filters",
    "Funnel",
    "campaigns",
    "csv_chunks",
    "failures",
    "funnel",
    "recipient",
    "recipients",
    "refresh",
    "refresh_campaign",
    "report_text",
    "write_csv",
]
