"""Random input for a real site, by sockets: lines and cuts, transfers cut anywhere, rubbish at every port.

Afterwards the site serves, nothing of what came in is still held, and no log has a traceback.
"""

from __future__ import annotations

import contextlib
import functools
import random
import re
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from argosy.config import split_address
from argosy.net import tls
from argosy.wire import link
from fuzz import making, nfs
from gateways import Gateway
from running import PASSWORD, USER, Settings, Site
from talking import Talk, address, reset

SETTINGS: Settings = {
    "ftp": {
        "connect_seconds": 0.3,
        "stall_seconds": 3.0,
        "login_seconds": 120.0,
        "failure_pause_seconds": 0.01,
        "login_failures": 1_000_000,
        "ban_failures": 0,
    },
    "link": {"beat_seconds": 0.5, "lost_seconds": 3.0},
    "catalogue": {"partial_seconds": 5.0, "upkeep_seconds": 0.5},
}
"""So that who waits in vain doesn't wait long, and nobody is turned away for what he says."""

GATEWAY: Settings = {
    "remote": {"away_seconds": 3.0, "certificates": "any"},
    "journal": {"disk_bytes": 64 * 1024 * 1024},
}
"""So that a file of an absurd size doesn't fit, and is refused."""

GUEST = "guest"
"""Who fuzzes: no administrator, for those may stop others' sessions."""

REST_SECONDS = 30.0
BURST = 200
_SECONDS = 120.0  # a busy machine included

_UNASKED = (b"QUIT", b"AUTH", b"PASS")
"""Verbs that end the session, change the connection, or take long on purpose: they have their own turns."""

_TALKED = tuple(verb for verb in making.VERB_NAMES if verb not in _UNASKED)
_QUICK = tuple(verb for verb in _TALKED if verb not in (b"PASV", b"EPSV", b"PORT", b"EPRT", b"REIN", b"USER"))
"""Without these no data connection is waited for, and nobody is logged out."""

_REFUSALS = re.compile(rb"\A(?:\xff[\xfb-\xfe][\x00-\xff])+")
"""What a Telnet option is answered with, between replies. RFC 854."""

_REPLY = re.compile(rb"([1-5]\d\d)([ -])[^\r\n]*\r\n")


class Replies:
    """Count the replies in a stream, and look whether they have the right form. RFC 959 section 4.2."""

    def __init__(self) -> None:
        self._pending = b""
        self._within = b""
        self.last_words = 0
        self.latest = b""
        self.codes: Counter[int] = Counter()

    def feed(self, data: bytes) -> None:
        """Take what came."""
        *lines, self._pending = (self._pending + data).split(b"\r\n")
        for line in (_REFUSALS.sub(b"", line) for line in lines):
            if self._within:
                if line.startswith(self._within + b" "):
                    self._ended(line)
                continue
            assert _REPLY.fullmatch(line + b"\r\n"), line
            if line[3:4] == b"-":
                self._within = line[:3]
            else:
                self._ended(line)

    def _ended(self, line: bytes) -> None:
        self._within, self.latest = b"", line
        code = int(line[:3])
        self.codes[code] += 1
        self.last_words += code >= 200


def converse(site: Site, chance: random.Random, count: int, *, secure: bool) -> Counter[int]:
    """Say many lines, pipelined and cut anywhere; each must have just one last word. Give the codes of all.

    Args:
        site: To whom.
        chance: For the lines.
        count: Lines and cuts, in all.
        secure: By TLS.
    """
    with Talk(site, GUEST, login=False) as talk:
        if secure:
            assert talk.ask("AUTH TLS").code == 234
            talk.encrypt(_context(site))
        talk.log_in(GUEST)
        replies = Replies()
        said = cuts = 0
        while said + cuts < count:
            data = b"".join(_line(chance) + chance.choice((b"\r\n", b"\r\n", b"\n")) for _ in range(BURST))
            pieces = list(making.cut(chance, data))
            said += data.count(b"\n")
            cuts += len(pieces)
            _exchange(talk.socket, pieces, replies, said)
        _exchange(talk.socket, [b"QUIT\r\n"], replies, said + 1)
        assert replies.codes[221] >= 1, replies.codes
        return replies.codes


