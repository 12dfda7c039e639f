"""The provider's own reader of the message log on a simulator, without Airflow."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from cm_com.reading import iter_rows
from cm_com.wire.messages import TOKEN_HEADER
from cm_com.wire.transactions import TRANSACTIONS_PATH, Transaction, TransactionPage, query, read_page

from tests.support.simulator import TOKEN, Simulator


class SimulatorLog:
    """`cm_com`'s paging and parsing over plain HTTP."""

    def __init__(self, simulator: Simulator, page_size: int = 1000) -> None:
        self.simulator = simulator
        self.page_size = page_size

    def iter_transactions(
        self, start: datetime, end: datetime, direction: Literal["out", "in"]
    ) -> Iterator[Transaction]:
        def read(start: datetime, end: datetime, /, *, page: int) -> TransactionPage:
            parameters = query(
                start=start,
                end=end,
                direction=direction,
                reference=None,
                channel=None,
                page=page,
                page_size=self.page_size,
            )
            url = f"{self.simulator.url}{TRANSACTIONS_PATH}?{urllib.parse.urlencode(parameters)}"
            request = urllib.request.Request(url, headers={TOKEN_HEADER: TOKEN})  # noqa: S310
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return read_page(json.loads(answer.read()), direction=direction)

        return iter_rows(read, start, end, page_size=self.page_size, patience=10)
