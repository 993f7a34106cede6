"""The FTP door: it listens, and leads each client's conversation."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Mapping

from argosy import errors
from argosy.config import join_address, split_address
from argosy.doors.ftp import lists
from argosy.doors.ftp.client import Client, Hall, Replies
from argosy.doors.ftp.control import Control, Heard
from argosy.doors.ftp.verbs import HANDLERS
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply
from argosy.wire.ftp.session import State, admit

log = logging.getLogger("argosy.ftp")

CODE_FOR: Mapping[type[errors.Refused], int] = {
    errors.BadArgument: 501,
    errors.BadCookie: 550,
    errors.Banned: 421,
    errors.Busy: 450,
    errors.Changed: 450,
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
    errors.NoSuchAccount: 550,
    errors.NotADirectory: 550,
    errors.NotEmpty: 550,
    errors.NotFound: 550,
    errors.OverQuota: 552,
    errors.Stale: 550,
    errors.TooMany: 450,
    errors.TransferCut: 426,
    errors.Unavailable: 450,
    errors.Unsupported: 504,
    errors.Untrusted: 534,
}
"""The reply code for every refusal. 4yz says "try again", 5yz says "don't". RFC 959 section 4.2."""


class FtpDoor:
    """All control connections of a master."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._tasks: asyncio.TaskGroup | None = None
        self._visits: set[Visit] = set()

    async def serve(self, opened: Callable[[str, str], None]) -> None:
        """Take clients until cancelled.

        Args:
            opened: Told each address in use, once it listens: `ftp`, or `ftps` for implicit TLS, and where.
        """
        config = self._hall.config
        servers = []
        async with asyncio.TaskGroup() as self._tasks:
            try:
                servers.append(await self._listen("ftp.listen", config.listen, None))
                opened("ftp", _address(servers[-1]))
                if config.implicit_listen:
                    context = self._hall.certificate.control
                    servers.append(await self._listen("ftp.implicit_listen", config.implicit_listen, context))
                    opened("ftps", _address(servers[-1]))
                await asyncio.Event().wait()
            finally:
                for server in servers:
                    server.close()
                for visit in tuple(self._visits):
                    visit.stop()

    async def _listen(self, key: str, address: str, context: ssl.SSLContext | None) -> asyncio.Server:
        config = self._hall.config
        server = await asyncio.get_running_loop().create_server(
            lambda: Control(config, self._connected, secure=context is not None),
            *split_address(key, address),
            backlog=1024,
            ssl=context,
            ssl_handshake_timeout=config.login_seconds if context else None,
        )
        for listener in server.sockets:
            # Telnet's Synch before ABOR is urgent data: it belongs among the other bytes (RFC 1123 section
            # 3.2.4), and connections inherit that.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        return server

    def _connected(self, control: Control) -> None:
        try:
            visit = self._let_in(control)
        except (errors.Banned, errors.TooMany) as refused:
            control.say(Reply.of(421, str(refused)))
            control.close()
            return
        self._visits.add(visit)
        visit.begin()

    def _let_in(self, control: Control) -> Visit:
        """Begin a session.

        Raises:
            Banned: Too many wrong passwords came from there.
            TooMany: Too many sessions are here.
        """
        assert self._tasks is not None, "the server runs"
        hall, address = self._hall, control.remote[0]
        if seconds := hall.bans.seconds_left(address):
            raise errors.Banned(f"come back in {seconds:.0f} s")
        if len(self._visits) >= hall.config.session_limit:
            raise errors.TooMany(f"{len(self._visits)} sessions")
        visitor = hall.visitors.arrive(
            "ftp",
            address,
            lambda sentence: visit.dismiss(sentence),  # noqa: PLW0108 - it is made a line below
        )
        visit = Visit(Client(hall, control, visitor), self._tasks, self._visits.discard)
        return visit


