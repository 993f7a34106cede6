"""`argosy mount` and `argosy umount` as people say them: on a machine with a kernel, sudo and ps."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import servers
from kernel import program
from kernel.guest import HOST, Ended, Guest
from kernel.image import PASSWORD
from servers import Server

SECONDS = 400.0
"""For one command; the guest's Python is slow."""
STATE = ".local/state/argosy/gateway"


@dataclass(frozen=True)
class Person:
    """Somebody on the guest."""

    guest: Guest
    name: str

    @property
    def home(self) -> str:
        """Their directory."""
        return "/root" if self.name == "root" else f"/home/{self.name}"

    def say(self, command: str) -> Ended:
        """Have a shell do something in their home, without a terminal."""
        return self.guest.run(self._as_me(command), seconds=SECONDS)

    def do(self, command: str) -> str:
        """Likewise, if it has to go well."""
        ended = self.say(command)
        assert ended.code == 0, (command, ended)
        return ended.text

    def type(self, command: str, *answers: tuple[str, str]) -> Ended:
        """Do something at a terminal, and answer what is asked there."""
        there = shlex.join([program.PYTHON, program.TERMINAL, "sh", "-c", command])
        return self.guest.run(self._as_me(there), seconds=SECONDS, said=json.dumps(answers).encode())

    def _as_me(self, command: str) -> str:
        return f"cd {self.home}; exec su {self.name} -c {shlex.quote(command)}"

    def keeps(self, password: str) -> bool:
        """Whether it is anywhere in what their gateway keeps, or says."""
        command = f"find {self.home}/{STATE} -type f -exec cat {{}} + | grep -c '{password}'"
        return self.guest.run(command).text != "0\n"

    def kill_gateway(self) -> None:
        """Kill it as a power cut would."""
        self.guest.do(f"kill -9 $(cat {self.home}/{STATE}/lock); sleep 0.5")

    def leave(self) -> None:
        """Take away all that they have mounted, and what Argosy keeps for them."""
        self.guest.run(
            f"""
            cd {self.home}
            for at in pub more; do grep -q " {self.home}/$at nfs " /proc/mounts && umount -f -l $at; done
            gateways() {{
                for at in /proc/[0-9]*; do
                    [ "$(stat -c %U $at)" = {self.name} ] || continue
                    tr '\\0' ' ' < $at/cmdline | grep -q 'cli\\.main nfs' && echo ${{at#/proc/}}
                done
            }}
            kill $(gateways)  # it may not have its lock yet
            for second in $(seq 30); do [ -n "$(gateways)" ] || break; sleep 1; done
            kill -9 $(gateways)
            rm -rf {STATE} pub more .netrc word gateway.toml authority.pem
            """,
            seconds=SECONDS,
        )


@pytest.fixture(scope="module")
def machine(guest: Guest) -> Guest:
    """Have Argosy on the guest."""
    program.install(guest)
    return guest


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Server]:
    """Run a site that lets in with a password only."""
    with servers.pyftpdlib(tmp_path / "site") as site:
        yield site


@contextlib.contextmanager
def at_home(machine: Guest, name: str, site: Server, port: int = 12049) -> Iterator[Person]:
    """Give somebody who has a directory to mount at, trusts a site's certificate, and has a port."""
    person = Person(machine, name)
    settings = f'[remote]\ntrust_file = "authority.pem"\n[nfs]\nlisten = "127.0.0.1:{port}"\n'
    machine.put(person.home, site.authority)
    machine.do(
        f"""
        cd {person.home}; mkdir pub more
        printf '%s' '{settings}' > gateway.toml
        chown {name} pub more gateway.toml authority.pem
        """
    )
    try:
        yield person
    finally:
        person.leave()


def url(site: Server, *, user: str = "") -> str:
    return f"ftp://{user or site.user}@{HOST}:{site.port}/area"


def folder(site: Server) -> Path:
    assert site.root is not None
    return site.root / "area"