def _line(chance: random.Random) -> bytes:
    # Now and then a log out and a log in; a password takes tens of milliseconds to check.
    if chance.random() < 0.0005:
        return f"REIN\nUSER {GUEST}\nPASS {PASSWORD}".encode()
    if chance.random() < 0.0005:
        return chance.choice(
            (b"USER nobody\nPASS x", b"PASS", b"PASV", b"EPSV", b"PORT 127,0,0,1,4,1", b"REIN")
        )
    made = making.line(chance, _QUICK)
    return b"NOOP" if made[:4].upper() in (*_UNASKED, b"REIN", b"PASV", b"EPSV", b"PORT", b"EPRT") else made


def _exchange(made: socket.socket, pieces: list[bytes], replies: Replies, wanted: int) -> None:
    """Send pieces and read at the same time, until there are that many last words."""
    pieces.reverse()
    unsent = b""
    made.setblocking(False)
    with selectors.DefaultSelector() as ready:
        ready.register(made, selectors.EVENT_READ | selectors.EVENT_WRITE)
        until = time.monotonic() + _SECONDS
        while replies.last_words < wanted or pieces or unsent:
            assert time.monotonic() < until, f"{replies.last_words} last words, not {wanted}"
            unsent = unsent or (pieces.pop() if pieces else b"")
            ready.modify(made, selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0))
            ready.select(1.0)
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                try:
                    unsent = unsent[made.send(unsent) :] if unsent else b""
                except ConnectionError:
                    pieces, unsent = [], b""  # what was said before it hung up is still to be read
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                came = made.recv(1 << 18)
                assert came, f"hung up after {replies.last_words} last words of {wanted}: {replies.latest!r}"
                replies.feed(came)
    made.setblocking(True)
    made.settimeout(_SECONDS)
    assert replies.last_words == wanted, f"{replies.last_words} last words to {wanted} lines"


# --- at every port, rudely

Rudeness = Callable[[Site, random.Random], None]


def _noise(site: Site, chance: random.Random) -> None:
    """Say anything on a control connection, and go."""
    with socket.create_connection((site.host, site.port), _SECONDS) as made:
        for piece in making.cut(chance, chance.randbytes(chance.randrange(3000))):
            made.sendall(piece)
        _leave(chance, made)


def _half_handshake(site: Site, chance: random.Random) -> None:
    """Begin TLS on a control connection, and break off, or go on with rubbish."""
    with Talk(site, login=False) as talk:
        assert talk.ask("AUTH TLS").code == 234
        talk.socket.sendall(_hello(site, chance))
        _leave(chance, talk.socket)


def _mixed(site: Site, chance: random.Random) -> None:
    """Log in, say lines of all kinds, and go in the middle of one."""
    with Talk(site, GUEST, login=False) as talk:
        if chance.random() < 0.5:
            assert talk.ask("AUTH TLS").code == 234
            talk.encrypt(_context(site))
        talk.log_in(GUEST)
        talk.say(*(making.line(chance, _TALKED) for _ in range(chance.randrange(60))))
        talk.socket.sendall(making.line(chance))
        _leave(chance, talk.socket)


