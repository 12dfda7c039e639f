"""What can be set on a simulated CM.com: its accounts, and every answer the real one does not document.

A configuration file is YAML (JSON is YAML too):

    accounts:
      - token: 00000000-0000-0000-0000-000000000000
        account: 11111111-1111-1111-1111-111111111111
        senders: ["0031687654321"]
        webhook_url: http://127.0.0.1:9000/hook/status
        mo_url: http://127.0.0.1:9000/hook/reply
        templates: [{element_name: welcome, language: nl, body_variables: 1}]
    settings: {max_messages: 100, strict_reference: true}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

DEFAULT_TOKEN = "00000000-0000-0000-0000-000000000000"  # noqa: S105  the contract's example, not a secret
DEFAULT_ACCOUNT = "11111111-1111-1111-1111-111111111111"

TemplateStatus = Literal[
    "APPROVED",
    "PENDING",
    "REJECTED",
    "PAUSED",
    "DISABLED",
    "FLAGGED",
    "REINSTATED",
    "IN_APPEAL",
    "LIMIT_EXCEEDED",
    "LOCKED",
    "PENDING_DELETION",
    "DELETED",
    "ARCHIVED",
    "UNARCHIVED",
]


class ConfigurationError(ValueError):
    """A file given to the simulator cannot be used; the message names the file, the place and the reason."""


class Button(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One button of a template. `variable` is true for a URL button that takes a parameter."""

    type: Literal["url", "quick_reply", "phone_number"]
    text: str = ""
    variable: bool = False


class Template(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One template in one language, as registered with CM.com. An empty namespace fits every namespace."""

    element_name: str
    language: str
    namespace: str = ""
    category: Literal["MARKETING", "UTILITY", "AUTHENTICATION"] = "MARKETING"
    header: Literal["none", "text", "image", "video", "document"] = "none"
    header_variables: int = 0
    body: str = ""
    body_variables: int = 0
    footer: str = ""
    buttons: tuple[Button, ...] = ()
    status: TemplateStatus = "APPROVED"


class Account(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One product token and what belongs to it. An account without templates or senders accepts any.

    `link_url`: what people who tap a URL button put before its parameter, instead of the template's own address;
    without it nobody taps.
    """

    token: str = DEFAULT_TOKEN
    account: str = DEFAULT_ACCOUNT
    senders: tuple[str, ...] = ()
    webhook_url: str | None = None
    mo_url: str | None = None
    link_url: str | None = None
    templates: tuple[Template, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choices where the contract (cm_com.md) is silent. Durations are seconds of simulated time."""

    seed: int = 7
    speed: float = 1.0  # simulated seconds per real second: every delay below is divided by it
    rate: int | None = None  # messages in any sliding second, above which the answer is 429
    keep_bodies: bool = True  # without them, messages show no content (a load test's choice)

    # Gateway: section 10.2 of the contract
    max_messages: int = 1000  # documented by CM's own API description; some clients assume 100
    # Documented; one client's test saw "No authentication method found." since 2022.
    auth_details: str = "No account found for the given authentication"
    strict_reference: bool = False  # true: more than 32 or non-alphanumeric characters are refused with 305
    strict_grouping: bool = False  # true: more than 100 characters are refused with 305
    accept_empty_content: bool = True  # "" beside richContent, which the Python SDK sends
    window_seconds: float = 86_400  # customer-care window opened by a person's message

    # Failed statuses of templates. Invented: the contract knows codes 51-65 and none for these cases.
    code_unknown_template: str = "53"
    code_wrong_variables: str = "57"
    code_not_approved: str = "132015"
    code_disabled: str = "132016"

    # Transactions API
    log_lag: float = 0.0  # a message is missing from the log this long after it was accepted
    log_page_size: int = 1000
    log_max_page_size: int = 10_000
    log_timezone: str = "Europe/Amsterdam"
    log_query_timezone: str = "UTC"  # of startdate and enddate without an offset
    log_read_status: int = 20  # unknown in the contract: 20 with the description "Read"
    log_auth_status: int = 400

    # Webhooks
    webhook_timezone: str = "Europe/Amsterdam"
    webhook_retry: float = 60.0  # the status retry interval is unknown
    mo_retry: float = 300.0  # documented: every 5 minutes
    webhook_give_up: float = 7 * 86_400.0  # documented for statuses
    mo_give_up: float = 30 * 86_400.0  # documented for replies
    webhook_timeout: float = 10.0  # real seconds
    webhook_concurrency: int = 64
    mo_plus: bool = True  # a reply's from.number starts with + (documented example) and not 00


class Configuration(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The content of a configuration file."""

    accounts: list[Account] = []
    settings: dict[str, Any] = {}


def load(path: Path, kind: type[Any]) -> Any:
    """Read a YAML or JSON file into `kind`; raises ConfigurationError that names file, place and reason."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from error
    return convert(content, kind, where=str(path))


def convert(content: Any, kind: Any, *, where: str) -> Any:
    """Turn plain data into `kind`; raises ConfigurationError with `where`, the place in it and the reason."""
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}") from error
