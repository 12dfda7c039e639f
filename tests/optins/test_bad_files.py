"""Files as nobody should deliver them: nothing is lost without a word, nothing is half-done, the cause is clear."""

from __future__ import annotations

import decimal
import gzip
import io
import json
import os
import resource
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.optins import SourceShapeChanged
from include.optins.sources import file, unpacking
from tests.support.optins import HEADER, Store, entity, source, write_csv

ROW = ("1", "0470123456", "yes", "2026-03-01T10:00:00Z", "nl", "An", "Gent")
FIELDS = dict(zip(HEADER, ROW, strict=True))
HEAD = ",".join(HEADER)
LINE = ",".join(ROW)
SEVERAL_LINES = '"Left door, please,\n\nand ring, twice"'
MANY_COMMAS = '"a, b, c, d,\ne, f, and so on"'
INCHES = '5" screen'


def row(number: int, **changes: str) -> str:
    return ",".join({**FIELDS, "id": f"{number}", **changes}.values())


def read(folder: Path, **options: Any) -> tuple[list[str], list[str]]:
    """The ids read, and what was told of rows that could not be."""
    ids, told = [], []
    for frame in file.fetch(source(options={"pattern": "drop*"} | options), folder, None):
        ids += frame["id"].tolist()
        told += frame.attrs.get("unreadable", [])
    return ids, told


def refused(folder: Path, match: str, **options: Any) -> None:
    with pytest.raises(SourceShapeChanged, match=match) as raised:
        read(folder, **options)
    assert "0470" not in str(raised.value), "an error holds no number"


def write(folder: Path, content: str | bytes, name: str = "drop.csv") -> None:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize(
    ("content", "ids", "told"),
    [
        (HEAD, [], 0),
        (f"{HEAD}\n\n\n", [], 0),
        (f"\ufeff\n{HEAD}\r\n{row(1)}\n{row(2)}\r{row(3)}", ["1", "2", "3"], 0),
        (f"{HEAD}\r{row(1)}\r{row(2)}\r", ["1", "2"], 0),
        (f"{HEAD}\n1,0470\n2,,,,,,,,,\n", [], 2),
        (f"{HEAD}\n{row(1, city=SEVERAL_LINES)}\n", ["1"], 0),
        (f"{HEAD}\n{row(1, city=MANY_COMMAS)}\n", ["1"], 0),
        (f"{HEAD}\n1,0470123456,yes,2026-03-01,nl,{SEVERAL_LINES}\n{row(2)}\n", ["2"], 1),
        (f"{HEAD}\n{row(1, name=INCHES)}\n{row(2)}\n", ["1", "2"], 0),
    ],
    ids=[
        "header", "blank", "mixed ends", "old Mac", "all ragged", "several lines", "commas",
        "ragged text", "an inch mark",
    ],
)  # fmt: skip
def test_odd_but_readable(tmp_path: Path, content: str, ids: list[str], told: int) -> None:
    write(tmp_path, content)
    found = read(tmp_path)
    assert found[0] == ids
    assert len(found[1]) == told


def test_a_quote_that_takes_rows_in_stops_the_file(tmp_path: Path) -> None:
    """Such a row is one record to a CSV reader, and the rows in it, a withdrawal perhaps, would be gone."""
    write(tmp_path, "\n".join([HEAD, row(1), row(2, name='"An'), row(3), row(4, name='An"'), row(5)]))
    refused(tmp_path, "a quote that is not closed takes whole rows")
    write(tmp_path, "\n".join([HEAD, row(1), row(2, name='"An'), row(3), row(4)]))
    refused(tmp_path, "row 3 has a quote that is not closed")
    write(tmp_path, "\n".join([HEAD, row(1), row(2, city='"Gent'), row(3, city='Gent"')]))
    refused(tmp_path, "a quote that is not closed")


def test_nul_bytes_and_control_characters_reach_nobody(store: Store) -> None:
    rows = [
        row(1, name="A\x00n\x1b", language="n\x00l"),
        row(2, phone="0470\x00123456"),
        row(3, consent="y\x00es"),
    ]
    write(store.folder, "\n".join([HEAD, *rows]))
    assert store.pull(entity(source())).reasons == {"phone_not_a_number": 1, "consent_unreadable": 1}
    (staged,) = store.rows("select phone, language, attributes from optin_staging")
    assert (staged["phone"], staged["language"]) == ("+32470123456", None)
    assert staged["attributes"]["first_name"] == "A n"


