"""Send one template to a few people, from anybody's Dag."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator, XComArg
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from cm_com.delivery import MessageResult
from cm_com.exceptions import CmComError, CmComRequestError, CmComUncertain
from cm_com.hooks import CmComHook
from cm_com.once import send_once
from cm_com.wire.messages import TemplateMessage, Text, message_dict

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

MOST_RECIPIENTS: Final = 1000
"""More people are a campaign: it needs pacing, brakes and a ledger that this operator does not have."""


class CmComSendOperator(BaseOperator):
    """Send one WhatsApp template to given people, each at most once per run of the task.

    It knows neither consent nor suppression: whoever uses it answers for it that the recipients opted in.

    :param template: the template's name (``element_name``) at CM.com.
    :param namespace: the template's namespace at CM.com.
    :param language: the template's language, such as ``nl``.
    :param recipients: at most 1,000 people, each an E.164 number or ``{"number": …, "body": [text, …]}`` with
        that person's own body variables. A list, the output of a task, or a Jinja expression that renders
        JSON.
    :param body: text variables of the template's body, for everyone without their own.
    :param content: what an SMS fallback would say; CM.com wants it though only WhatsApp is used.
    :param grouping: a tag in CM.com's log, at most 100 characters.
    :param dry_run: everything but the request. Only ``False`` sends.
    :param cm_com_conn_id: the connection; it holds the sender number.

    Returns ``{"dry_run", "messages", "accepted", "rejected", "uncertain", "outcomes"}``; ``outcomes`` maps
    each reference to ``accepted``, ``rejected:<code>``, ``uncertain`` or ``dry_run``. No phone number is
    returned, logged or kept: ``recipients`` and ``body`` are rendered when the task runs and are no
    template fields, because Airflow stores rendered template fields and shows them in its UI.
    A ``@task`` that hands recipients over logs them unless it has ``show_return_value_in_logs=False``.

    Retries and clears go on where the task stopped. CM.com knows no idempotency key, so a request without
    an answer is never made again: the task fails without retry and names the references to look up in the
    message log; cleared, it goes on with the requests after it. To send again to the same people, start a
    new run.

    References are made from the Dag, run, task, map index and position, so they are the same in every try.

    :raises AirflowFailException: no retry can help; its cause is a ``CmComError`` that says what to do.
    :raises CmComThrottled, CmComUnavailable: nothing was sent by the last request; Airflow may retry.
    """

    template_fields: Sequence[str] = ("template", "namespace", "language", "grouping", "cm_com_conn_id")
    ui_color = "#d7f5e3"

    def __init__(
        self,
        *,
        template: str,
        namespace: str,
        language: str,
        recipients: Sequence[str | Mapping[str, Any]] | str | XComArg,
        content: str,
        body: Sequence[str] | XComArg = (),
        grouping: str = "",
        dry_run: bool = True,
        cm_com_conn_id: str = CmComHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.template = template
        self.namespace = namespace
        self.language = language
        self.recipients = recipients
        self.content = content
        self.body = body
        self.grouping = grouping
        # `dry_run` is a method of every operator. A string such as "{{ … }}" is no permission to send.
        self.sends = dry_run is False
        self.cm_com_conn_id = cm_com_conn_id
        # Airflow does this for template fields only.
        XComArg.apply_upstream_relationship(self, [recipients, body])

    @cached_property
    def hook(self) -> CmComHook:
        return CmComHook(cm_com_conn_id=self.cm_com_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Build the messages, send those that have not left, say what became of them."""
        try:
            messages = self._messages(context)
            if not self.sends:
                self.log.info("Dry run: %d messages are ready, none is sent.", len(messages))
                return _summary(
                    [MessageResult(str(one["reference"]), None, None) for one in messages], dry_run=True
                )
            results = send_once(
                self.hook.send,
                messages,
                size=self.hook.settings.batch_size,
                store=_KeptForEver(context["task_state_store"]),
                secret=self.hook.settings.token,
            )
            return self._judge(results)
        except CmComError as error:
            if error.retry:
                raise
            raise AirflowFailException(str(error)) from error

    def _judge(self, results: Sequence[MessageResult]) -> dict[str, Any]:
        summary = _summary(results, dry_run=False)
        self.log.info("%(accepted)d accepted, %(rejected)d rejected, %(uncertain)d uncertain.", summary)
        if summary["uncertain"]:
            unclear = [reference for reference, word in summary["outcomes"].items() if word == "uncertain"]
            raise CmComUncertain(
                f"{len(unclear)} of {len(results)} messages may or may not have been sent and are not sent "
                f"again. Look them up in CM.com's message log: {unclear[0]} to {unclear[-1]}.",
                results=results,
            )
        return summary

    def _messages(self, context: Context) -> list[dict[str, Any]]:
        recipients = self.render_template(self.recipients, context)
        body = [str(text) for text in self.render_template(self.body, context)]
        people = [_person(recipient, body) for recipient in _listed(recipients)]
        if len(people) > MOST_RECIPIENTS:
            raise CmComRequestError(
                f"{len(people)} recipients are more than the {MOST_RECIPIENTS} this operator sends to. "
                "Make a campaign of it."
            )
        common = TemplateMessage(
            to="",
            sender=self.hook.settings.sender or "",
            reference="",
            namespace=self.namespace,
            template=self.template,
            language=self.language,
            content=self.render_template(self.content, context),
            groupings=(self.grouping,),
        )
        return [self._message(common, context, position, *person) for position, person in enumerate(people)]

    def _message(
        self, common: TemplateMessage, context: Context, position: int, number: str, body: Sequence[str]
    ) -> dict[str, Any]:
        ti = context["ti"]
        name = json.dumps([ti.dag_id, ti.run_id, ti.task_id, ti.map_index])
        reference = hashlib.sha256(name.encode()).hexdigest()[:28] + f"{position:04}"
        message = replace(common, to=number, reference=reference, body=[Text(text) for text in body])
        try:
            return message_dict(message)
        except ValueError as error:
            raise CmComRequestError(f"Recipient {position + 1}: {error} Nothing was sent.") from None


