"""The Transactions API (cm_com.md 6.1)."""

from __future__ import annotations

import json
import urllib.error
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.simulator import SENDER, TOKEN, Simulator, running_simulator, template_message

PEOPLE = {
    "people": [
        {
            "number": "+31612345671",
            "outcome": "read",
            "deliver_after": 3,
            "read_after": 1,
            "reply": "Dank je",
        },
        {"number": "+32470000002", "outcome": "delivered", "deliver_after": 1, "reply": ""},
        {"number": "+4915112345673", "outcome": "failed", "code": "59"},
        {"number": "+14155550124", "outcome": "pending"},
    ]
}


@pytest.fixture(scope="module")
def four() -> object:
    with running_simulator(speed=200, population=PEOPLE) as simulator:
        simulator.send(
            template_message("0031612345671", reference="r1", customGrouping="c1", customGrouping2="b1"),
            template_message("0032470000002", reference="r2", customGrouping="c1"),
            template_message("004915112345673", reference="r3", customGrouping="c2"),
            template_message("0014155550124", reference="r4", customGrouping="c2"),
            template_message("not a number", reference="r5"),
        )
        simulator.wait_until(lambda stats: stats["replies"] == 1)
        yield simulator


def test_envelope_and_row(four: Simulator) -> None:
    start, end = datetime(2026, 7, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(hours=1)
    page = four.log(startdate=start.isoformat(), enddate=end.isoformat(), reference="r1")
    created = page["result"][0].pop("created")
    assert datetime.fromisoformat(created).utcoffset() is not None
    assert abs(datetime.fromisoformat(created) - datetime.now(UTC)) < timedelta(minutes=5)
    assert page.pop("result") == [
        {
            "sender": SENDER,
            "recipient": "0031612345671",
            "message": "Fallback text",
            "standarderror": None,
            "errordescription": "",
            "status": 20,
            "statusdescription": "Read",
            "countryiso": "NL",
            "countryname": "Netherlands",
            "mccmnc": "",
            "operatorname": "",
            "deliverytime": 0,
            "datacodingscheme": 0,
            "userdataheader": "",
            "price": 0.06,
            "currency": "EUR",
            "localprice": 0.06,
            "localcurrency": "EUR",
            "tariff": "0",
            "customgrouping": "c1",
            "customgrouping2": "b1",
            "reference": "r1",
            "direction": "out",
            "multipart": {"parts": 1},
        }
    ]
    assert page["summary"].pop("startDate") == "2026-07-01T02:00:00+02:00", (
        "Dutch local time, with its offset"
    )
    page["summary"].pop("endDate")
    assert page == {
        "status": 1,
        "message": "Ok",
        "pagination": {"currentPage": 1, "totalPages": 1, "pageSize": 1000},
        "summary": {
            "direction": "out",
            "totalTransactions": 1,
            "totalPrice": 0.06,
            "priceCurrency": "EUR",
            "localPrice": 0.06,
            "localCurrency": "EUR",
            "totalTariff": 0,
        },
    }


def test_status_numbers_are_not_those_of_webhooks(four: Simulator) -> None:
    rows = four.log()["result"]
    assert [(row["reference"], row["status"], row["statusdescription"]) for row in rows] == [
        ("r1", 20, "Read"),
        ("r2", 20, "Delivered"),
        ("r3", 21, "Failed"),
        ("r4", 37, "Accepted by operator"),
    ]
    assert (rows[2]["standarderror"], rows[2]["errordescription"]) == ("59", "Message undeliverable")
    assert [(row["countryiso"], row["countryname"]) for row in rows] == [
        ("NL", "Netherlands"),
        ("BE", "Belgium"),
        ("DE", "Germany"),
        ("US", "United States"),
    ]


def test_pages_and_filters(four: Simulator) -> None:
    second = four.log(page=2, pagesize=3)
    assert second["pagination"] == {"currentPage": 2, "totalPages": 2, "pageSize": 3}
    assert second["summary"]["totalTransactions"] == 4
    assert [row["reference"] for row in second["result"]] == ["r4"]
    assert [row["reference"] for row in four.log(customgrouping="c2")["result"]] == ["r3", "r4"]
    assert len(four.log(channel="whatsapp")["result"]) == 4
    assert four.log(channel="SMS")["result"] == []


def test_received_messages(four: Simulator) -> None:
    (row,) = four.log(direction="in")["result"]
    assert (row["sender"], row["recipient"], row["message"]) == ("31612345671", SENDER, "Dank je")
    assert (row["reference"], row["direction"]) == ("r1", "in")


def test_nothing_found(four: Simulator) -> None:
    page = four.log(startdate="2020-01-01T00:00:00Z", enddate="2020-01-02")
    assert (page["status"], page["result"]) == (1, [])
    assert page["message"] == "There are no transactions available with these parameters"


@pytest.mark.parametrize(
    "query", [{"startdate": "yesterday"}, {"page": "0"}, {"pagesize": "x"}, {"direction": "up"}]
)
def test_bad_parameters(four: Simulator, query: dict[str, str]) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        four.log(**query)
    assert (error.value.code, json.loads(error.value.read())["status"]) == (400, 0)


def test_bad_token_and_the_other_account(four: Simulator) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        four.log(token="wrong")
    assert error.value.code == 400
    four.account(token="22222222-0000-0000-0000-000000000000", account="other")
    assert four.log(token="22222222-0000-0000-0000-000000000000")["result"] == []


def test_lag_status_of_read_and_auth_are_settings() -> None:
    settings = {"log_lag": 3600.0, "log_read_status": 23, "log_auth_status": 401, "log_max_page_size": 2}
    with running_simulator(speed=2000, population=PEOPLE, config={"settings": settings}) as simulator:
        simulator.send(*[template_message("0031612345671", reference=f"r{number}") for number in range(3)])
        assert simulator.log(token=TOKEN)["result"] == [], "the log lags by 1.8 s"
        with pytest.raises(urllib.error.HTTPError) as error:
            simulator.log(token="wrong")
        assert error.value.code == 401
        simulator.wait_until(lambda _: bool(simulator.log()["result"]))
        page = simulator.log(pagesize=100)
        assert page["pagination"] == {"currentPage": 1, "totalPages": 2, "pageSize": 2}
        assert {row["status"] for row in page["result"]} == {23}