def _transfer(site: Site, chance: random.Random) -> None:
    """Begin a transfer in any way, and break it off anywhere."""
    secure = chance.random() < 0.4
    with Talk(site, GUEST, login=False) as talk:
        if secure:
            assert talk.ask("AUTH TLS").code == 234
            talk.encrypt(_context(site))
        talk.log_in(GUEST)
        if secure and chance.random() < 0.8:
            assert talk.codes("PBSZ 0", "PROT P") == [200, 200]
        name = f"fuzz{chance.randrange(20)}"
        line = chance.choice(
            (f"STOR {name}", f"STOR {name}", f"APPE {name}", f"RETR {name}", "LIST", "MLSD", "NLST")
        )
        wish = "EPSV"
        if chance.random() < 0.6:
            wish = "PASV"
            talk.ask(f"PRET {line}")
        answer = talk.ask(wish)
        if answer.code not in (227, 229):
            return
        with socket.create_connection(address(answer, site.host), _SECONDS) as data:
            if chance.random() < 0.1:
                data.sendall(chance.randbytes(100))
            talk.say(line)
            if chance.random() < 0.9 and talk.hear().code == 150:
                _move(site, chance, data, secure=secure)
            match chance.randrange(5):
                case 0:
                    talk.abort(telnet=chance.random() < 0.5 and not secure)
                case 1:
                    talk.say("STAT", "NOOP")
                case 2:
                    _leave(chance, talk.socket)
            _leave(chance, data)
        if chance.random() < 0.3:
            talk.say("NOOP")
            talk.hear()


def _move(site: Site, chance: random.Random, data: socket.socket, *, secure: bool) -> None:
    data.settimeout(1.0)
    if secure and chance.random() < 0.5:
        data.sendall(_hello(site, chance))
        return
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
        made = data.dup()
        made.settimeout(1.0)
        stack.enter_context(made)
        if secure:
            made = stack.enter_context(_context(site).wrap_socket(made, server_hostname=site.host))
        made.sendall(chance.randbytes(chance.choice((0, 1, 5000, 300_000))))
        if chance.random() < 0.5:
            made.recv(chance.choice((1, 70_000)))
        _leave(chance, made)


@functools.cache
def _link_of(site: Site) -> tuple[str, int]:
    return split_address("link", site.status()["link"])


def _stranger_at_the_link(site: Site, chance: random.Random) -> None:
    """Say rubbish to the link's port, in clear or by TLS but without a certificate."""
    with socket.create_connection(_link_of(site), _SECONDS) as made:
        if chance.random() < 0.5:
            made.sendall(chance.randbytes(chance.randrange(2000)))
        else:
            with tls.enrol_client().wrap_socket(made) as secure:
                _frames(chance, secure)
                return
        _leave(chance, made)


def _impostor_at_the_link(site: Site, chance: random.Random) -> None:
    """Say messages of the right form, but senseless, with the certificate of a node."""
    with socket.create_connection(_link_of(site), _SECONDS) as made:
        context = tls.link_client(site.directory / "keys", "n2")
        with context.wrap_socket(made) as secure:
            _frames(chance, secure)


def _frames(chance: random.Random, secure: ssl.SSLSocket) -> None:
    data = b"".join(link.encode(making.frame(chance)) for _ in range(chance.randrange(12)))
    if chance.random() < 0.3:
        data = making.damaged(chance, data)
    for piece in making.cut(chance, data):
        secure.sendall(piece)
    _leave(chance, secure)


def _guest_at_a_nodes_port(site: Site, chance: random.Random) -> None:
    """Come to a port that a node opened for somebody, more than once, and say nothing useful."""
    with Talk(site, GUEST) as talk:
        talk.ask("PRET LIST" if chance.random() < 0.3 else "PRET STOR guest")
        answer = talk.ask("PASV")
        if answer.code != 227:
            return
        for _ in range(chance.randrange(1, 4)):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(address(answer, site.host), 1.0) as data,
            ):
                data.sendall(chance.randbytes(chance.randrange(500)))
                _leave(chance, data)


RUDENESSES: Mapping[str, Rudeness] = {
    "noise": _noise,
    "half a handshake": _half_handshake,
    "mixed lines": _mixed,
    "a transfer": _transfer,
    "a transfer again": _transfer,
    "a stranger at the link": _stranger_at_the_link,
    "an impostor at the link": _impostor_at_the_link,
    "at a node's port": _guest_at_a_nodes_port,
}


