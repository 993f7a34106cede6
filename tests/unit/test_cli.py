"""The command line: words, exit codes, and what is said when something is refused."""

from __future__ import annotations

import argparse
import importlib
import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from argosy import errors
from argosy.cli import main
from argosy.cli.main import parser
from argosy.cli.site import Site, master_text
from argosy.net import ports
from argosy.net.pki import Authority, fingerprint


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.make()
    site.write(site.master_config, master_text(ftp="127.0.0.1:2121", link="127.0.0.1:2122"))
    return site


def say(*words: str) -> int:
    """Run the command line and give its exit code."""
    return main.main(words)


def write_password(site: Site, text: str = "wind and tide\n") -> str:
    (site.directory / "password").write_text(text)
    return str(site.directory / "password")


def told(site: Site, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Say words that work, and give their JSON."""
    capsys.readouterr()
    assert say(*words, "--dir", str(site.directory), "--json") == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_settings_count_wherever_they_stand_among_the_options(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--dir", str(site.directory)]
    secret = ["--password-file", write_password(site)]
    assert say("group", "add", "staff", *where, "uploads=4") == 0
    assert (
        say("user", "add", "ann", "up_rate=1M", "--group", "staff", "uploads=2", *secret, *where, "note=x")
        == 0
    )
    capsys.readouterr()
    assert told(site, capsys, "group", "show", "staff")["settings"] == {"uploads": 4, "grants": []}
    ann = told(site, capsys, "user", "show", "ann")["settings"]
    assert ann == {"up_bytes_per_second": 1 << 20, "uploads": 2, "note": "x", "grants": []}
    for misuse in (["user", "add", "bob", *where, "--uploads"], ["user", "lock", "ann", *where, "uploads=2"]):
        with pytest.raises(SystemExit) as misused:
            say(*misuse)
        assert misused.value.code == 2


def test_a_user_is_added_listed_changed_and_deleted(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--dir", str(site.directory)]
    secret = ["--password-file", write_password(site)]
    assert say("user", "add", "ann", "--home", "/video", "--fxp", *secret, *where) == 0
    assert say("user", "add", "bob", "--read-only", *secret, *where, "uploads=2") == 0
    assert say("user", "passwd", "ann", *secret, *where) == 0
    assert say("user", "set", "bob", "quota_bytes=1.5G", "uploads=", "masks=*@192.0.2.*,::1", *where) == 0
    assert say("user", "lock", "bob", *where) == 0
    capsys.readouterr()
    assert say("user", "list", *where) == 0
    assert capsys.readouterr().out.splitlines() == [
        "name  groups  home    rights  state",
        "ann           /video  all",
        "bob           /       look    locked",
    ]
    bob = told(site, capsys, "user", "show", "bob")
    assert bob["settings"] == {
        "quota_bytes": 3 << 29,
        "masks": ["192.0.2.0/24", "::1/128"],
        "locked": True,
        "grants": [{"path": "/", "rights": ["list", "read"]}],
    }
    assert say("user", "unlock", "bob", *where) == 0
    assert told(site, capsys, "user", "show", "bob")["in_force"]["locked"] is False
    assert say("user", "delete", "bob", *where) == 0
    (ann,) = told(site, capsys, "user", "list")["users"]
    assert (ann["name"], ann["in_force"]["home"], ann["admin"], ann["groups"]) == ("ann", "/video", False, [])
    assert say("user", "set", "ann", "admin=yes", *where) == 0
    assert told(site, capsys, "user", "show", "ann")["admin"] is True


def test_members_inherit_what_a_group_sets(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--dir", str(site.directory)]
    assert say("group", "add", "staff", "uploads=3", "welcome=Ahoy, there", *where) == 0
    assert say("user", "add", "ann", "--group", "staff", "--password-file", write_password(site), *where) == 0
    assert say("grant", "/private", "none", "--group", "staff", *where) == 0
    assert say("grant", "/private/ann", "all,-delete", "--user", "ann", *where) == 0
    ann = told(site, capsys, "user", "show", "ann", "--path", "/private/x")
    assert (ann["in_force"]["uploads"], ann["in_force"]["welcome"]) == (3, "Ahoy, there")
    assert ann["rights"] == []
    assert "delete" not in told(site, capsys, "user", "show", "ann", "--path", "/private/ann/x")["rights"]
    assert say("user", "show", "ann", *where) == 0
    out = capsys.readouterr().out
    assert "uploads: 3\n" in out
    assert "rights at /private: none\n" in out
    assert told(site, capsys, "group", "list")["groups"][0]["members"] == ["ann"]
    assert say("revoke", "/private", "--group", "staff", *where) == 0
    assert "write" in told(site, capsys, "user", "show", "ann", "--path", "/private/x")["rights"]
    assert say("group", "leave", "staff", "ann", *where) == 0
    assert told(site, capsys, "user", "show", "ann")["in_force"]["uploads"] == 0
    assert say("group", "join", "staff", "ann", *where) == 0
    assert say("group", "delete", "staff", *where) == 0
    assert told(site, capsys, "user", "show", "ann")["groups"] == []


def test_a_password_can_come_through_a_pipe(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("wind and tide\n"))
    assert say("user", "add", "ann", "--dir", str(site.directory)) == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["user", "passwd", "nobody"], "No such user or group: nobody"),
        (["user", "delete", "nobody"], "No such user or group: nobody"),
        (["user", "show", "nobody"], "No such user or group: nobody"),
        (["user", "lock", "nobody"], "No such user or group: nobody"),
        (["user", "add", ""], ""),
        (["user", "add", "ann", "--group", "none"], "No such user or group: none"),
        (["user", "add", "ann", "home=video"], "absolute path"),
        (["user", "add", "ann", "uploads=many"], "uploads: want a number"),
        (["user", "add", "ann", "uploads"], "want KEY=VALUE, got uploads"),
        (["user", "add", "ann", "colour=red"], "no setting is called colour"),
        (["user", "add", "ann", "masks=ann@192.0.2.1"], "only * can stand before @"),
        (["user", "add", "ann", "masks=host.example"], "want an address"),
        (["user", "add", "ann", "expires=soon"], "2027-01-31"),
        (["user", "add", "ann", "total_bytes=5G"], "for groups"),
        (["group", "show", "none"], "No such user or group: none"),
        (["group", "join", "none", "ann"], "No such user or group: none"),
        (["group", "delete", "none"], "No such user or group: none"),
        (["grant", "/a", "look", "--user", "nobody"], "No such user or group: nobody"),
        (["grant", "/a", "fly", "--user", "nobody"], "no right is called 'fly'"),
        (["revoke", "/a", "--group", "none"], "No such user or group: none"),
    ],
)
def test_a_refusal_is_one_line_and_exit_1(
    site: Site,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    complaint: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("wind and tide\n"))
    assert say(*words, "--dir", str(site.directory)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("argosy: ")
    assert err.count("\n") == 1
    assert complaint in err


def test_an_empty_password_is_refused(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    secret = ["--password-file", write_password(site, "")]
    assert say("user", "add", "ann", "--dir", str(site.directory), *secret) == 1
    assert "argosy: " in capsys.readouterr().err


def test_a_token_names_the_sites_authority(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    authority = Authority.open(site.keys)
    assert say("token", "--dir", str(site.directory)) == 0
    out, err = capsys.readouterr()
    assert out.strip().split(".")[2] == fingerprint(authority.pem)
    assert len(out.strip().split(".")) == 3
    assert "argosy node join" in err
    assert say("token", "--dir", str(site.directory), "--seconds", "60", "--json") == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == 60


@pytest.mark.parametrize("words", [["nodes"], ["status"], ["why", "/"], ["nodes", "remerge", "node1"]])
def test_questions_to_a_master_that_does_not_run_are_refused(
    site: Site, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert say(*words, "--dir", str(site.directory)) == 1
    assert capsys.readouterr().err.startswith("argosy: No master runs here: ")


def test_a_directory_without_a_site_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say("status", "--dir", str(tmp_path)) == 1
    assert "argosy up" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["sink"],
        ["node"],
        ["user"],
        ["up", "--nodes", "0"],
        ["up", "--port", "70000"],
        ["up", "--user", "ann"],
        ["node", "join", "127.0.0.1:1"],
        ["token", "--seconds", "-5"],
        ["token", "--seconds", "0"],
        ["token", "--seconds", "nan"],
        ["token", "--seconds", "soon"],
        ["grant", "/a", "look"],
        ["revoke", "/a", "--user", "ann", "--group", "staff"],
        ["user", "set", "ann"],
    ],
)
def test_misuse_is_exit_2_with_the_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as misuse:
        main.main(words)
    assert misuse.value.code == 2
    assert "usage: argosy" in capsys.readouterr().err


def test_every_word_has_a_sentence_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["node", "join", "--help"], ["user", "add", "--help"]):
        with pytest.raises(SystemExit) as done:
            parser().parse_args(words)
        assert done.value.code == 0
    out = capsys.readouterr().out
    for word in ("up", "master", "node", "token", "user", "nodes", "status", "why"):
        assert f"\n    {word} " in out


def test_what_is_said_to_a_word_holds_for_the_word_below_it() -> None:
    arguments = parser().parse_args(["nodes", "--dir", "/srv/x", "--json", "remerge", "node1"])
    assert (arguments.dir, arguments.json) == ("/srv/x", True)


def test_joining_under_a_name_that_is_there_says_how_to_start_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write(site.node_config("attic"), "")
    root = str(site.directory / "root")
    words = ["node", "join", "127.0.0.1:1", "--token", "x", "--name", "attic", "--root", root]
    assert say(*words, "--dir", str(site.directory)) == 1
    assert f"argosy node --config {site.node_config('attic')}" in capsys.readouterr().err


def test_a_mistyped_root_is_refused_and_not_made(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    root = site.directory / "rooot"
    words = ["node", "join", "127.0.0.1:1", "--token", "x", "--name", "attic", "--root", str(root)]
    assert say(*words, "--dir", str(site.directory)) == 1
    assert f"Not a directory: {root}; is its disk mounted? --create makes it" in capsys.readouterr().err
    assert not root.exists()
    assert say(*words, "--create", "--dir", str(site.directory)) == 1  # the token is nonsense
    assert root.is_dir()


def test_a_node_cannot_take_the_masters_name(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(site.directory / "root")
    words = ["node", "join", "127.0.0.1:1", "--token", "x", "--name", "master", "--root", root]
    assert say(*words, "--dir", str(site.directory)) == 1
    assert "no node may be called 'master'" in capsys.readouterr().err


def test_an_accident_is_a_line_too(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARGOSY_LOG", raising=False)
    monkeypatch.setattr("sys.stdin", None)
    assert say("user", "add", "ann", "--dir", str(site.directory)) == 1
    err = capsys.readouterr().err
    assert "a bug of ours" in err
    assert "Traceback" not in err


# --- addresses of this machine ----------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_something_listens_on_is_named(taken: int) -> None:
    with pytest.raises(errors.Exists, match=f"port {taken} of 127.0.0.1.*--port"):
        ports.check_free("127.0.0.1", taken, "--port")


def test_an_address_that_is_elsewhere_is_named() -> None:
    with pytest.raises(errors.BadArgument, match="no address of this machine"):
        ports.check_free("192.0.2.1", 0, "--port")


def test_the_wanted_port_is_chosen_unless_it_is_taken(taken: int) -> None:
    steady = ports.choose("127.0.0.1", 0)
    assert steady in ports.STEADY_PORTS
    assert ports.choose("127.0.0.1", steady) == steady
    assert ports.choose("127.0.0.1", taken) != taken
    assert ports.choose("127.0.0.1", steady, taken=steady) != steady


def test_everywhere_is_reached_by_one_address() -> None:
    assert ports.reachable("192.0.2.7") == "192.0.2.7"
    assert ports.reachable("ftp.example.org") == "ftp.example.org"
    address = ports.reachable("0.0.0.0")
    ports.check_free(address, 0, "--host")
    assert address != "0.0.0.0"


def test_loopback_is_known_in_all_its_forms() -> None:
    assert all(map(ports.is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(ports.is_loopback, ("0.0.0.0", "10.0.0.1", "ftp.example.org")))


@pytest.mark.parametrize(("module", "words"), main.MODULES.items())
def test_each_module_declares_the_words_that_it_is_looked_up_for(module: str, words: tuple[str, ...]) -> None:
    declared: list[str] = []

    def add(name: str, **_: object) -> argparse.ArgumentParser:
        declared.append(name)
        return argparse.ArgumentParser(name)

    importlib.import_module(f"argosy.cli.{module}").declare(add)
    assert tuple(declared) == words
