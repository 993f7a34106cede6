"""The FTP door: it listens, and leads each client's conversation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping

from argosy import errors
from argosy.config import split_address
from argosy.doors.ftp import lists
from argosy.doors.ftp.client import Client, Hall
from argosy.doors.ftp.control import Control, Dismissed
from argosy.doors.ftp.verbs import HANDLERS
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply
from argosy.wire.ftp.session import State, admit

log = logging.getLogger("argosy.ftp")

CODE_FOR: Mapping[type[errors.Refused], int] = {
    errors.BadArgument: 501,
    errors.Busy: 450,
    errors.ConfigError: 451,
    errors.Damaged: 550,
    errors.Denied: 550,
    errors.Exists: 550,
    errors.Failed: 451,
    errors.Incomplete: 451,
    errors.IsADirectory: 550,
    errors.LinkLoop: 550,
    errors.LoginFailed: 530,
    errors.NameNotAllowed: 553,
    errors.NoDataConnection: 425,
    errors.NoSpace: 452,
    errors.NotADirectory: 550,
    errors.NotEmpty: 550,
    errors.NotFound: 550,
    errors.TooMany: 450,
    errors.TransferCut: 426,
    errors.Unavailable: 450,
    errors.Unsupported: 504,
}
"""The reply code for every refusal. 4yz says "try again", 5yz says "don't". RFC 959 section 4.2."""


class FtpDoor:
    """All control connections of a master."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._tasks: asyncio.TaskGroup | None = None
        self.conversations: dict[Client, asyncio.Task[None]] = {}

    async def serve(self, opened: Callable[[str], None]) -> None:
        """Take clients until cancelled.

        Args:
            opened: Told the address in use, once it listens.
        """
        config = self._hall.config
        host, port = split_address("ftp.listen", config.listen)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            server = await loop.create_server(
                lambda: Control(config, self._connected), host, port, backlog=1024
            )
            opened("{}:{}".format(*server.sockets[0].getsockname()[:2]))
            try:
                await asyncio.Event().wait()
            finally:
                server.close()

    def _connected(self, control: Control) -> None:
        assert self._tasks is not None, "the server runs"
        try:
            client = self._let_in(control)
        except errors.TooMany as refused:
            control.say(Reply.of(421, str(refused)))
            control.close()
            return
        self.conversations[client] = self._tasks.create_task(self._converse(client))

    def _let_in(self, control: Control) -> Client:
        """Begin a session.

        Raises:
            TooMany: Too many sessions are here, or too many wrong passwords came from there.
        """
        hall, address = self._hall, control.remote[0]
        if seconds := hall.bans.seconds_left(address):
            raise errors.TooMany(f"wrong passwords from {address}, come back in {seconds:.0f} s")
        if len(self.conversations) >= hall.config.session_limit:
            raise errors.TooMany(f"{len(self.conversations)} sessions")
        visitor = hall.visitors.arrive("ftp", address, lambda sentence: self._dismiss(client, sentence))
        client = Client(hall, control, visitor)
        return client

    def _dismiss(self, client: Client, sentence: str) -> None:
        """Hang up on a client: in order if that goes quickly, else at once."""
        client.dismiss(sentence)
        if task := self.conversations.get(client):
            asyncio.get_running_loop().call_later(self._hall.config.dismiss_seconds, task.cancel)

    async def _converse(self, client: Client) -> None:
        control = client.control
        control.interrupt = lambda command: _interrupt(client, command)
        control.hung_up = client.abort
        try:
            control.say(Reply.of(220, self._hall.config.greeting))
            while client.session.state is not State.CLOSED and not control.gone:
                await self._next(client)
        except TimeoutError:
            control.say(Reply.of(421, "Nothing was heard for too long"))
        except Dismissed as dismissed:
            control.say(Reply.of(421, str(dismissed)))
        except OSError as error:
            log.info("%s: %s", control.remote[0], error)
        except asyncio.CancelledError:
            control.say(Reply.of(421, "The server is going down"))
            raise
        except Exception:
            log.exception("%s: accident in the conversation", control.remote[0])
        finally:
            client.log_out()
            control.close()
            self._hall.visitors.leave(client.visitor)
            del self.conversations[client]

    async def _next(self, client: Client) -> None:
        """Take up one command, or say goodbye to who is silent."""
        config, control = self._hall.config, client.control
        account = client.visitor.account
        patience = (account.idle_seconds if account else 0.0) or config.idle_seconds
        if not client.files:
            patience = max(0.0, client.since + config.login_seconds - time.monotonic())
        heard = await control.next(patience)
        if heard is None:
            return
        if isinstance(heard, Reply):
            client.session.begin(Command("", b""))
            control.say(heard)
            return
        client.session.begin(heard)
        if refused := admit(heard, client.session):
            control.say(refused)
            return
        client.visitor.secure = client.session.secure
        client.visitor.begins(heard)
        await answer(client, heard)
        client.visitor.rests()


async def answer(client: Client, command: Command) -> None:
    """Have a command answered; refusals become replies here, and only here."""
    control = client.control
    try:
        async with contextlib.aclosing(HANDLERS[command.verb](client, command)) as replies:
            async for reply in replies:
                control.say(reply)
    except errors.Refused as refused:
        control.say(Reply.of(CODE_FOR[type(refused)], _in_one_line(str(refused))))
    except OSError:
        raise
    except Exception:
        log.exception("%s: accident in %s", control.remote[0], command)
        control.say(Reply.of(451, "Something broke here, it is in the log"))


def _interrupt(client: Client, command: Command) -> bool:
    """Deal with what can't wait for the end of a transfer. RFC 959 section 4.1.3.

    ABOR stops the transfer, and is answered in its turn, after the transfer's own end. STAT is answered now.
    """
    if command.verb == "ABOR":
        client.abort()
    elif (
        client.session.state is State.TRANSFER
        and command.verb == "STAT"
        and not command.argument
        and client.control.writable
    ):
        client.session.begin(command)
        client.control.say(lists.transfer_status(client))
        return True
    return False


def _in_one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter > "\x7f" else "?" for letter in text)
