"""Read CM.com's message log into a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
from airflow.sdk import BaseOperator, ObjectStoragePath
from airflow.sdk.exceptions import AirflowFailException

from cm_com.exceptions import CmComError, CmComRequestError
from cm_com.hooks import CmComHook
from cm_com.wire.transactions import Direction

if TYPE_CHECKING:
    from airflow.sdk import Context


class CmComMessageLogOperator(BaseOperator):
    """Read CM.com's message log of a span of time into a file of JSON lines.

    :param output_path: where to write, any path or URL Airflow's object storage takes. The file holds phone
    numbers.
    :param output_conn_id: the connection for ``output_path``, if it needs one.
    :param start: begin, aware, or text in ISO 8601. Default: the run's data interval.
    :param end: end, likewise.
    :param direction: ``out`` (sent) or ``in`` (received).
    :param with_text: whether to keep what the messages say.
    :param cm_com_conn_id: the connection.

    Each line is a ``cm_com.wire.transactions.Transaction``. Rows may repeat. A retry writes the file anew.
    Returns ``{"rows", "start", "end", "output_path"}``.
    """

    template_fields: Sequence[str] = (
        "output_path",
        "output_conn_id",
        "start",
        "end",
        "direction",
        "cm_com_conn_id",
    )
    ui_color = "#d7f5e3"

    def __init__(
        self,
        *,
        output_path: str,
        output_conn_id: str | None = None,
        start: str | datetime = "{{ data_interval_start or '' }}",
        end: str | datetime = "{{ data_interval_end or '' }}",
        direction: str = "out",
        with_text: bool = False,
        cm_com_conn_id: str = CmComHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.output_conn_id = output_conn_id
        self.start = start
        self.end = end
        self.direction = direction
        self.with_text = with_text
        self.cm_com_conn_id = cm_com_conn_id

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Read the pages one after the other and write their rows as they come."""
        try:
            start, end = _moment(self.start, "start"), _moment(self.end, "end")
            if self.direction not in {"out", "in"}:
                raise CmComRequestError("direction has to be `out` or `in`.")
            hook = CmComHook(cm_com_conn_id=self.cm_com_conn_id)
            rows = 0
            path = ObjectStoragePath(self.output_path, conn_id=self.output_conn_id)
            with path.open("wb") as file:  # type: ignore[no-untyped-call]
                for row in hook.iter_transactions(start, end, cast("Direction", self.direction)):
                    kept = row if self.with_text else replace(row, text=None)
                    file.write(msgspec.json.encode(kept) + b"\n")
                    rows += 1
        except CmComError as error:
            if error.retry:
                raise
            raise AirflowFailException(str(error)) from error
        self.log.info("%d rows of CM.com's message log are written.", rows)
        return {
            "rows": rows,
            "start": start.isoformat(),
            "end": end.isoformat(),
            "output_path": self.output_path,
        }


def _moment(value: str | datetime, name: str) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CmComRequestError(
            f"{name} has to be a moment with its time zone, such as 2026-11-22T00:00:00+00:00. A run "
            "started by hand may have no data interval: give start and end then."
        )
    return moment
