"""Secret paths: rotation, shared integrations, and refusals that show nothing."""

from __future__ import annotations

import pytest

from include.webhooks import (
    Secrets,
    SecretsProblem,
    SettingsProblem,
    secrets_from_environment,
    time_zone_from_environment,
)

OLD, NEW, OTHER = "old-secret-0123456789", "new-secret-0123456789", "other-secret-012345678"


def test_old_and_new_are_both_valid_and_a_shared_one_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATSAPP_WEBHOOK_SECRETS", f"acme={OLD},{NEW}; beta={OTHER} gamma={OTHER}")
    secrets = secrets_from_environment()
    assert secrets.entities(OLD) == secrets.entities(NEW) == ("acme",)
    assert secrets.entities(OTHER) == ("beta", "gamma")
    for wrong in ("", "acme", OLD[:-1], OLD + "x", OLD.upper(), "\udc00", "é" * 20):
        assert secrets.entities(wrong) == ()


@pytest.mark.parametrize(
    "value", ["", "   ", "acme", "=secret-0123456789", f"acme={OLD},short", "acme=with space"]
)
def test_what_cannot_be_used_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("WHATSAPP_WEBHOOK_SECRETS", value)
    with pytest.raises(SecretsProblem) as problem:
        secrets_from_environment()
    assert OLD not in str(problem.value)
    assert "short" not in str(problem.value)


def test_an_unguessable_secret_is_required() -> None:
    with pytest.raises(SecretsProblem, match="acme"):
        Secrets({"acme": ["0123456789"]})


def test_the_time_zone_of_the_setting_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHATSAPP_CM_TIME_ZONE", raising=False)
    assert time_zone_from_environment() == "Europe/Amsterdam"
    monkeypatch.setenv("WHATSAPP_CM_TIME_ZONE", "Amsterdam")
    with pytest.raises(SettingsProblem, match="WHATSAPP_CM_TIME_ZONE is 'Amsterdam'"):
        time_zone_from_environment()
