"""Somebody who is logged in: what is in force for it, kept true while it lasts."""

from __future__ import annotations

from collections.abc import Callable

from argosy.accounts.rules import Account, at_home, only_looking


class Login:
    """One login of one user; `Accounts` changes what is in it when a user or a group is changed."""

    def __init__(
        self,
        account: Account,
        *,
        address: str = "",
        secure: bool = True,
        anonymous: bool = False,
        looking: bool = False,
    ) -> None:
        """Begin.

        Args:
            account: What is in force now.
            address: Where it comes from; empty: from nowhere that masks could be held against.
            secure: Whether it came over TLS.
            anonymous: Whether it came without a password: then it sees its home only, unless granted more.
            looking: Whether it may list and read and no more, whatever the account may.
        """
        self._anonymous = anonymous
        self._looking = looking
        self.account = account
        self.address = address
        self.secure = secure
        self.ended = ""
        """Why it may go on no longer; empty: it may."""
        self.at_end: Callable[[str], None] = lambda _: None
        """Told why, at once: whoever leads the session hangs up."""

    @property
    def account(self) -> Account:
        """What is in force for it, now."""
        return self._account

    @account.setter
    def account(self, account: Account) -> None:
        if self._anonymous:
            account = at_home(account)
        self._account = only_looking(account) if self._looking else account

    def end(self, why: str) -> None:
        """Have it over; the first reason counts."""
        if not self.ended:
            self.ended = why
            self.at_end(why)
