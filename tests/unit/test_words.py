"""Settings, rights and masks as people write them."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.accounts import masks, words
from argosy.catalogue.people import EVERYTHING, INHERITED, LOOKING, NOTHING, USUAL, Right, Rights, Settings

NOW_NS = 1_800_000_000_000_000_000
NETWORKS = st.builds(
    lambda address, bits: str(ipaddress.ip_network(f"{address}/{bits}", strict=False)),
    st.ip_addresses(),
    st.integers(0, 32),
)
PLAIN = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "home": PLAIN.map(lambda text: b"/" + text.encode()).filter(lambda path: b".." not in path),
    "masks": st.lists(NETWORKS, min_size=1, unique=True).map(tuple),
    "expires": st.integers(1, 4_000_000_000).map(lambda second: second * words.SECOND_NS) | st.just(0),
    "idle_seconds": st.floats(0, 1e9),
    "welcome": PLAIN,
    "note": PLAIN,
    "require_tls": st.booleans(),
    "locked": st.booleans(),
}


def test_every_setting_has_its_word() -> None:
    fields = {words._FIELDS.get(word, word) for word in words.WORDS}
    assert fields | {"grants"} == set(Settings.__struct_fields__)


@given(st.data())
def test_what_is_shown_can_be_said(data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(list(words.WORDS)))
    value = data.draw(VALUES.get(word, st.integers(0, 2**62)))
    said = words.change(INHERITED, word, words.WORDS[word].show(value), now_ns=NOW_NS)
    if word == "masks":  # networks of IPv4 in IPv6's dress are undressed
        value = tuple(dict.fromkeys(one for network in value for one in masks.parse(network)))
    assert getattr(said, words._FIELDS.get(word, word)) == value


@given(st.sampled_from(list(words.WORDS)), st.text())
def test_whatever_is_said_is_taken_or_refused(word: str, text: str) -> None:
    try:
        settings = words.change(INHERITED, word, text, now_ns=NOW_NS)
    except errors.BadArgument:
        return
    kept = msgspec.json.decode(msgspec.json.encode(settings), type=Settings)
    assert kept == settings
    assert words.change(settings, word, "", now_ns=NOW_NS) == INHERITED


@pytest.mark.parametrize(
    ("word", "text", "field", "value"),
    [
        ("quota_bytes", "10", "quota_bytes", 10),
        ("quota_bytes", "10k", "quota_bytes", 10_240),
        ("quota-bytes", "1.5 GiB", "quota_bytes", 3 << 29),
        ("up_rate", "2MB/s", "up_bytes_per_second", 2 << 20),
        ("uploads", "unlimited", "uploads", 0),
        ("expires", "never", "expires_ns", 0),
        ("expires", "30d", "expires_ns", NOW_NS + 30 * 86_400 * words.SECOND_NS),
        ("expires", "2027-01-31", "expires_ns", 1_801_353_600 * words.SECOND_NS),
        ("expires", "2027-01-31T01:00+01:00", "expires_ns", 1_801_353_600 * words.SECOND_NS),
        ("idle_seconds", "10min", "idle_seconds", 600.0),
        ("locked", "YES", "locked", True),
        ("masks", "*", "masks", ("0.0.0.0/0", "::/0")),
    ],
)
def test_settings_are_written_as_people_do(word: str, text: str, field: str, value: object) -> None:
    assert getattr(words.change(INHERITED, word, text, now_ns=NOW_NS), field) == value


@pytest.mark.parametrize(
    ("text", "rights"),
    [
        ("all", EVERYTHING),
        ("none", NOTHING),
        ("look", LOOKING),
        ("list,read", LOOKING),
        ("List Read", LOOKING),
        ("usual,-delete", USUAL - {Right.DELETE}),
        ("none,fxp", frozenset({Right.FXP})),
    ],
)
def test_rights_are_written_as_people_do(text: str, rights: Rights) -> None:
    assert words.parse_rights(text) == rights


@given(st.frozensets(st.sampled_from(list(Right))))
def test_rights_that_are_shown_can_be_said(rights: Rights) -> None:
    assert words.parse_rights(words.show_rights(rights)) == rights


@pytest.mark.parametrize("text", ["", "fly", "read,", "-"])
def test_what_is_no_right_is_refused(text: str) -> None:
    with pytest.raises(errors.BadArgument):
        words.parse_rights(text)


def test_a_grant_replaces_the_one_at_its_path() -> None:
    settings = words.grant(INHERITED, b"/a/", LOOKING)
    settings = words.grant(settings, b"/b", NOTHING)
    settings = words.grant(settings, b"//a", USUAL)
    assert [(one.path, one.rights) for one in settings.grants] == [(b"/b", NOTHING), (b"/a", USUAL)]
    assert words.grant(settings, b"/a", None).grants == settings.grants[:1]
    with pytest.raises(errors.BadArgument):
        words.grant(settings, b"/c", None)
    with pytest.raises(errors.BadArgument):
        words.grant(settings, b"c", LOOKING)


# --- masks


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("192.0.2.7", ("192.0.2.7/32",)),
        ("192.0.2.7/24", ("192.0.2.0/24",)),
        ("*@192.0.2.*", ("192.0.2.0/24",)),
        ("@192.0.*.*", ("192.0.0.0/16",)),
        ("10.*", ("10.0.0.0/8",)),
        ("2001:db8::1", ("2001:db8::1/128",)),
        ("*@2001:db8:*", ("2001:db8::/32",)),
        ("2001:db8:*:*", ("2001:db8::/32",)),
        ("::ffff:192.0.2.0/120", ("192.0.2.0/24",)),
        ("*@*", ("0.0.0.0/0", "::/0")),
    ],
)
def test_masks_become_networks(text: str, networks: tuple[str, ...]) -> None:
    assert masks.parse(text) == networks


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "ann@192.0.2.1", "host.example", "*.example", "192.*.2.1", "300.*", "1.2.3.4.*"),
        *("1:2:3:4:5:6:7:8:*", "192.0.2.1/33", "192.0.2.1/255.0.255.0", "*@", "1.2.3.*/24", "1.2.3.4.*.*"),
    ],
)
def test_what_is_no_mask_is_refused(text: str) -> None:
    with pytest.raises(errors.BadArgument):
        masks.parse(text)


@given(st.text(alphabet="0123456789abcdef.:*@/% ") | st.text())
def test_whatever_the_mask_it_is_networks_or_refused(text: str) -> None:
    try:
        networks = masks.parse(text)
    except errors.BadArgument:
        return
    for network in networks:
        assert str(ipaddress.ip_network(network)) == network
        assert masks.parse(network) == (network,)


@given(st.ip_addresses(v=4), st.integers(1, 3))
def test_a_mask_with_stars_holds_what_begins_alike(address: ipaddress.IPv4Address, given_parts: int) -> None:
    parts = str(address).split(".")
    mask = ".".join([*parts[:given_parts], *["*"] * (4 - given_parts)])
    assert masks.within(str(address), masks.parse(mask))
    assert masks.within(f"::ffff:{address}", masks.parse(mask))
    other = ipaddress.ip_address(int(address) ^ (1 << (32 - 8 * given_parts)))
    assert not masks.within(str(other), masks.parse(mask))


@pytest.mark.parametrize("address", ["", "nonsense", "fe80::1%eth0"])
def test_who_comes_from_no_address_is_in_no_network(address: str) -> None:
    assert not masks.within(address, ("192.0.2.0/24", "2001:db8::/32"))
