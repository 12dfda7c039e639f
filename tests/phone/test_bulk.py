"""What `normalize` takes, gives, and refuses; and numbers whose answer is known without asking anybody."""

import pandas as pd
import pyarrow as pa
import pytest

from include.phone import normalize
from include.phone.oracle import PROBLEMS
from include.phone.run import CHUNK_ROWS

# From each country's numbering plan (ITU E.164 national numbers), not from phonenumbers.
KNOWN = [
    ("0470 12 34 56", "BE", "+32470123456", "BE", True),
    ("+32 (0)470 12 34 56", "NL", "+32470123456", "BE", True),
    ("0032470123456", "BE", "+32470123456", "BE", True),
    ("32470123456", "BE", "+32470123456", "BE", True),
    ("02 512 34 56", "BE", "+3225123456", "BE", False),
    ("06-12345678", "NL", "+31612345678", "NL", True),
    ("06 12 34 56 78", "FR", "+33612345678", "FR", True),
    ("07400 123456", "GB", "+447400123456", "GB", True),
    ("07781 123456", "GB", "+447781123456", "GG", True),
    ("0151 23456789", "DE", "+4915123456789", "DE", True),
    # Italy keeps the zero of its landlines and has none before mobiles.
    ("06 6982 1234", "IT", "+390669821234", "VA", False),
    ("02 1234 5678", "IT", "+390212345678", "IT", False),
    ("+39 02 1234 5678", "BE", "+390212345678", "IT", False),
    ("312 345 6789", "IT", "+393123456789", "IT", True),
    # Argentina: 0 area 15 number is dialled, 9 area number is the same mobile from abroad.
    ("011 15-2345-6789", "AR", "+5491123456789", "AR", True),
    ("+54 9 11 2345 6789", "US", "+5491123456789", "AR", True),
    ("0341 15 512 3456", "AR", "+5493415123456", "AR", True),
    # Mexico has had no 1 since 2019, and none is added.
    ("55 1234 5678", "MX", "+525512345678", "MX", True),
    ("+52 55 1234 5678", "US", "+525512345678", "MX", True),
    # Brazil: a carrier code between the trunk zero and the area.
    ("0 15 11 96123-4567", "BR", "+5511961234567", "BR", True),
    ("(11) 96123-4567", "BR", "+5511961234567", "BR", True),
    # North America: one code, many countries; mobile and fixed look alike.
    ("(201) 555-0123", "US", "+12015550123", "US", True),
    ("1 876 210 1234", "US", "+18762101234", "JM", True),
    ("011 32 470 12 34 56", "US", "+32470123456", "BE", True),
    # Seven digits on an island of +1 are a local number.
    ("235 1234", "AI", "+12642351234", "AI", True),
    ("8 10 32 470 12 34 56", "RU", "+32470123456", "BE", True),
    ("8 (912) 345-67-89", "RU", "+79123456789", "RU", True),
    ("8 701 234 5678", "KZ", "+77012345678", "KZ", True),
    # Other scripts, invisible marks, labels, quotes.
    ("\uff10\uff14\uff17\uff10\uff11\uff12\uff13\uff14\uff15\uff16", "BE", "+32470123456", "BE", True),
    ("\u0660\u0665\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "SA", "+966501234567", "SA", True),
    ("\u202a+32\u00a0470\u00a012\u201134\u201156\u202c", "BE", "+32470123456", "BE", True),
    ("GSM: 0470/12.34.56", "BE", "+32470123456", "BE", True),
    ("'+32470123456", "BE", "+32470123456", "BE", True),
    ('"0470123456";', "BE", "+32470123456", "BE", True),
    ("0470123456 x12", "BE", "+32470123456", "BE", True),
    ("1-800-FLOWERS", "US", "+18003569377", "US", False),
    ("+800 1234 5678", "BE", "+80012345678", None, False),
]
NOT_VALID = [
    (None, "BE", "empty"),
    ("", "BE", "empty"),
    (" \t\u00a0", "BE", "empty"),
    ("n/a", "BE", "not_a_number"),
    ("+", "BE", "not_a_number"),
    ("jan@example.org", "BE", "not_a_number"),
    ("0470 12", "BE", "too_short"),
    ("+32 470 12 34 56 78 90", "BE", "too_long"),
    ("0470 12 34 56 / 0470 65 43 21", "BE", "too_long"),
    ("555-0123", "US", "local_only"),
    ("0100 00 00 00", "BE", "invalid"),
    ("+999 123 456 789", "BE", "unknown_country_code"),
    ("0470 12 34 56", None, "unknown_region"),
    ("0470 12 34 56", "ZZ", "unknown_region"),
]


def values(column: pd.Series) -> list[object]:
    return [None if value is pd.NA else value for value in column.tolist()]


def test_known_numbers() -> None:
    numbers, regions, *expected = (list(column) for column in zip(*KNOWN, strict=True))
    frame = normalize(pd.Series(numbers), pd.Series(regions))
    assert [values(frame[name]) for name in ("e164", "country", "is_mobile")] == expected
    assert frame["problem"].isna().all()


def test_known_problems() -> None:
    numbers, regions, problems = (list(column) for column in zip(*NOT_VALID, strict=True))
    frame = normalize(pd.Series(numbers, dtype=object), pd.Series(regions, dtype=object))
    assert values(frame["problem"]) == problems
    assert set(problems) <= set(PROBLEMS)
    assert frame["e164"].isna().all()
    assert frame["country"].isna().all()
    assert not frame["is_mobile"].any()


def test_columns_types_and_index() -> None:
    frame = normalize(pd.Series(["0470123456", None], index=["b", "a"]), "BE")
    text = pd.ArrowDtype(pa.string())
    assert frame.dtypes.to_dict() == {"e164": text, "country": text, "is_mobile": bool, "problem": text}
    assert frame.index.tolist() == ["b", "a"]
    assert values(frame["e164"]) == ["+32470123456", None]


@pytest.mark.parametrize(
    "numbers",
    [
        pa.array(["0470123456", None, "x"]),
        pa.array(["0470123456", None, "x"], pa.large_string()),
        pa.array(["0470123456", None, "x"], pa.string_view()),
        pa.array(["0470123456", None, "x"]).dictionary_encode(),
        pa.chunked_array([["0470123456"], [None, "x"]]),
        pa.array(["-", "0470123456", None, "x", "-"])[1:4],
        pd.Series(["0470123456", None, "x"]),
        pd.Series(["0470123456", None, "x"], dtype=object),
        pd.Series(["0470123456", pd.NA, "x"], dtype="string"),
        pd.Series(["0470123456", float("nan"), "x"], dtype="category"),
    ],
    ids=lambda column: str(getattr(column, "dtype", getattr(column, "type", ""))),
)
def test_every_kind_of_column(numbers: pd.Series | pa.Array) -> None:
    for region in (
        "BE",
        "be",
        pa.array(["BE", "BE", "BE"]),
        pd.Series(["BE", None, "BE"]),
        pd.Series(["BE"] * 3),
    ):
        frame = normalize(numbers, region)
        assert values(frame["e164"]) == ["+32470123456", None, None]
        assert values(frame["problem"]) == [None, "empty", "not_a_number"]


def test_integers_are_digits_and_floats_are_refused() -> None:
    assert values(normalize(pd.Series([32470123456, 470123456]), "BE")["e164"]) == ["+32470123456"] * 2
    with pytest.raises(TypeError, match="as text"):
        normalize(pd.Series([32470123456.0]), "BE")


def test_half_a_surrogate_pair_is_no_error() -> None:
    frame = normalize(pd.Series(["0470\ud83d", "\udcff0470123456"], dtype=object), "BE")
    assert values(frame["e164"]) == [None, "+32470123456"]


def test_nothing_gives_nothing() -> None:
    for nothing in (
        pd.Series([], dtype=object),
        pa.array([], pa.string()),
        pa.chunked_array([], pa.string()),
    ):
        frame = normalize(nothing, "BE")
        assert frame.empty
        assert frame.columns.tolist() == ["e164", "country", "is_mobile", "problem"]


def test_all_missing() -> None:
    assert values(normalize(pa.nulls(3), "BE")["problem"]) == ["empty"] * 3
    assert values(normalize(pd.Series([None, None]), pd.Series([None, None]))["problem"]) == ["empty"] * 2


def test_as_many_regions_as_numbers() -> None:
    with pytest.raises(ValueError, match="2 numbers but 1 regions"):
        normalize(pd.Series(["1", "2"]), pd.Series(["BE"]))


def test_rows_keep_their_order_across_chunks() -> None:
    count = CHUNK_ROWS * 2 + 17
    numbers = [f"0470{row:06d}" if row % 3 else f"junk {row}x" for row in range(count)]
    frame = normalize(pa.array(numbers), "BE")
    expected = [f"+32470{row:06d}" if row % 3 else None for row in range(count)]
    assert values(frame["e164"]) == expected
