"""Accounts: passwords, and who may not have one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import argon2
import pytest

from argosy import config, errors
from argosy.accounts.accounts import Accounts
from argosy.accounts.rules import resolve
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.people import LOOKING, Grant, Right, Settings

QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""As weak as it gets: these tests aren't about argon2."""


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    catalogue = Catalogue(config.Catalogue(directory=str(tmp_path)))
    await catalogue.open()
    yield catalogue
    await catalogue.close()


@pytest.fixture
async def accounts(catalogue: Catalogue) -> AsyncIterator[Accounts]:
    accounts = Accounts(catalogue, hasher=QUICK)
    yield accounts
    accounts.close()


async def test_the_right_password_logs_in(accounts: Accounts) -> None:
    settings = Settings(home=b"/home", grants=(Grant(b"/", LOOKING),))
    made = await accounts.add("ann", "sécret ", settings=settings)
    account = await accounts.login("ann", "sécret ")
    assert account == resolve(made, [])
    assert (account.home, account.may(Right.WRITE, (b"x",)), account.admin) == (b"/home", False, False)
    assert "secret" not in made.password
    assert made.password.startswith("$argon2id$")


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong"), ("ann", ""), ("ben", "secret"), ("", "")])
async def test_anything_else_does_not(accounts: Accounts, name: str, password: str) -> None:
    await accounts.add("ann", "secret")
    with pytest.raises(errors.LoginFailed):
        await accounts.login(name, password)


async def test_who_does_not_exist_is_hashed_for_all_the_same(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    await accounts.add("ann", "secret")
    verified = []
    verify = argon2.PasswordHasher.verify

    def noted(self: argon2.PasswordHasher, hashed: str | bytes, password: str | bytes) -> bool:
        verified.append(str(hashed).rpartition("$")[0].rpartition("$")[0])
        return verify(self, hashed, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", noted)
    for name in ("ann", "ben"):
        with pytest.raises(errors.LoginFailed):
            await accounts.login(name, "wrong")
    assert verified[0] == verified[1]


async def test_a_new_password_replaces_the_old(accounts: Accounts) -> None:
    await accounts.add("ann", "old", admin=True)
    await accounts.set_password("ann", "new")
    with pytest.raises(errors.LoginFailed):
        await accounts.login("ann", "old")
    assert (await accounts.login("ann", "new")).admin
    with pytest.raises(errors.NotFound):
        await accounts.set_password("ben", "new")


async def test_a_hash_of_weaker_parameters_is_renewed_at_login(catalogue: Catalogue) -> None:
    weak = Accounts(catalogue, hasher=QUICK)
    await weak.add("ann", "secret")
    weak.close()
    strong = Accounts(catalogue)
    await strong.login("ann", "secret")
    user = catalogue.user("ann")
    assert user is not None
    assert "m=19456" in user.password
    await strong.login("ann", "secret")
    strong.close()


@pytest.mark.parametrize("name", ["", " ann", "a\nb", "a\0", "x" * 65])
async def test_a_name_that_nobody_can_type_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(errors.BadArgument):
        await accounts.add(name, "secret")


@pytest.mark.parametrize("password", ["", "a\r\n", "a\0", "x" * 1025])
async def test_a_password_that_nobody_can_send_is_refused(accounts: Accounts, password: str) -> None:
    with pytest.raises(errors.BadArgument):
        await accounts.add("ann", password)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(home=b"home"),
        Settings(home=b"/a/../b"),
        Settings(grants=(Grant(b"", LOOKING),)),
        Settings(uploads=-1),
        Settings(quota_bytes=2**63),
        Settings(idle_seconds=float("nan")),
        Settings(masks=("192.0.2.1/33",)),
    ],
    ids=str,
)
async def test_a_setting_that_makes_no_sense_is_refused(accounts: Accounts, settings: Settings) -> None:
    with pytest.raises(errors.BadArgument):
        await accounts.add("ann", "secret", settings=settings)


async def test_of_two_who_make_the_same_account_one_is_refused(accounts: Accounts) -> None:
    made = await asyncio.gather(
        accounts.add("ann", "one"), accounts.add("ann", "two"), return_exceptions=True
    )
    assert sorted(isinstance(result, errors.Exists) for result in made) == [False, True]


async def test_removed_accounts_are_gone(accounts: Accounts) -> None:
    await accounts.add("ann", "secret")
    assert [user.name for user in accounts.all()] == ["ann"]
    await accounts.remove("ann")
    assert accounts.all() == []
    with pytest.raises(errors.NotFound):
        await accounts.remove("ann")


async def test_a_damaged_hash_lets_nobody_in(accounts: Accounts, catalogue: Catalogue) -> None:
    user = await accounts.add("ann", "secret")
    await catalogue.put_user(replace(user, password="secret"))
    with pytest.raises(errors.LoginFailed):
        await accounts.login("ann", "secret")
