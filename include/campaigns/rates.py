"""What a delivered message costs, by country and category, from a date on: read from a CSV, checked line by line."""

from __future__ import annotations

import csv
import json
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import phonenumbers

from include.campaigns.errors import CampaignError
from include.database import connect, named_sql, require_current
from include.reports import refresh

SQL = named_sql(__file__, "rates.sql")
COLUMNS: Final = ("effective_from", "country", "category", "price", "currency")
CATEGORIES: Final = ("marketing", "utility", "authentication", "service")
EVERYWHERE_ELSE: Final = "**"
# Of one message; the dearest country of Meta's rate card stays below a tenth of it (WhatsApp pricing, 2026).
MOST: Final = Decimal(5)


class RatesInvalid(CampaignError):
    """The file of rates cannot be used: every wrong line with its reason. Nothing was loaded."""


def load_rates(path: Path, *, dsn: str, now: datetime) -> dict[str, int]:
    """Load the file in one transaction and count the campaigns' costs anew; counts of `new`, `changed`, `same` rates.

    Loading it again changes nothing. Raises RatesInvalid with every problem, OSError.
    """
    rates = read_rates(path)
    with connect(dsn, application="whatsapp rates") as conn:
        require_current(conn)
        counts: dict[str, int] = SQL.load_rates(conn, rates=json.dumps(rates))
        entities = [row["entity"] for row in SQL.priced_entities(conn)]
    if counts["new"] or counts["changed"]:
        for entity in entities:
            refresh(entity, dsn=dsn, now=now, everything=True)
    return counts


def read_rates(path: Path) -> list[dict[str, str]]:
    """The rates of a CSV with the columns of `COLUMNS`; comma or semicolon, with or without a byte order mark."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RatesInvalid(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8.") from None
    header = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=";" if ";" in header else ",", strict=True)
    if tuple(name.strip() for name in reader.fieldnames or ()) != COLUMNS:
        raise RatesInvalid(f"{path}:1: the columns must be {', '.join(COLUMNS)}, in this order.")
    rates: dict[tuple[str, ...], dict[str, str]] = {}
    problems: list[str] = []
    try:
        for row in reader:
            rate, wrong = _rate(row)
            key = (rate["country"], rate["category"], rate["effective_from"])
            if not wrong and key in rates:
                wrong = ["this country, category and date stand in the file twice"]
            problems += [f"{path}:{reader.line_num}: {reason}" for reason in wrong]
            rates[key] = rate
    except csv.Error as error:
        problems.append(f"{path}:{reader.line_num}: not valid CSV ({error})")
    if not rates and not problems:
        problems.append(f"{path}: there is no rate in it")
    if problems:
        raise RatesInvalid("Nothing was loaded.\n" + "\n".join(problems))
    return list(rates.values())


def _rate(row: dict[str | Any, Any]) -> tuple[dict[str, str], list[str]]:
    given = {name: str(row.get(name) or "").strip() for name in COLUMNS}
    rate = {
        **given,
        "country": given["country"].upper(),
        "category": given["category"].lower(),
        "currency": given["currency"].upper(),
        "price": given["price"].replace(",", "."),
    }
    wrong = []
    if None in row or None in row.values():
        wrong.append(f"the line has not {len(COLUMNS)} values")
    try:
        date.fromisoformat(rate["effective_from"])
    except ValueError:
        wrong.append("effective_from is no date such as 2026-10-01")
    if rate["country"] != EVERYWHERE_ELSE and rate["country"] not in phonenumbers.SUPPORTED_REGIONS:
        wrong.append(f"country is neither a two-letter region such as BE nor {EVERYWHERE_ELSE} for the rest")
    if rate["category"] not in CATEGORIES:
        wrong.append(f"category is none of {', '.join(CATEGORIES)}")
    if not (len(rate["currency"]) == 3 and rate["currency"].isascii() and rate["currency"].isalpha()):
        wrong.append("currency is no code such as EUR")
    try:
        price = Decimal(rate["price"])
    except InvalidOperation:
        wrong.append("price is no number such as 0.0682")
    else:
        if not price.is_finite() or not 0 <= price <= MOST:
            wrong.append(f"price is not between 0 and {MOST}: it is for one message")
    return rate, wrong


def current_rates(dsn: str, today: date) -> list[dict[str, Any]]:
    """Per country and category the rate valid on a day: country, category, price, currency, effective_from."""
    with connect(dsn, application="whatsapp rates") as conn:
        require_current(conn)
        return list(SQL.current_rates(conn, today=today))
