"""What a reply means: stop, start, help, or anything else. Whatever its case, accents, punctuation and language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from include.entities.models import Keywords
from include.inbound.vocabulary import (
    HELP_WORDS,
    LEADING,
    NOT_STOP,
    POLITE,
    START_WORDS,
    STOP_PHRASES,
    STOP_WORDS,
    YES_WORDS,
)

Meaning = Literal["stop", "start", "help", "other"]
# A message longer than this begins or ends with "stop" by chance too often.
SHORT = 4
_OPT_OUT_PAYLOAD = re.compile(r"(?:stop|opt out|unsubscribe|afmelden|uitschrijven|desinscription|abmelden)\b")
_STOP_SIGNS = str.maketrans({"🛑": " stop ", "⛔": " stop ", "🚫": " stop "})
_NOT_WORD = re.compile(r"[^\w]+|_")
_CLAUSE = re.compile(r"[.,;:!?\n]+")
_STRETCHED = re.compile(r"(\w)\1{2,}")


def meaning(text: str | None, keywords: Keywords | None = None) -> Meaning:
    """What a reply asks for.

    STOP: a stop word as the whole message (words of politeness aside), at the beginning or end of a short one, or a
    phrase that can only mean it. START and help: the whole message only. An entity's own `keywords` are whole
    messages too, and go first.
    """
    said = plain(text or "")
    if not said:
        return "other"
    bare = _without_politeness(said)
    own = keywords or Keywords()
    for words, found in ((own.stop, "stop"), (own.start, "start"), (own.help, "help")):
        if _plain_words(words) & {said, bare}:
            return found  # type: ignore[return-value]  # mypy widens the tuple's literals to str
    if {said, bare} & STOP_WORDS or _asks_to_stop(text or "", said, bare):
        return "stop"
    if {said, bare} & START_WORDS:
        return "start"
    return "help" if {said, bare} & HELP_WORDS else "other"


def means_yes(text: str, words: Iterable[str] = ()) -> bool:
    """Whether an answer to a plain question is a yes, and nothing but a yes; `words` are the entity's own."""
    return plain(text) in YES_WORDS | _plain_words(words)


def is_opt_out_payload(payload: str | None) -> bool:
    """Whether a button's payload says STOP by its first word: `STOP`, `STOP-42`, `opt_out:spring` …"""
    return _OPT_OUT_PAYLOAD.match(plain(payload or "")) is not None


def plain(text: str) -> str:
    """The words of a text: lower case, without accents, punctuation and emoji, one space between."""
    folded = unicodedata.normalize("NFKD", text[:2000].translate(_STOP_SIGNS)).casefold()
    letters = "".join(each for each in folded if not unicodedata.combining(each) and each != "\u200b")
    words = _NOT_WORD.sub(" ", letters).split()
    if len(words) > 2 and all(len(word) == 1 for word in words):
        words = ["".join(words)]  # S T O P
    return _STRETCHED.sub(r"\1", " ".join(words)).replace("st0p", "stop")


def _plain_words(words: Iterable[str]) -> set[str]:
    return {plain(word) for word in words}


def _without_politeness(said: str) -> str:
    return " ".join(word for word in said.split() if word not in POLITE)


def _asks_to_stop(text: str, said: str, bare: str) -> bool:
    # A negation stays behind as a word, so that a short message does not begin with what follows it.
    rest = NOT_STOP.sub("#", said)
    if STOP_PHRASES.search(rest):
        return True
    if rest != said:
        return False
    clauses = _CLAUSE.split(text[:2000])
    if len(clauses) > 1 and any(_without_politeness(plain(clause)) in LEADING for clause in clauses):
        return True
    words = bare.split()
    return 0 < len(words) <= SHORT and (words[0] in LEADING or words[-1] in LEADING)
