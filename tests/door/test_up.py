"""`argosy up`, as a newcomer and as a careless administrator use it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import ARGOSY, PASSWORD, USER, Site

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
needs_lftp = pytest.mark.skipif(not shutil.which("lftp"), reason="needs lftp")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site")
    site.start()
    yield site
    site.stop()


def argosy(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ARGOSY, *words], capture_output=True, text=True, timeout=60, check=False)


def lines_to_copy(site: Site, program: str) -> list[str]:
    return [line.strip() for line in site.output.splitlines() if line.strip().startswith(f"{program} ")]


def running(site: Site) -> list[int]:
    return [int(path.read_text()) for path in sorted((site.directory / "run").glob("*.pid"))]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@needs_curl
def test_the_curl_lines_that_are_printed_work(site: Site) -> None:
    lines = lines_to_copy(site, "curl")
    assert len(lines) == 3
    for line in lines:
        done = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}\n{site.logs()}"
    assert "os-release" in done.stdout  # the first line stored it, the last one lists it over TLS


@needs_lftp
def test_the_lftp_lines_that_are_printed_work(site: Site) -> None:
    lines = lines_to_copy(site, "lftp")
    assert len(lines) == 2
    for line in lines:
        commands = "set net:max-retries 1; set net:timeout 10; mkdir -f seen; cls -1; bye\n"
        done = subprocess.run(
            line, shell=True, input=commands, capture_output=True, text=True, timeout=30, check=False
        )
        assert ("seen" in done.stdout, done.stderr) == (True, ""), f"{line}\n{done.stderr}\n{site.logs()}"


def test_all_nodes_are_ready_when_it_says_so(site: Site) -> None:
    nodes = site.argosy("nodes")["nodes"]
    assert [(node["name"], node["state"]) for node in nodes] == [("n1", "ready"), ("n2", "ready")]
    assert re.search(rf"^ready: 2 nodes, ftp://127\.0\.0\.1:{site.port}/$", site.output, re.MULTILINE)


def test_a_second_one_on_the_same_directory_is_refused(site: Site) -> None:
    second = argosy("up", "--dir", str(site.directory))
    assert second.returncode == 1
    assert second.stderr == f"argosy: The site is up already: {site.directory}\n"


def test_stopping_leaves_no_process_behind(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.start()
    pids = running(site)
    assert len(pids) == 3
    assert site.stop() == 0
    assert [pid for pid in pids if alive(pid)] == []
    assert running(site) == []


def test_a_node_that_is_killed_comes_back(site: Site) -> None:
    before = site.pid("n1")
    site.kill("n1")
    site.wait_for("n1 to live again", lambda: site.pid("n1") != before)
    site.wait_until_ready()


def test_a_master_that_is_killed_comes_back(site: Site) -> None:
    before = site.pid("master")
    site.kill("master")
    site.wait_for("the master to live again", lambda: site.pid("master") != before)
    site.wait_for("two nodes", lambda: site.status()["nodes"]["ready"] == 2)


def test_after_up_itself_was_killed_it_comes_up_again_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.start()
    port, pids = site.port, running(site)
    assert site._process is not None
    site._process.send_signal(signal.SIGKILL)
    site._process.wait()
    site.start()
    try:
        assert site.port == port
        assert [pid for pid in pids if alive(pid)] == []
        site.wait_until_ready()
    finally:
        site.stop()


def test_a_later_start_keeps_the_nodes_and_adds_more(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "1")
    site.start()
    (first,) = site.argosy("nodes")["nodes"]
    site.stop()
    site.options = ("--nodes", "2")
    site.start()
    try:
        again, second = site.argosy("nodes")["nodes"]
        assert again["volumes"][0]["store_id"] == first["volumes"][0]["store_id"]
        assert second["name"] == "n2"
    finally:
        site.stop()


def test_another_disk_joins_with_a_token(site: Site, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "old.txt").write_text("was here before\n")
    token = site.argosy("token")["token"]
    link = site.status()["link"]
    words = [
        *("node", "join", link, "--token", token, "--name", "attic", "--root", str(tmp_path / "disk")),
        *("--dir", str(tmp_path / "elsewhere"), "--label", "old"),
    ]
    node = subprocess.Popen([*ARGOSY, *words], stderr=subprocess.DEVNULL)
    try:
        site.wait_for("the third node", lambda: site.status()["nodes"]["ready"] == 3)
        site.wait_for("its file", lambda: site.argosy("why", "/old.txt")["replicas"][0]["node"] == "attic")
    finally:
        node.terminate()
        assert node.wait(20) == 0
    again = argosy(*words)
    assert again.returncode == 1
    assert "argosy node --config" in again.stderr
    used = argosy(*(word if word != "attic" else "cellar" for word in words))
    assert used.returncode == 1
    assert used.stderr.startswith("argosy: The master refused: ")


def test_scripts_get_one_json_object(tmp_path: Path) -> None:
    words = [
        "up",
        "--dir",
        str(tmp_path / "site"),
        "--port",
        "0",
        "--link-port",
        "0",
        "--nodes",
        "1",
        "--json",
    ]
    with subprocess.Popen([*ARGOSY, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        document = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert document["ready"] is True
    assert document["nodes"] == ["n1"]
    assert document["user"] == "admin"
    assert len(document["password"]) >= 12


def test_the_password_is_told_once(tmp_path: Path) -> None:
    words = [
        "up",
        "--dir",
        str(tmp_path / "site"),
        "--port",
        "0",
        "--link-port",
        "0",
        "--nodes",
        "1",
        "--json",
    ]
    passwords = []
    for _ in range(2):
        with subprocess.Popen([*ARGOSY, *words], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            passwords.append(json.loads(process.stdout.readline())["password"])
            process.terminate()
    assert passwords[0]
    assert passwords[1] is None


def test_the_login_that_was_asked_for_is_the_administrator(site: Site) -> None:
    (user,) = site.argosy("user", "list")["users"]
    assert (user["name"], user["admin"]) == (USER, True)
    assert PASSWORD not in (site.directory / "config" / "master.toml").read_text()


def test_a_port_that_is_taken_is_said_before_anything_is_made(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other"
    refused = argosy("up", "--dir", str(other), "--port", str(site.port))
    assert refused.returncode == 1
    assert f"port {site.port}" in refused.stderr
    assert not (other / "config" / "master.toml").exists()
