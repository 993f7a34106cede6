"""Accounts: passwords, and who may not have one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import argon2
import msgspec
import pytest

import record
from argosy import config, errors
from argosy.accounts.accounts import Accounts
from argosy.accounts.rules import resolve
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.people import LOOKING, Grant, Right, Settings, User

QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""As weak as it gets: these tests aren't about argon2."""
SLOW = argon2.PasswordHasher(time_cost=40, memory_cost=19_456, parallelism=1)
"""Takes long enough for other things to happen meanwhile."""


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path) as catalogue:
        yield catalogue


@pytest.fixture
async def accounts(catalogue: Catalogue) -> AsyncIterator[Accounts]:
    accounts = Accounts(catalogue, hasher=QUICK)
    yield accounts
    accounts.close()


async def test_the_right_password_logs_in(accounts: Accounts) -> None:
    settings = Settings(home=b"/home", grants=(Grant(b"/", LOOKING),))
    made = await accounts.add("ann", "sécret ", settings=settings)
    account = (await accounts.login("ann", "sécret ")).account
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
    assert (await accounts.login("ann", "new")).account.admin
    with pytest.raises(errors.NoSuchAccount):
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
    ids=["home", "a way up", "grant without a path", "uploads", "quota", "idle", "mask"],
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
    assert [user.name for user in accounts.users()] == ["ann"]
    await accounts.remove("ann")
    assert accounts.users() == []
    with pytest.raises(errors.NoSuchAccount):
        await accounts.remove("ann")


async def test_a_damaged_hash_lets_nobody_in(accounts: Accounts, catalogue: Catalogue) -> None:
    user = await accounts.add("ann", "secret")
    await catalogue.put_user(replace(user, password="secret"))
    with pytest.raises(errors.LoginFailed):
        await accounts.login("ann", "secret")


# --- locked, expired, from elsewhere, in clear


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(locked=True), "locked"),
        (Settings(expires_ns=1), "expired"),
        (Settings(masks=("198.51.100.0/24",)), "from there"),
    ],
    ids=str,
)
async def test_who_may_not_be_in_hears_the_same_as_with_a_wrong_password(
    accounts: Accounts, caplog: pytest.LogCaptureFixture, settings: Settings, reason: str
) -> None:
    await accounts.add("ann", "secret", settings=settings)
    caplog.set_level("INFO")
    said = []
    for password in ("secret", "wrong"):
        with pytest.raises(errors.LoginFailed) as refused:
            await accounts.login("ann", password, address="192.0.2.7")
        said.append(str(refused.value))
    assert said == ["Login incorrect", "Login incorrect"]
    right, wrong = (record.getMessage() for record in caplog.records)
    assert reason in right
    assert "192.0.2.7" in right
    assert "wrong password" in wrong


async def test_who_has_to_use_tls_is_told_so_if_the_password_was_right(accounts: Accounts) -> None:
    await accounts.add("ann", "secret", settings=Settings(require_tls=True))
    for password, said in (("secret", "Login incorrect: say AUTH TLS first"), ("wrong", "Login incorrect")):
        with pytest.raises(errors.LoginFailed) as refused:
            await accounts.login("ann", password, secure=False)
        assert str(refused.value) == said
    assert (await accounts.login("ann", "secret", secure=True)).account.require_tls


async def test_a_locked_group_locks_its_members_but_not_who_was_unlocked(accounts: Accounts) -> None:
    await accounts.add_group("staff", Settings(locked=True))
    await accounts.add("ann", "secret", groups=("staff",))
    await accounts.add("ben", "secret", groups=("staff",), settings=Settings(locked=False))
    with pytest.raises(errors.LoginFailed):
        await accounts.login("ann", "secret")
    await accounts.login("ben", "secret")


async def test_a_password_of_weaker_parameters_is_not_renewed_for_who_is_not_let_in(
    catalogue: Catalogue,
) -> None:
    weak = Accounts(catalogue, hasher=QUICK)
    made = await weak.add("ann", "secret", settings=Settings(locked=True))
    weak.close()
    strong = Accounts(catalogue)
    with pytest.raises(errors.LoginFailed):
        await strong.login("ann", "secret")
    strong.close()
    assert catalogue.user("ann") == made


