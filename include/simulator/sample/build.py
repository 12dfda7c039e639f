"""Who said what, where and when: one story per person, drawn by its share."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from include.simulator.sample.people import Person, landline, make_people, written
from include.simulator.sample.records import Answer, Customer, Preference, Sample

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
SECONDS = 80 * 86_400  # until the end of March
BRUSSELS = ZoneInfo("Europe/Brussels")
OWN = "the person's own number"
YES = {"nl": "ja", "fr": "oui", "de": "ja"}
NO = {"nl": "nee", "fr": "non", "de": "nein"}
UNUSABLE = (None, "", "geen", "n/a", "+32 470 12", "+32 470 12 34 56 78 90 12", "call me!", "+999 12345678")
"""What stands where a number should be."""


def build_sample(people: int = 10_000, seed: int = 26) -> Sample:
    """The sample of that size and seed. The same arguments give the same sample on every machine and Python."""
    # The generator's bits are part of the sample, nothing secret hangs on them.
    writer = _Writer(random.Random(seed))  # noqa: S311
    persons = make_people(writer.dice, people)
    tellers = writer.dice.choices(list(STORIES), list(STORIES.values()), k=people)
    for person, tell in zip(persons, tellers, strict=True):
        tell(writer, person)
    return Sample(
        people,
        seed,
        tuple(writer.customers),
        tuple(writer.preferences),
        tuple(writer.answers),
        tuple(person.number for person in persons),
    )


class _Writer:
    """Writes records, each system with its own numbering."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.customers: list[Customer] = []
        self.preferences: list[Preference] = []
        self.answers: list[Answer] = []

    def times(self, count: int) -> list[datetime]:
        """Moments in order, at least an hour apart."""
        drawn = sorted(self.dice.randrange(SECONDS) for _ in range(count))
        return [BEGIN + timedelta(seconds=second, hours=place) for place, second in enumerate(drawn)]

    def time(self) -> datetime:
        """One moment."""
        return self.times(1)[0]

    def shop(
        self, person: Person, at: datetime | None, *, consent: bool | None, number: str | None = OWN
    ) -> None:
        """A row of the shop, the number as in the customer's own country."""
        own = written(self.dice, person.number, country=person.country, abroad=False)
        mobile = own if number == OWN else number
        self.customers.append(
            Customer(
                f"C-{len(self.customers) + 10_001}",
                mobile,
                consent,
                at,
                person.language,
                person.country,
                person.first_name,
                person.city,
                person.vip,
                (at or BEGIN) + timedelta(seconds=self.dice.randrange(3_600)),
            )
        )

    def centre(self, person: Person, at: datetime, *, consent: bool, number: str = OWN) -> None:
        """An entry of the preference centre, the number with its country."""
        locale = f"{person.language}-{person.country}"
        own = written(self.dice, person.number, country=person.country, abroad=True)
        msisdn = own if number == OWN else number
        self.preferences.append(
            Preference(f"P{len(self.preferences) + 1:06d}", msisdn, consent, at, locale, person.first_name)
        )

    def survey(
        self, person: Person, at: datetime, *, answer: bool | str, number: str = OWN, named: bool = True
    ) -> None:
        """A line of the survey, which was made in Belgium."""
        own = written(self.dice, person.number, country=person.country, abroad=person.country != "BE")
        phone = own if number == OWN else number
        words = {True: YES.get(person.language, "yes"), False: NO.get(person.language, "no")}
        respondent = f"R{len(self.answers) + 1:05d}" if named else ""
        local = at.astimezone(BRUSSELS).strftime("%Y-%m-%d %H:%M:%S")
        word = words[answer] if isinstance(answer, bool) else answer
        self.answers.append(Answer(respondent, phone, word, local, person.language, person.first_name))


def _shop_yes(writer: _Writer, person: Person) -> None:
    """Ticked the box at sign-up."""
    writer.shop(person, writer.time(), consent=True)


def _shop_no(writer: _Writer, person: Person) -> None:
    """Signed up, and later unticked the box."""
    writer.shop(person, writer.time(), consent=False)


def _survey_yes(writer: _Writer, person: Person) -> None:
    """Would rather be on WhatsApp."""
    writer.survey(person, writer.time(), answer=True)


def _survey_no(writer: _Writer, person: Person) -> None:
    """Would rather not."""
    writer.survey(person, writer.time(), answer=False)


def _centre_yes(writer: _Writer, person: Person) -> None:
    """Chose WhatsApp in the preference centre."""
    writer.centre(person, writer.time(), consent=True)


