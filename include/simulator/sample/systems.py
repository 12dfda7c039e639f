"""Fill the sample's source systems. The preference centre serves itself: `include.simulator.preference_centre`."""

from __future__ import annotations

import csv
from dataclasses import astuple, fields
from pathlib import Path

from include.database import connect
from include.simulator.sample.records import Answer, Sample

_CUSTOMERS = """
create table if not exists customers (
    customer_id       text primary key,
    mobile            text,
    whatsapp_optin    boolean,
    optin_changed_at  timestamptz,
    lang              text,
    country           text,
    first_name        text,
    city              text,
    vip               boolean,
    updated_at        timestamptz not null
)"""


def seed_webshop(sample: Sample, dsn: str) -> int:
    """Create the shop's table and fill it, if it is empty; returns the rows it has. Safe to repeat."""
    with connect(dsn, application="sample web shop") as conn, conn.cursor() as cursor:
        cursor.execute(_CUSTOMERS)
        cursor.execute("create index if not exists customers_updated_at on customers (updated_at)")
        cursor.execute("select count(*) as rows from customers")
        row = cursor.fetchone()
        if row and row["rows"]:
            return int(row["rows"])
        with cursor.copy("copy customers from stdin") as copy:
            for customer in sample.customers:
                copy.write_row(astuple(customer))
    return len(sample.customers)


def write_survey(sample: Sample, folder: Path) -> list[Path]:
    """Drop the survey's answers as two CSV files with `;`, as two weeks of answers would come. Returns them."""
    half = len(sample.answers) // 2
    parts = {"survey_1.csv": sample.answers[:half], "survey_2.csv": sample.answers[half:]}
    written = []
    for name, answers in parts.items():
        path = folder / name
        # First under another name: whoever looks into the folder never sees half a file.
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=";")
            writer.writerow(field.name for field in fields(Answer))
            writer.writerows(astuple(answer) for answer in answers)
        unfinished.replace(path)
        written.append(path)
    return written
