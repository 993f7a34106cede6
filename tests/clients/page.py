"""docs/clients.md: what came of every job of every client, with Argosy and with vsftpd."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from clients.client import JOBS, NAMES, Setup

PAGE = Path(__file__).parents[2] / "docs/clients.md"

YES, NO, LACKS = "yes", "no", "\N{EN DASH}"
ONLY = "only {}"

LAST_LINES = 12
"""Of the record of a control connection: what there was before is as in every session."""

INTRODUCTION = """\
# Clients, tried

What FTP clients do with Argosy, and with {peer} beside it. `make clients` runs them all against a master
with two nodes and against {peer}, on one machine, and writes this page: last on {date},
on {system}. How to set a client up is in the [guide](guide/clients.md).

Every client has its own default settings; it is told the server, the account, the file, and which authority
to trust. "TLS" is explicit FTP over TLS, for control and data. Resumed is what was cut after {offset:,} of
{size:,} bytes: a download by the client, an upload by the network. In the table **yes** means that it did
the job with both servers, and that what came of it was compared byte by byte; **only** that it did it with
one of them, and more on that is below. **{lacks}** means that the client has no command for it.
"""


@dataclass
class Outcome:
    """What came of one job with one server."""

    complaint: str = ""
    """Empty: it is as it should be."""
    record: Sequence[str] = field(default_factory=list)
    """What was said on the control connections, in clear."""


Outcomes = Mapping[tuple[str, str, str], Outcome]
"""By set-up, job, server."""


@dataclass(frozen=True)
class Trials:
    """All of it, as the page tells it."""

    setups: Sequence[Setup]
    outcomes: Outcomes
    servers: tuple[str, str]
    """Ours and the peer, by name."""

    def cell(self, setup: Setup, job: str) -> str:
        """Say in a word what came of a job."""
        if not setup.tries(job):
            return LACKS
        good = [name for name in self.servers if not self.outcomes[str(setup), job, name].complaint]
        if len(good) == len(self.servers):
            return YES
        return ONLY.format(good[0]) if good else NO

    def of(self, word: str) -> list[tuple[Setup, str]]:
        """Give the set-ups and jobs of those tried, of which the table says this word."""
        return [
            (setup, job)
            for setup in self.setups
            for job in (*JOBS, *NAMES)
            if (str(setup), job, self.servers[0]) in self.outcomes and self.cell(setup, job) == word
        ]


def written(trials: Trials, **facts: object) -> str:
    """Write the page.

    Args:
        trials: What came of it.
        facts: For the introduction.
    """
    ours, peer = trials.servers
    parts = [INTRODUCTION.format(peer=peer, lacks=LACKS, **facts)]
    heads = ("client", "version", *JOBS)
    rows = [
        (str(setup), setup.client.version(), *(trials.cell(setup, job) for job in JOBS))
        for setup in trials.setups
    ]
    parts.append("\n".join(_table(heads, rows)) + "\n")
    parts.append(
        "## Names\n\nFiles that are called so are fetched and stored, where the client does such things.\n"
    )
    named = [
        (str(setup), *(trials.cell(setup, name) for name in NAMES))
        for setup in trials.setups
        if not setup.tls
    ]
    parts.append("\n".join(_table(("client", *NAMES), named)) + "\n")
    parts.append("## What clients can't do\n\n" + "\n".join(_lacks(trials)) + "\n")
    if trials.of(NO):
        parts.append(
            f"## What fails with both\n\nIt is the client: with {ours} and with {peer} it says the same.\n\n"
            + "\n".join(_failures(trials))
            + "\n"
        )
    if trials.of(ONLY.format(ours)):
        parts.append(f"## What fails with {peer} alone\n\n" + "\n".join(_complaints(trials, peer)) + "\n")
    if trials.of(ONLY.format(peer)):
        parts.append(f"## What fails with {ours} alone\n\n" + "\n".join(_complaints(trials, ours)) + "\n")
    return "\n".join(parts)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' for _ in heads)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _lacks(trials: Trials) -> Iterator[str]:
    for name, setups in groupby(trials.setups, lambda setup: setup.client.name):
        client = next(setups).client
        for why in dict.fromkeys(client.lacks.values()):
            jobs = ", ".join(job for job in JOBS if client.lacks.get(job) == why)
            yield f"- **{name}**: {jobs}: {why}."


def _failures(trials: Trials) -> Iterator[str]:
    failed = trials.of(NO)
    for setup, job in failed:
        if job in NAMES:
            yield f"- **{setup}**, {job} names: {setup.client.fails.get(job, '**unexplained**')}."
    for setup, job in failed:
        if job in JOBS:
            yield f"\n**{setup}**, {job}: {setup.client.fails.get(job, '**unexplained**')}. How it ends:"
            for server in trials.servers:
                record = trials.outcomes[str(setup), job, server].record[-LAST_LINES:]
                yield "\n".join(("", f"With {server}:", "", "```", *record, "```"))


def _complaints(trials: Trials, server: str) -> Iterator[str]:
    """Group what fails with one server by what the client says of it."""
    for setup in trials.setups:
        said: dict[str, list[str]] = {}
        for job in (*JOBS, *NAMES):
            if trials.cell(setup, job).startswith("only"):
                outcome = trials.outcomes[str(setup), job, server]
                if outcome.complaint:
                    said.setdefault(_last_line(outcome.complaint), []).append(job)
        for line, jobs in said.items():
            yield f"- **{setup}**: {', '.join(jobs)}: `{line}`"


def _last_line(complaint: str) -> str:
    """Give what a client said in the end, without this machine's paths."""
    said = [line.strip() for line in complaint.splitlines() if re.search("[A-Za-z]", line)]
    telling = [
        line
        for line in said
        if re.search(r"(?i)error|fail|refus|\b[45]\d\d\b|time|unable|can't|cannot", line)
    ]
    line = (telling or said or ["it says nothing"])[-1]
    line = re.sub(r"/\S*argosy-clients-\S*/", "", line)
    return re.sub(r"\d\d\d\d/\d\d/\d\d \d\d:\d\d:\d\d |`|/area/\S*/", "", line)[:160]
