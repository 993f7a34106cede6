"""`make clients`: run all clients against Argosy and vsftpd, and write docs/clients.md.

Words after it choose set-ups and jobs: then what came of them is said, and nothing written.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import platform
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import servers
from clients.client import JOBS, NAMES, Setup
from clients.page import NO, ONLY, PAGE, Outcome, Trials, written
from clients.recorder import Record, recorded
from clients.table import SETUPS
from clients.trials import CONTENT, OFFSET, attempt, reach
from running import missing
from servers import FOLDER, Server

TOGETHER = 3
"""So many clients at once; more only wait for the processors."""

_numbers = itertools.count(1)


def main(words: Sequence[str]) -> int:
    """Run them, and give 1 if one is not here or something fails that nobody has explained."""
    absent = missing("vsftpd", *(program for setup in SETUPS for program in setup.client.needs))
    if absent:
        print(f"not here, so the page would not be whole: {', '.join(absent)}", file=sys.stderr)
        return 1
    chosen = [
        (setup, job)
        for setup in SETUPS
        for job in (*JOBS, *NAMES)
        if setup.tries(job) and all(word in f"{setup} {job}" for word in words)
    ]
    trials = run(chosen)
    if not words:
        PAGE.write_text(
            written(
                trials,
                date=datetime.datetime.now(datetime.UTC).date(),
                system=platform.freedesktop_os_release()["PRETTY_NAME"],
                offset=OFFSET,
                size=len(CONTENT),
            )
        )
    for (name, job, server), outcome in trials.outcomes.items():
        if outcome.complaint:
            print(f"--- {name}, {job}, {server}: {outcome.complaint}\n")
            if words:
                print("\n".join(outcome.record), "\n")
    bad = [(setup, job) for setup, job in trials.of(NO) if job not in setup.client.fails]
    bad += trials.of(ONLY.format(trials.servers[1]))
    for setup, job in bad:
        print(f"unexplained: {setup}, {job}", file=sys.stderr)
    return 1 if bad else 0


def run(chosen: Sequence[tuple[Setup, str]]) -> Trials:
    """Have clients do jobs, with both servers."""
    with tempfile.TemporaryDirectory(prefix="argosy-clients-") as scratch:
        top = Path(scratch)
        with servers.ours(top / "argosy") as ours, servers.vsftpd(top / "vsftpd") as peer:
            both = (ours, peer)
            with ThreadPoolExecutor(TOGETHER) as threads:
                futures = {
                    (str(setup), job, server.name): threads.submit(one, setup, job, server, top)
                    for setup, job in chosen
                    for server in both
                }
                outcomes = {key: future.result() for key, future in futures.items()}
    return Trials(list(dict.fromkeys(setup for setup, _ in chosen)), outcomes, (ours.name, peer.name))


def one(setup: Setup, job: str, server: Server, top: Path) -> Outcome:
    """Have a client do one job with one server, in places of its own."""
    number = next(_numbers)
    place, home = f"{FOLDER}/{number}", top / f"home-{number}"
    home.mkdir()
    with reach(server) as talk:
        assert talk.ask(f"MKD {place}").code == 257
    record = Record()
    outcome = Outcome(record=record.lines)
    with recorded(server, record) as double:
        try:
            asyncio.run(attempt(setup, job, server, place, home, through=double))
        except Exception as error:  # noqa: BLE001 - each client has a way of its own to fail
            outcome.complaint = f"{type(error).__name__} {error}"
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
