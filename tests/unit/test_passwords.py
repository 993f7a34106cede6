"""Where `argosy mount` finds a password: files, netrc, the keyring; and what it refuses."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from argosy.cli import passwords
from argosy.errors import BadArgument

NETRC = """\
machine ftp.example.org login ann password wind-and-tide
machine empty.example.org login bob
default login anonymous password me@
"""


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "netrc"
    file.write_text(NETRC)
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    return file


def test_a_password_file_gives_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" wind and tide \nanything\n")
    assert passwords.of_file(str(file)) == " wind and tide "
    with pytest.raises(BadArgument, match="No such file"):
        passwords.of_file(str(tmp_path / "other"))


def test_netrc_gives_name_and_password_of_the_machine(netrc: Path) -> None:
    assert passwords.of_netrc("ftp.example.org", "") == ("ann", "wind-and-tide")
    assert passwords.of_netrc("ftp.example.org", "ann") == ("ann", "wind-and-tide")


def test_netrc_gives_nobody_elses_password(netrc: Path) -> None:
    assert passwords.of_netrc("ftp.example.org", "bob") is None


def test_netrcs_default_counts_where_no_machine_does(netrc: Path) -> None:
    assert passwords.of_netrc("other.example.org", "") == ("anonymous", "me@")
    assert passwords.of_netrc("empty.example.org", "") is None


def test_a_netrc_that_others_may_read_is_refused(netrc: Path) -> None:
    netrc.chmod(0o644)
    with pytest.raises(BadArgument, match="chmod 600"):
        passwords.of_netrc("ftp.example.org", "ann")


def test_a_netrc_that_makes_no_sense_is_named(netrc: Path) -> None:
    netrc.write_text("machin ftp.example.org login ann")
    with pytest.raises(BadArgument, match="netrc"):
        passwords.of_netrc("ftp.example.org", "ann")


def test_without_a_netrc_there_is_none(netrc: Path) -> None:
    netrc.unlink()
    assert passwords.of_netrc("ftp.example.org", "ann") is None


def test_without_a_terminal_the_password_is_a_line_of_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("wind and tide\nmore"))
    assert passwords.asked("Password: ") == "wind and tide"
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(BadArgument, match="no password was given"):
        passwords.asked("Password: ")


def test_without_a_keyring_nothing_is_found_and_nothing_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert passwords.of_keyring("ftp.example.org", 21, "ann") is None
    with pytest.raises(BadArgument, match="libsecret-tools"):
        passwords.keep_in_keyring("ftp.example.org", 21, "ann", "wind and tide")


KEYRING = """\
#!/bin/sh
# What secret-tool(1) does, with one file for a keyring: the attributes, and the password by stdin.
word=$1; shift
[ "${1#--label=}" = "$1" ] || shift
file="$(dirname "$0")/$(echo "$*" | tr ' /' '__')"
case $word in
    store) cat > "$file" ;;
    lookup) [ -e "$file" ] && cat "$file" ;;
esac
"""


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "keyring"
    directory.mkdir()
    (directory / "secret-tool").write_text(KEYRING)
    (directory / "secret-tool").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return directory


def test_a_password_that_the_keyring_took_is_found_for_that_login_alone(keyring: Path) -> None:
    passwords.keep_in_keyring("ftp.example.org", 2121, "ann", "wind and tide")
    assert passwords.of_keyring("ftp.example.org", 2121, "ann") == "wind and tide"
    assert passwords.of_keyring("ftp.example.org", 21, "ann") is None
    assert passwords.of_keyring("ftp.example.org", 2121, "bob") is None


def test_what_a_file_manager_kept_without_a_port_is_found_too(keyring: Path) -> None:
    (keyring / "protocol_ftp_server_ftp.example.org_user_ann").write_text("wind and tide\n")
    assert passwords.of_keyring("ftp.example.org", 2121, "ann") == "wind and tide"


def test_a_keyring_that_is_locked_says_why(keyring: Path) -> None:
    (keyring / "secret-tool").write_text("#!/bin/sh\necho 'Cannot autolaunch D-Bus' >&2\nexit 1\n")
    assert passwords.of_keyring("ftp.example.org", 2121, "ann") is None
    with pytest.raises(BadArgument, match="Cannot autolaunch D-Bus"):
        passwords.keep_in_keyring("ftp.example.org", 2121, "ann", "wind and tide")
