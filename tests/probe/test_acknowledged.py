"""Uploads that are acknowledged with several copies, while processes are killed or stopped, or disks full."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import socket
import sqlite3
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from probe.ledger import Part, look, put
from probe.processes import MASTER, Processes, Tracer
from running import PASSWORD, USER, Settings, needs
from talking import Talk, address, everything, reset

log = logging.getLogger(__name__)

KILO = os.urandom(1024)
LARGE = os.urandom(12_000_000)
MOST = 9_000_000
"""So much of it is sent before something happens."""


def rules(copies: int = 2, **repair: float) -> Settings:
    return {
        **MASTER,
        "sections.all": {"path": "/", "copies": copies, "acknowledged": copies},
        "repair": {"acknowledge_seconds": 20.0, "part_seconds": 1.0, **repair},
        "link": {"beat_seconds": 0.3, "lost_seconds": 3.0},
    }


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., contextlib.AbstractContextManager[Processes]]:
    @contextlib.contextmanager
    def running(nodes: int = 3, settings: Settings | None = None) -> Iterator[Processes]:
        with Processes(tmp_path / "site", nodes=nodes, settings=settings or rules()) as site:
            yield site

    return running


Place = Callable[..., contextlib.AbstractContextManager[Processes]]


def held(site: Processes, loc: str, content: bytes, *, copies: int = 2, parts_too: bool = True) -> None:
    """Wait until a file lies in its place on so many nodes, and nothing else does anywhere."""

    def lies() -> bool:
        found = [site.root(name) / loc for name in site.names if (site.root(name) / loc).exists()]
        return len(found) == copies and all(at.read_bytes() == content for at in found)

    site.wait_for(f"{copies} copies of {loc}", lies)
    if parts_too:
        site.wait_for("no parts", lambda: not any(parts(site, name) for name in site.names))


def parts(site: Processes, name: str) -> dict[str, int]:
    found = {}
    for part in (site.root(name) / ".argosy/staging").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[part.name] = part.stat().st_size
    return found


def holders(site: Processes, path: str) -> set[str]:
    """Name the nodes that have a copy, as the master knows it."""
    return {copy["node"] for copy in site.why(path)["replicas"]}


def crc32_told(site: Processes, name: str, loc: str) -> int | None:
    """Give the CRC-32 that a node's journal has of a file."""
    journal = site.root(name) / ".argosy/journal.db"
    with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
        row = db.execute("SELECT crc32 FROM file WHERE loc = ? AND gone = 0", (loc.encode(),)).fetchone()
    return row[0] if row else None


def stored_on(answer: bytes) -> list[str]:
    """Read the names of the nodes out of 226."""
    return answer.decode().strip().rpartition(" on ")[2].split(" and ")


class Upload:
    """One that is sent by hand, in two halves."""

    def __init__(self, site: Processes, command: str = "STOR f", *, offset: int = 0) -> None:
        self.site = site
        with contextlib.ExitStack() as opened:
            self.talk = opened.enter_context(Talk(site))
            self.data = opened.enter_context(self.talk.data())
            if offset:
                assert self.talk.ask(f"REST {offset}").code == 350
            answer = self.talk.ask(command)
            assert answer.code == 150, answer
            self.first = answer.text.decode().split(" to ")[1].strip()
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def send(self, content: bytes) -> None:
        self.data.sendall(content)

    def end(self) -> tuple[int, bytes]:
        self.data.close()
        self.talk.socket.settimeout(60)
        return self.talk.hear()

    def second(self, least: int = 2_000_000) -> str:
        """Wait until some other node has a good deal of it, and name that."""
        found: list[str] = []

        def taken() -> bool:
            found[:] = [
                name
                for name in self.site.names
                if name != self.first and any(size >= least for size in parts(self.site, name).values())
            ]
            return bool(found)

        self.site.wait_for("a second node to take it along", taken)
        return found[0]


# --- nothing happens


def test_at_226_there_are_two_copies(place: Place) -> None:
    with place() as site:
        for size in (0, 1, 2000, 70_000, 5_000_000):
            content = os.urandom(size)
            with Upload(site, f"STOR f{size}") as upload:
                upload.send(content)
                code, text = upload.end()
            assert code == 226, text
            assert len(holders(site, f"/f{size}")) == 2
            assert set(stored_on(text)) == holders(site, f"/f{size}")
            assert not site.status()["copies"]["lacking"], "nothing is left to be copied"
            held(site, f"f{size}", content)