def test_a_site_is_mounted_at_a_terminal_and_taken_away_and_no_password_is_seen_or_stays(
    machine: Guest, site: Server
) -> None:
    asked = f"Password of {site.user} at {HOST}: ", site.password
    sudo = "[sudo] password for ann: ", PASSWORD
    with at_home(machine, "ann", site) as ann:
        machine.do("rm -f /tmp/seen")
        watching = machine.begin(f"{program.PYTHON} {program.WATCH} /tmp/seen", seconds=4 * SECONDS)
        try:
            done = ann.type(f"argosy mount --config gateway.toml {url(site)} pub", asked, sudo)
            assert done.code == 0, done
            assert done.text.endswith(
                f"{url(site)} is at /home/ann/pub; to take it away: argosy umount /home/ann/pub\n"
            )
            assert ann.do("echo hello > pub/letter; stat -c %U:%s pub/letter") == "ann:6\n"
            assert (folder(site) / "letter").read_text() == "hello\n"
            busy = ann.type("cd pub; argosy umount --config ../gateway.toml .", sudo)
            assert busy.code == 1
            assert "somebody works in it: see fuser" in busy.text
            done = ann.type("touch pub/late; argosy umount --config gateway.toml pub", sudo)
            assert done.code == 0, done
        finally:
            machine.do("touch /tmp/seen")
        seen = watching.result(SECONDS).out
        assert b"argosy\0mount\0" in seen
        assert b"/ticket-" in seen
        assert site.password.encode() not in seen
        assert sorted(path.name for path in folder(site).iterdir()) == ["late", "letter"]
        assert not ann.keeps(site.password)
        assert "/home/ann" not in machine.do("cat /proc/mounts")


def test_each_user_has_a_gateway_which_keeps_no_wrong_password_and_may_die_and_be_started_again(
    machine: Guest, site: Server
) -> None:
    with at_home(machine, "bob", site) as bob, at_home(machine, "root", site, 12050) as root:
        root.do(f"echo {shlex.quote(site.password)} > word")
        netrc = f'machine {HOST} login {site.user} password "{site.password}"'
        bob.do(f"umask 077; echo {shlex.quote(netrc)} > .netrc")
        refused = bob.say(f"echo wrong-one | argosy mount --config gateway.toml {url(site, user='bob')} pub")
        assert (refused.code, refused.text) == (1, "")
        assert refused.err.startswith("argosy: Login incorrect: ")
        assert len(refused.err.splitlines()) == 1
        assert not bob.keeps("wrong-one")
        bob.do(f"argosy mount --config gateway.toml ftp://{HOST}:{site.port}/area pub")
        root.do(f"argosy mount --config gateway.toml --password-file word {url(site)} pub")
        bob.do("echo b > pub/bobs")
        root.do("echo r > pub/roots")
        assert bob.do("stat -c %U pub/bobs") == "bob\n"
        assert root.do("stat -c %U pub/roots") == "root\n"
        bob.kill_gateway()
        reading = machine.begin("cat /home/bob/pub/roots", seconds=SECONDS)
        done = bob.do(f"argosy mount --config gateway.toml ftp://{HOST}:{site.port}/area more")
        assert "is at /home/bob/more" in done
        assert reading.result(SECONDS).text == "r\n"
        assert "mounted elsewhere" in bob.do("argosy umount --config gateway.toml more")
        bob.kill_gateway()
        assert bob.do("argosy umount --config gateway.toml pub") == ""
        assert not bob.keeps(site.password)
        assert root.do("cat pub/bobs") == "b\n"


def test_a_site_with_tls_from_the_first_byte_shows_a_certificate_that_was_made_for_it(
    machine: Guest, tmp_path: Path
) -> None:
    settings = {"implicit_ssl": "YES", "force_anon_logins_ssl": "YES", "force_anon_data_ssl": "YES"}
    with servers.vsftpd(tmp_path / "site", settings) as site, at_home(machine, "bob", site) as bob:
        bob.do(f"argosy mount --config gateway.toml ftps://{HOST}:{site.port}/area pub")
        bob.do("echo hello > pub/letter")
        assert (folder(site) / "letter").read_text() == "hello\n"
