"""The people behind the numbers: who is on WhatsApp, when they read, what they answer.

Everything a person does follows from the seed and the number alone, so a run can be repeated and its outcome
computed beforehand: `Population.person("+32470123456")` needs no running simulator. A population file (YAML
or JSON) fixes it:

    shares: {read: 0.6, stop: 0.02}
    rules:                                   # the first rule that fits gives the fields it names
      - {prefix: "+1", outcome: failed, code: "131049"}
    people:                                  # and an entry for the number goes before every rule
      - {number: "+32470123456", outcome: read, reply: "STOP", deliver_after: 1, read_after: 2, reply_after:
      3}

or has one such `people` entry per line (`.jsonl`). Durations are simulated seconds: `read_after` counts from
the delivery, `reply_after` from the read (or the delivery, for people whose app hides that they read).
"""

from __future__ import annotations

import hashlib
import struct
import unicodedata
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import orjson

from include.simulator.gateway.settings import ConfigurationError, convert, load

NOT_ON_WHATSAPP = "59"  # Meta 131026

_UNPACK = struct.Struct("<8I").unpack
_UNIT = 1 / 4294967296  # from an unsigned 32-bit number to [0, 1)

Outcome = Literal["read", "delivered", "failed", "pending", "rejected"]


class Shares(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How common each behaviour is. `failed` by errorCode: CM's numbers, or Meta's where CM has none
    (invented).
    """

    failed: dict[str, float] = msgspec.field(
        default_factory=lambda: {NOT_ON_WHATSAPP: 0.05, "54": 0.003, "131049": 0.004, "131050": 0.003}
    )
    pending: float = 0.02  # accepted, then nothing: a phone that stays off
    read: float = 0.65  # of the delivered, like all below
    stop: float = 0.015
    click: float = 0.05
    reply: float = 0.04
    linked: float = 0.8  # of the replies: carries the reference of the message it answers
    visit: float = 0.12  # tap the message's URL button, where the account has a `link_url`
    scanned: float = 0.05  # a machine fetches the button's address too, whether or not the person taps


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is fixed for one number, or for every number that begins with `prefix`."""

    number: str = ""
    prefix: str = ""
    outcome: Outcome | None = None
    code: str | None = None
    deliver_after: float | None = None
    read_after: float | None = None
    reply: str | None = None  # "" for a person who never answers
    payload: str | None = None
    click: bool | None = None
    reply_after: float | None = None
    stop: bool | None = None
    linked: bool | None = None
    visit: bool | None = None
    scanned: bool | None = None


class Visit(NamedTuple):
    """What happens to a message's URL button: how often the person taps it, and whether a machine fetches it before."""

    after: float  # simulated seconds from the read, or the delivery
    taps: int
    scanned: bool


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What one person does with a message. `code` is set for failed and rejected people."""

    outcome: Outcome
    code: str = ""
    deliver_after: float = 0.0
    read_after: float = 0.0
    reply: str = ""
    payload: str = ""
    click: bool = False  # answers by the message's first quick reply button, if it has one
    reply_after: float = 0.0
    stop: bool = False  # the reply asks to stop
    linked: bool = True

    @property
    def replies(self) -> bool:
        return bool(self.reply or self.click) and self.outcome in ("read", "delivered")


class PopulationFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The content of a population file."""

    shares: Shares = msgspec.field(default_factory=Shares)
    rules: list[Override] = []
    people: list[Override] = []


class Population:
    """Every possible recipient, made from a seed and, where given, a population file."""

    def __init__(self, seed: int, content: PopulationFile | None = None) -> None:
        content = content or PopulationFile()
        self._key = struct.pack("<q", seed)
        self._shares = content.shares
        self._failed = tuple(content.shares.failed.items())
        self._rules = tuple((digits(rule.prefix), rule) for rule in content.rules)
        self._people = {digits(each.number): each for each in content.people}
        # Whether anybody is refused by the gateway itself: only then need it look at the person.
        self.rejects = any(each.outcome == "rejected" for each in (*content.rules, *content.people))

    @classmethod
    def load(cls, path: Path, seed: int) -> Population:
        """Read a population file; raises ConfigurationError that names the file, the place and the reason."""
        if path.suffix != ".jsonl":
            return cls(seed, load(path, PopulationFile))
        people = []
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    try:
                        content = orjson.loads(line)
                    except ValueError as error:
                        raise ConfigurationError(f"{path}:{number}: {error}") from error
                    people.append(convert(content, Override, where=f"{path}:{number}"))
        return cls(seed, PopulationFile(people=people))

    def person(self, number: str) -> Person:
        """The person behind a number, written in any of the forms `+32…`, `0032…` and `32…`."""
        number = digits(number)
        person = self._drawn(number)
        if not self._rules and not self._people:
            return person
        for prefix, rule in self._rules:
            if number.startswith(prefix):
                person = _overridden(person, rule)
                break
        override = self._people.get(number)
        return _overridden(person, override) if override else person

    def visit(self, number: str) -> Visit | None:
        """What happens to the URL button of a message that reaches the number; None: nothing."""
        number = digits(number)
        if self.person(number).outcome not in ("read", "delivered"):
            return None
        # A draw of its own: who taps has nothing to do with who answers.
        draw = hashlib.blake2b(number.encode(), digest_size=32, key=self._key, person=b"visit").digest()
        tap, scan, twice, late = (each * _UNIT for each in _UNPACK(draw)[:4])
        fixed = [rule for prefix, rule in self._rules if number.startswith(prefix)][:1]
        fixed += [self._people[number]] if number in self._people else []
        taps, scanned = tap < self._shares.visit, scan < self._shares.scanned
        for override in fixed:
            taps = taps if override.visit is None else override.visit
            scanned = scanned if override.scanned is None else override.scanned
        if not taps and not scanned:
            return None
        return Visit(5 + 1_800 * late**3, (2 if twice < 0.25 else 1) if taps else 0, scanned)

    def _drawn(self, number: str) -> Person:
        draw = hashlib.blake2b(number.encode(), digest_size=32, key=self._key).digest()
        fate, reads, answers, fast, late, word, slow, link = _UNPACK(draw)
        fate *= _UNIT
        for code, share in self._failed:
            if fate < share:
                return Person(outcome="failed", code=code, deliver_after=0.5 + 3 * fast * _UNIT)
            fate -= share
        shares = self._shares
        if fate < shares.pending:
            return Person(outcome="pending")
        outcome: Outcome = "read" if reads * _UNIT < shares.read else "delivered"
        deliver_after = 1 + 19 * (fast * _UNIT) ** 3
        read_after = 20 + 3_580 * (late * _UNIT) ** 3
        answers *= _UNIT
        if answers >= shares.stop + shares.click + shares.reply:
            return Person(outcome=outcome, deliver_after=deliver_after, read_after=read_after)
        stop = answers < shares.stop
        click = not stop and answers < shares.stop + shares.click
        words = (STOP_REPLIES if stop else REPLIES)[_language(number)]
        return Person(
            outcome=outcome,
            deliver_after=deliver_after,
            read_after=read_after,
            reply="" if click else words[int(word * _UNIT * len(words))],
            click=click,
            reply_after=15 + 585 * (slow * _UNIT) ** 2,
            stop=stop,
            linked=link * _UNIT < shares.linked,
        )


def digits(number: str) -> str:
    """A number without its international prefix (`+` or `00`): the key of a person."""
    return number.removeprefix("+").removeprefix("00")


def asks_to_stop(text: str) -> bool:
    """Whether a reply is one of the simulator's own ways to say STOP (the judge's view, not the
    product's).
    """
    return _plain(text) in _STOPS


def _plain(text: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join("".join(each if each.isalnum() else " " for each in ascii_text).split())


def _overridden(person: Person, override: Override) -> Person:
    changes = {name: value for name in _FIELDS if (value := getattr(override, name)) is not None}
    if override.reply is not None or override.click:
        # A fixed answer replaces the drawn one as a whole.
        changes = {"reply": "", "click": False, "payload": "", "linked": True, "stop": False} | changes
        if override.stop is None and override.reply:
            changes["stop"] = asks_to_stop(override.reply)
    if override.outcome == "failed" and override.code is None and not person.code:
        changes["code"] = NOT_ON_WHATSAPP
    return msgspec.structs.replace(person, **changes)


_FIELDS = Person.__struct_fields__  # an override's `visit` and `scanned` are no fields of a person

REPLIES = {
    "nl": (
        "Dank je wel!",
        "Bedankt, klinkt goed",
        "Wanneer is de winkel open?",
        "Kan ik dit ook online bestellen?",
    ),
    "fr": (
        "Merci beaucoup !",
        "Super, à bientôt",
        "Jusqu'à quand est-ce valable ?",
        "Est-ce aussi en ligne ?",
    ),
    "de": ("Vielen Dank!", "Klingt gut", "Wie lange gilt das Angebot?", "Gibt es das auch in Grün?"),
    "en": ("Thank you!", "Sounds good", "Until when is this valid?", "Please don't stop, I love these", "👍"),
    "es": ("¡Muchas gracias!", "¿Hasta cuándo es válido?"),
    "it": ("Grazie mille!", "Fino a quando è valido?"),
}
"""Free text by language. None of these asks to stop, even where the word occurs."""

STOP_REPLIES = {
    "nl": ("STOP", "stop", "Stop!", "Stoppen", "uitschrijven", "Afmelden aub"),
    "fr": ("STOP", "Stop svp", "Arrêter", "ARRET", "désinscrire", "Arrêtez s'il vous plaît"),
    "de": ("STOP", "Stopp", "stop bitte", "Abmelden", "ABBESTELLEN"),
    "en": ("STOP", "stop", "Stop.", "unsubscribe", "UNSUBSCRIBE", "Stop please", "opt out"),
    "es": ("STOP", "baja", "Cancelar"),
    "it": ("STOP", "annulla", "Cancellami"),
}
"""Ways to say STOP by language."""

_LANGUAGES = (
    ("32", ("nl", "fr")),
    ("31", ("nl",)),
    ("33", ("fr",)),
    ("352", ("fr", "de")),
    ("41", ("de", "fr")),
    ("49", ("de",)),
    ("43", ("de",)),
    ("34", ("es",)),
    ("52", ("es",)),
    ("54", ("es",)),
    ("39", ("it",)),
)


def _language(number: str) -> str:
    for code, languages in _LANGUAGES:
        if number.startswith(code):
            return languages[ord(number[-1]) % len(languages)]
    return "en"


_STOPS = frozenset(_plain(each) for words in STOP_REPLIES.values() for each in words)
