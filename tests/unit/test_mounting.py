"""`argosy mount` and `argosy umount` before anything is mounted: what is refused, and what would be run."""

from __future__ import annotations

import doctest
import json
import os
from pathlib import Path

import pytest

from argosy.cli import main, mounting

TICKET = {"nfs": "127.0.0.1:12049", "export": "/ticket-abc/ann@host/a b", "seconds": 60.0}


def say(*words: str) -> int:
    """Run the command line and give its exit code."""
    return main.main(words)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no gateway, netrc or keyring of this machine be found."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(mounting).failed == 0


def test_the_command_needs_no_portmapper_and_gives_the_sites_files_no_rights_here() -> None:
    words = mounting.mount_words(TICKET, Path("/mnt/a b"), read_only=False, more=[])
    options = "vers=3,tcp,port=12049,mountport=12049,nolock,nosuid,nodev"
    assert words == ["mount", "-t", "nfs", "-o", options, "127.0.0.1:/ticket-abc/ann@host/a b", "/mnt/a b"]


def test_a_persons_own_options_come_last_and_ipv6_has_brackets() -> None:
    words = mounting.mount_words(TICKET | {"nfs": "[::1]:2049"}, Path("/mnt"), read_only=True, more=["suid"])
    assert words[4].endswith(",nolock,nosuid,nodev,ro,suid")
    assert "proto=tcp6" in words[4]
    assert words[5].startswith("[::1]:/ticket-abc/")


def test_a_gateway_that_listens_everywhere_is_reached_by_an_address() -> None:
    words = mounting.mount_words(TICKET | {"nfs": "0.0.0.0:2049"}, Path("/mnt"), read_only=True, more=[])
    assert not words[5].startswith("0.0.0.0")


def test_what_is_mounted_last_on_a_directory_counts() -> None:
    info = (
        "1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / /mnt rw shared:1 - nfs host:/x rw\n"
        "3 2 0:3 / /mnt rw - tmpfs none rw"
    )
    assert {at: there.kind for at, there in mounting.mounted(info).items()} == {"/": "ext4", "/mnt": "tmpfs"}


def test_what_a_gateway_has_mounted_is_told_apart_from_another_gateways() -> None:
    info = (
        "1 0 0:1 / /a rw - nfs [::1]:/ticket-abc/ann@host rw,vers=3,port=12049,addr=::1\n"
        "2 0 0:2 / /b rw - nfs 127.0.0.1:ftp://ann:p\\040q@host:21/ rw,port=12050,addr=127.0.0.1"
    )
    there = mounting.mounted(info)
    assert (there["/a"].address, there["/a"].export) == ("[::1]:12049", "/ticket-abc/ann@host")
    assert (there["/b"].address, there["/b"].export) == ("127.0.0.1:12050", "ftp://ann:p q@host:21/")


def test_a_password_in_a_command_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert say("mount", "ftp://ann:right@host/", str(tmp_path), "--print") == 1
    said = capsys.readouterr().err
    assert "all users of this machine see a password" in said
    assert "right" not in said


def test_what_is_no_address_and_no_name_is_refused_with_the_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[sites.museum]\nurl = "ftp://host/"\n')
    assert say("mount", "attic", str(tmp_path), "--print", "--config", str(file)) == 1
    assert "known: museum" in capsys.readouterr().err


def test_a_missing_directory_is_refused_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "mount.nfs"
    program.touch(mode=0o755)
    monkeypatch.setattr(mounting, "WHERE", str(tmp_path))
    assert say("mount", "ftp://host/", str(tmp_path / "missing")) == 1
    assert f"mkdir {tmp_path}/missing" in capsys.readouterr().err


def test_without_mount_nfs_the_packages_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounting, "WHERE", str(tmp_path))
    assert say("mount", "ftp://host/", str(tmp_path)) == 1
    said = capsys.readouterr().err
    assert "nfs-common" in said
    assert said.count("\n") == 1


def test_where_nothing_of_ours_is_mounted_nothing_is_taken_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say("umount", str(tmp_path)) == 1
    assert "nothing is mounted" in capsys.readouterr().err
    assert say("umount", "/proc") == 1
    assert "no site of ours, but proc" in capsys.readouterr().err


def test_the_systems_words_come_with_what_they_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "umount"
    program.write_text("#!/bin/sh\necho 'umount: /mnt: target is busy.' >&2\nexit 32\n")
    program.chmod(0o755)
    info = tmp_path / "mountinfo"
    info.write_text("2 1 0:2 / /mnt rw - nfs host:/x rw\n")
    monkeypatch.setattr(mounting, "WHERE", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(mounting, "MOUNTS", info)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert say("umount", "/mnt") == 1
    assert "target is busy.; somebody works in it" in capsys.readouterr().err


def test_without_a_gateway_sites_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert say("sites") == 1
    assert "No gateway runs here" in capsys.readouterr().err


def test_a_state_directory_too_deep_for_a_socket_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f"[state]\ndirectory = {json.dumps('x' * 120)}\n")
    assert say("sites", "--config", str(file)) == 1
    assert "state.directory" in capsys.readouterr().err


def test_without_sudo_the_ticket_is_left_to_whoever_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounting, "WHERE", "/nowhere")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(mounting.NotRoot, match="as root: mount -t nfs h:/x '/a b'"):
        mounting._as_root(["mount", "-t", "nfs", "h:/x", "/a b"], mounting.NotMounted)
    assert not issubclass(mounting.NotRoot, mounting.NotMounted)  # for that gives the ticket back