def be_rude(site: Site, chance: random.Random, seconds: float) -> Counter[str]:
    """Do all of that for some time, several at once; that the site hangs up is no failure. Give how often."""
    done: Counter[str] = Counter()
    end = time.monotonic() + seconds

    def guest(own: random.Random) -> None:
        while time.monotonic() < end:
            name = own.choice(list(RUDENESSES))
            # A site that hangs up, or has no node just now, is right to.
            with contextlib.suppress(OSError, EOFError, AssertionError):
                RUDENESSES[name](site, own)
            done[name] += 1

    threads = [threading.Thread(target=guest, args=(random.Random(chance.random()),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


# --- to a gateway


def call(gateway: Gateway, url: str, chance: random.Random, count: int) -> Counter[str]:
    """Make many calls of NFS; each must have just one reply, and afterwards all is as well as before.

    Args:
        gateway: To whom.
        url: Of the site behind it.
        chance: For the calls.
        count: How many.
    """
    where = "127.0.0.1", gateway.port
    root = nfs.mount(where, url.encode())
    handles = nfs.prepare(where, root)
    with ThreadPoolExecutor(4) as pool:
        talks = [
            pool.submit(nfs.converse, where, random.Random(chance.random()), count // 4, handles)
            for _ in range(4)
        ]
        answers = sum((talk.result() for talk in talks), Counter[str]())
    assert nfs.mount(where, url.encode()) == root
    assert len(gateway.sites()["mounts"]) == 1
    _check_log(gateway.log)
    return answers


# --- afterwards


class Before:
    """What the site held before, to compare with."""

    def __init__(self, site: Site) -> None:
        """Look."""
        self._site = site
        self._tasks = int(site.status()["tasks"])

    def check(self) -> None:
        """Wait until the site has come to rest, have it serve, and read its logs.

        Raises:
            AssertionError: It holds on to something, serves no more, or had an accident.
        """
        self._site.wait_until_ready()
        self._site.wait_for("the sessions to end", self._is_at_rest, REST_SECONDS)
        content = random.Random(1).randbytes(100_000)
        with Talk(self._site, USER) as talk:
            talk.store("/afterwards", content)
            assert talk.retrieve("/afterwards") == content
            assert talk.ask("DELE /afterwards").code == 250
        check_logs(self._site)

    def _is_at_rest(self) -> bool:
        status = self._site.status()
        held = {name: status[name] for name in ("sessions", "transfers", "tasks")}
        assert held["sessions"] == held["transfers"] == 0, held
        assert held["tasks"] <= self._tasks + 4, (held, self._tasks)
        return True


def check_logs(site: Site) -> None:
    """Look whether a master or a node had an accident.

    Raises:
        AssertionError: One had.
    """
    for path in sorted((site.directory / "log").glob("*.log*")):
        _check_log(path)


def _check_log(path: Path) -> None:
    text = path.read_text(errors="replace")
    for word in ("Traceback", "accident"):
        at = text.find(word)
        assert at < 0, f"{path.name}:\n{text[max(0, at - 500) : at + 4000]}"


def _context(site: Site) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(site.authority))
    context.check_hostname = False
    return context


def _hello(site: Site, chance: random.Random) -> bytes:
    """Give the beginning of a handshake, cut or damaged."""
    out = ssl.MemoryBIO()
    wrapped = _context(site).wrap_bio(ssl.MemoryBIO(), out, server_hostname=site.host)
    with contextlib.suppress(ssl.SSLWantReadError):
        wrapped.do_handshake()
    hello = out.read()
    return hello[: chance.randrange(len(hello))] if chance.random() < 0.5 else making.damaged(chance, hello)


def _leave(chance: random.Random, made: socket.socket) -> None:
    """Go as one of several kinds of clients goes."""
    match chance.randrange(4):
        case 0:
            reset(made)
        case 1:
            time.sleep(chance.random() / 10)
        case 2:
            with contextlib.suppress(OSError):
                made.shutdown(socket.SHUT_WR)
                time.sleep(chance.random() / 20)
