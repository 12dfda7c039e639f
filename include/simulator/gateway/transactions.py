"""The Transactions API: what was sent and received, page by page (cm_com.md 6.1).

Invented where the contract is silent, and set by `Settings`: the lag, the largest page, what a read message
looks like, the price. Rows of rejected messages are left out, as nothing was created for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import orjson
import phonenumbers

from include.simulator.gateway import clock
from include.simulator.gateway.fates import DELIVERED, FAILED, READ, Event, state, timeline
from include.simulator.gateway.gateway import Gateway
from include.simulator.gateway.journal import InboundRow, MessageRow
from include.simulator.gateway.population import digits
from include.simulator.gateway.settings import Account

_EMPTY = "There are no transactions available with these parameters"
_CHUNK = 500  # rows built before other requests get their turn
_PRICE = 0.06  # EUR per delivered message, invented


class QueryError(ValueError):
    """A parameter of the query cannot be used."""


async def transactions(gateway: Gateway, account: Account, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer a query with the documented envelope. Raises QueryError.

    `startdate` and `enddate` are required by this simulator, ISO 8601, the end exclusive.
    """
    settings = gateway.settings
    now = clock.now()
    try:
        start = clock.parse(query["startdate"], settings.log_query_timezone)
        end = clock.parse(query["enddate"], settings.log_query_timezone)
        page = int(query.get("page", 1))
        size = int(query.get("pagesize", settings.log_page_size))
    except (KeyError, ValueError) as error:
        raise QueryError("startdate, enddate, page or pagesize is missing or not valid") from error
    direction = query.get("direction", "out")
    if page < 1 or size < 1 or direction not in ("in", "out"):
        raise QueryError("page, pagesize or direction is not valid")
    size = min(size, settings.log_max_page_size)
    visible = min(end, now - settings.log_lag / settings.speed)
    wanted = query.get("channel", "WhatsApp").lower() == "whatsapp"
    if direction == "in":
        found = _received(gateway, account, start, visible, query.get("reference")) if wanted else []
        total = len(found)
        rows = [_inbound_row(gateway, each) for each in found[(page - 1) * size : page * size]]
    else:
        ids = gateway.judge.accepted(account.account, start, visible, query.get("reference"))
        if "customgrouping" in query:
            groups = {
                each.id
                for each in _messages(gateway, ids.tolist())
                if each.grouping == query["customgrouping"]
            }
            ids = ids[[each in groups for each in ids.tolist()]]
        total = len(ids) if wanted else 0
        rows = await _outbound_rows(
            gateway, ids[(page - 1) * size : page * size].tolist() if wanted else [], now
        )
    zone = settings.log_timezone
    return {
        "status": 1,
        "message": "Ok" if total else _EMPTY,
        "pagination": {"currentPage": page, "totalPages": max(1, -(-total // size)), "pageSize": size},
        "summary": {
            "startDate": clock.local(start, zone).isoformat(),
            "endDate": clock.local(end, zone).isoformat(),
            "direction": direction,
            "totalTransactions": total,
            "totalPrice": round(sum(row["price"] for row in rows), 4),
            "priceCurrency": "EUR",
            "localPrice": round(sum(row["price"] for row in rows), 4),
            "localCurrency": "EUR",
            "totalTariff": 0,
        },
        "result": rows,
    }


async def _outbound_rows(gateway: Gateway, ids: list[int], now: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for chunk in range(0, len(ids), _CHUNK):
        messages = _messages(gateway, ids[chunk : chunk + _CHUNK])
        sent = gateway.journal.sent(messages[0].id, messages[-1].id)
        rows += [_outbound_row(gateway, each, orjson.loads(sent[each.id] or b"{}"), now) for each in messages]
        await asyncio.sleep(0)
    return rows


def _messages(gateway: Gateway, ids: list[int]) -> list[MessageRow]:
    if not ids:
        return []
    wanted = set(ids)
    return [each for each in gateway.journal.messages(min(ids), max(ids)) if each.id in wanted]


def _outbound_row(gateway: Gateway, message: MessageRow, sent: dict[str, Any], now: float) -> dict[str, Any]:
    settings = gateway.settings
    events = timeline(message, gateway.population.person(message.recipient), settings)
    current = state(events, now - message.arrived)
    status, description = _status(current, settings.log_read_status)
    delivered = next(
        (each for each in events if each.code == DELIVERED and each.after <= now - message.arrived), None
    )
    failed = current if current is not None and current.code == FAILED else None
    low = {key.lower(): value for key, value in sent.items()}
    content = next((value for key, value in (low.get("body") or {}).items() if key.lower() == "content"), "")
    return _row(
        sender=low.get("from") or "",
        recipient=message.recipient,
        text=content or "",
        error=failed.error if failed else None,
        description=failed.description if failed else "",
        status=(status, description),
        created=clock.local(message.arrived, settings.log_timezone).isoformat(),
        country=_country(digits(message.recipient)),
        seconds=round(delivered.after) if delivered else 0,
        price=_PRICE if delivered else 0.0,
        groupings=(message.grouping, low.get("customgrouping2") or ""),
        reference=message.reference or "",
        direction="out",
    )


def _inbound_row(gateway: Gateway, inbound: InboundRow) -> dict[str, Any]:
    return _row(
        sender=inbound.sender,
        recipient=inbound.recipient,
        text=inbound.text,
        error=None,
        description="",
        status=(20, "Delivered"),
        created=clock.local(inbound.at, gateway.settings.log_timezone).isoformat(),
        country=_country(digits(inbound.sender)),
        seconds=0,
        price=0.0,
        groupings=("", ""),
        reference=inbound.reference,
        direction="in",
    )


def _row(
    *,
    sender: str,
    recipient: str,
    text: str,
    error: str | None,
    description: str,
    status: tuple[int, str],
    created: str,
    country: tuple[str, str],
    seconds: int,
    price: float,
    groupings: tuple[str, str],
    reference: str,
    direction: str,
) -> dict[str, Any]:
    return {
        "sender": sender,
        "recipient": recipient,
        "message": text,
        "standarderror": error,
        "errordescription": description,
        "status": status[0],
        "statusdescription": status[1],
        "created": created,
        "countryiso": country[0],
        "countryname": country[1],
        "mccmnc": "",
        "operatorname": "",
        "deliverytime": seconds,
        "datacodingscheme": 0,
        "userdataheader": "",
        "price": price,
        "currency": "EUR",
        "localprice": price,
        "localcurrency": "EUR",
        "tariff": "0",
        "customgrouping": groupings[0],
        "customgrouping2": groupings[1],
        "reference": reference,
        "direction": direction,
        "multipart": {"parts": 1},
    }


def _received(
    gateway: Gateway, account: Account, start: float, end: float, reference: str | None
) -> list[InboundRow]:
    return [
        each
        for each in gateway.journal.inbound()
        if each.account == account.account
        and start <= each.at < end
        and (reference is None or each.reference == reference)
    ]


def _status(current: Event | None, read: int) -> tuple[int, str]:
    if current is None:
        return 19, "Sent"
    if current.code == FAILED:
        return 21, "Failed"
    if current.code == READ:
        return read, "Read"
    return (20, "Delivered") if current.code == DELIVERED else (37, "Accepted by operator")


@lru_cache(maxsize=200_000)
def _country(number: str) -> tuple[str, str]:
    """ISO code and English name of a number's country, blank when it has none."""
    regions: tuple[str, ...] = ()
    for length in (1, 2, 3):
        if number[:length].isdecimal():
            regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(number[:length]), regions)
    region = regions[0] if regions else ""
    if len(regions) > 1:
        # +1, +7, +44 … are shared: only these need the full look-up, 30 µs each.
        with suppress(phonenumbers.NumberParseException):
            region = phonenumbers.region_code_for_number(phonenumbers.parse("+" + number)) or region
    return (region, _names().get(region, "")) if region.isalpha() else ("", "")


@cache
def _names() -> dict[str, str]:
    """English country names by ISO code, from the time zone database."""
    table = files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text(encoding="utf-8")
    return dict(line.split("\t", 1) for line in table.splitlines() if not line.startswith("#"))
