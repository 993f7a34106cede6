"""The mounts of one gateway: who is logged in where for whom, and who isn't any more.

A mount that nobody uses goes to sleep: its threads, logins and memory go, and the next call wakes it. One
that was taken away is forgotten, password and all, as soon as its site has all that was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from argosy.config import Gateway
from argosy.config.gateway import TICKET
from argosy.errors import ConfigError, LoginFailed, NotFound, Refused, Stale, Unavailable
from argosy.sites.exports import Exports, Mounted, Tickets, Told, word_of
from argosy.sites.names.record import Record

log = logging.getLogger("argosy.mounts")

TEND_SECONDS = 5.0
"""How often mounts are looked at that nobody uses, or that are to be forgotten."""


class Opened(Protocol):
    """What is to be known here of a storage that is logged in."""

    def report(self) -> dict[str, Any]:
        """Give its figures."""

    def stirred(self) -> bool:
        """Say whether it worked for anybody since this was asked last, or still has something to do."""

    async def unsent(self, seconds: float = 0.0) -> Sequence[str]:
        """Give the files that the site hasn't got yet, after trying for so long to bring them there."""

    async def close(self) -> None:
        """End what runs, in order, within a time limit."""


_S = TypeVar("_S", bound=Opened)

Opener = Callable[["Mounted"], Coroutine[Any, Any, _S]]
"""Logs in, and gives the storage of a mount."""


class Fate(StrEnum):
    """What becomes of a mount that was taken away, or is to be forgotten."""

    FORGOTTEN = "forgotten"
    """Its password is gone, and its handles are stale."""
    UNSENT = "unsent"
    """Something isn't on the site yet."""
    MOUNTED = "mounted"
    """This machine has it mounted."""
    SHARED = "shared"
    """Other machines may have it mounted."""
    UNKNOWN = "unknown"
    """It is none of this gateway's."""


class Outcome(NamedTuple):
    """What became of one mount."""

    site: str
    """Its address, without the password."""
    fate: Fate
    unsent: Sequence[str] = ()
    """Files that the site hasn't got yet."""


