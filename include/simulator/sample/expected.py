"""What must come of the sample, computed from its records by plain reading. Uses nothing of the code that it judges."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberType

from include.simulator.sample.answers import population
from include.simulator.sample.build import BRUSSELS
from include.simulator.sample.records import Sample

YES, NO = {"yes", "ja", "oui", "true"}, {"no", "nee", "non", "nein", "false"}
UNREADABLE = {
    None: "phone_empty",
    "": "phone_empty",
    "geen": "phone_not_a_number",
    "n/a": "phone_not_a_number",
    "call me!": "phone_not_a_number",
    "removed": "phone_not_a_number",
    "+32 470 12": "phone_too_short",
    "+32 470 12 34 56 78 90 12": "phone_too_long",
    "+999 12345678": "phone_unknown_country_code",
}
CLOSED_TO_MARKETING = {"US"}  # Meta delivers no marketing there since 2025-04-01
FOREVER = datetime.max.replace(
    tzinfo=UTC
)  # a no without a time counts from when it is heard of: after everything


class Said(NamedTuple):
    """One record, read: what is wrong with it, or who said what when."""

    source: str
    record: str
    problem: str | None
    number: str | None = None
    consent: bool = False
    at: datetime = FOREVER


def expected(sample: Sample) -> dict[str, Any]:
    """The figures that must come out.

    `people`, `subscribed`, `unsubscribed` (rows of the subscription table); `records` and `rejected_records` by source
    (the latter by reason); `to_tell` (records that still say yes about somebody who said no); and of a campaign to
    everyone, with a holdout of nobody: `target`, `excluded`, `excluded_by_reason`, `accepted`, `failed`, `delivered`,
    `read`, `replied`, `opted_out`.
    """
    said = list(_read(sample))
    histories: dict[str, list[Said]] = defaultdict(list)
    rejected: dict[str, Counter[str]] = defaultdict(Counter)
    for each in said:
        if each.problem is not None:
            rejected[each.source][each.problem] += 1
        elif each.number is not None:
            histories[each.number].append(each)
    # The newest record counts; of one moment, the no.
    verdicts = {
        number: max(history, key=lambda each: (each.at, not each.consent))
        for number, history in histories.items()
    }
    subscribed = {number for number, verdict in verdicts.items() if verdict.consent}
    to_tell = sum(
        each.consent for number, history in histories.items() if number not in subscribed for each in history
    )
    out_of_reach = {number for number in subscribed if _country(number) in CLOSED_TO_MARKETING}
    opted_out = len(histories) - len(subscribed)
    return {
        "people": len(histories),
        "subscribed": len(subscribed),
        "unsubscribed": opted_out,
        "records": dict(Counter(each.source for each in said)),
        "rejected_records": {source: dict(reasons) for source, reasons in rejected.items()},
        "to_tell": to_tell,
        "target": len(histories),
        "excluded": opted_out + len(out_of_reach),
        "excluded_by_reason": {"opted_out": opted_out, "country_closed": len(out_of_reach)},
        **_campaign(sample, subscribed - out_of_reach),
    }


def _campaign(sample: Sample, subscribed: set[str]) -> dict[str, int]:
    messaged = [person for person in population(sample) if person["number"] in subscribed]
    answered = [person for person in messaged if person["reply"] or person.get("click")]
    outcomes = Counter(person["outcome"] for person in messaged)
    return {
        "accepted": len(messaged),
        "failed": outcomes["failed"],
        "delivered": outcomes["delivered"] + outcomes["read"],
        "read": outcomes["read"],
        "replied": len(answered),
        "opted_out": sum(person.get("stop", False) for person in answered),
    }


def _read(sample: Sample) -> Iterator[Said]:
    for row in sample.customers:
        consent = None if row.whatsapp_optin is None else str(row.whatsapp_optin).lower()
        yield _judge("webshop", row.customer_id, row.mobile, row.country, consent, row.optin_changed_at)
    for entry in sample.preferences:
        yield _judge(
            "preference_centre", entry.id, entry.msisdn, "BE", str(entry.consent).lower(), entry.changed_at
        )
    for line in sample.answers:
        at = datetime.fromisoformat(line.answered_at).replace(tzinfo=BRUSSELS).astimezone(UTC)
        yield _judge("survey", line.respondent, line.phone, "BE", line.answer, at)


def _judge(
    source: str, record: str, phone: str | None, region: str, consent: str | None, at: datetime | None
) -> Said:
    if consent is None:
        return Said(source, record, "consent_missing")
    if consent not in YES | NO:
        return Said(source, record, "consent_unreadable")
    number, problem = _number(phone, region)
    if consent in NO:
        return Said(source, record, None, number, consent=False, at=at or FOREVER)
    if not record:
        problem = "no_record_id"
    elif problem is None and at is None:
        problem = "no_changed_at"
    elif problem is None and at is not None and at.year > 2090:
        problem = "changed_at_in_future"
    return Said(source, record, problem, number, consent=True, at=at or FOREVER)


def _country(number: str) -> str | None:
    return phonenumbers.region_code_for_number(phonenumbers.parse(number))


def _number(phone: str | None, region: str) -> tuple[str | None, str | None]:
    if phone in UNREADABLE:
        return None, UNREADABLE[phone]
    assert phone is not None  # noqa: S101 - None is a key of UNREADABLE
    parsed = phonenumbers.parse(phone, region)
    if phonenumbers.number_type(parsed) not in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE):
        return None, "not_mobile"
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164), None
