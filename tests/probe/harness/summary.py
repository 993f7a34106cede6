"""`python -m probe.harness.summary REPORT...`: a table of some runs, as `docs/reliability.md` has it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Run = Mapping[str, Any]


def _excused(run: Run, *words: str) -> int:
    return sum(count for what, count in run["excused_errors"].items() if all(word in what for word in words))


def _median_and_most(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.1f}, {spread['most']:.1f}" if spread else "-"


ROWS: Sequence[tuple[str, Callable[[Run], str]]] = (
    ("lasted, s", lambda run: f"{run['seconds']:,.0f}"),
    ("how it came out", lambda run: str(run["verdict"])),
    ("faults", lambda run: f"{sum(run['faults'].values()):,}"),
    ("deeds of clients", lambda run: f"{sum(run['deeds'].values()):,}"),
    ("uploaded and acknowledged, GiB", lambda run: f"{run['uploaded_bytes'] / (1 << 30):.1f}"),
    ("downloaded and compared, GiB", lambda run: f"{run['downloaded_bytes'] / (1 << 30):.1f}"),
    (
        "transfers and commands that failed, and a fault explains it",
        lambda run: f"{_excused(run) - _excused(run, 'Error (', '-master)'):,}",
    ),
    (
        "sessions that broke, or found nobody, because the master was hit",
        lambda run: f"{_excused(run, 'Error (', '-master)'):,}",
    ),
    (
        "bits turned over; wrong bytes that a client got with a 226",
        lambda run: f"{run['faults'].get('flip', 0)}; {_excused(run, '226, but a bit is wrong')}",
    ),
    ("disks taken away for good", lambda run: str(run["faults"].get("new-disk", 0))),
    ("files that went with them", lambda run: str(sum(run["lost_files"].values()))),
    (
        "all copies there again at a rest, median and most, s",
        lambda run: _median_and_most(run["whole_seconds"]),
    ),
    (
        "every copy on every disk right after that, median and most, s",
        lambda run: _median_and_most(run["right_seconds"]),
    ),
    (
        "ready again after `kill`, median and most, s",
        lambda run: _median_and_most(run["back_seconds"].get("kill", {})),
    ),
    (
        "times that the machine stood still for over 3 s",
        lambda run: f"{run['stalls_seconds'].get('count', 0)}",
    ),
)


def table(runs: Sequence[Run]) -> str:
    """Give the figures of some runs, a column for each, and how often each kind of fault came."""
    head = ["", *(f"seed {run['seed']}" for run in runs)]
    rows = [head, ["---"] * len(head), *([name, *map(figure, runs)] for name, figure in ROWS)]
    kinds = dict.fromkeys(kind for run in runs for kind in run["faults"])
    rows += [[f"`{kind}`", *(str(run["faults"].get(kind, 0)) for run in runs)] for kind in kinds]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(table([json.loads(Path(file).read_bytes()) for file in sys.argv[1:]]))