class Mounts(Generic[_S]):
    """The mounts that there are, and the storages of those that are open."""

    def __init__(
        self,
        config: Gateway,
        record: Record,
        opener: Opener[_S],
        *,
        journals: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Put it together; what the record knows is read.

        Args:
            config: The gateway's file.
            record: Where mounts keep their numbers.
            opener: Logs in.
            journals: Where each has its journal, in a directory by its number.
            clock: Seconds, rising.
        """
        self.key = record.key
        self._config = config
        self._record = record
        self._opener = opener
        self._journals = journals
        self._clock = clock
        self._exports = Exports(config)
        self._tickets = Tickets(record.key, config.nfs.ticket_seconds, clock)
        self._told: dict[int, Told] = {}
        self._numbers: dict[Told, int] = {}
        self._loose: set[int] = set()
        """Those that nobody has mounted any more, or yet: they are forgotten when nothing is in the way."""
        for number, (words, held) in record.mounts().items():
            self._know(number, Told.unpack(words))
            if not held:
                self._loose.add(number)
        self._storages: dict[int, _S] = {}
        self._mounted: dict[int, Mounted] = {}
        """Those that were opened."""
        self._opening: dict[int, asyncio.Future[_S]] = {}
        self._closing: dict[int, asyncio.Task[None]] = {}
        self._forgetting: dict[int, asyncio.Task[Sequence[str]]] = {}
        """Meanwhile their handles are stale, and who mounts such a site waits for a new number."""
        self._naming = asyncio.Lock()
        """Held while the record gives a mount its number, or loses one: none is given that is going."""
        self._used: set[int] = set()
        """Asked for since somebody looked."""
        self._used_at: dict[int, float] = {}
        self._logins = asyncio.Semaphore(config.nfs.logins)

    async def take_up(self, numbers: Iterable[int]) -> None:
        """Log in where something waits to be uploaded since before a restart, whether a client comes or not.

        Args:
            numbers: Of the mounts. A site that is away is asked again, after growing pauses.
        """
        async with asyncio.TaskGroup() as tasks:
            for number in numbers:
                tasks.create_task(self._take_up(number))

    async def _take_up(self, number: int) -> None:
        pause = self._config.remote.retry_first_seconds
        while True:
            try:
                await self.again(number)
            except Stale:
                log.warning("journal %d is of a mount that nobody knows; it stays as it is", number)
            except (LoginFailed, ConfigError) as refused:
                log.warning(
                    "mount %d: what it has to upload waits until it is mounted anew: %s", number, refused
                )
            except Refused as refused:
                log.info("mount %d: what it has to upload waits %g s more: %s", number, pause, refused)
                await asyncio.sleep(pause)
                pause = min(2 * pause, self._config.remote.retry_most_seconds)
                continue
            return

    async def tend(self) -> None:
        """Close what nobody uses, and forget what was taken away, until cancelled."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            try:
                self._put_to_sleep()
                for number in sorted(self._loose - self._opening.keys()):
                    await self._forget_if_done(number)
            except Refused as refused:
                log.warning("%s", refused)
            except Exception:
                log.exception("accident while looking after the mounts")

    # --- opening

    def known(self, mount: int) -> _S | None:
        """Give a mount's storage if it is open."""
        self._used.add(mount)
        return self._storages.get(mount)

    async def again(self, mount: int) -> _S:
        """Give the storage of a mount that was made before, maybe before a restart.

        Raises:
            Stale: No such mount, or its site isn't in the config any more.
            LoginFailed: The site doesn't take the password any more.
            Unavailable: The site is away. Try again.
        """
        if (storage := self._storages.get(mount)) is not None:
            return storage
        told = self._told.get(mount)
        if told is None or mount in self._forgetting:
            raise Stale
        try:
            address = await asyncio.to_thread(self._exports.address, told)
        except NotFound as gone:
            raise Stale(gone.subject) from gone
        return await self._open(Mounted(mount, address, told.uid, told.gid, told.name))

    async def mount(self, export: bytes, uid: int, gid: int) -> tuple[int, _S]:
        """Give the number and the storage of what a client wants to mount. A ticket is used up by it.

        Args:
            export: What MNT named.
            uid: Who owns what the site says nothing of; a ticket brings its own.
            gid: Likewise.

        Raises:
            Denied: The ticket was used, or is too old.
            BadArgument: It is no address.
            NotFound: The site has no such directory.
            LoginFailed: It doesn't take the password.
            Unavailable: It is away, or too many others log in. Try again.
        """
        if (word := word_of(export)).startswith(TICKET):
            told = self._told.get(self._tickets.take(word))
            if told is None:
                raise Stale("what this ticket was for is forgotten")
        else:
            told = self._exports.told(export, "", uid, gid)
        number, storage = await self._login(told, self._turn)
        if number in self._loose:
            self._loose.discard(number)
            await asyncio.to_thread(self._record.hold, number, held=True)
        return number, storage

    async def ticket(self, export: bytes, password: bytes, uid: int, gid: int) -> str:
        """Log in, and give an export that is good for one mount and holds no password.

        Args:
            export: As in a mount line; without a password.
            password: For it. A site that the config names has its own.
            uid: See `mount`.
            gid: See `mount`.

        Raises:
            Refused: As `mount`.
        """
        told = self._exports.told(export, os.fsdecode(password), uid, gid)
        number, _ = await self._login(told, contextlib.nullcontext)
        return f"/{self._tickets.make(number)}/{self.title(number)}"

    async def _login(
        self, told: Told, turn: Callable[[], contextlib.AbstractAsyncContextManager[None]]
    ) -> tuple[int, _S]:
        number = self._numbers.get(told)
        if number is not None and (storage := self._storages.get(number)) is not None:
            return number, storage
        address = await asyncio.to_thread(self._exports.address, told)
        number, is_new = await self._numbered(told)
        try:
            return number, await self._open(Mounted(number, address, told.uid, told.gid, told.name), turn)
        except Refused:
            if is_new and number not in self._storages:
                await self._drop(number)  # its password may be a wrong one
            raise

    async def _numbered(self, told: Told) -> tuple[int, bool]:
        """Give a mount's number, and whether it is new; one that is being forgotten gets another."""
        while True:
            async with self._naming:
                forgetting = self._forgetting.get(self._numbers.get(told, 0))
                if forgetting is None:
                    if is_new := told not in self._numbers:
                        made = await asyncio.to_thread(self._record.mount, told.pack())
                        self._know(made, told)
                        self._loose.add(made)
                    return self._numbers[told], is_new
            await asyncio.wait([forgetting])

    async def _open(
        self,
        mounted: Mounted,
        turn: Callable[[], contextlib.AbstractAsyncContextManager[None]] = contextlib.nullcontext,
    ) -> _S:
        """Open a storage; who asks while that goes on gets the same, or the same refusal."""
        number = mounted.number
        if (storage := self._storages.get(number)) is not None:
            return storage
        if (opening := self._opening.get(number)) is not None:
            return await asyncio.shield(opening)
        opening = self._opening[number] = asyncio.get_running_loop().create_future()
        try:
            if (closing := self._closing.get(number)) is not None:
                await asyncio.shield(closing)  # two at once would have one journal
            async with turn():
                storage = await self._opener(mounted)
        except BaseException as error:
            opening.set_exception(error if isinstance(error, Refused) else Unavailable(mounted.site))
            opening.exception()  # looked at here, for maybe nobody else waits
            raise
        else:
            self._mounted[number] = mounted
            self._storages[number] = storage
            self._used.add(number)
            opening.set_result(storage)
            log.info("mount %d: %s", number, mounted.site)
            return storage
        finally:
            del self._opening[number]

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until fewer log in.

        Raises:
            Unavailable: That takes too long. Try again.
        """
        try:
            async with asyncio.timeout(self._config.nfs.login_seconds):
                await self._logins.acquire()
        except TimeoutError:
            raise Unavailable(f"{self._config.nfs.logins} others log in at their sites") from None
        try:
            yield
        finally:
            self._logins.release()

    # --- closing and forgetting

    def _put_to_sleep(self) -> None:
        """Begin to close what nobody has used for long."""
        now, used = self._clock(), self._used
        self._used = set()
        for number, storage in list(self._storages.items()):
            if storage.stirred() or number in used or number not in self._used_at:
                self._used_at[number] = now
            elif 0 < self._config.remote.sleep_seconds <= now - self._used_at[number]:
                log.info("mount %d sleeps until somebody asks for it: %s", number, self._mounted[number].site)
                self._begin_to_close(number)

    def _begin_to_close(self, number: int) -> asyncio.Task[None]:
        storage = self._storages.pop(number)
        self._used_at.pop(number, None)
        closing = self._closing[number] = asyncio.create_task(self._close_one(number, storage))
        return closing

    async def _close_one(self, number: int, storage: _S) -> None:
        try:
            async with asyncio.timeout(self._config.state.stop_seconds):
                await storage.close()
        except Exception:
            log.exception("accident while closing mount %d", number)
        finally:
            del self._closing[number]

    async def release(self, export: bytes, mounted: Sequence[bytes]) -> Outcome:
        """Hear that a directory was taken away; its mount is forgotten as soon as nothing is in the way.

        Args:
            export: What was mounted there.
            mounted: The exports of this gateway that this machine has mounted yet.
        """
        word = word_of(export)
        numbers = self._meant(export)
        if not numbers:
            return Outcome("", Fate.UNKNOWN)
        self._tickets.drop(word)
        number = numbers[0]
        site = self._exports.site(self._told[number])
        if any(number in self._meant(other) for other in mounted):
            return Outcome(site, Fate.MOUNTED)
        if self._config.nfs.networks:
            return Outcome(site, Fate.SHARED)
        if number not in self._loose:
            self._loose.add(number)
            await asyncio.to_thread(self._record.hold, number, held=False)
        left = await self._forget_if_done(number, self._config.state.stop_seconds)
        return Outcome(site, Fate.UNSENT if left else Fate.FORGOTTEN, left)

    async def forget(self, site: str, mounted: Sequence[bytes]) -> list[Outcome]:
        """Forget the mounts of a site that aren't mounted here, and have nothing to send: passwords and all.

        Args:
            site: As `report` tells it.
            mounted: The exports of this gateway that this machine has mounted.

        Raises:
            NotFound: There is no such mount.
        """
        in_use = {number for export in mounted for number in self._meant(export)}
        outcomes = []
        for number in [number for number, told in self._told.items() if self._exports.site(told) == site]:
            if number in in_use:
                outcomes.append(Outcome(site, Fate.MOUNTED))
                continue
            if (opening := self._opening.get(number)) is not None:
                await asyncio.wait([opening])
            left = await self._left(number, self._config.state.stop_seconds) or await self._forget(number)
            outcomes.append(Outcome(site, Fate.UNSENT if left else Fate.FORGOTTEN, left))
        if not outcomes:
            raise NotFound(f"the gateway has no mount of {site}")
        return outcomes

    def _meant(self, export: bytes) -> list[int]:
        """Give the mounts that an export may have been for: an address doesn't tell whose."""
        if (word := word_of(export)).startswith(TICKET):
            number = self._tickets.number(word)
            return [number] if number in self._told else []
        try:
            told = self._exports.told(export, "", 0, 0)
        except Refused:
            return []
        return [number for number, other in self._told.items() if told.is_same_place(other)]

    async def _forget_if_done(self, number: int, seconds: float = 0.0) -> Sequence[str]:
        """Forget a mount that nobody has, unless something is unsent, which is given."""
        if not self._may_go(number):
            return ()
        left = await self._left(number, seconds)
        if left or not self._may_go(number):  # it was asked for meanwhile
            return left
        return await self._forget(number)

    def _may_go(self, number: int) -> bool:
        """Whether nobody has a mount, or is about to."""
        return number in self._loose and number not in self._opening and not self._tickets.waits(number)

    async def _left(self, number: int, seconds: float) -> Sequence[str]:
        """Say what a mount's site hasn't got yet."""
        if (storage := self._storages.get(number)) is not None:
            return await storage.unsent(seconds)
        files = await asyncio.to_thread(self._in_journal, number)
        return (f"{files} files, which wait for a login",) if files else ()

    async def _forget(self, number: int) -> Sequence[str]:
        """Forget a mount, to the end, whoever still waits for that.

        What was written in the last moment keeps it, and is given.
        """
        if number not in self._told:
            return ()
        if (forgetting := self._forgetting.get(number)) is None:
            forgetting = self._forgetting[number] = asyncio.create_task(self._forget_now(number))
            forgetting.add_done_callback(lambda _: self._forgetting.pop(number))
        return await asyncio.shield(forgetting)

    async def _forget_now(self, number: int) -> Sequence[str]:
        site = self._exports.site(self._told[number])
        if (opening := self._opening.get(number)) is not None:
            await asyncio.wait([opening])
        if number in self._storages:
            self._begin_to_close(number)
        if (closing := self._closing.get(number)) is not None:
            await asyncio.shield(closing)
        if await asyncio.to_thread(self._in_journal, number):
            return await self._left(number, 0.0)
        await self._drop(number)
        await asyncio.to_thread(shutil.rmtree, self._journal(number), ignore_errors=True)
        log.info("mount %d is forgotten: %s", number, site)
        return ()

    async def _drop(self, number: int) -> None:
        async with self._naming:
            told = self._told.pop(number, None)
            if told is not None:
                del self._numbers[told]
            self._loose.discard(number)
            self._mounted.pop(number, None)
            await asyncio.to_thread(self._record.forget, number)

    def _know(self, number: int, told: Told) -> None:
        self._told[number] = told
        self._numbers[told] = number

    def _journal(self, number: int) -> Path:
        return self._journals / str(number)

    def _in_journal(self, number: int) -> int:
        """Give how many files a journal holds."""
        at = self._journal(number)
        return sum(one.suffix == ".log" for one in at.iterdir()) if at.is_dir() else 0

    # --- telling

    def title(self, mount: int) -> str:
        """Give what may be shown of a mount that was opened: no password. Empty: it is forgotten."""
        mounted = self._mounted.get(mount)
        return mounted.title if mounted else ""

    def owner(self, mount: int) -> int:
        """Give the uid of whom a mount was opened for."""
        return self._mounted[mount].uid

    def networks(self, mount: int) -> tuple[str, ...]:
        """Give whose clients alone may use a mount; none: it is as for all."""
        return self._exports.networks(self._mounted[mount].name)

    def listed(self) -> list[tuple[bytes, tuple[str, ...]]]:
        """Give the exports that may be shown to everybody, the config's sites, and their own networks."""
        return self._exports.listed()

    def report(self) -> list[dict[str, Any]]:
        """Tell of all that are open, without passwords."""
        return [
            {"mount": number, "site": self._mounted[number].site, **storage.report()}
            for number, storage in sorted(self._storages.items())
        ]

    def asleep(self) -> list[dict[str, Any]]:
        """Tell of those that aren't open, without passwords."""
        return [
            {"mount": number, "site": self._exports.site(told)}
            for number, told in sorted(self._told.items())
            if number not in self._storages
        ]

    async def close(self) -> None:
        """Close all, at once, within the time that the config gives them."""
        storages, self._storages = self._storages, {}
        try:
            async with asyncio.timeout(self._config.state.stop_seconds):
                done = await asyncio.gather(
                    *self._closing.values(),
                    *self._forgetting.values(),
                    *(storage.close() for storage in storages.values()),
                    return_exceptions=True,
                )
        except TimeoutError:
            log.warning("uploads are still under way; they go on with the next start")
            return
        for accident in done:
            if isinstance(accident, BaseException):
                log.error("accident while closing a mount", exc_info=accident)