async def test_renewing_a_hash_brings_no_old_password_back(catalogue: Catalogue) -> None:
    weak = Accounts(catalogue, hasher=QUICK)
    await weak.add("ann", "old")
    weak.close()
    slow, strong = Accounts(catalogue, hasher=SLOW), Accounts(catalogue)
    coming = asyncio.create_task(slow.login("ann", "old"))
    await asyncio.sleep(0.1)
    await strong.set_password("ann", "new")
    await asyncio.wait([coming])
    assert (await strong.login("ann", "new")).account.name == "ann"
    slow.close()
    strong.close()


async def test_who_is_locked_while_a_hash_is_renewed_is_not_let_in(catalogue: Catalogue) -> None:
    weak = Accounts(catalogue, hasher=QUICK)
    await weak.add("ann", "secret")
    weak.close()
    slow = Accounts(catalogue, hasher=SLOW)
    coming = asyncio.create_task(slow.login("ann", "secret"))
    await asyncio.sleep(0.1)
    await slow.change("ann", lambda user: at(user, locked=True))
    with pytest.raises(errors.LoginFailed):
        await coming
    slow.close()


# --- changes while somebody is logged in


def at(user: User, **settings: Any) -> User:
    return replace(user, settings=msgspec.structs.replace(user.settings, **settings))


async def test_a_change_counts_at_once_for_who_is_logged_in(accounts: Accounts) -> None:
    await accounts.add_group("staff", Settings(uploads=3))
    await accounts.add("ann", "secret", groups=("staff",))
    login = await accounts.login("ann", "secret")
    assert login.account.uploads == 3
    await accounts.change_group("staff", lambda group: replace(group, settings=Settings(uploads=4)))
    assert login.account.uploads == 4
    await accounts.change("ann", lambda user: at(user, uploads=5, grants=(Grant(b"/", LOOKING),)))
    assert login.account.uploads == 5
    assert not login.account.may(Right.WRITE, ())
    await accounts.remove_group("staff")
    assert login.account.groups == ()
    assert login.ended == ""


async def test_a_change_by_another_process_is_seen(accounts: Accounts, tmp_path: Path) -> None:
    await accounts.add("ann", "secret")
    login = await accounts.login("ann", "secret")
    elsewhere = Catalogue(config.Catalogue(directory=str(tmp_path)))
    await elsewhere.open()
    await elsewhere.change_user("ann", lambda user: at(user, uploads=5))
    await elsewhere.close()
    async with asyncio.timeout(10):
        watching = asyncio.create_task(accounts.watch(0.01))
        while login.account.uploads != 5:
            await asyncio.sleep(0.01)
        watching.cancel()


@pytest.mark.parametrize(
    "settings", [{"locked": True}, {"expires_ns": 1}, {"masks": ("198.51.100.0/24",)}], ids=str
)
async def test_who_may_not_be_in_any_longer_is_hung_up_on(
    accounts: Accounts, settings: dict[str, Any]
) -> None:
    await accounts.add("ann", "secret")
    await accounts.add("ben", "secret")
    told: list[str] = []
    ann, ben = [await accounts.login(name, "secret", address="192.0.2.7") for name in ("ann", "ben")]
    ann.at_end = told.append
    await accounts.change("ann", lambda user: at(user, **settings))
    assert told == ["You may not be logged in any longer"]
    assert ben.ended == ""


async def test_who_is_deleted_is_hung_up_on(accounts: Accounts) -> None:
    await accounts.add("ann", "secret")
    told: list[str] = []
    login = await accounts.login("ann", "secret")
    login.at_end = told.append
    await accounts.remove("ann")
    await accounts.refresh()
    assert told == ["Your account is gone"]


async def test_who_expires_while_logged_in_is_hung_up_on(accounts: Accounts) -> None:
    soon_ns = time.time_ns() + 200_000_000
    await accounts.add("ann", "secret", settings=Settings(expires_ns=soon_ns))
    login = await accounts.login("ann", "secret")
    await accounts.refresh()
    assert login.ended == ""
    await asyncio.sleep(0.25)
    await accounts.refresh()
    assert login.ended


async def test_a_user_cannot_be_made_something_that_is_not(accounts: Accounts) -> None:
    await accounts.add("ann", "secret")
    for change in (
        lambda user: replace(user, name="ben"),
        lambda user: at(user, uploads=-1),
        lambda user: at(user, total_files=1),
    ):
        with pytest.raises(errors.BadArgument):
            await accounts.change("ann", change)
    with pytest.raises(errors.NoSuchAccount):
        await accounts.change("ann", lambda user: replace(user, groups=("none",)))
    with pytest.raises(errors.NoSuchAccount):
        await accounts.change("ben", lambda user: user)
    assert accounts.account("ann").uploads == 0
