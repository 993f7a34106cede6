"""FTP HOST Command for Virtual Hosts, RFC 7151."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from running import PASSWORD, USER, Site
from talking import Talk


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site that knows by which names it is called."""
    settings = {"ftp": {"hosts": ["ftp.example.org", "Files.Example.org", "[::1]"]}}
    site = Site(tmp_path_factory.mktemp("named") / "site", settings=settings)
    try:
        site.start()
        yield site
    finally:
        site.stop()


def test_3_host_is_one_of_the_site_s_names(named: Site) -> None:
    with Talk(named, login=False) as talk:
        assert b"\r\n HOST\r\n" in talk.ask("FEAT").text
        assert talk.codes("HOST ftp.example.org", "HOST FILES.example.org", "HOST [0:0::1]") == [
            220,
            220,
            220,
        ]
        assert talk.codes("HOST other.example.org", "HOST 127.0.0.1") == [504, 504]
        assert talk.codes("HOST", "HOST a b", "HOST ::1", "HOST ..") == [501, 501, 501, 501]
        assert talk.codes(f"USER {USER}", f"PASS {PASSWORD}", "PWD") == [331, 230, 257]


def test_3_host_comes_before_the_login_and_again_after_rein(named: Site) -> None:
    with Talk(named, login=False) as talk:
        assert talk.codes(f"USER {USER}", f"PASS {PASSWORD}") == [331, 230]
        assert talk.codes("HOST ftp.example.org", "PWD") == [503, 257]
        assert talk.codes("REIN", "HOST ftp.example.org", "HOST files.example.org") == [220, 220, 220]


def test_4_host_after_user_has_the_login_begin_anew(named: Site) -> None:
    with Talk(named, login=False) as talk:
        assert talk.codes(f"USER {USER}", "HOST ftp.example.org", f"PASS {PASSWORD}") == [331, 220, 503]
        assert talk.codes(f"USER {USER}", "HOST other.example.org", f"PASS {PASSWORD}") == [331, 504, 230]


def test_3_1_host_is_any_name_where_none_is_set_but_no_other_address_and_no_port(site: Site) -> None:
    with Talk(site, login=False) as talk:
        assert talk.codes("HOST whatever.example.net", f"HOST {site.host}", "HOST a/b") == [220, 220, 501]
        assert talk.codes("HOST 192.0.2.1", "HOST [2001:db8::1]", "HOST [::1") == [504, 504, 501]
        assert talk.codes("HOST 192.0.2.1:2112", "HOST [2001:db8::1]:2112") == [501, 501]