def test_three_copies_come_one_from_the_other(place: Place) -> None:
    with place(4, rules(3)) as site, Upload(site) as upload:
        upload.send(LARGE)
        code, text = upload.end()
        assert (code, len(set(stored_on(text)))) == (226, 3)
        held(site, "f", LARGE, copies=3)


def test_clients_store_files_in_all_their_ways(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "up.bin"
    file.write_bytes(LARGE[:3_000_000])
    ways = {
        "epsv": [],
        "pasv": ["--disable-epsv"],
        "pret": ["--disable-epsv", "--ftp-pret"],
        "port": ["--ftp-port", "127.0.0.1"],
        "tls": ["--ssl-reqd", "--insecure"],
    }
    with place() as site:
        curl = (needs("curl"), "-sS", "-m", "60", "-u", f"{USER}:{PASSWORD}")
        for name, options in ways.items():
            done = subprocess.run(
                [*curl, *options, "-T", str(file), f"ftp://{site.host}:{site.port}/{name}"],
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
            assert done.returncode == 0, (name, done.stderr)
            held(site, name, file.read_bytes())
        begin = f"open -u {USER},'{PASSWORD}' ftp://{site.host}:{site.port}"
        words = f"set net:max-retries 1; set ssl:verify-certificate no; {begin}; put {file} -o lftp"
        done = subprocess.run(
            [needs("lftp"), "-c", words],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        held(site, "lftp", file.read_bytes())
        with Talk(site) as talk:
            assert talk.ask("TYPE A").code == 200
            with talk.data() as data:
                assert talk.ask("STOR text").code == 150
                data.sendall(b"one\r\ntwo\r\n")
            assert talk.hear().code == 226
        held(site, "text", b"one\ntwo\n")


def test_what_is_replaced_appended_to_and_resumed_is_the_same_on_both(place: Place) -> None:
    with place() as site:
        content = b""
        for command, piece in (
            ("STOR f", KILO),
            ("STOR f", LARGE),
            ("APPE f", KILO),
            ("APPE f", LARGE),
            ("APPE f", b"x"),
        ):
            with Upload(site, command) as upload:
                upload.send(piece)
                code, text = upload.end()
                assert code == 226, text
            content = piece if command.startswith("STOR") else content + piece
            held(site, "f", content)
        with Upload(site, offset=5_000_000) as upload:
            upload.send(KILO)
            assert upload.end()[0] == 226
        held(site, "f", content[:5_000_000] + KILO)


def test_bytes_that_had_rotted_before_a_file_grew_are_found_and_never_taken_for_right(place: Place) -> None:
    with place() as site:
        with Upload(site, "STOR f") as upload:
            upload.send(LARGE)
            assert upload.end()[0] == 226
        held(site, "f", LARGE)
        file = site.root(min(holders(site, "/f"))) / "f"
        times, rotten = file.stat(), bytearray(LARGE)
        rotten[1_000_000] ^= 1
        file.write_bytes(rotten)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        with Upload(site, "APPE f") as upload:  # goes on from this copy, and from the good one
            upload.send(KILO)
            code, text = upload.end()
            assert code == 226, text
        right = zlib.crc32(LARGE + KILO)
        site.wait_for(
            "both nodes to know what it should be",
            lambda: [crc32_told(site, name, "f") for name in holders(site, "/f")] == [right, right],
        )
        with pytest.raises(AssertionError):  # it ends with 1: there is a bad one
            site.argosy("verify", "/f")
        site.wait_for("the bad copy to be found", lambda: site.argosy("findings")["findings"])
        held(site, "f", LARGE + KILO)


def test_a_file_with_one_copy_that_is_appended_to_has_two_then(place: Place) -> None:
    with place(2, {**rules(), "sections.all": {"path": "/two", "copies": 2, "acknowledged": 2}}) as site:
        with Talk(site) as talk:
            assert talk.ask("MKD two").code == 257
        with Upload(site, "STOR f") as upload:
            upload.send(LARGE)
            assert upload.end()[0] == 226
        with Talk(site) as talk:
            assert talk.codes("RNFR f", "RNTO two/f") == [350, 250]
        with Upload(site, "APPE two/f") as upload:
            upload.send(KILO)
            assert upload.end()[0] == 226
        assert len(holders(site, "/two/f")) == 2
        held(site, "two/f", LARGE + KILO)


def test_where_there_cannot_be_two_copies_nothing_is_begun(place: Place) -> None:
    with place(2) as site:
        site.kill("n2")
        site.wait_for("n2 to be away", lambda: site.nodes()["n2"]["state"] == "away")
        with Talk(site) as talk:
            assert talk.ask("PRET STOR f").code in (450, 501, 550)
            with talk.data():
                answer = talk.ask("STOR f")
            assert answer.code == 450
            assert b"of the 2 copies" in answer.text
            assert talk.ask("SIZE f").code == 550, "the name wasn't taken"
        site.bring_back("n2")
        with Upload(site) as upload:
            upload.send(KILO)
            assert upload.end()[0] == 226


def test_abor_ends_an_upload_on_both_nodes(place: Place) -> None:
    with place() as site, Upload(site) as upload:
        upload.send(LARGE[:MOST])
        upload.second()
        upload.talk.say("ABOR")
        assert [upload.talk.hear().code, upload.talk.hear().code] == [426, 226]
        with Talk(site) as talk:
            assert talk.ask("DELE f").code == 250
        site.wait_for("no parts", lambda: not any(parts(site, name) for name in site.names))


# --- the second node


@pytest.mark.parametrize("spare", [True, False], ids=["a third is there", "it comes back"])
def test_a_second_node_that_is_killed_is_replaced_unseen(place: Place, *, spare: bool) -> None:
    with place(3 if spare else 2) as site, Upload(site) as upload:
        upload.send(LARGE[:MOST])
        second = upload.second()
        site.kill(second)
        if not spare:
            site.spawn(second)
        upload.send(LARGE[MOST:])
        code, text = upload.end()
        assert code == 226, text
        assert (second in stored_on(text)) is not spare
        if spare:
            site.bring_back(second)
        held(site, "f", LARGE)


def test_a_second_node_that_stands_still_is_replaced_when_the_first_is_done(place: Place) -> None:
    with place(settings=rules()) as site, Upload(site) as upload:
        upload.send(LARGE[:MOST])
        second = upload.second()
        os.kill(site.pid(second), signal.SIGSTOP)
        try:
            upload.send(LARGE[MOST:])
            code, text = upload.end()
        finally:
            os.kill(site.pid(second), signal.SIGCONT)
        assert code == 226, text
        assert second not in stored_on(text)
        site.wait_until_ready()
        held(site, "f", LARGE)


def test_without_a_second_copy_there_is_no_226_and_it_can_be_gone_on_with(place: Place) -> None:
    with place(2, rules(acknowledge_seconds=2.0)) as site:
        with Upload(site) as upload:
            upload.send(LARGE[:MOST])
            second = upload.second()
            site.kill(second)
            upload.send(LARGE[MOST:])
            code, text = upload.end()
            assert code == 451, text
            assert b"only 1 of 2 copies" in text
        with Talk(site) as talk:
            assert talk.ask("SIZE f").text.split()[1] == b"%d" % len(LARGE)
            assert talk.ask("RETR f").code >= 400
        site.bring_back(second)
        with Upload(site, offset=len(LARGE)) as upload:
            assert upload.end()[0] == 226
        held(site, "f", LARGE)


def test_a_second_node_whose_disk_is_full_is_replaced(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root, to mount a small disk")
    settings = {**rules(), "placement": {"reserve_bytes": 0, "free_share": 0.0}}
    for name in ("n2", "n3"):
        (tmp_path / "site/nodes" / name).mkdir(parents=True)
    small = tmp_path / "site/nodes/n2"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)], check=True)
    try:
        with Processes(tmp_path / "site", nodes=3, settings=settings) as site:
            for number in range(6):
                with Upload(site, f"STOR f{number}") as upload:
                    with contextlib.suppress(OSError):  # the first node's own disk may be full
                        upload.send(LARGE)
                    code, text = upload.end()
                assert code == (452 if upload.first == "n2" else 226), text
                if code == 226:
                    assert "n2" not in stored_on(text)
                    assert len(holders(site, f"/f{number}")) == 2
            with Talk(site) as talk:
                for number in range(6):
                    talk.ask(f"DELE f{number}")
            site.wait_for("no parts", lambda: not any(parts(site, name) for name in site.names))
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


# --- the first node


def test_when_the_first_node_is_killed_the_client_goes_on_with_the_second(place: Place) -> None:
    with place() as site:
        with Upload(site) as upload:
            upload.send(LARGE[:MOST])
            second = upload.second(4_000_000)
            site.kill(upload.first)
            with contextlib.suppress(OSError):
                upload.send(LARGE[MOST:])
            code, _ = upload.end()
            assert code == 426
        with Talk(site) as talk:
            size = int(talk.ask("SIZE f").text.split()[1])
        assert 4_000_000 <= size <= MOST
        with Upload(site, "APPE f") as again:
            assert again.first == second
            again.send(LARGE[size:])
            code, text = again.end()
            assert code == 226, text
        site.bring_back(upload.first)
        held(site, "f", LARGE)
        with Talk(site) as talk, talk.data() as data:
            assert talk.ask("RETR f").code == 150
            assert everything(data) == LARGE


def test_a_first_node_that_comes_back_does_not_mix_up_what_it_had(place: Place) -> None:
    with place(2, rules(acknowledge_seconds=10.0)) as site:
        with Upload(site) as upload:
            upload.send(LARGE[:MOST])
            upload.second(4_000_000)
            site.kill(upload.first)
            assert upload.end()[0] == 426
        with Talk(site) as talk:
            size = int(talk.ask("SIZE f").text.split()[1])
        site.bring_back(upload.first)
        other = os.urandom(1_000_000)
        with Upload(site, offset=size - 1000) as again:
            again.send(other)
            code, text = again.end()
            assert code == 226, text
        held(site, "f", LARGE[: size - 1000] + other)


# --- the master


def test_a_master_that_is_killed_leaves_parts_with_which_both_go_on(place: Place) -> None:
    with place(2) as site:
        with Upload(site) as upload:
            upload.send(LARGE[:MOST])
            second = upload.second(4_000_000)
            site.kill("master")
        site.bring_back("master")
        assert parts(site, second), "the second node's part is kept"
        with Talk(site) as talk:
            size = int(talk.ask("SIZE f").text.split()[1])
        assert 4_000_000 <= size <= MOST
        with Upload(site, offset=size) as again:
            again.send(LARGE[size:])
            code, text = again.end()
            assert code == 226, text
        held(site, "f", LARGE)


def test_what_a_killed_master_leaves_is_forgotten_everywhere_with_its_name(place: Place) -> None:
    with place(2) as site:
        with Upload(site) as upload:
            upload.send(LARGE[:MOST])
            upload.second(4_000_000)
            site.kill("master")
        site.bring_back("master")
        with Talk(site) as talk:
            assert talk.ask("DELE f").code == 250
        site.wait_for("no parts", lambda: not any(parts(site, name) for name in site.names))


@pytest.mark.parametrize("whole", [True, False])
def test_what_comes_to_an_end_when_the_next_master_knows_nothing_of_it_leaves_no_part(
    place: Place, whole: bool
) -> None:
    patient = {**MASTER, "ftp": {"connect_seconds": 120.0, "stall_seconds": 120.0}}
    with place(1, patient) as site, Talk(site) as talk:
        assert talk.ask("PRET STOR f").code == 200
        meet = address(talk.ask("EPSV"), site.host)
        assert talk.ask("STOR f").code == 150  # and the client hasn't connected yet
        time.sleep(0.5)  # the node has its order by now
        site.kill("master")
        site.bring_back("master")
        data = socket.create_connection(meet, timeout=20)
        data.sendall(KILO * 1000)
        site.wait_for("the part", lambda: any(parts(site, "n1").values()))
        (data.close if whole else partial(reset, data))()
        site.wait_for("no parts", lambda: not parts(site, "n1"))


def test_all_die_at_once_after_226_and_both_copies_are_there(place: Place) -> None:
    with place(2) as site:
        for number in range(3):
            content = os.urandom(200_000 * number + 7)
            with Upload(site, f"STOR f{number}") as upload:
                upload.send(content)
                assert upload.end()[0] == 226
            for name in ("n1", "n2", "master"):
                site.children[name].kill()
            for name in ("master", "n1", "n2"):
                site.children[name].wait(20)
                site.spawn(name)
            site.wait_until_ready()
            assert holders(site, f"/f{number}") == {"n1", "n2"}
            held(site, f"f{number}", content)


def listening(site: Processes, name: str) -> set[int]:
    """Give the ports that a node holds open."""
    sockets = set()
    for descriptor in Path(f"/proc/{site.pid(name)}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            sockets.add(os.readlink(descriptor))
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {
        int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets
    }


def test_uploads_one_after_the_other_need_no_new_connection_between_the_nodes(place: Place) -> None:
    with place(2) as site:
        for name in site.names:  # each is the first node once
            with Upload(site, f"STOR {name}") as upload:
                upload.send(KILO)
                assert upload.end()[0] == 226
        time.sleep(1)
        before = {name: listening(site, name) for name in site.names}
        assert all(before.values())
        for number in range(20):
            with Upload(site, f"STOR f{number}") as upload:
                upload.send(KILO)
                assert upload.end()[0] == 226
            time.sleep(0.1)
        used = sum(len(ports - listening(site, name)) for name, ports in before.items())
        assert used <= 4, "a data connection of the client's goes through the master here"
        held(site, "f19", KILO)


def test_many_small_files_at_once_all_have_two_copies(place: Place) -> None:
    with place() as site:
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            talks = [stack.enter_context(Talk(site)) for _ in range(8)]
            for number in range(10):
                running = []
                for which, talk in enumerate(talks):
                    data = talk.data()
                    talk.say(f"STOR d{number}x{which}")
                    data.sendall(KILO)
                    data.close()
                    running.append(talk)
                for talk in running:
                    assert [talk.hear().code, talk.hear().code] == [150, 226]
        log.info("80 small files in %.1f s", time.monotonic() - begin)
        for number in range(10):
            held(site, f"d{number}x0", KILO)
        assert not site.status()["copies"]["lacking"]


KILLS = int(os.environ.get("ARGOSY_PROBE_KILLS", "4"))
"""For each who dies; more take longer."""


@pytest.mark.parametrize("victim", ["master", "n1", "n2"])
def test_whoever_dies_before_a_step_what_was_acknowledged_lies_on_both_nodes(
    place: Place, victim: str
) -> None:
    with place(2, rules(acknowledge_seconds=8.0)) as site:
        with Talk(site) as talk, Tracer(site, victim) as tracer:
            for name in ("/a", "/b"):  # each node is the first once
                assert put(talk, f"STOR {name}", KILO * 700)
                tracer.quiet(0.3)
        chance = random.Random(20_240_301)
        numbers = sorted(chance.sample(range(1, len(tracer.steps) + 1), min(KILLS, len(tracer.steps))))
        for number in numbers:
            try:
                kill_and_look(site, victim, number, chance.randbytes(700_001))
            except Exception as error:
                error.add_note(f"{victim} was killed before step {number} of {tracer.steps}")
                raise


def kill_and_look(site: Processes, victim: str, number: int, content: bytes) -> None:
    """Have a process die while two files are uploaded, then look what is left of them."""
    files = {f"/{number}-{content[:4].hex()}-{which}": content[which:] for which in range(2)}

    def store() -> dict[str, bool]:
        with contextlib.suppress(OSError, EOFError), Talk(site) as talk:  # the master may die at the login
            return {path: put(talk, f"STOR {path}", text) for path, text in files.items()}
        return {}

    with ThreadPoolExecutor(1) as client:
        with Tracer(site, victim, "kill", number) as tracer:
            answer = client.submit(store)
            while not tracer.acted(0.05) and not answer.done():
                pass
            tracer.acted(0.6)
        site.kill(victim)
        site.bring_back(victim)
        acknowledged = answer.result(60)
    with Talk(site) as talk:
        for path, text in files.items():
            seen = look(talk, path)
            assert seen == text or (not acknowledged.get(path) and (seen is None or isinstance(seen, Part)))
            if seen == text:
                held(site, path.lstrip("/"), text, parts_too=False)
                assert len(holders(site, path)) == 2
            assert put(talk, f"STOR {path}", text[::-1])
    for path, text in files.items():
        held(site, path.lstrip("/"), text[::-1])
