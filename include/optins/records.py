"""One frame of a source → the records we take and those we do not, with the reason. Pure: no database, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include import phone
from include.entities import Entity, Source
from include.optins.texts import as_json, by_value, cleaned, holds
from include.optins.times import MOMENT, moments, newest, to_arrow

STRING = pd.ArrowDtype(pa.string())


@dataclass(frozen=True, slots=True)
class Records:
    """`staged`: columns of `optin_staging` after its run id. `rejected`: record_id, reason, detail. Arrow tables.

    `newest` is the latest change read, rejects included; None when no time could be read.
    """

    staged: pa.Table
    rejected: pa.Table
    newest: datetime | None


def read_records(frame: pd.DataFrame, entity: Entity, source: Source, *, now: datetime) -> Records:
    """Normalise one frame. What is wrong with a record is decided by the first rule in `_reasons` that applies.

    A withdrawal is taken even with an unreadable number (it then reaches the person by its record id) or without a time
    (it then counts from `now`): losing a "no" would be worse than any other mistake.
    """
    columns, settings = source.columns, entity.settings
    frame = frame.reset_index(drop=True)
    record_id = cleaned(frame[columns.record_id]).fillna("")
    consent = _consent(frame[columns.consent], source)
    withdrawal = holds(consent == "no")
    changed = moments(
        frame[columns.changed_at], zone=source.time_zone or settings.time_zone, withdrawal=withdrawal, now=now
    )
    region = source.region or settings.default_region
    regions = frame[columns.region].fillna(region) if columns.region else region
    numbers = phone.normalize(frame[columns.phone], regions).set_index(frame.index)
    callable_number = holds(numbers["e164"].notna() & numbers["is_mobile"])
    unsaid = cleaned(frame[columns.consent]).isna()
    reasons = _reasons(record_id, consent, unsaid, changed["problem"], numbers, callable_number)
    taken = reasons.isna()
    timed = changed["problem"].isna()
    occurred_at = changed["at"].where(timed, pd.Timestamp(now)).astype(MOMENT)
    said = _version(frame, source, entity, withdrawal, now).fillna(changed["at"].where(timed))
    version = said.fillna(occurred_at)
    e164 = numbers["e164"].where(callable_number)
    staged = pa.table(
        {
            "record_id": _text(record_id, taken),
            "phone": _text(e164, taken),
            "match_key": _text(phone.match_key(e164), taken),
            "country": _text(numbers["country"].where(callable_number), taken),
            "time_zone": _text(phone.time_zone(e164), taken),
            "consent": pa.array(holds(consent == "yes")[taken].to_numpy(), pa.bool_()),
            "timed": pa.array(timed[taken].to_numpy(dtype=bool), pa.bool_()),
            "occurred_at": to_arrow(occurred_at[taken]),
            "record_at": to_arrow(version[taken]),
            "language": _text(_language(frame, source, entity), taken),
            "attributes": as_json(frame[taken], columns.attributes),
        }
    )
    return Records(staged, _rejected(frame, record_id, reasons), newest(said, now=now))


def _reasons(
    record_id: pd.Series,
    consent: pd.Series,
    unsaid: pd.Series,
    time_problem: pd.Series,
    numbers: pd.DataFrame,
    callable_number: pd.Series,
) -> pd.Series:
    """Why a record is not taken, NA where it is: the first rule that applies."""
    yes, no = holds(consent == "yes"), holds(consent == "no")
    nameless = holds(record_id == "")
    rules = [
        (unsaid, "consent_missing"),
        (~yes & ~no, "consent_unreadable"),
        (no & nameless & ~callable_number, "no_record_id"),
        (yes & nameless, "no_record_id"),
        (yes & numbers["problem"].notna(), "phone_" + numbers["problem"]),
        (yes & ~callable_number, "not_mobile"),
        (yes & time_problem.notna(), time_problem),
    ]
    reasons = pd.Series(pd.NA, index=record_id.index, dtype=STRING)
    for applies, reason in reversed(rules):
        reasons = reasons.mask(holds(applies), reason)
    return reasons


def _consent(values: pd.Series, source: Source) -> pd.Series:
    """`yes`, `no`, or NA for what is neither: unknown is not a yes."""
    return by_value(values, lambda different: _answers(different, source))


def _answers(values: pd.Series, source: Source) -> pd.Series:
    text = cleaned(values).str.lower()
    answer = pd.Series(pd.NA, index=values.index, dtype=STRING)
    answer = answer.mask(holds(text.isin([value.lower() for value in source.true_values])), "yes")
    return answer.mask(holds(text.isin([value.lower() for value in source.false_values])), "no")


def _version(
    frame: pd.DataFrame, source: Source, entity: Entity, withdrawal: pd.Series, now: datetime
) -> pd.Series:
    """When the record itself last changed, if the source says so; NaT where it does not."""
    column = source.options.get("changed_column")
    if not column or column == source.columns.changed_at:
        return pd.Series(pd.NaT, index=frame.index, dtype=MOMENT)
    zone = source.time_zone or entity.settings.time_zone
    found = moments(frame[column], zone=zone, withdrawal=withdrawal, now=now)
    return found["at"].where(found["problem"].isna()).astype(MOMENT)


def _language(frame: pd.DataFrame, source: Source, entity: Entity) -> pd.Series:
    """The entity's language that a text means (`nl-BE` → `nl`), NA where it has none such."""
    column = source.columns.language
    if not column:
        return pd.Series(pd.NA, index=frame.index, dtype=STRING)
    known = entity.settings.languages
    by_name = {language.split("_")[0].lower(): language for language in reversed(known)}
    by_name |= {language.lower(): language for language in known}

    def meant(different: pd.Series) -> pd.Series:
        text = cleaned(different).str.lower().str.replace("-", "_", regex=False)
        exact = text.where(text.isin(list(by_name)))
        return exact.fillna(text.str.replace(r"_.*$", "", regex=True)).map(by_name).astype(STRING)

    return by_value(frame[column], meant)


def _rejected(frame: pd.DataFrame, record_id: pd.Series, reasons: pd.Series) -> pa.Table:
    left = reasons.notna()
    unreadable = frame.attrs.get("unreadable", [])
    named = record_id[left].mask(holds(record_id[left] == ""))
    return pa.table(
        {
            "record_id": pa.concat_arrays([_text(named), pa.nulls(len(unreadable), pa.string())]),
            "reason": pa.concat_arrays(
                [_text(reasons[left]), pa.array(["unreadable_row"] * len(unreadable), pa.string())]
            ),
            "detail": pa.concat_arrays(
                [pa.nulls(int(left.sum()), pa.string()), pa.array(unreadable, pa.string())]
            ),
        }
    )


def _text(values: pd.Series, taken: pd.Series | None = None) -> pa.Array:
    chosen = values if taken is None else values[taken]
    array = pa.array(chosen.array, pa.string()) if chosen.dtype != STRING else chosen.array.__arrow_array__()
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return pc.cast(array, pa.string())
