"""What `argosy up` says when everything runs: addresses, and lines to copy that work."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy import config
from argosy.cli.founding import Login
from argosy.cli.site import Site
from argosy.net import ports


@dataclass(frozen=True, slots=True)
class Welcome:
    """A site that has come up."""

    site: Site
    master: config.Master
    ready: Sequence[str]
    """Names of the nodes that serve."""
    late: Sequence[str]
    """Names of the nodes that don't yet."""
    login: Login

    @property
    def ftp(self) -> str:
        """The FTP door's address, as a client may write it."""
        return ports.dialable(self.master.ftp.listen)

    @property
    def authority(self) -> Path:
        """The certificate for clients to trust."""
        return Path(self.master.paths.keys).resolve() / "authority.pem"

    def document(self) -> dict[str, object]:
        """Give the same for scripts."""
        return {
            "ready": True,
            "directory": str(self.site.directory),
            "ftp": self.ftp,
            "link": ports.dialable(self.master.link.listen),
            "authority": str(self.authority),
            "nodes": [*self.ready],
            "late": [*self.late],
            "user": self.login.name,
            "password": self.login.password or None,
        }

    def text(self) -> str:
        """Give it for people; the last line begins with `ready`."""
        parts = [self._places(), self._tries(), self._elsewhere(), self._ready()]
        return "\n\n".join(parts)

    def _places(self) -> str:
        lines = [
            f"Argosy is up in {self.site.directory}",
            f"  FTP      ftp://{self.ftp}/  (TLS by AUTH TLS, with {self.authority})",
            f"  link     {ports.dialable(self.master.link.listen)}",
            *(f"  {name:<8} {self.site.root(name)}" for name in self.ready),
        ]
        if self.login.password:
            lines += ["", f"Administrator: {self.login.name}  password: {self.login.password}"]
            lines += ["(shown this once; `argosy user passwd` changes it)"]
        return "\n".join(lines)

    def _tries(self) -> str:
        name, password = self.login.name, self.login.password
        curl = shlex.quote(f"{name}:{password}" if password else name)
        opened = f'open -u "{name},{password}" ' if password else f'open -u "{name}" '
        url, trusted = f"ftp://{self.ftp}/", self.authority
        # `open` comes last: an address on lftp's own command line is dialled before -e is heard. What is
        # inside is quoted once more.
        plain = shlex.quote(f"set ftp:ssl-allow no; {opened}{url}")
        secured = shlex.quote(f'set ftp:ssl-force yes; set ssl:ca-file "{trusted}"; {opened}{url}')
        lines = []
        if not self.master.ftp.require_tls:
            lines += [
                "Try it:",
                f"  curl -u {curl} -T /etc/os-release {url}",
                f"  curl -u {curl} {url}",
                f"  lftp -e {plain}",
                "",
            ]
        lines += [
            "The same with TLS:",
            f"  curl -u {curl} --ssl-reqd --cacert {shlex.quote(str(trusted))} {url}",
            f"  lftp -e {secured}",
        ]
        return "\n".join(lines)

    def _elsewhere(self) -> str:
        directory = shlex.quote(str(self.site.directory))
        host, _ = config.split_address("link.listen", self.master.link.listen)
        program = _program()
        lines = ["Another machine's disk, as a further node:"]
        if ports.is_loopback(host):
            lines += [f"  {program} up --dir {directory} --host 0.0.0.0    # first, in place of this one"]
        link = ports.dialable(self.master.link.listen)
        lines += [
            f"  {program} token --dir {directory}    # here",
            f"  argosy node join {link} --token TOKEN --name NAME --root DIR    # there",
        ]
        return "\n".join(lines)

    def _ready(self) -> str:
        count = "1 node" if len(self.ready) == 1 else f"{len(self.ready)} nodes"
        late = f"; not yet: {', '.join(self.late)}" if self.late else ""
        return f"ready: {count}, ftp://{self.ftp}/{late}"


def _program() -> str:
    """Give the word that starts this program in the user's shell: in a checkout it isn't on the PATH."""
    return "argosy" if shutil.which("argosy") else shlex.quote(sys.argv[0])
