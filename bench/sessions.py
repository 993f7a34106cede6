"""Sessions: how fast clients log in, and what those cost that then do nothing."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import processes
from peers import Contestant
from table import Row, Table
from together import together
from took import timed

CLIENTS = (1, 4)

_DOORS = 40
"""Clients that log in at once to make the idle sessions."""

_SETTLE_SECONDS = 1.0


def logins(contestants: Sequence[Contestant], *, seconds: float, rounds: int, baseline: str) -> Table:
    """Log in and QUIT, again and again, by one client and by several."""
    title = f"Logging in, medians of {rounds}"
    table = Table(title, [one.name for one in contestants], baseline)
    table.notes = ["Passwords are kept: " + "; ".join(f"{one.name}: {one.hashing}" for one in contestants)]
    for _ in range(rounds):
        for one in contestants:
            for clients in CLIENTS:
                took = timed(one, partial(_log_in_for, one, seconds, clients))
                what = f"login and QUIT, {clients} client{'s' * (clients > 1)}"
                table.add(Row(what, "a second", 0), one.name, took.moved / took.seconds)
                table.add(Row(what, "server CPU ms each"), one.name, 1000 * took.cpu_seconds / took.moved)
    return table


def idle(contestants: Sequence[Contestant], *, sessions: int, baseline: str) -> Table:
    """Log in many times, and look what memory that takes while all are idle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, sessions + 256)), hard))
    table = Table(f"{sessions:,} idle sessions", [one.name for one in contestants], baseline)
    table.notes = ["Memory: what the proportional set size (PSS) of all the server's processes grew by."]
    for one in contestants:
        before = processes.pss_bytes(one.pid)
        with ExitStack() as stack:
            start = time.monotonic()
            together([partial(_stay, one, stack, sessions // _DOORS) for _ in range(_DOORS)])
            seconds = time.monotonic() - start
            time.sleep(_SETTLE_SECONDS)
            added = processes.pss_bytes(one.pid) - before
            table.add(Row("memory added", "MiB", 1), one.name, added / (1 << 20))
            table.add(Row("memory added", "KiB a session", 1), one.name, added / sessions / 1024)
            table.add(Row("processes", "in all", 0), one.name, len(processes.family(one.pid)))
            table.add(Row("until all were logged in", "s", 1), one.name, seconds)
        for _ in processes.until("the sessions' processes to end", 60, 0.1):
            if len(processes.family(one.pid)) < 16:
                break
    return table


def _log_in_for(one: Contestant, seconds: float, clients: int) -> int:
    """Have clients log in and quit until the time is over; give how often they did."""
    done = [0] * clients
    end = time.monotonic() + seconds

    def again_and_again(place: int) -> None:
        while not done[place] or time.monotonic() < end:
            with one.session("") as session:
                session.say("QUIT", "221")
            done[place] += 1

    together([partial(again_and_again, place) for place in range(clients)])
    return sum(done)


def _stay(one: Contestant, stack: ExitStack, sessions: int) -> None:
    for _ in range(sessions):
        stack.push(one.session(""))
