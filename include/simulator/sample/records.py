"""What the three sample systems hold, each in its own words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Customer:
    """A row of the web shop's table `customers`. Numbers as typed at sign-up, in the customer's own country."""

    customer_id: str
    mobile: str | None
    whatsapp_optin: bool | None
    optin_changed_at: datetime | None
    lang: str
    country: str
    first_name: str
    city: str
    vip: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Preference:
    """An entry of the preference centre."""

    id: str
    msisdn: str
    consent: bool
    changed_at: datetime
    locale: str
    first_name: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A line of the survey "would you rather be on WhatsApp?". Times are Brussels wall-clock times."""

    respondent: str
    phone: str
    answer: str
    answered_at: str
    language: str
    name: str


@dataclass(frozen=True, slots=True)
class Sample:
    """All of it. `numbers` holds every mobile number of the sample once, in E.164."""

    people: int
    seed: int
    customers: tuple[Customer, ...]
    preferences: tuple[Preference, ...]
    answers: tuple[Answer, ...]
    numbers: tuple[str, ...]
