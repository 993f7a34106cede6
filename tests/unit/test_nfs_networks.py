"""Whose clients may come."""

from __future__ import annotations

import pytest

from argosy.doors.nfs.networks import Networks
from argosy.errors import ConfigError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_come_if_nobody_is_named(host: str) -> None:
    assert host in Networks("nfs.networks", ())


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "fe80::1234:1%lo"])
def test_other_machines_may_not_if_nobody_is_named(host: str) -> None:
    assert host not in Networks("nfs.networks", ())


def test_those_who_are_named_may_come_and_only_they() -> None:
    networks = Networks("nfs.networks", ("192.0.2.0/25", "2001:db8::/64", "198.51.100.7"))
    inside = ("192.0.2.1", "::ffff:192.0.2.9", "2001:db8::77", "198.51.100.7")
    outside = ("192.0.2.200", "2001:db8:1::", "198.51.100.8", "127.0.0.1")
    assert [host for host in (*inside, *outside) if host in networks] == list(inside)
    assert networks.written() == [b"192.0.2.0/25", b"2001:db8::/64", b"198.51.100.7/32"]


def test_what_is_no_network_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nfs\.networks: .*192\.0\.2\.1/24"):
        Networks("nfs.networks", ("192.0.2.1/24",))