def _agree(writer: _Writer, person: Person) -> None:
    """The same yes in two systems, the number written in two ways."""
    first, second = writer.times(2)
    writer.shop(person, first, consent=True)
    writer.centre(person, second, consent=True)


def _no_after_yes(writer: _Writer, person: Person) -> None:
    """Ticked the box, then said no in the preference centre."""
    first, second = writer.times(2)
    writer.shop(person, first, consent=True)
    writer.centre(person, second, consent=False)


def _yes_after_no(writer: _Writer, person: Person) -> None:
    """Unticked the box, then said yes in the preference centre."""
    first, second = writer.times(2)
    writer.shop(person, first, consent=False)
    writer.centre(person, second, consent=True)


def _shop_against_survey(writer: _Writer, person: Person) -> None:
    """Said one thing in the shop and another in the survey; the newer one counts."""
    times = writer.times(2)
    writer.dice.shuffle(times)
    consent = writer.dice.random() < 0.5
    writer.shop(person, times[0], consent=consent)
    writer.survey(person, times[1], answer=not consent)


def _everywhere(writer: _Writer, person: Person) -> None:
    """In all three systems, each with an opinion of its own."""
    times = writer.times(3)
    writer.dice.shuffle(times)
    writer.shop(person, times[0], consent=writer.dice.random() < 0.7)
    writer.centre(person, times[1], consent=writer.dice.random() < 0.7)
    writer.survey(person, times[2], answer=writer.dice.random() < 0.7)


def _same_moment(writer: _Writer, person: Person) -> None:
    """Yes and no at one moment: no counts."""
    at = writer.time()
    writer.shop(person, at, consent=True)
    writer.centre(person, at, consent=False)


def _two_accounts(writer: _Writer, person: Person) -> None:
    """Two accounts in the shop with one number, written differently."""
    for at in writer.times(2):
        writer.shop(person, at, consent=writer.dice.random() < 0.8)


def _no_without_time(writer: _Writer, person: Person) -> None:
    """A box unticked by somebody at the service desk, without a date: it counts from when we hear of it."""
    at = writer.time()
    writer.survey(person, at, answer=True)
    writer.shop(person, None, consent=False)


def _yes_without_time(writer: _Writer, person: Person) -> None:
    """A ticked box without a date is no proof."""
    writer.shop(person, None, consent=True)


def _yes_in_the_future(writer: _Writer, person: Person) -> None:
    """Nobody has said yes in the year 2099."""
    writer.shop(person, datetime(2099, 1, 1, tzinfo=UTC), consent=True)


def _never_asked(writer: _Writer, person: Person) -> None:
    """An account from before the box: neither yes nor no."""
    writer.shop(person, None, consent=None)


def _unclear(writer: _Writer, person: Person) -> None:
    """Answered the survey with something that is neither yes nor no."""
    writer.survey(person, writer.time(), answer=writer.dice.choice(["maybe", "later", "?"]))


def _nameless(writer: _Writer, person: Person) -> None:
    """Answered the survey without a respondent's number: a yes that cannot be traced."""
    writer.survey(person, writer.time(), answer=True, named=False)


def _landline(writer: _Writer, person: Person) -> None:
    """Gave the number of the house."""
    writer.survey(person, writer.time(), answer=True, number=landline(writer.dice))


def _unusable(writer: _Writer, person: Person) -> None:
    """Gave no number that can be read. A yes is set aside, a no is kept for the record."""
    writer.shop(
        person, writer.time(), consent=writer.dice.random() < 0.9, number=writer.dice.choice(UNUSABLE)
    )


def _no_without_number(writer: _Writer, person: Person) -> None:
    """Said yes, then had the number removed together with the consent. (The centre keeps the newest state alone.)"""
    first, second = writer.times(2)
    writer.shop(person, first, consent=True)
    writer.centre(person, second, consent=False, number="removed")


STORIES: dict[Callable[[_Writer, Person], None], float] = {
    _shop_yes: 30.0,
    _shop_no: 10.0,
    _survey_yes: 11.0,
    _survey_no: 1.5,
    _centre_yes: 10.0,
    _agree: 11.0,
    _no_after_yes: 5.0,
    _yes_after_no: 4.0,
    _shop_against_survey: 4.0,
    _everywhere: 4.0,
    _same_moment: 0.5,
    _two_accounts: 2.0,
    _no_without_time: 0.5,
    _yes_without_time: 0.7,
    _yes_in_the_future: 0.2,
    _never_asked: 2.0,
    _unclear: 0.7,
    _nameless: 0.3,
    _landline: 1.2,
    _unusable: 1.2,
    _no_without_number: 0.2,
}
"""Every story with its share in percent."""
