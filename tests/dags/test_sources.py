"""A source's Airflow connection as what its kind reads from, against the real system at the other end."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.entities import Source
from include.entities.models import Columns, OptOutBack
from include.optins import HttpAccess, Opener, SourceRefused, SourceUnavailable
from include.optins.sources import OptOut, file, sql
from tests.support.json_api import Answer, json_api
from tests.support.optins import HEADER, Store, entity, source
from tests.support.stores import PASSWORD, S3, USER, Sftp, gcs_server, s3_server, sftp_server

pytestmark = pytest.mark.airflow
ROOT = Path(__file__).parents[2]
AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
CSV = (",".join(HEADER) + "\n1,0470123456,yes,2026-03-01T10:00:00Z,nl,An,Gent\n").encode()
Define = Callable[..., None]
Access = Callable[[Source], Any]


@pytest.fixture
def define(airflow_in_this_process: None, monkeypatch: pytest.MonkeyPatch) -> Define:
    """Defines the Airflow connection `drop`."""

    def define(conn_type: str, **fields: Any) -> None:
        from airflow.sdk.io import store

        monkeypatch.setenv("AIRFLOW_CONN_DROP", json.dumps({"conn_type": conn_type, **fields}))
        store._STORE_CACHE.clear()  # a task's process has one connection of this name all its life

    return define


@pytest.fixture
def access(airflow_in_this_process: None, monkeypatch: pytest.MonkeyPatch) -> Access:
    """`source_access` of the Dags."""
    monkeypatch.syspath_prepend(ROOT / "dags")
    from wiring.sources import source_access

    return source_access


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def client_key() -> Any:
    import asyncssh

    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def sftp(tmp_path: Path, client_key: Any) -> Iterator[Sftp]:
    (tmp_path / "served" / "in").mkdir(parents=True)
    with sftp_server(tmp_path / "served", client_key=client_key.export_public_key().decode()) as server:
        yield server


def read(access: Access, chosen: Source) -> list[str]:
    with access(chosen) as opened:
        return [record for frame in file.fetch(chosen, opened, None) for record in frame["id"]]


def aws(url: str, folder: str, **changes: Any) -> dict[str, Any]:
    extra = {"endpoint_url": url, "region_name": "us-east-1", "path": f"drops/{folder}"}
    return {"login": USER, "password": PASSWORD, "extra": extra} | changes


def test_s3(s3: S3, define: Define, access: Access) -> None:
    for day, record in (("20260430", b"1"), ("20260501", b"2")):
        s3.put(f"in/drop_{day}.csv", CSV.replace(b"\n1,", b"\n" + record + b","))
    s3.put("in/drop_latest.csv", CSV)
    define("aws", **aws(s3.url, "in"))
    dated = source(options={"pattern": "drop_%Y%m%d.csv"})
    assert read(access, dated) == ["1", "2"]
    # A file that comes later is seen, although this process has listed the folder before.
    s3.put("in/drop_20260502.csv", CSV.replace(b"\n1,", b"\n3,"))
    assert read(access, dated) == ["1", "2", "3"]
    with access(dated) as opened:
        assert file.tell(dated, opened, [OptOut("1", AT)], AT)[0].problem is None
        assert file.tell(dated, opened, [OptOut("1", AT)], AT)[0].problem is None
    (told,) = [key for key in s3.names() if "optouts" in key]
    assert told.startswith("in/optouts/drop_optouts_20260501T120000Z_")
    assert s3.get(told) == b"record_id,occurred_at\r\n1,2026-05-01T12:00:00+00:00\r\n"


def test_files_in_s3_are_pulled_once(s3: S3, define: Define, access: Access, store: Store) -> None:
    s3.put("once/drop.csv", CSV)
    define("aws", **aws(s3.url, "once"))
    brand = entity(source())
    opener = Opener(lambda: access(brand.sources[0]))
    assert [store.pull(brand, access=opener).pulled for _ in range(2)] == [1, 0]
    s3.put("once/drop.csv", CSV + CSV.partition(b"\n")[2].replace(b"1,", b"2,"))
    assert store.pull(brand, access=opener).pulled == 2


def test_an_s3_that_is_not_there_or_lets_nobody_in(
    s3: S3, define: Define, access: Access, store: Store
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        extra = aws(nobody, "in")["extra"] | {"config_kwargs": {"retries": {"max_attempts": 0}}}
        define("aws", **aws(nobody, "in", extra=extra))
        brand = entity(source())
        with pytest.raises(SourceUnavailable, match="'drop'"):
            store.pull(brand, access=Opener(lambda: access(brand.sources[0])))
    (run,) = store.rows("select state, problem from sync_run")
    assert run["state"] == "failed"
    assert "fails on" in run["problem"]
    define("aws", **aws(s3.url, "nothing"))
    with pytest.raises(SourceUnavailable, match="does not exist"):
        read(access, source())


def test_google_cloud_storage(define: Define, access: Access, store: Store) -> None:
    brand = entity(source())
    with gcs_server(drop_1=CSV, drop_2=CSV.replace(b"\n1,", b"\n2,"), other=CSV) as url:
        extra = {"path": "drops/in", "is_anonymous": True, "endpoint_url": url}
        define("google_cloud_platform", extra=extra)
        opener = Opener(lambda: access(brand.sources[0]))
        assert [store.pull(brand, access=opener).pulled for _ in range(2)] == [2, 0]


def sftp_connection(sftp: Sftp, **changes: Any) -> dict[str, Any]:
    extra = {"path": "/in", "host_key": sftp.host_key} | changes.pop("extra", {})
    return {
        "host": "127.0.0.1",
        "port": sftp.port,
        "login": USER,
        "password": PASSWORD,
        "extra": extra,
    } | changes


def test_sftp(sftp: Sftp, define: Define, access: Access, store: Store) -> None:
    (sftp.root / "in" / "drop.csv").write_bytes(CSV)
    define("sftp", **sftp_connection(sftp))
    brand = entity(source())
    opener = Opener(lambda: access(brand.sources[0]))
    assert [store.pull(brand, access=opener).pulled for _ in range(2)] == [1, 0]
    with access(brand.sources[0]) as opened:
        for _ in range(2):
            assert file.tell(brand.sources[0], opened, [OptOut("1", AT)], AT)[0].problem is None
    (told,) = (sftp.root / "in" / "optouts").iterdir()
    assert told.read_text() == "record_id,occurred_at\n1,2026-05-01T12:00:00+00:00\n"


@pytest.mark.parametrize("form", ["parquet", "zip", "gz"])
def test_sftp_files_that_are_packed(sftp: Sftp, define: Define, access: Access, form: str) -> None:
    import gzip
    import zipfile

    import pandas as pd

    place = sftp.root / "in" / f"drop.{form}"
    if form == "parquet":
        pd.DataFrame([dict(zip(HEADER, "1234567", strict=True))]).to_parquet(place)
    elif form == "zip":
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr("people.csv", CSV)
    else:
        place.write_bytes(gzip.compress(CSV))
    define("sftp", **sftp_connection(sftp))
    assert read(
        access,
        source(options={"pattern": "drop*", "format": form.replace("zip", "csv").replace("gz", "csv")}),
    ) == ["1"]


def test_sftp_with_a_private_key(sftp: Sftp, define: Define, access: Access, client_key: Any) -> None:
    (sftp.root / "in" / "drop.csv").write_bytes(CSV)
    private = client_key.export_private_key().decode()
    define("sftp", **sftp_connection(sftp, password=None, extra={"private_key": private}))
    assert read(access, source()) == ["1"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"password": "a wrong password"}, SourceRefused),
        ({"extra": {"host_key": None}}, SourceRefused),
        ({"extra": {"path": "/elsewhere"}}, SourceUnavailable),
        ({"port": 9}, SourceUnavailable),
        ({"extra": {"host_key": "ssh-ed25519 no-key"}}, SourceRefused),
    ],
)
def test_an_sftp_server_that_lets_nobody_in(
    sftp: Sftp, define: Define, access: Access, changes: dict[str, Any], problem: type[Exception]
) -> None:
    define("sftp", **sftp_connection(sftp, **changes))
    with pytest.raises(problem) as raised:
        read(access, source())
    assert "password" not in str(raised.value)


def test_an_sftp_server_that_goes_away_in_the_middle(tmp_path: Path, define: Define, access: Access) -> None:
    (tmp_path / "drop.csv").write_bytes(CSV)
    with sftp_server(tmp_path) as server:
        define("sftp", **sftp_connection(server, extra={"path": "/"}))
        with access(source()) as opened:
            list(file.fetch(source(), opened, None))
            kept = opened
    with pytest.raises(SourceUnavailable):
        list(file.fetch(source(), kept, None))


def test_a_local_folder(tmp_path: Path, define: Define, access: Access) -> None:
    (tmp_path / "drop.csv").write_bytes(CSV)
    define("fs", extra={"path": str(tmp_path)})
    assert read(access, source()) == ["1"]


TABLE = source(
    kind="sql",
    columns=Columns(record_id="id", phone="tel", consent="ok", changed_at="at"),
    options={"table": "people", "changed_column": "at"},
    optout=OptOutBack(statement="update people set ok = false where id = :record_id"),
)


def test_a_postgres_connection_reads_through_a_server_side_cursor(
    database: str, define: Define, access: Access
) -> None:
    with psycopg.connect(database) as conn:
        conn.execute(
            "create table people as select n as id, '0470' as tel, true as ok, now() as at "
            "from generate_series(1, 120000) n"
        )
        parts = conn.info
        fields = {
            "host": parts.host,
            "port": parts.port,
            "login": parts.user,
            "password": parts.password,
            "schema": parts.dbname,
        }
    define("postgres", **fields)
    with access(TABLE) as opened:
        frames = sql.fetch(TABLE, opened, None)
        assert len(next(frames)) == 50_000
        with psycopg.connect(database) as conn:
            cursors = conn.execute(
                "select query from pg_stat_activity where query ~* 'fetch forward'"
            ).fetchall()
        assert cursors
        assert [len(frame) for frame in frames] == [50_000, 20_000]
        sql.tell(TABLE, opened, [OptOut("7", AT)], AT)
    with psycopg.connect(database) as conn:
        assert conn.execute("select count(*) from people where not ok").fetchone() == (1,)
        conn.execute("drop table people")


def test_a_database_that_is_not_there(define: Define, access: Access) -> None:
    define("postgres", host="127.0.0.1", port=9, login="x", password="secret-password")
    with pytest.raises(SourceUnavailable) as raised, access(TABLE):
        pass
    assert "secret-password" not in str(raised.value)


def test_an_address_with_credentials(define: Define, access: Access) -> None:
    with json_api(lambda *_: Answer([])) as api:
        define("http", host=api.url, password="a-bearer-token", extra={"headers": {"X-Tenant": "acme"}})
        with access(source(kind="http")) as opened, opened.client() as client:
            client.get("/people")
        define("http", host=api.url, login="me", password="a-password")
        with access(source(kind="http")) as opened, opened.client() as client:
            client.get("/people")
    assert isinstance(opened, HttpAccess)
    assert api.requests[0].headers["Authorization"] == "Bearer a-bearer-token"
    assert api.requests[0].headers["X-Tenant"] == "acme"
    assert api.requests[1].headers["Authorization"].startswith("Basic ")


def test_a_connection_that_is_missing_or_of_a_wrong_type(define: Define, access: Access) -> None:
    define("carrier_pigeon")
    with (
        pytest.raises(SourceRefused, match="of type 'carrier_pigeon', from which the kind 'sql' cannot read"),
        access(TABLE),
    ):
        pass
    with access(source(kind="our_own_kind")) as opened:
        assert opened.conn_type == "carrier_pigeon"
    with pytest.raises(SourceRefused, match="no connection 'nowhere'"), access(source(connection="nowhere")):
        pass
    with access(source(kind="inbound", connection=None)) as opened:
        assert opened is None
