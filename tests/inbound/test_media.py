"""Media of replies: copied only when asked, from a real server into a folder, and gone from there when it is time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.database import connect
from include.entities import Entity
from include.entities.models import KeepMedia
from include.inbound import from_webhook, record_inbound
from include.inbound.media import GIVE_UP_AFTER, keep_due
from include.privacy import erase
from tests.message_log.ledger import add_people
from tests.support.json_api import Answer, Request, json_api
from tests.support.optins import entity, source

NOW = datetime.now(UTC) + timedelta(minutes=10)  # what is kept becomes due by the database's clock
PICTURE = b"\xff\xd8\xff" + bytes(1000)


def brand(**keep: Any) -> Entity:
    return entity(
        source(), keep_media=KeepMedia(connection="media", hosts=("127.0.0.1",), allow_http=True, **keep)
    )


def sends(dsn: str, to: Entity, uri: str, *, number: str = "+32470000000", text: str = "") -> None:
    document = {
        "from": {"number": number},
        "message": {"text": text, "media": {"mediaUri": uri, "contentType": "image/jpeg"}},
        "timeUtc": NOW.isoformat(),
    }
    with connect(dsn) as conn:
        record_inbound(conn, [from_webhook(document, now=NOW)], entities=[to], suppression_key=None)


def rows(dsn: str) -> list[tuple[str, str | None]]:
    with connect(dsn) as conn:
        return [
            (row["state"], row["problem"])
            for row in conn.execute("select * from kept_media order by inbound_id")
        ]


def jpeg(_: Request, __: int) -> Answer:
    return Answer(PICTURE, headers={"Content-Type": "image/jpeg"})


def test_nothing_is_copied_unless_asked(migrated_database: str, tmp_path: Path) -> None:
    plain = entity(source())
    sends(migrated_database, plain, "https://cdn-1.messaging.cm.com/fileproxy/files/1")
    assert keep_due(plain, tmp_path, dsn=migrated_database, now=NOW) == {}
    assert rows(migrated_database) == []
    with connect(migrated_database) as conn:
        row = conn.execute("select media_uri from inbound_message").fetchone()
    assert row == {"media_uri": "https://cdn-1.messaging.cm.com/fileproxy/files/1"}, "linked, though"


def test_a_picture_is_kept_once_and_deleted_when_its_time_is_over(
    migrated_database: str, tmp_path: Path
) -> None:
    to = brand(days=10)
    with json_api(jpeg) as api:
        sends(migrated_database, to, f"{api.url}/1")
        sends(migrated_database, to, f"{api.url}/1")
        headers = {"X-CM-PRODUCTTOKEN": "secret"}
        assert keep_due(to, tmp_path, dsn=migrated_database, now=NOW, headers=headers) == {"done": 1}
        assert keep_due(to, tmp_path, dsn=migrated_database, now=NOW, headers=headers) == {}
        assert all("X-CM-PRODUCTTOKEN" not in each.headers for each in api.requests), "it is CM.com's alone"
    [file] = tmp_path.iterdir()
    assert file.read_bytes() == PICTURE
    assert file.name == f"brand-{NOW:%Y-%m}-1.jpg"
    assert keep_due(to, tmp_path, dsn=migrated_database, now=NOW + timedelta(days=9)) == {}
    assert keep_due(to, tmp_path, dsn=migrated_database, now=NOW + timedelta(days=11)) == {"deleted": 1}
    assert list(tmp_path.iterdir()) == []
    assert rows(migrated_database) == [("deleted", None)]


def test_what_fails_is_tried_again_and_what_never_can_be_is_not(
    migrated_database: str, tmp_path: Path
) -> None:
    to = brand(max_mb=1)
    said = {"/later": [Answer({}, 503), jpeg], "/gone": [Answer({}, 404)], "/big": [Answer(bytes(1_000_001))]}

    def answer(request: Request, _: int) -> Answer:
        queue = said[request.path]
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        return found if isinstance(found, Answer) else found(request, 0)

    with json_api(answer) as api:
        for path in said:
            sends(migrated_database, to, f"{api.url}{path}", text=path)
        sends(migrated_database, to, f"http://localhost:{api.url.rsplit(':', 1)[1]}/later", text="other host")
        sends(migrated_database, to, "https://169.254.169.254/latest/meta-data", text="the cloud's own")
        assert keep_due(to, tmp_path, dsn=migrated_database, now=datetime.now(UTC)) == {
            "again": 1,
            "given_up": 4,
        }
        asked = [each.path for each in api.requests]
        assert sorted(asked) == ["/big", "/gone", "/later"], "no other host was asked"
        assert list(tmp_path.iterdir()) == []
        assert keep_due(
            to, tmp_path, dsn=migrated_database, now=datetime.now(UTC) + timedelta(minutes=3)
        ) == {"done": 1}
    assert rows(migrated_database) == [
        ("done", None),
        ("given_up", "HTTP 404"),
        ("given_up", "it is larger than max_mb"),
        ("given_up", "its host is none of keep_media.hosts"),
        ("given_up", "its host is none of keep_media.hosts"),
    ]


def test_after_a_week_it_is_given_up(migrated_database: str, tmp_path: Path) -> None:
    to = brand()
    sends(migrated_database, to, "http://127.0.0.1:9/x")
    assert keep_due(to, tmp_path, dsn=migrated_database, now=datetime.now(UTC)) == {"again": 1}
    assert keep_due(to, tmp_path, dsn=migrated_database, now=datetime.now(UTC) + GIVE_UP_AFTER) == {
        "given_up": 1
    }


def test_who_is_erased_leaves_no_picture(migrated_database: str, tmp_path: Path) -> None:
    to = brand()
    with connect(migrated_database) as conn:
        [person] = add_people(conn, 1, entity="brand")
        conn.execute(
            "insert into source_record (entity, source, record_id, subscription_id) values ('brand', 'shop', '7', %s)",
            (person,),
        )
        conn.commit()
    with json_api(jpeg) as api:
        sends(migrated_database, to, f"{api.url}/1")
        assert keep_due(to, tmp_path, dsn=migrated_database, now=NOW) == {"done": 1}
    erase("brand", source="shop", record_id="7", actor="test", dsn=migrated_database, now=NOW)
    assert keep_due(to, tmp_path, dsn=migrated_database, now=NOW) == {"deleted": 1}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("domain", ["evilcm.com", "cm.com.evil.example", "cm.com@evil.example"])
def test_a_host_is_of_a_domain_or_it_is_not(migrated_database: str, tmp_path: Path, domain: str) -> None:
    to = entity(source(), keep_media=KeepMedia(connection="media"))
    sends(migrated_database, to, f"https://{domain}/x")
    assert keep_due(to, tmp_path, dsn=migrated_database, now=NOW) == {"given_up": 1}
