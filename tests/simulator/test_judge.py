"""What the judge counts, and that a kill -9 takes nothing from it that was acknowledged."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
import urllib.error
from pathlib import Path

import numpy as np
import pytest

from include.simulator.gateway.journal import MessageRow
from include.simulator.gateway.judge import Judge
from tests.support.simulator import Simulator, running_simulator, template_message

DOCUMENTED = [
    "requests",
    "messages",
    "accepted",
    "unique_references",
    "duplicate_references",
    "duplicate_recipients",
    "max_per_second",
]


def test_stats_begin_with_the_documented_figures(simulator: Simulator) -> None:
    stats = simulator.stats()
    assert list(stats)[:7] == DOCUMENTED
    assert set(stats.values()) == {0} or all(isinstance(each, int) for each in stats.values())


def test_duplicates_are_counted_beyond_the_first(simulator: Simulator) -> None:
    first = {"customGrouping": "campaign-1"}
    simulator.send(
        template_message("0031612345678", reference="a", **first),
        template_message("+31612345678", reference="b", **first),
        template_message("0031612345678", reference="c", customGrouping="campaign-2"),
        template_message("0031612345679", reference="a", **first),
        template_message("x", reference="d", **first),
    )
    simulator.post(b"{")
    stats = simulator.stats()
    assert {name: stats[name] for name in DOCUMENTED} == {
        "requests": 2,
        "messages": 5,
        "accepted": 4,
        "unique_references": 3,
        "duplicate_references": 1,
        "duplicate_recipients": 1,
        "max_per_second": 5,
    }
    assert stats["rejected"] == 1


def test_most_within_any_second_is_exact() -> None:
    draw = np.random.default_rng(7)
    for _ in range(50):
        arrived = draw.uniform(0, 10, 300)
        judge = Judge()
        for number, at in enumerate(arrived, start=1):
            judge.message(MessageRow(number, 1, 0, float(at), "a", None, str(number), "", 0, None, 0))
        expected = max(int(((arrived >= at) & (arrived < at + 1)).sum()) for at in arrived)
        assert judge.stats()["max_per_second"] == expected


def test_messages_by_page_and_reset(simulator: Simulator) -> None:
    simulator.send(*[template_message(reference=f"r{number}") for number in range(5)])
    assert [each["reference"] for each in simulator.messages(after=3)] == ["r3", "r4"]
    assert [each["id"] for each in simulator.lines("/_sim/messages?after=1&limit=2")] == [2, 3]
    simulator.reset()
    assert simulator.messages() == []
    assert simulator.stats()["requests"] == 0
    simulator.send(template_message(reference="again"))
    assert [each["id"] for each in simulator.messages()] == [1]


def test_control_is_for_this_machine_only() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; tells which address would be used
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address = probe.getsockname()[0]
    with running_simulator(host="0.0.0.0") as simulator:
        port = simulator.url.rsplit(":", 1)[1]
        simulator.url = f"http://127.0.0.1:{port}"
        assert simulator.get("/_sim/health") == {"status": "ok"}
        simulator.url = f"http://{address}:{port}"
        with pytest.raises(urllib.error.HTTPError) as error:
            simulator.stats()
        assert error.value.code == 403
        assert simulator.send(template_message())[0] == 200


def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with running_simulator(db=tmp_path / "journal.db", speed=1000) as simulator:
        acknowledged: list[str] = []
        sent: list[str] = []

        def send(worker: int) -> None:
            for batch in range(1000):
                references = [f"w{worker}b{batch}m{number}" for number in range(20)]
                sent.extend(references)
                messages = [
                    template_message(f"00316{worker}{batch:05d}{number:02d}", reference=reference)
                    for number, reference in enumerate(references)
                ]
                try:
                    simulator.send(*messages)
                except (OSError, urllib.error.URLError, json.JSONDecodeError):
                    return
                acknowledged.extend(references)

        workers = [threading.Thread(target=send, args=(number,)) for number in range(3)]
        for worker in workers:
            worker.start()
        time.sleep(2)
        simulator.kill()
        for worker in workers:
            worker.join()
        simulator.start()
        remembered = {each["reference"] for each in simulator.messages()}
        assert len(acknowledged) > 100
        assert set(acknowledged) <= remembered <= set(sent)
        stats = simulator.stats()
        assert stats["accepted"] == stats["unique_references"] == len(remembered)
        assert simulator.send(template_message(reference=acknowledged[0]))[0] == 200
        assert simulator.stats()["duplicate_references"] == 1, "what came before the crash still counts"


def test_stop_window_and_replies_survive_a_restart(tmp_path: Path) -> None:
    with running_simulator(db=tmp_path / "journal.db") as simulator:
        simulator.inbound(from_="+31612345678", text="stop")
        simulator.kill()
        simulator.start()
        simulator.send(template_message("0031612345678"))
        stats = simulator.stats()
        assert (stats["people_stopped"], stats["messages_after_stop"], stats["replies"]) == (1, 1, 1)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_text("not a database, but long enough to be looked at" * 100)
    with (
        pytest.raises(RuntimeError, match=r"journal\.db: file is not a database\. Give another file to --db"),
        running_simulator(db=path),
    ):
        pass


def test_the_journal_holds_no_token(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    token = "99999999-9999-9999-9999-999999999999"
    with running_simulator(db=path, token=token) as simulator:
        body = {"messages": {"authentication": {"productToken": token}, "msg": [template_message()]}}
        assert simulator.post(json.dumps(body).encode(), token=None)[0] == 200
        assert simulator.send(template_message(), token=token)[0] == 200
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM message").fetchone() == (2,)
    for file in tmp_path.iterdir():
        assert token.encode() not in file.read_bytes()