class Visit:
    """One client's conversation, from the greeting to the end.

    A handler that gives its reply at once is answered on the spot; one that yields replies gets a task.
    """

    __slots__ = ("_dismissed", "_over", "_task", "_tasks", "client")

    def __init__(self, client: Client, tasks: asyncio.TaskGroup, over: Callable[[Visit], None]) -> None:
        """Make it; `begin` greets.

        Args:
            client: Who came.
            tasks: Where what takes its time runs.
            over: Told when the client has left.
        """
        self.client = client
        self._tasks = tasks
        self._over = over
        self._task: asyncio.Task[None] | None = None
        """Answers the command in hand."""
        self._dismissed = ""
        """Why the client has to go as soon as that is answered."""

    def begin(self) -> None:
        """Greet, and listen."""
        control = self.client.control
        control.conversation = self
        control.say(Reply.of(220, self.client.hall.config.greeting))
        control.expect(self._patience())

    def stop(self) -> None:
        """The server goes down; a command that is being answered is told by being cancelled."""
        if not self.client.control.answering:
            self.client.control.say(Reply.of(421, "The server is going down"))
            self._end()

    def dismiss(self, why: str) -> None:
        """Stop the transfer that runs and hang up with 421: in order if that goes quickly, else at once."""
        control = self.client.control
        self.client.abort()
        if control.answering and self._task:
            self._dismissed = why
            patience = self.client.hall.config.dismiss_seconds
            asyncio.get_running_loop().call_later(patience, self._task.cancel)
        else:
            control.say(Reply.of(421, why))
            self._end()

    # --- Conversation

    def interrupt(self, command: Command) -> bool:
        """Deal with what can't wait for the end of a transfer. RFC 959 section 4.1.3.

        ABOR stops the transfer, and is answered in its turn, after the transfer's own end. STAT is answered
        now.
        """
        client = self.client
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

    def answer(self, heard: Heard) -> bool:
        """See `Conversation`."""
        client = self.client
        try:
            command = heard if isinstance(heard, Command) else _NONE
            client.session.begin(command)
            if isinstance(heard, Reply):
                client.control.say(heard)
            elif refused := admit(heard, client.session):
                client.control.say(refused)
            else:
                client.visitor.secure = client.session.secure
                client.visitor.begins(command)
                answered = _answered(client, command)
                if not isinstance(answered, Reply):
                    self._task = self._tasks.create_task(self._carry_on(command, answered))
                    return False
                client.control.say(answered)
        except Exception:
            log.exception("%s: accident in the conversation", client.control.remote[0])
            self._end()
        else:
            self._answered()
        return True

    def hung_up(self) -> None:
        """See `Conversation`."""
        self.client.abort()
        if not self.client.control.answering:
            self._end()

    def fell_silent(self) -> None:
        """See `Conversation`."""
        self.client.control.say(Reply.of(421, "Nothing was heard for too long"))
        self._end()

    # --- inside

    def _patience(self) -> float:
        config, client = self.client.hall.config, self.client
        if client.files:
            account = client.visitor.account
            return (account.idle_seconds if account else 0.0) or config.idle_seconds
        return max(0.0, client.since + config.login_seconds - time.monotonic())

    async def _carry_on(self, command: Command, replies: Replies) -> None:
        """Speak a handler's replies as they come."""
        control = self.client.control
        try:
            await _speak(self.client, command, replies)
        except TimeoutError:
            control.say(Reply.of(421, "Nothing was heard for too long"))
        except OSError as error:
            log.info("%s: %s", control.remote[0], error)
            self._end()
        except asyncio.CancelledError:
            control.say(Reply.of(421, self._dismissed or "The server is going down"))
            self._end()
            raise
        except Exception:
            log.exception("%s: accident in the conversation", control.remote[0])
            self._end()
        self._task = None
        self._answered()
        control.go_on()

    def _answered(self) -> None:
        client = self.client
        if client.control.conversation is not self:
            return  # it is over already
        client.visitor.rests()
        if self._dismissed:
            client.control.say(Reply.of(421, self._dismissed))
        if client.session.state is State.CLOSED or client.control.gone:
            self._end()
        else:
            client.control.expect(self._patience())

    def _end(self) -> None:
        client = self.client
        if client.control.conversation is self:
            client.log_out()
            client.control.close()
            client.hall.visitors.leave(client.visitor)
            self._over(self)


def _address(server: asyncio.Server) -> str:
    return join_address(*server.sockets[0].getsockname()[:2])


_NONE = Command("", b"")
"""Stands for a line that is no command."""


def _answered(client: Client, command: Command) -> Reply | Replies:
    try:
        return HANDLERS[command.verb](client, command)
    except Exception as error:  # noqa: BLE001 - told to the client, and logged there
        return _failure(client, command, error)


async def _speak(client: Client, command: Command, replies: Replies) -> None:
    try:
        async with contextlib.aclosing(replies):
            async for reply in replies:
                client.control.say(reply)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - told to the client, and logged there
        client.control.say(_failure(client, command, error))


def _failure(client: Client, command: Command, error: Exception) -> Reply:
    """Turn what a handler raised into a reply; refusals become replies here, and only here."""
    if isinstance(error, errors.Refused):
        return Reply.of(CODE_FOR[type(error)], _in_one_line(str(error)))
    log.error("%s: accident in %s", client.control.remote[0], command, exc_info=error)
    return Reply.of(451, "Something broke here, it is in the log")


def _in_one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter > "\x7f" else "?" for letter in text)
