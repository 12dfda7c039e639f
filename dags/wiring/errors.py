"""Which errors a retry can cure. Everything else fails at once, with its own sentence and without the
traceback's values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from airflow.sdk.exceptions import AirflowException, AirflowFailException

P = ParamSpec("P")
R = TypeVar("R")


class Retry(AirflowException):
    """A cause outside of us that may pass; Airflow tries again."""


def task_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn the project's exceptions into Airflow's: fail for good, or try again."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except AirflowException:
            raise
        except Exception as error:
            if isinstance(error, _retried()):
                raise Retry(str(error)) from None
            if isinstance(error, _final()):
                raise AirflowFailException(str(error)) from None
            raise

    return wrapped


def _retried() -> tuple[type[Exception], ...]:
    from cm_com.exceptions import CmComThrottled, CmComUnavailable

    from include.campaigns.errors import GatewayUnreachable
    from include.database import DatabaseUnavailable
    from include.optins import SourceUnavailable

    return (CmComThrottled, CmComUnavailable, GatewayUnreachable, DatabaseUnavailable, SourceUnavailable)


def _final() -> tuple[type[Exception], ...]:
    from cm_com.exceptions import CmComError

    from include.campaigns.errors import CampaignError
    from include.database import SchemaOutOfDate
    from include.entities import EntityProblems
    from include.optins import SourceProblem
    from include.privacy import PersonUnknown
    from include.subscriptions import ConsentDiffers, SuppressionKeyProblem, WordingChanged

    return (
        CmComError,
        CampaignError,
        SchemaOutOfDate,
        EntityProblems,
        SourceProblem,
        PersonUnknown,
        ConsentDiffers,
        SuppressionKeyProblem,
        WordingChanged,
    )