class _KeptForEver:
    """Airflow's task state store without its expiry, after which a cleared task would send again."""

    def __init__(self, accessor: TaskStateStoreAccessor) -> None:
        self._accessor = accessor

    def get(self, key: str) -> Any:
        return self._accessor.get(key)

    def set(self, key: str, value: Any) -> None:
        self._accessor.set(key, value, retention=NEVER_EXPIRE)

    def delete(self, key: str) -> None:
        self._accessor.delete(key)


def _summary(results: Sequence[MessageResult], *, dry_run: bool) -> dict[str, Any]:
    outcomes = {str(result.reference): _word(result, dry_run=dry_run) for result in results}
    counts = Counter(word.partition(":")[0] for word in outcomes.values())
    return {
        "dry_run": dry_run,
        "messages": len(results),
        "accepted": counts["accepted"],
        "rejected": counts["rejected"],
        "uncertain": counts["uncertain"],
        "outcomes": outcomes,
    }


def _word(result: MessageResult, *, dry_run: bool) -> str:
    if dry_run:
        return "dry_run"
    if result.accepted is None:
        return "uncertain"
    return "accepted" if result.accepted else f"rejected:{result.code}"


def _listed(recipients: Any) -> Sequence[Any]:
    """A list as it is, text as JSON; anything else is a mistake in the Dag."""
    if isinstance(recipients, str):
        try:
            recipients = json.loads(recipients)
        except ValueError:
            recipients = None
    if not isinstance(recipients, Sequence) or isinstance(recipients, str) or not recipients:
        raise CmComRequestError(
            "recipients has to be a list with at least one person, or text that renders "
            "as such a list in JSON (use the filter `tojson`)."
        )
    return recipients


def _person(recipient: Any, body: Sequence[str]) -> tuple[str, Sequence[str]]:
    if isinstance(recipient, Mapping):
        own = recipient.get("body")
        return str(recipient.get("number") or ""), body if own is None else [str(text) for text in own]
    return str(recipient), body
