"""What people are asked, and who answered. A question waits without holding a slot; no answer in time means no."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

APPROVE, REJECT = "Approve", "Reject"


class GuardQuestion(HITLOperator):
    """Ask whether a sync that the guard holds may go through; skipped when nothing is held.

    A plain question and not an ApprovalOperator: a *no* must not pass as a success, and that operator's own way to fail
    is retried, which would ask again.
    """

    template_fields = ("subject", "body", "outcome")

    def __init__(self, *, entity: str, outcome: Any, **kwargs: Any) -> None:
        super().__init__(options=[APPROVE, REJECT], defaults=[REJECT], **kwargs)
        self.entity = entity
        self.outcome = outcome

    def execute(self, context: Context) -> Any:
        """Write the question and wait."""
        if self.outcome["state"] != "held":
            raise AirflowSkipException("Nothing is held.")
        figures = self.outcome["guard"]
        self.body = (
            f"The last sync of **{self.entity}** would change more people than its guard allows "
            f"({figures['max_share']:.0%} of the people known).\n\n"
            "| | people |\n|---|---|\n"
            f"| would be opted out | {figures['opted_out']:,} |\n"
            f"| would be opted in | {figures['opted_in']:,} |\n"
            f"| known | {figures['known']:,} |\n\n"
            "An empty export, or a column that changed its meaning, looks like this. Look at the source first. "
            "*Approve* applies the sync, with up to that many changes; *Reject* changes nothing, and a corrected pull "
            "is judged anew."
        )
        return super().execute(context)


def answered_by(answer: Any) -> str:
    """Who answered a question, by name; `unknown` where Airflow does not say (a time-out)."""
    user = answer.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "unknown") if isinstance(user, dict) else str(user)
