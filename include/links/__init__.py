"""Tracked links: a URL button leads to `/l/<token>`, is counted, and goes on to the target stored with the campaign."""

from include.links.clicks import Click, record_clicks
from include.links.service import PATH, LinkService
from include.links.store import CampaignLinks, campaign_links, store_links
from include.links.tokens import LinkTokens

__all__ = [
    "PATH",
    "CampaignLinks",
    "Click",
    "LinkService",
    "LinkTokens",
    "campaign_links",
    "record_clicks",
    "store_links",
]
