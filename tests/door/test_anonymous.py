"""Who comes without an account, and what everybody is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from door.conftest import SETTINGS
from running import PASSWORD, USER, Site, needs, run
from talking import Talk


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site that lets anybody read what is public."""
    ftp = SETTINGS["ftp"] | {"anonymous": "guest", "welcome": "Rules:\nbe kind"}
    sections = {"sections.incoming": {"path": "/pub/incoming", "message": "Leave what you like.\nNo films."}}
    site = Site(tmp_path_factory.mktemp("public") / "site", "--nodes", "1", settings={"ftp": ftp, **sections})
    try:
        site.start()
        site.add_user("guest")
        site.argosy("user", "set", "guest", "home=/pub", "sessions=2", "welcome=for guests\x07")
        with Talk(site) as talk:
            assert talk.codes("MKD pub", "MKD pub/incoming") == [257, 257]
            talk.store("pub/f", b"public")
        yield site
    finally:
        site.stop()


@pytest.mark.parametrize("name", ["anonymous", "ftp", "Anonymous"])
def test_anybody_may_read_and_nobody_may_write(public: Site, name: str) -> None:
    with Talk(public, login=False) as talk:
        assert talk.codes(f"USER {name}", "PASS me@example.org", "TYPE I") == [331, 230, 200]
        assert talk.ask("PWD").text.startswith(b'257 "/pub"')
        assert talk.retrieve("f") == b"public"
        assert talk.codes("DELE f", "MKD d", "RMD incoming", "SITE CHMOD 600 f") == [550, 550, 550, 550]
        assert talk.refused("STOR mine") == 550
        assert talk.ask("SITE PASSWD mine").code == 550


def test_nobody_without_an_account_sees_more_than_is_public(public: Site) -> None:
    with Talk(public) as talk:
        talk.store("private", b"secret")
    with Talk(public, login=False) as talk:
        assert talk.codes("USER ftp", "PASS x", "TYPE I") == [331, 230, 200]
        assert talk.codes("SIZE /private", "MLST /private", "CWD /pub") == [550, 550, 250]
        assert talk.refused("RETR /private") == 550
        assert b"private" not in talk.get("NLST /")


def test_a_change_of_the_account_leaves_them_readers(public: Site) -> None:
    with Talk(public, login=False) as talk:
        assert talk.codes("USER ftp", "PASS x") == [331, 230]
        public.argosy("user", "set", "guest", "uploads=3")
        assert talk.codes("MKD d", "CWD /pub") == [550, 250]


def test_limits_and_locks_of_the_account_hold(public: Site) -> None:
    talks = [Talk(public, login=False) for _ in range(3)]
    try:
        assert [one.codes("USER ftp", "PASS x")[1] for one in talks] == [230, 230, 530]
        public.argosy("user", "lock", "guest")
        assert [one.hear().code for one in talks[:2]] == [421, 421]
        assert talks[2].codes("USER ftp", "PASS x") == [331, 530]
    finally:
        public.argosy("user", "unlock", "guest")
        for one in talks:
            one.socket.close()


def test_without_the_setting_anonymous_is_a_name_like_others(site: Site) -> None:
    with Talk(site, login=False) as talk:
        assert talk.codes("USER anonymous", "PASS me@example.org") == [331, 530]


async def test_curl_comes_as_anonymous_by_itself(public: Site) -> None:
    needs("curl")
    code, out, err = await run("curl", "-sS", f"ftp://{public.host}:{public.port}/f")
    assert (code, out) == (0, b"public"), err


def test_everybody_is_welcomed_as_was_set(public: Site) -> None:
    with Talk(public, login=False) as talk:
        talk.ask(f"USER {USER}")
        assert talk.ask(f"PASS {PASSWORD}").text == b"230-Rules:\r\n be kind\r\n230 Welcome, ann\r\n"
        talk.ask("USER ftp")
        told = talk.ask("PASS x").text
        assert told == b"230-Rules:\r\n be kind\r\n for guests\\x07\r\n230 Welcome, ftp\r\n"


def test_a_directory_has_its_message(public: Site) -> None:
    with Talk(public) as talk:
        told = talk.ask("CWD /pub/incoming").text
        assert told == b"250-Leave what you like.\r\n No films.\r\n250 You are in /pub/incoming\r\n"
        assert talk.ask("CWD /pub").text == b"250 You are in /pub\r\n"
