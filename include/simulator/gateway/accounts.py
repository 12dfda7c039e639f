"""The accounts of a simulated CM.com, by product token and by account id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from include.simulator.gateway.settings import Account


class Accounts:
    """A registry; tokens are compared without regard to case, as GUIDs are."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_token: dict[str, Account] = {}
        self._by_id: dict[str, Account] = {}
        for account in accounts:
            self.add(account)

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_token.values())

    def add(self, account: Account) -> None:
        """Add an account, or replace the one of the same token."""
        self._by_token[account.token.lower()] = account
        self._by_id[account.account] = account

    def by_token(self, token: str | None) -> Account | None:
        return self._by_token.get(token.lower()) if token else None

    def by_id(self, account_id: str) -> Account | None:
        return self._by_id.get(account_id)

    def first(self) -> Account:
        return next(iter(self._by_token.values()))
