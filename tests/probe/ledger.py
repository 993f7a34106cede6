"""What a site has acknowledged, held against what it shows and what lies on its disks."""

from __future__ import annotations

import hashlib
import socket
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from probe.processes import Processes
from talking import SECONDS, Talk, address, everything, reset


@dataclass(frozen=True, slots=True)
class Part:
    """An entry whose upload was cut: SIZE tells what came, and it can't be read."""

    size: int


Seen = bytes | Part | None
"""What is at a path: contents, a part, nothing."""


@dataclass(slots=True)
class Ledger:
    """The model. Paths are absolute; parents of files are directories that hold nothing else."""

    site: Processes
    files: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    """Bytes received of cut uploads."""

    def check(self, talk: Talk, *, besides: set[str] | None = None) -> None:
        """Hold it against what a client sees, whole contents and checksums.

        Args:
            talk: A session.
            besides: Paths about which nothing is said.
        """
        known = {*self.files, *self.parts, *(besides or ())}
        assert listed(talk, "/") | (besides or set()) == known
        for path, content in self.files.items():
            if path not in (besides or ()):
                check_content(talk, path, content)
        for path, size in self.parts.items():
            assert look(talk, path) == Part(size), path

    def check_disks(self) -> None:
        """Wait until the disks hold just the acknowledged files, each under its path, and no debris."""
        wanted = {path.lstrip("/"): digest(content) for path, content in self.files.items()}

        def settled() -> bool:
            return on_disks(self.site) == wanted and len(in_room(self.site, "staging")) == len(self.parts)

        try:
            self.site.wait_for("the disks to follow", settled, 8.0)
        except AssertionError as error:
            found, parts = on_disks(self.site), in_room(self.site, "staging")
            raise AssertionError(
                f"on the disks: {_differences(found, wanted)}; parts: {parts}, "
                f"expected {len(self.parts)}\n{error}"
            ) from None
        for room in ("unplaced", "quarantine"):
            assert in_room(self.site, room) == []
        wanted_figures = {
            "files": len(self.files) + len(self.parts),
            "partial": len(self.parts),
            **dict.fromkeys(("damaged", "conflicts", "suspects"), 0),
        }
        until = time.monotonic() + 3.0
        while (figures := self._figures(wanted_figures)) != wanted_figures and time.monotonic() < until:
            time.sleep(0.05)
        assert figures == wanted_figures, f"the master says {figures}, it should be {wanted_figures}"

    def _figures(self, names: Iterable[str]) -> dict[str, int]:
        status = self.site.status()
        return {name: status[name] for name in names}


def _differences(found: dict[str, str], wanted: dict[str, str]) -> str:
    missing, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    other = sorted(path for path in wanted.keys() & found.keys() if wanted[path] != found[path])
    return f"missing {missing}, extra {extra}, other contents {other}"


def digest(content: bytes) -> str:
    """Give the SHA-256."""
    return hashlib.sha256(content).hexdigest()


def on_disks(site: Processes) -> dict[str, str]:
    """Give the plain files of all nodes, loc to SHA-256; one that two nodes have counts under two names."""
    found: dict[str, str] = {}
    for name in site.names:
        root = site.root(name)
        for path in sorted(root.rglob("*")):
            loc = str(path.relative_to(root))
            if path.is_file() and not loc.startswith(".argosy/"):
                found[loc if loc not in found else f"{loc} on {name} too"] = digest(path.read_bytes())
    return found


def in_room(site: Processes, room: str) -> list[str]:
    """List what lies in the stagings, quarantines, ... of all nodes."""
    return [
        f"{name}:{path.name} ({path.stat().st_size})"
        for name in site.names
        for path in sorted((site.root(name) / ".argosy" / room).rglob("*"))
        if path.is_file()
    ]


def listed(talk: Talk, directory: str) -> set[str]:
    """Give the paths of all files below a directory."""
    found: set[str] = set()
    for line in talk.get(f"MLSD {directory}").decode().splitlines():
        facts, _, name = line.partition(" ")
        path = f"{directory.rstrip('/')}/{name}"
        kind = facts.lower()
        if "type=dir" in kind:
            found |= listed(talk, path)
        elif "type=file" in kind:
            found.add(path)
    return found


def check_content(talk: Talk, path: str, content: bytes) -> None:
    """Check size, contents and checksum of a file."""
    assert talk.size(path) == len(content), path
    assert digest(talk.retrieve(path)) == digest(content), path
    told = talk.ask(f"XCRC {path}")
    assert told.code == 250, told
    assert int(told.text[4:].strip(), 16) == zlib.crc32(content), path


def look(talk: Talk, path: str) -> Seen:
    """Give what a client sees at a path."""
    size = talk.ask(f"SIZE {path}")
    if size.code == 450:  # still arriving, as far as the master knows
        told = talk.ask(f"MLST {path}").text
        return Part(int(told.partition(b"size=")[2].partition(b";")[0]))
    if size.code != 213:
        assert size.code == 550, size
        return None
    with talk.data() as data:
        began = talk.ask(f"RETR {path}")
        if began.code != 150:
            assert began.code in (450, 550), began
            return Part(int(size.text[4:]))
        content = everything(data)
    ended = talk.hear()
    assert ended.code == 226, ended
    assert len(content) == int(size.text[4:])
    return content


def put(talk: Talk, line: str, content: bytes, *, offset: int = 0, relayed: bool = False) -> bool:
    """Upload; whether it was acknowledged. That a side goes away meanwhile is no error."""
    try:
        data = connect(talk, line, relayed=relayed)
        if data is None:
            return False
        with data:
            if offset and talk.ask(f"REST {offset}").code != 350:
                return False
            if talk.ask(line).code != 150:
                return False
            data.sendall(content)
        return talk.hear().code == 226
    except (OSError, EOFError):
        return False


def put_half(site: Processes, talk: Talk, line: str, content: bytes) -> None:
    """Upload a beginning, and break the data connection: the part stays."""
    data = connect(talk, line)
    assert data is not None
    assert talk.ask(line).code == 150
    data.sendall(content)
    site.wait_for("the bytes to be in the part", lambda: len(content) in part_sizes(site))
    reset(data)
    ended = talk.hear()
    assert ended.code in (426, 451), ended


def part_sizes(site: Processes) -> list[int]:
    """List the sizes of all parts."""
    stagings = [site.root(name) / ".argosy" / "staging" for name in site.names]
    return [path.stat().st_size for staging in stagings for path in staging.iterdir()]


def connect(talk: Talk, line: str, *, relayed: bool = False) -> socket.socket | None:
    """Open the data connection for a transfer, to the node or through the master; None: refused."""
    wish = "EPSV" if relayed else "PASV"
    if not relayed and talk.ask(f"PRET {line}").code != 200:
        return None
    answer = talk.ask(wish)
    if answer.code not in (227, 229):
        return None
    return socket.create_connection(address(answer, "127.0.0.1"), SECONDS)
