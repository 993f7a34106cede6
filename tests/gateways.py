"""A real gateway for tests: `argosy nfs` with a state directory of its own, on a free port."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from argosy.net import ports
from running import ARGOSY, Settings, begin, end, run

START_SECONDS = 30.0


class Gateway:
    """A gateway, through all its restarts."""

    def __init__(
        self,
        directory: Path,
        settings: Settings | None = None,
        *,
        sites: Settings | None = None,
    ) -> None:
        """Prepare; `start` starts.

        Args:
            directory: Its own.
            settings: Tables of its config file, and their keys.
            sites: The sites that the file names.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.port = ports.choose("127.0.0.1", 0)  # outside of the range that connections take theirs from
        self.state = directory / "state"
        self.config = directory / "gateway.toml"
        self.log = directory / "log"
        tables: dict[str, dict[str, object]] = {
            "state": {"directory": "state"},
            "nfs": {"listen": f"127.0.0.1:{self.port}"},
        }
        for name, keys in {
            **(settings or {}),
            **{f"sites.{name}": at for name, at in (sites or {}).items()},
        }.items():
            tables.setdefault(name, {}).update(keys)
        lines: list[str] = []
        for name, keys in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        self.config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it listens."""
        command = (*ARGOSY, "nfs", "--config", str(self.config))
        self._process = begin(command, self.log, said="serving NFS at ", seconds=START_SECONDS)

    def stop(self) -> int:
        """Stop it by TERM, and give its exit status."""
        return end(self._process) if self._process else 0

    def kill(self) -> None:
        """Kill it as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def argosy(self, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """Say a word of the command line about this gateway."""
        return subprocess.run(
            [*ARGOSY, *words, "--config", str(self.config)],
            input=said,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def sites(self) -> Any:
        """Give `argosy sites`."""
        done = self.argosy("sites", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def url(self, export: str, path: str = "") -> str:
        """Give a URL for the programs of libnfs: an export, and a file in it."""
        query = f"nfsport={self.port}&mountport={self.port}&version=3"
        return f"nfs://127.0.0.1/{export.lstrip('/')}{path}?{query}"


async def nfs(program: str, *words: str, seconds: float = 60.0, said: bytes = b"") -> bytes:
    """Run a program of libnfs that has to succeed, and give its output.

    They give up in silence, or with exit status 0, at some errors; what they complain of is one here.
    """
    code, out, err = await run(f"nfs-{program}", *words, seconds=seconds, said=said)
    assert code == 0, err
    assert not re.search(r"[Ff]ailed|NFS3ERR|MNT3ERR", err), err
    return out