def test_a_column_that_is_not_ours_may_change_its_type_later(tmp_path: Path) -> None:
    lines = [f"{HEAD},zip", *(f"{row(n)},9000" for n in range(130_000)), f"{row(7)},B-9000 \u00e9"]
    write(tmp_path, "\n".join(lines))
    assert len(read(tmp_path)[0]) == 130_001


@pytest.mark.parametrize(
    ("content", "options", "match"),
    [
        (f"{HEAD},phone\n{LINE},1\n", {}, "has the column 'phone' twice"),
        (f"{HEAD}\n{LINE}".encode("utf-16"), {}, "no column|not utf-8"),
        (f"{HEAD}\n{LINE}\n", {"encoding": "klingon"}, "unknown encoding: klingon"),
        (f"{HEAD}\n{LINE}\n", {"separator": "||"}, "the separator is not one character"),
        (f"{HEAD}\n{LINE}\n", {"format": "xml"}, "format 'xml' is not known"),
        (f"{HEAD}\n{LINE}\n", {"format": "parquet"}, "cannot be read as parquet"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: str | bytes, options: Any, match: str) -> None:
    write(tmp_path, content)
    refused(tmp_path, match, **options)


def test_utf_16_can_be_declared(tmp_path: Path) -> None:
    write(tmp_path, f"{HEAD}\n{LINE}".encode("utf-16"))
    assert read(tmp_path, encoding="utf-16") == (["1"], [])


def test_lines_of_json_that_are_none_are_told_one_by_one(tmp_path: Path) -> None:
    good = json.dumps(FIELDS).encode()
    half = json.dumps(FIELDS | {"id": "2", "name": "\ud83d"}).encode()  # half of an emoji, escaped
    lines = [b"\xef\xbb\xbf" + good, b"", b"[1]", b'{"id": ', good.replace(b"An", b"\xe9"), half, b"7"]
    write(tmp_path, b"\n".join(lines), "drop.jsonl")
    ids, told = read(tmp_path, format="jsonl")
    assert ids == ["1"]
    assert [each.removeprefix("drop.jsonl, line ") for each in told] == [
        "3: not a JSON object",
        "4: not JSON",
        "5: not JSON",
        "6: not JSON",
        "7: not a JSON object",
    ]


def test_rows_that_cannot_be_read_are_records_of_the_pull(store: Store) -> None:
    write(store.folder, "\n".join(["{"] * 250), "drop.csv")
    with pytest.raises(
        SourceShapeChanged, match=r"none of the 250 records can be taken \(unreadable_row 250\)"
    ):
        store.pull(entity(source(options={"pattern": "drop*", "format": "jsonl"})))
    write(store.folder, "\n".join([json.dumps(FIELDS), *["{"] * 3]), "drop.csv")
    result = store.pull(entity(source(options={"pattern": "drop*", "format": "jsonl"})))
    assert (result.pulled, result.staged, dict(result.reasons)) == (4, 1, {"unreadable_row": 3})


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_line_without_end_takes_no_memory(tmp_path: Path, form: str) -> None:
    path = tmp_path / "drop.txt"
    write(tmp_path, f"{HEAD}\n1,", path.name)
    os.truncate(
        path, 1 << (30 if form == "csv" else 28)
    )  # the rest is NUL bytes that take no room on the disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if form == "csv":
        refused(tmp_path, "a row is longer than 2 MB", format=form)
    else:
        told = read(tmp_path, format=form)[1]
        assert told == ["drop.txt, line 1: not JSON", "drop.txt, line 2: longer than 1048576 bytes"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


# --- packed files ---------------------------------------------------------------------------------------------------


def pack(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is harmless is 1 MB, so that bombs of a test need not be large."""
    monkeypatch.setattr(unpacking, "HARMLESS", 1 << 20)


@pytest.mark.parametrize("packing", ["zip", "gz"])
def test_a_bomb_is_not_unpacked(tmp_path: Path, small_budget: None, packing: str) -> None:
    content = f"{HEAD}\n{LINE}\n".encode() + b"\n" * (20 << 20)
    if packing == "gz":
        write(tmp_path, gzip.compress(content, 9), "drop.csv.gz")
    else:
        pack(tmp_path / "drop.zip", {"a.csv": content})
    refused(tmp_path, "unpacks to more than 200 times its size")


def test_a_thousand_files_that_share_their_bytes_are_a_bomb_together(
    tmp_path: Path, small_budget: None
) -> None:
    """Fifield's zip: each file is harmless, their directory entries all point to the same packed bytes."""
    content = (HEAD + "\n" + (LINE + "\n") * 8_000).encode()
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflater.compress(content) + deflater.flush()
    sizes = struct.pack("<LLL", zlib.crc32(content), len(packed), len(content))
    local = (
        b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes + struct.pack("<HH", 5, 0) + b"a.csv"
    )
    entry = b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 33) + sizes
    entry += struct.pack("<HHHHHLL", 5, 0, 0, 0, 0, 0, 0) + b"a.csv"
    directory = entry * 1_000
    end = b"PK\x05\x06" + struct.pack(
        "<HHHHLLH", 0, 0, 1_000, 1_000, len(directory), len(local) + len(packed), 0
    )
    write(tmp_path, local + packed + directory + end, "drop.zip")
    # Python 3.11.8 and 3.12.2 see the overlap themselves.
    refused(tmp_path, "unpacks to more than 200 times its size|Overlapped entries")


def test_a_zip_in_a_zip_is_no_csv_and_is_not_unpacked(tmp_path: Path) -> None:
    pack(tmp_path / "inner.zip", {"a.csv": f"{HEAD}\n{LINE}\n".encode()})
    pack(tmp_path / "drop.zip", {"inner.zip": (tmp_path / "inner.zip").read_bytes()})
    refused(tmp_path, "'drop.zip")


def test_a_zip_with_a_password_or_an_unknown_packing_is_named(tmp_path: Path) -> None:
    pack(tmp_path / "drop.zip", {"a.csv": f"{HEAD}\n{LINE}\n".encode()})
    plain = (tmp_path / "drop.zip").read_bytes()
    at = plain.index(b"PK\x01\x02")
    locked = bytearray(plain)
    locked[6] |= 1
    locked[at + 8] |= 1
    write(tmp_path, bytes(locked), "drop.zip")
    refused(tmp_path, "password required")
    odd = bytearray(plain)
    odd[8], odd[at + 10] = 97, 97
    write(tmp_path, bytes(odd), "drop.zip")
    refused(tmp_path, "compression method")


def test_a_zip_cut_off_is_named_and_nothing_of_it_is_kept(store: Store) -> None:
    content = "\n".join([HEAD, *(row(n, name=f"{n * 7919 % 100_003}") for n in range(60_000))])
    packed = gzip.compress(content.encode())
    write(store.folder, packed[: len(packed) - 2_000], "drop.csv.gz")
    brand = entity(source(options={"pattern": "drop*"}))
    with pytest.raises(SourceShapeChanged, match=r"'drop\.csv\.gz'"):
        store.pull(brand)
    assert store.value("select count(*) from optin_staging") == 0
    assert store.value("select count(*) from source_file") == 0
    write(store.folder, packed, "drop.csv.gz")
    assert store.pull(brand).pulled == 60_000


# --- Parquet --------------------------------------------------------------------------------------------------------


def table(**columns: Any) -> pa.Table:
    return pa.table({name: columns.get(name, [value] * 2) for name, value in FIELDS.items()})


def test_a_column_of_another_type_is_read_as_text(tmp_path: Path) -> None:
    odd = table(
        id=pa.array([7, 8], pa.uint64()),
        phone=pa.array([decimal.Decimal("32470123456.00"), None], pa.decimal128(20, 2)),
        consent=pa.array(["yes", "no"]).dictionary_encode(),
        changed=pa.array([1_772_359_200_000_000, None], pa.timestamp("us", "Europe/Brussels")),
        language=pa.array([b"nl", b"\xff"], pa.large_binary()),
        name=pa.array([[{"a": decimal.Decimal(1), "b": b"x"}], None]),
        city=pa.array([float("nan"), 1.5]),
    )
    pq.write_table(odd, tmp_path / "drop.parquet")
    (frame,) = file.fetch(source(options={"pattern": "drop*", "format": "parquet"}), tmp_path, None)
    rows = frame[list(HEADER)].astype(object).where(frame.notna(), None).to_numpy().tolist()
    assert rows == [
        ["7", "32470123456", "yes", "2026-03-01T11:00:00+01:00", "nl", '[{"a":"1","b":"b\'x\'"}]', "nan"],
        ["8", None, "no", None, "\ufffd", None, "1.5"],
    ]


def test_a_packed_parquet_is_read_as_well(tmp_path: Path) -> None:
    whole = io.BytesIO()
    pq.write_table(table(), whole)
    write(tmp_path, gzip.compress(whole.getvalue()), "drop.parquet.gz")
    pack(tmp_path / "drop.zip", {"a.parquet": whole.getvalue()})
    assert read(tmp_path, format="parquet")[0] == ["1"] * 4


def test_a_damaged_parquet_is_named(tmp_path: Path) -> None:
    whole = io.BytesIO()
    many = pd.DataFrame({name: [f"{value}{n}" for n in range(5_000)] for name, value in FIELDS.items()})
    pq.write_table(pa.Table.from_pandas(many), whole, compression="snappy")
    content = whole.getvalue()
    for broken in (content[:-20], content[:4] + b"\xff" * 3_000 + content[3_004:], b"PAR1", content[200:]):
        write(tmp_path, broken, "drop.parquet")
        refused(tmp_path, "cannot be read as parquet", format="parquet")


def test_a_parquet_of_more_rows_than_bytes_is_a_bomb(tmp_path: Path) -> None:
    same = pa.table(
        {name: pa.array([value]).take(pa.array([0] * 1_100_000)) for name, value in FIELDS.items()}
    )
    pq.write_table(same, tmp_path / "drop.parquet", compression="zstd")
    refused(tmp_path, "it says it has 1100000 rows in", format="parquet")


def test_a_parquet_with_texts_that_are_none_or_columns_twice_is_named(tmp_path: Path) -> None:
    wrong = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(struct.pack("<iii", 0, 1, 2)), pa.py_buffer(b"\xff\xfe")]
    )
    pq.write_table(table(name=wrong), tmp_path / "drop.parquet")
    refused(tmp_path, "it is not utf-8", format="parquet")
    both = pa.Table.from_arrays([*table().columns, pa.array(["x", "y"])], [*HEADER, "phone"])
    pq.write_table(both, tmp_path / "drop.parquet")
    refused(tmp_path, "has the column 'phone' twice", format="parquet")


# --- files that change or come again ---------------------------------------------------------------------------------


def test_a_file_is_not_even_read_again_when_nothing_about_it_changed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = entity(source())
    path = store.folder / "drop.csv"
    write_csv(path, [ROW])
    os.utime(path, (1_770_000_000, 1_770_000_000))  # long before the pull: nobody is writing to it any more
    assert store.pull(brand).pulled == 1
    hashed: list[str] = []
    real = file.mark_of
    monkeypatch.setattr(file, "mark_of", lambda path, source: hashed.append(path.name) or real(path, source))
    assert store.pull(brand).pulled == 0
    assert hashed == []
    write_csv(path, [("2", *ROW[1:])])
    assert store.pull(brand).pulled == 1
    assert store.pull(brand).pulled == 0
    assert hashed == ["drop.csv"] * 2, "a file of today is recognised by its content"
    os.utime(path, (1_770_000_001, 1_770_000_001))
    assert store.pull(brand).pulled == 0
    assert store.pull(brand).pulled == 0
    assert len(hashed) == 3


def test_files_of_one_name_in_two_folders_are_two_files_and_the_same_content_is_one(store: Store) -> None:
    brand = entity(source(options={"pattern": "*/drop.csv"}))
    for folder, number in (("a", "1"), ("b", "2"), ("c", "2")):
        (store.folder / folder).mkdir()
        write_csv(store.folder / folder / "drop.csv", [(number, *ROW[1:])])
    assert store.pull(brand).pulled == 2
    assert [each["name"] for each in store.rows("select name from source_file order by 1")] == [
        "a/drop.csv",
        "b/drop.csv",
    ]
    assert store.pull(brand).pulled == 0
