"""The figures of a report: what each is called, how it is computed, and which ledger rows are behind it.

Every figure on a page carries its formula and opens its rows: the conditions here are those of `count_states`
in queries.sql (a test compares them, figure by figure).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Figure(NamedTuple):
    """`condition` is SQL over campaign_message as m; `of` is the figure that its rate divides by."""

    label: str
    formula: str
    condition: str
    of: str | None = None


FIGURES: Final[dict[str, Figure]] = {
    "target": Figure(
        "Target", "People matched by the audience rule, frozen when the campaign was planned", "true"
    ),
    "excluded": Figure("Excluded", "Not to be messaged, each with the first reason", "m.state = 'excluded'"),
    "planned": Figure("Planned", "Target − Excluded", "m.state <> 'excluded'"),
    "waiting": Figure("Waiting", "Planned and not sent yet", "m.state = 'planned'"),
    "sending": Figure("Sending", "Claimed by a sender, no outcome yet", "m.state = 'sending'"),
    "uncertain": Figure(
        "Uncertain",
        "The request left and no answer is known; never sent again by itself, settled by a status or the log",
        "m.state = 'uncertain'",
    ),
    "expired": Figure("Expired", "Could not be sent before the campaign's end", "m.state = 'expired'"),
    "rejected": Figure("Rejected", "CM.com refused this recipient", "m.state = 'rejected'"),
    "accepted": Figure(
        "Accepted",
        "CM.com accepted the message for this recipient, whatever came after",
        "m.state in ('accepted', 'failed', 'delivered', 'read')",
    ),
    "awaiting": Figure("Awaiting", "Accepted − Delivered − Failed", "m.state = 'accepted'"),
    "failed": Figure("Failed", "Accepted, then reported as failed", "m.state = 'failed'"),
    "delivered": Figure(
        "Delivered",
        "Status delivered, or read without a delivered before it; rate: Delivered ÷ Accepted",
        "m.state in ('delivered', 'read')",
        of="accepted",
    ),
    "read": Figure(
        "Read",
        "Unique readers ÷ Delivered; a lower bound, since receipts can be off",
        "m.state = 'read'",
        of="delivered",
    ),
    "clicked": Figure(
        "Clicked",
        "People who opened a link of the message ÷ Delivered; previews and scanners are not counted",
        "m.clicked_at is not null",
        of="delivered",
    ),
    "replied": Figure(
        "Replied",
        "First reply within 72 hours of delivery, per person ÷ Delivered",
        "m.replied_at <= coalesce(m.delivered_at, m.accepted_at) + interval '72 hours'",
        of="delivered",
    ),
    "opted_out": Figure(
        "Opted out",
        "Unique opt-outs within 7 days of delivery ÷ Delivered",
        "m.opted_out_at <= coalesce(m.delivered_at, m.accepted_at) + interval '7 days'",
        of="delivered",
    ),
}

REASONS: Final[dict[str, str]] = {
    "no_consent": "No valid consent for marketing on WhatsApp",
    "opted_out": "Has opted out",
    "suppressed": "On the suppression list",
    "invalid_number": "The number is not valid",
    "not_mobile": "The number is not a mobile one",
    "duplicate": "The number is in the audience twice",
    "undeliverable": "Could not be reached on WhatsApp lately",
    "country_closed": "Meta delivers no marketing to this country",
    "already_planned": "In the same campaign already, started within a day before",
    "frequency_cap": "Has had the most messages a week allows",
    "holdout": "Kept out to compare with",
    "missing_variable": "A value of the message is missing or cannot be sent",
    "outside_window": "No sending window before the campaign's end",
    "template_not_available": "The template is not approved in the person's language",
    "over_budget": "Over the budget or the tier",
}
"""What a ledger row's reason means."""

DIFFERENCES: Final[dict[str, str]] = {
    "withdrawn_here_true_there": "Withdrew here, says yes there",
    "withdrawn_there_true_here": "Withdrew there, is subscribed here",
    "on_its_way": "Withdrew here, the source is being told",
    "newer_yes_there": "Said yes again there, not pulled yet",
    "newer_no_there": "Withdrew there, not pulled yet",
    "yes_unknown_here": "Says yes there, not known here",
    "gone_there": "Subscribed here, gone there",
    "erased_here_true_there": "Erased here, says yes there",
}
"""How a source differs from our table."""


def reason_label(reason: str) -> str:
    """A reason in words; one that is not known here is shown as it is stored."""
    if not reason:
        return "No reason recorded"
    return (REASONS | DIFFERENCES).get(reason, reason.replace("_", " ").capitalize())
