"""The file kind on real files: the three formats, and files as they really come."""

from __future__ import annotations

import gzip
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.optins import SourceShapeChanged
from include.optins.sources import OptOut, file
from tests.support.optins import HEADER, Store, entity, source, write_csv

ROW = ("1", "0470123456", "yes", "2026-03-01T10:00:00Z", "nl", "An", "Gent")
FIELDS = dict(zip(HEADER, ROW, strict=True))


def read(folder: Path, **options: Any) -> list[list[Any]]:
    chosen = source(options={"pattern": "drop*"} | options)
    return [
        row for frame in file.fetch(chosen, folder, None) for row in frame[list(HEADER)].to_numpy().tolist()
    ]


def test_csv_json_lines_and_parquet_say_the_same(tmp_path: Path) -> None:
    for name in ("csv", "jsonl", "parquet", "gz"):
        (tmp_path / name).mkdir()
    write_csv(tmp_path / "csv" / "drop.csv", [ROW])
    (tmp_path / "jsonl" / "drop.jsonl").write_text(json.dumps(FIELDS) + "\n\n")
    pd.DataFrame([FIELDS]).to_parquet(tmp_path / "parquet" / "drop.parquet")
    (tmp_path / "gz" / "drop.csv.gz").write_bytes(gzip.compress((tmp_path / "csv" / "drop.csv").read_bytes()))
    found = [
        read(tmp_path / name, format=name.replace("gz", "csv")) for name in ("csv", "jsonl", "parquet", "gz")
    ]
    assert found == [[list(ROW)]] * 4


def test_typed_values_become_texts(tmp_path: Path) -> None:
    typed = FIELDS | {
        "id": 7,
        "phone": 32470123456.0,
        "consent": True,
        "changed": pd.Timestamp("2026-03-01 10:00"),
    }
    pd.DataFrame([typed]).to_parquet(tmp_path / "drop.parquet")
    assert read(tmp_path, format="parquet")[0][:4] == ["7", "32470123456", "true", "2026-03-01T10:00:00"]
    (tmp_path / "drop.parquet").unlink()
    (tmp_path / "drop.jsonl").write_text(json.dumps(typed | {"changed": 1772359200}) + "\n")
    assert read(tmp_path, format="jsonl")[0][:4] == ["7", "32470123456", "true", "1772359200"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty, without even a header"),
        (",".join(HEADER).encode() + b"\n1,\xe9,yes,,,,\n", "it is not utf-8"),
        (b"id;phone;consent\n1;2;3\n", "no column 'id', 'phone'"),
        (b"id,phone,consent\n", "no column 'changed'"),
        (b"\x1f\x8b\x08 no gzip at all", "cannot be read|no column"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "drop_7.csv").write_bytes(content)
    with pytest.raises(SourceShapeChanged, match=told) as raised:
        read(tmp_path)
    assert "'drop_7.csv'" in str(raised.value)


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    (tmp_path / "drop.csv.gz").write_bytes(gzip.compress(b"id,phone\n" * 10_000)[:60])
    with pytest.raises(SourceShapeChanged, match=r"'drop.csv.gz'"):
        read(tmp_path)


def test_a_bom_windows_lines_quotes_and_a_declared_encoding_are_understood(tmp_path: Path) -> None:
    text = ",".join(HEADER) + '\r\n1,0470123456,yes,2026-03-01,nl,"Zoé, dite\r\n ""Zo""",Gent\r\n'
    (tmp_path / "drop.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read(tmp_path)[0][5] == 'Zoé, dite\r\n "Zo"'
    (tmp_path / "drop.csv").write_bytes(text.encode("cp1252"))
    assert read(tmp_path, encoding="cp1252")[0][5] == 'Zoé, dite\r\n "Zo"'


def test_a_ragged_row_is_set_aside_with_its_place_and_the_rest_is_taken(store: Store) -> None:
    content = (
        ",".join(HEADER) + "\n" + ",".join(ROW) + "\n2,0470123457,yes\n" + "3" + ",".join(ROW)[1:] + "\n"
    )
    (store.folder / "drop.csv").write_text(content)
    result = store.pull(entity(source()))
    assert (result.staged, dict(result.reasons)) == (2, {"unreadable_row": 1})
    (rejected,) = store.rows("select reason, record_id, detail from rejected_record")
    assert rejected["detail"] == "drop.csv, row 3: 3 instead of 7 fields"


def test_opt_outs_are_delivered_as_a_file_of_their_own(tmp_path: Path) -> None:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for _ in range(2):
        assert [
            each.problem for each in file.tell(source(), tmp_path, [OptOut("a", at), OptOut('b"', at)], at)
        ] == [None, None]
    (written,) = (tmp_path / "optouts").iterdir()
    assert written.name.startswith("drop_optouts_20260501T120000Z_")
    assert written.read_text().splitlines()[1:] == [
        "a,2026-05-01T12:00:00+00:00",
        '"b""",2026-05-01T12:00:00+00:00',
    ]


def test_a_zip_gives_the_files_in_it(tmp_path: Path) -> None:
    for number in (1, 2):
        write_csv(tmp_path / f"part{number}.csv", [(str(number), *ROW[1:])])
    with zipfile.ZipFile(tmp_path / "drop_20260501.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in (1, 2):
            archive.write(tmp_path / f"part{number}.csv", f"folder/part{number}.csv")
    assert [row[0] for row in read(tmp_path, pattern="drop_%Y%m%d.zip")] == ["1", "2"]
    assert read(tmp_path, pattern="drop_%Y%m%d_%H.zip") == []


def test_a_damaged_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "drop.zip").write_bytes(b"PK\x03\x04 no zip at all")
    with pytest.raises(SourceShapeChanged, match=r"'drop.zip'"):
        read(tmp_path)


def test_a_file_is_read_once_whatever_its_name_and_again_when_it_is_read_in_another_way(store: Store) -> None:
    brand = entity(source())
    write_csv(store.folder / "drop_1.csv", [ROW])
    assert store.pull(brand).pulled == 1
    (store.folder / "drop_1.csv").rename(store.folder / "drop_renamed.csv")
    assert store.pull(brand).pulled == 0
    write_csv(store.folder / "drop_2.csv", [("2", *ROW[1:])])
    assert store.pull(brand).pulled == 1
    assert store.pull(entity(source(true_values=("yes", "certainly")))).pulled == 2


def test_a_file_of_a_run_that_was_lost_or_is_done_again_is_read_again(store: Store) -> None:
    brand = entity(source())
    write_csv(store.folder / "drop.csv", [ROW])
    assert store.pull(brand, run_key="a").pulled == 1
    assert store.pull(brand, run_key="a").pulled == 1
    store.execute("truncate optin_staging")
    assert store.reconcile(brand).lost
    assert store.pull(brand, run_key="b").pulled == 1
