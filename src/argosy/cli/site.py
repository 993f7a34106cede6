"""A site's directory: what lies where, and the config files that we write into it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy import config
from argosy.errors import ConfigError

SOCKET_PATH_LIMIT = 107
"""Bytes in the path of a Unix socket: `sun_path` on Linux, less its NUL."""


@dataclass(frozen=True, slots=True)
class Site:
    """The places below one directory. Nothing here touches the disk but the verbs at the end."""

    directory: Path

    @property
    def master_config(self) -> Path:
        """The master's config file."""
        return self.node_config("master")

    @property
    def keys(self) -> Path:
        """Certificates and keys."""
        return self.directory / "keys"

    @property
    def authority(self) -> Path:
        """The certificate that FTP clients and nodes trust."""
        return self.keys / "authority.pem"

    @property
    def lock(self) -> Path:
        """Held by `argosy up` as long as it runs."""
        return self.directory / "run" / "up.lock"

    def node_config(self, name: str) -> Path:
        """The config file of a node of this site on this machine."""
        return self.directory / "config" / f"{name}.toml"

    def root(self, name: str) -> Path:
        """Where a node that `argosy up` made keeps its files."""
        return self.directory / "nodes" / name

    def pid(self, name: str) -> Path:
        """The number of a process that `argosy up` started."""
        return self.directory / "run" / f"{name}.pid"

    def log(self, name: str) -> Path:
        """What a process that `argosy up` started says."""
        return self.directory / "log" / f"{name}.log"

    def node_names(self) -> list[str]:
        """The nodes that have a config file here, in natural order: node2 before node10."""
        files = (self.directory / "config").glob("*.toml")
        return sorted((file.stem for file in files if file.stem != "master"), key=_natural)

    def load_master(self) -> config.Master:
        """Read the master's config.

        Raises:
            ConfigError: There is no site here yet, or the file makes no sense.
        """
        if not self.master_config.exists():
            raise ConfigError(f"no site in {self.directory}; make one with: argosy up --dir {self.directory}")
        return config.load_master(self.master_config)

    def make(self) -> None:
        """Make the directories; safe to repeat.

        Raises:
            ConfigError: They can't be made, or the path is too long for a socket below it.
        """
        socket = socket_path(str(self.directory / "run"))
        if len(os.fsencode(socket)) > SOCKET_PATH_LIMIT:
            raise ConfigError(
                f"{self.directory}: too long a path for the socket in it; choose a shorter --dir"
            )
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in ("config", "nodes", "run", "log"):
                (self.directory / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.directory}: {error.strerror}") from error

    def write(self, path: Path, text: str) -> None:
        """Put a config file in place, whole or not at all.

        Raises:
            ConfigError: It can't be written.
        """
        fresh = path.with_name(f"{path.name}.new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_text(text)
            fresh.replace(path)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error


def default_directory() -> Path:
    """Give `$ARGOSY_DIR`, else `~/.local/share/argosy`."""
    named = os.environ.get("ARGOSY_DIR")
    return Path(named) if named else Path.home() / ".local" / "share" / "argosy"


def socket_path(run: str) -> Path:
    """Give the master's socket for administration in the directory that `paths.run` names."""
    return Path(run) / "master.sock"


def master_text(*, ftp: str, link: str) -> str:
    """Give the text of a master's config file, for people to go on with."""
    return f"""\
# The master of an Argosy site. Each key is described in docs/operations/configuration.md.
# Durations are seconds, sizes bytes, addresses host:port; paths start at this file's directory.

[paths]
keys = "../keys"
run = "../run"

[catalogue]
directory = "../catalogue"

[ftp]
# Where FTP clients connect; "0.0.0.0:2121" for all of this machine's addresses.
listen = {_quoted(ftp)}
# require_tls = true        # refuse passwords in the clear
# passive_ports = [50000, 50999]   # for data that the master carries itself, when a firewall stands before it
# certificate = "fullchain.pem"    # a certificate that FTP clients know already, and its key
# key = "privkey.pem"

[link]
# Where nodes connect.
listen = {_quoted(link)}

# A part of the tree with rules of its own:
# [sections.video]
# path = "/video"
# prefer = ["big"]
"""


def node_text(
    *,
    name: str,
    master: str,
    roots: Sequence[str],
    keys: str,
    advertise: str = "",
    labels: Sequence[str] = (),
    zone: str = "",
) -> str:
    """Give the text of a node's config file, for people to go on with."""
    advertised = f"advertise = {_quoted(advertise)}" if advertise else '# advertise = "203.0.113.7"'
    labelled = f"labels = {_list(labels)}" if labels else '# labels = ["big"]'
    zoned = f"zone = {_quoted(zone)}" if zone else '# zone = "cellar"'
    return f"""\
# A node of an Argosy site. Each key is described in docs/operations/configuration.md.

name = {_quoted(name)}
# The master's link, host:port.
master = {_quoted(master)}
# Directories with the files: plain files under their own names, a volume each.
roots = {_list(roots)}
keys = {_quoted(keys)}
# The address that FTP clients are told, when it isn't the one that the master sees.
{advertised}
# For the rules' prefer, require and avoid.
{labelled}
# What fails together with this node, for rules that spread copies over zones.
{zoned}
# Ports for data connections, when a firewall stands before them.
# ports = [50000, 50999]
"""


def with_key(text: str, table: str, key: str, value: str) -> str:
    """Change one string in a config file and leave the rest, comments too, as its owner wrote it.

    Args:
        text: The file.
        table: The table's name; empty for the top.
        key: The key in it.
        value: The new value.

    Raises:
        ConfigError: The file is written in a way that this can't follow. Have a person change it.
    """
    lines = text.splitlines()
    start = 0
    if table:
        heads = [number for number, line in enumerate(lines) if re.match(rf"\s*\[{re.escape(table)}\]", line)]
        if not heads:
            lines += ["", f"[{table}]"]
        start = heads[0] + 1 if heads else len(lines)
    end = next((i for i in range(start, len(lines)) if re.match(r"\s*\[", lines[i])), len(lines))
    entry = f"{key} = {_quoted(value)}"
    at = next((i for i in range(start, end) if re.match(rf"\s*{re.escape(key)}\s*=", lines[i])), None)
    if at is None:
        lines.insert(start, entry)
    else:
        lines[at] = entry
    changed = "\n".join(lines) + "\n"
    if _lookup(changed, table, key) != value:
        raise ConfigError(f"can't change {'.'.join(filter(None, (table, key)))}; please set it to {value!r}")
    return changed


def _lookup(text: str, table: str, key: str) -> object:
    try:
        whole = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    inner = whole.get(table) if table else whole
    return inner.get(key) if isinstance(inner, dict) else None


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _quoted(value: str) -> str:
    """Write a TOML basic string. TOML 1.0.0, "String"."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'
