"""What each person of the sample will do with a message: read it or not, answer, say STOP."""

from __future__ import annotations

import random
from typing import Any

from include.simulator.sample.records import Sample

NOT_ON_WHATSAPP = "59"  # CM.com's code for Meta's 131026
LIMITED_BY_META = "131049"
STOPS = ("STOP", "Stop!", "stop", "STOPPEN", "ARRET", "Stopp", "unsubscribe")
REPLIES = (
    "Thank you!",
    "Merci beaucoup",
    "Dank je wel!",
    "Bis wann gilt das?",
    "Wanneer is de winkel open?",
    "👍",
)


def population(sample: Sample) -> list[dict[str, Any]]:
    """One entry per number in the form of the simulator's population file, so that nothing is left to chance.

    Durations are simulated seconds: everybody has done what they will do within 70 minutes.
    """
    return [_person(number, sample.seed) for number in sample.numbers]


def _person(number: str, seed: int) -> dict[str, Any]:
    # Seeded by the number, so that a person does the same in a sample of any size. (A str seeds by its SHA-512.)
    dice = random.Random(f"{seed}:{number}")  # noqa: S311
    # Since April 2025 Meta delivers no marketing templates to US numbers.
    fate = 1.0 if number.startswith("+1") else dice.random()
    person: dict[str, Any] = {"number": number, "deliver_after": round(1 + 19 * dice.random() ** 3, 1)}
    if fate == 1.0 or fate < 0.01:
        return person | {"outcome": "failed", "code": LIMITED_BY_META, "reply": ""}
    if fate < 0.06:
        return person | {"outcome": "failed", "code": NOT_ON_WHATSAPP, "reply": ""}
    read = dice.random() < 0.68
    person |= {
        "outcome": "read" if read else "delivered",
        "read_after": round(20 + 2_980 * dice.random() ** 3, 1),
        "reply_after": round(15 + 585 * dice.random() ** 2, 1),
        "reply": "",
    }
    answers = dice.random()
    if not read or answers >= 0.15:
        return person
    person["linked"] = dice.random() < 0.9
    if answers < 0.02:
        return person | {"reply": dice.choice(STOPS), "stop": True}
    if answers < 0.03:
        return person | {"reply": "Stop", "payload": "STOP", "stop": True}
    if answers < 0.09:
        return person | {"click": True}
    return person | {"reply": dice.choice(REPLIES)}
