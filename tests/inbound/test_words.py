"""What replies mean, on a labelled set in four languages (replies.tsv); recall and precision are printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from include.entities.models import Keywords
from include.inbound.words import is_opt_out_payload, meaning

LABELLED = [
    line.split("\t")
    for line in Path(__file__).with_name("replies.tsv").read_text(encoding="utf-8").splitlines()
]


def test_recall_and_precision_on_the_labelled_set(tell: Callable[[str], None]) -> None:
    wrong = []
    for language in ("nl", "fr", "en", "de"):
        told = [(label, meaning(text), text) for each, label, text in LABELLED if each == language]
        for wanted in ("stop", "start", "help"):
            right = sum(label == found == wanted for label, found, _ in told)
            recall = right / sum(label == wanted for label, _, _ in told)
            precision = right / max(1, sum(found == wanted for _, found, _ in told))
            tell(
                f"{language} {wanted:5}  recall {recall:.3f}  precision {precision:.3f}  of {len(told)} replies"
            )
        wrong += [(language, *each) for each in told if each[0] != each[1]]
    assert not wrong


@pytest.mark.parametrize(
    "text", ["", "   ", "…", "\u200b", "12345", "🙂🙂", "\x00", "a" * 5000, "stop" * 2000]
)
def test_nonsense_means_nothing(text: str) -> None:
    assert meaning(text) == "other"


def test_an_entitys_own_words_count_as_whole_messages() -> None:
    own = Keywords(stop=("Genug!",), start=("JA", "Oui"), help=("?", "WAT"))
    assert meaning("genug", own) == "stop"
    assert meaning("Oui.", own) == "start"
    assert meaning("oui mais quand", own) == "other"
    assert meaning("ja") == "other"
    assert meaning("wat?", own) == "help"


@pytest.mark.parametrize(
    ("payload", "opts_out"),
    [
        ("STOP", True),
        ("STOP-42", True),
        ("opt_out:spring", True),
        ("Unsubscribe", True),
        ("SHOW", False),
        ("NONSTOP", False),
        ("stopwatch", False),
        ("", False),
        (None, False),
    ],
)
def test_payloads_of_buttons(payload: str | None, opts_out: object) -> None:
    assert is_opt_out_payload(payload) is opts_out
