"""The Airflow hook of connection type ``cm_com``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any, Final
from urllib.parse import quote

from airflow.providers.http.hooks.http import HttpHook

# HttpHook hands out a requests.Session; every call below passes its timeouts.
from requests import PreparedRequest, Request, RequestException, Response, Session  # noqa: TID251

from cm_com.delivery import MessageResult, error_of
from cm_com.exceptions import (
    CmComAuthError,
    CmComConfigError,
    CmComError,
    CmComRequestError,
    CmComUnavailable,
    CmComUnreadable,
)
from cm_com.messenger import USER_AGENT, CmComMessenger
from cm_com.reading import WINDOW, error_of_status, iter_rows
from cm_com.settings import CmComSettings, is_guid, read_settings
from cm_com.wire.answers import identify, read_answer
from cm_com.wire.messages import MESSAGE_PATH, TOKEN_HEADER, request_body
from cm_com.wire.templates import Template, read_templates
from cm_com.wire.transactions import (
    TRANSACTIONS_PATH,
    Direction,
    Transaction,
    TransactionPage,
    query,
    read_page,
)

PAGE_SIZE: Final = 1000
"""Rows of a page of the message log, as in CM.com's example; one client asks for 7,500."""


class CmComHook(HttpHook):
    """CM.com through an Airflow connection: send, read the message log, read the templates.

    :param cm_com_conn_id: the connection, of type ``cm_com``.
    :param connect_timeout: seconds to reach CM.com.
    :param read_timeout: seconds CM.com may be silent.

    Of the base class only the HTTP session remains: its headers from the connection's ``extra``, its
    missing timeouts and its response bodies in logs are replaced. Nothing is read or connected before a
    method is called.
    """

    conn_name_attr = "cm_com_conn_id"
    default_conn_name = "cm_com_default"
    conn_type = "cm_com"
    hook_name = "CM.com"

    def __init__(
        self,
        *,
        cm_com_conn_id: str = default_conn_name,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
    ) -> None:
        super().__init__(method="GET", http_conn_id=cm_com_conn_id)
        self.cm_com_conn_id = cm_com_conn_id
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout

    @cached_property
    def settings(self) -> CmComSettings:
        """The connection, read once.

        :raises CmComConfigError: a field is missing or malformed.
        """
        return read_settings(self.get_connection(self.cm_com_conn_id))

    @cached_property
    def _session(self) -> Session:
        """Kept, so that the pages of a long log travel over one connection."""
        return self.get_conn()

    def messenger(self, *, batch_size: int | None = None, connections: int = 32) -> CmComMessenger:
        """The async messenger of this connection, to be opened with ``async with``.

        :raises CmComConfigError: the connection lacks something that sending needs.
        """
        if self.settings.sender is None:
            raise CmComConfigError(
                f"The sender number of connection {self.cm_com_conn_id} is missing. CM.com would send "
                "from any number of the account. Write yours with its country code, such as +31600000000."
            )
        return CmComMessenger(
            self.settings,
            batch_size=batch_size,
            connections=connections,
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
        )

    def send(self, messages: Sequence[Mapping[str, Any] | bytes]) -> list[MessageResult]:
        """Send ``msg`` objects (``cm_com.wire.messages.message_dict``), in requests of the connection's
        batch size.

        Returns one result per message, in order. A result whose ``accepted`` is None is uncertain: never
        send it again by yourself. Not for use inside a running event loop; there, use :meth:`messenger`.

        :raises ValueError: an item is no ``msg`` object with one recipient.
        :raises CmComError: one of its kinds (see ``cm_com.exceptions``) about the request that failed; its
            ``results`` hold those of the requests before it, later ones were not made.
        """
        return asyncio.run(self._send(messages))

    def get_transactions(
        self,
        start: datetime,
        end: datetime,
        direction: Direction = "out",
        *,
        reference: str | None = None,
        channel: str | None = None,
        page: int = 1,
        page_size: int = PAGE_SIZE,
    ) -> TransactionPage:
        """One page of the message log between two aware moments, at most 24 hours apart.

        :raises CmComThrottled: CM.com asks to wait; ``retry_after`` in seconds if it said how long.
        :raises CmComUnavailable: not reached, or an error on its side.
        :raises CmComUnreadable: an answer that is no message log.
        """
        if not start < end <= start + WINDOW:
            raise CmComRequestError("The message log is read 24 hours at most at once, start before end.")
        return self._read_page(
            direction, start, end, reference=reference, channel=channel, page=page, page_size=page_size
        )

    def iter_transactions(
        self,
        start: datetime,
        end: datetime,
        direction: Direction = "out",
        *,
        reference: str | None = None,
        channel: str | None = None,
        page_size: int = PAGE_SIZE,
        patience: float = 120.0,
    ) -> Iterator[Transaction]:
        """Every row of the message log between two aware moments, over as many windows and pages as it takes.

        Rows may repeat, since the log grows while it is read: the reader deduplicates. A 429 is waited for
        as long as it says, ``patience`` seconds in all at most.

        :raises CmComUnreadable: CM.com does not turn pages, so that rows would be missing.
        :raises CmComError: as :meth:`get_transactions`.
        """
        read = partial(self._read_page, direction, reference=reference, channel=channel, page_size=page_size)
        return iter_rows(read, start, end, page_size=page_size, patience=patience)

    def get_templates(self) -> list[Template]:
        """The account's WhatsApp templates, one entry per language.

        CM.com does not document this call: path and host can be set in the connection.

        :raises CmComConfigError: account or channel id is missing in the connection.
        :raises CmComUnreadable: an answer that holds no templates.
        """
        settings = self.settings
        if not settings.account_id or not settings.channel_id:
            raise CmComConfigError(
                f"Account id and channel id of connection {self.cm_com_conn_id} are needed to read templates."
            )
        path = settings.templates_path.replace("{account_id}", quote(settings.account_id, safe=""))
        path = path.replace("{channel_id}", quote(settings.channel_id, safe=""))
        return read_templates(self._get_json(f"{settings.templates_url}/{path.lstrip('/')}", {}))

    def test_connection(self) -> tuple[bool, str]:
        """Whether sending and the message log would work, and what is wrong if not. Sends nothing to anybody.

        The gateway is asked with an empty message array: CM.com answers code 101 if it refuses the token and
        another one if the array is all it minds (203, as inferred from its list of codes).
        """
        try:
            self.messenger()
            self._check_gateway()
            now = datetime.now(UTC)
            self.get_transactions(now - timedelta(minutes=1), now, page_size=1)
        except CmComError as error:
            return False, str(error)
        return True, "CM.com takes the product token, and the message log can be read. Nothing was sent."

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> Session:
        """A session that carries the token and nothing of the connection's ``extra``."""
        self.base_url = self.settings.gateway_url
        self._base_url_initialized = True
        # The options of one call only: the base class would take them from `extra` too.
        self.merged_extra = dict(extra_options or {})
        session = self._configure_session_from_mount_adapters(Session())
        # Without an `auth` of its own, requests looks for a password in ~/.netrc.
        session.auth = _no_other_credentials
        session.headers.update(
            {"User-Agent": USER_AGENT, TOKEN_HEADER: self.settings.token, **(headers or {})}
        )
        return session

    def run_and_check(
        self, session: Session, prepped_request: PreparedRequest, extra_options: dict[Any, Any]
    ) -> Response:
        """What ``run`` does with a request: timeouts always, redirects never (they would carry the token
        off)."""
        options = session.merge_environment_settings(
            prepped_request.url or "", proxies={}, stream=False, verify=True, cert=None
        )
        options["timeout"] = (self.connect_timeout, self.read_timeout)
        try:
            response = session.send(prepped_request, allow_redirects=False, **options)
        except RequestException as error:
            place = self.settings.place_of(prepped_request.url or "")
            # `from None`: the error holds the request, and with it the token.
            raise CmComUnavailable(
                f"CM.com was not reached: {type(error).__name__} ({place}). Check the URLs in "
                "the connection, the network and CM.com's status page."
            ) from None
        if extra_options.get("check_response", True):
            self.check_response(response)
        return response

    def check_response(self, response: Response) -> None:
        """Raise what a status other than 200 means. Bodies are not quoted: they hold numbers and texts."""
        error = error_of_status(
            status=response.status_code,
            retry_after=response.headers.get("Retry-After"),
            body=response.content,
            place=self.settings.place_of(response.url),
        )
        if error is not None:
            raise error

    async def _send(self, messages: Sequence[Mapping[str, Any] | bytes]) -> list[MessageResult]:
        identify(messages)  # a mistake in the last message is found before the first one leaves
        results: list[MessageResult] = []
        async with self.messenger() as messenger:
            size = messenger.batch_size
            for first in range(0, len(messages), size):
                delivery = await messenger.send(messages[first : first + size])
                error = error_of(delivery, place=self.settings.place)
                if error is not None:
                    error.results = tuple(results)
                    raise error
                results.extend(delivery.results)
        return results

    def _read_page(
        self, direction: Direction, start: datetime, end: datetime, **options: Any
    ) -> TransactionPage:
        parameters = query(start=start, end=end, direction=direction, **options)
        document = self._get_json(self.settings.transactions_url + TRANSACTIONS_PATH, parameters)
        return read_page(document, direction=direction)

    def _check_gateway(self) -> None:
        request = {"data": request_body([]), "headers": {"Content-Type": "application/json"}}
        response = self._request("POST", self.settings.gateway_url + MESSAGE_PATH, **request)
        answer = read_answer(
            status=response.status_code,
            body=response.content,
            retry_after=response.headers.get("Retry-After"),
            sent=[],
        )
        if answer.code == 0 or (answer.outcome == "refused" and not answer.fatal):
            return
        error = error_of(answer, place=self.settings.place)
        if isinstance(error, CmComAuthError) and not is_guid(self.settings.token):
            raise CmComAuthError(f"{error} A product token is a GUID with its hyphens; this one is not.")
        if answer.outcome == "unknown":
            raise CmComConfigError(
                f"What answers at the gateway URL is not CM.com: {answer.cause} ({self.settings.place})."
            )
        if error is not None:
            raise error

    def _get_json(self, url: str, parameters: dict[str, str]) -> object:
        response = self._request("GET", url, params=parameters)
        self.check_response(response)
        try:
            return response.json()
        except ValueError:
            raise CmComUnreadable(
                f"CM.com's answer is no JSON ({self.settings.place_of(url)}). Check the connection's URLs."
            ) from None

    def _request(self, method: str, url: str, **kwargs: Any) -> Response:
        request = self._session.prepare_request(Request(method, url, **kwargs))
        return self.run_and_check(self._session, request, {"check_response": False})


def _no_other_credentials(request: PreparedRequest) -> PreparedRequest:
    return request
