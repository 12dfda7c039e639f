from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from cm_com.exceptions import CmComUnreadable
from cm_com.wire.transactions import query, read_page

# The documented example of the Transactions API, completed as in the contract, section 6.1.
ROW = {
    "sender": "3669",
    "recipient": "0031601234567",
    "message": "Super Short Message",
    "standarderror": None,
    "errordescription": "",
    "status": 20,
    "statusdescription": "Delivered",
    "created": "2017-02-01T23:58:25+01:00",
    "countryiso": "NL",
    "countryname": "Netherlands",
    "mccmnc": "20404",
    "operatorname": "NL - Vodafone",
    "deliverytime": 3,
    "datacodingscheme": 0,
    "userdataheader": "",
    "price": 0.0725,
    "currency": "EUR",
    "localprice": 0.0,
    "localcurrency": "EUR",
    "tariff": "0",
    "customgrouping": "campaign-42",
    "customgrouping2": "",
    "reference": "c42r7",
    "direction": "out",
    "multipart": {"parts": 1},
}


def page(*rows: Any, **fields: Any) -> dict[str, Any]:
    paging = {"currentPage": 1, "totalPages": 1, "pageSize": 1000}
    return {"status": 1, "message": "Ok", "pagination": paging, "summary": {}, "result": list(rows)} | fields


def test_the_documented_row() -> None:
    (row,) = read_page(page(ROW), direction="out").rows
    assert row.reference == "c42r7"
    assert row.recipient == "+31601234567"
    assert row.sender == "3669", "an SMS sender is no phone number and stays"
    assert (row.status, row.status_code, row.status_description) == (20, 2, "Delivered")
    assert row.created == datetime(2017, 2, 1, 22, 58, 25, tzinfo=UTC)
    assert (row.country, row.price, row.currency) == ("NL", Decimal("0.0725"), "EUR")
    assert (row.local_price, row.local_currency, row.delivery_seconds, row.parts) == (
        Decimal("0.0"),
        "EUR",
        3,
        1,
    )
    assert row.groupings == ("campaign-42", "", "")
    assert (row.error_code, row.error_description, row.direction) == (None, "", "out")
    assert row.text == "Super Short Message"


def test_keys_count_whatever_their_case_and_cm_coms_slip_is_known() -> None:
    row = {key.capitalize(): value for key, value in ROW.items() if key != "localcurrency"}
    (read,) = read_page(page(row | {"localCurreny": "GBP"}), direction="out").rows
    assert (read.reference, read.status_code, read.local_currency) == ("c42r7", 2, "GBP")


@pytest.mark.parametrize(
    ("status", "description", "code"),
    [
        (19, "Sent", 0),
        (37, "Accepted", 0),
        (20, "Delivered", 2),
        (20, "Read", 4),
        (99, "read", 4),
        (21, "Failed", 3),
        (22, "", 1),
        (40, "", 1),
        (99, "New", None),
        (None, "", None),
    ],
)
def test_the_logs_numbers_are_told_in_those_of_status_reports(
    status: Any, description: str, code: Any
) -> None:
    row = ROW | {"status": status, "statusdescription": description}
    assert read_page(page(row), direction="out").rows[0].status_code == code


def test_a_failed_row_has_cm_coms_error() -> None:
    row = ROW | {"status": 21, "standarderror": "62", "errordescription": "More than 24 hours"}
    read = read_page(page(row), direction="out").rows[0]
    assert (read.status_code, read.error_code, read.error_description) == (3, 62, "More than 24 hours")


def test_an_empty_row_is_read() -> None:
    (row,) = read_page(page({}), direction="in").rows
    assert (row.reference, row.recipient, row.created, row.price, row.direction) == (
        None,
        None,
        None,
        None,
        "in",
    )


@pytest.mark.parametrize("field", sorted(ROW))
@pytest.mark.parametrize("value", [None, "", "x", -1, 1.5, [], {}, True])
def test_no_odd_value_stops_the_reading(field: str, value: Any) -> None:
    assert len(read_page(page(ROW | {field: value}, "not a row"), direction="out").rows) == 1


@pytest.mark.parametrize("result", [[], None])
def test_an_empty_log(result: Any) -> None:
    told = page(message="There are no transactions available with these parameters", result=result)
    assert read_page(told, direction="out").rows == ()
    assert read_page({"status": 1, "message": "There are no transactions"}, direction="out").pages is None


@pytest.mark.parametrize("document", [None, [], "x", {}, {"hello": 1}, {"result": {"a": 1}}])
def test_something_else_than_a_log_is_told(document: Any) -> None:
    with pytest.raises(CmComUnreadable):
        read_page(document, direction="out")


def test_nothing_personal_is_in_a_repr() -> None:
    text = repr(read_page(page(ROW), direction="out"))
    assert "31601234567" not in text
    assert "Super Short" not in text


def test_times_go_out_in_utc_and_cover_the_last_fraction_of_a_second() -> None:
    zone = timezone(timedelta(hours=1))
    parameters = query(
        start=datetime(2026, 11, 22, 10, 0, 0, 500_000, tzinfo=zone),
        end=datetime(2026, 11, 22, 11, 0, 0, 500_000, tzinfo=zone),
        direction="out",
        reference="c42r7",
        channel="WhatsApp",
        page=2,
        page_size=500,
    )
    assert parameters == {
        "startdate": "2026-11-22T09:00:00Z",
        "enddate": "2026-11-22T10:00:01Z",
        "direction": "out",
        "page": "2",
        "pagesize": "500",
        "reference": "c42r7",
        "channel": "WhatsApp",
    }


def test_a_time_without_a_zone_is_a_mistake() -> None:
    naive = datetime(2026, 11, 22)  # noqa: DTZ001
    with pytest.raises(ValueError, match="zone"):
        query(start=naive, end=naive, direction="out", reference=None, channel=None, page=1, page_size=1)
