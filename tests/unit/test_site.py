"""A site's directory: config files that a person can go on with, and that we can change without harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import config, errors
from argosy.cli.site import Site, default_directory, master_text, node_text, with_key


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.make()
    return site


def test_the_config_we_write_for_a_master_is_one_it_can_read(site: Site) -> None:
    site.write(site.master_config, master_text(ftp="127.0.0.1:2121", link="[::1]:2122"))
    master = site.load_master()
    assert (master.ftp.listen, master.link.listen) == ("127.0.0.1:2121", "[::1]:2122")
    assert Path(master.paths.keys).resolve() == site.keys.resolve()
    assert Path(master.paths.run).resolve() == site.lock.parent.resolve()


def test_the_config_we_write_for_a_node_is_one_it_can_read(site: Site) -> None:
    odd = 'my "big" disk\\\tä'
    text = node_text(
        name="node1",
        master="192.0.2.7:2122",
        roots=["../nodes/node1", f"/srv/{odd}"],
        keys="../keys",
        advertise="203.0.113.7",
        labels=["big", odd],
    )
    site.write(site.node_config("node1"), text)
    node = config.load_node(site.node_config("node1"))
    assert node.roots[1] == f"/srv/{odd}"
    assert Path(node.roots[0]).resolve() == site.root("node1").resolve()
    assert node.labels == ("big", odd)
    assert node.advertise == "203.0.113.7"


def test_every_example_in_the_comments_is_valid_once_uncommented(tmp_path: Path) -> None:
    examples = {
        "master.toml": master_text(ftp="127.0.0.1:1", link="127.0.0.1:2"),
        "node.toml": node_text(name="n", master="127.0.0.1:2", roots=["r"], keys="k"),
    }
    for name, text in examples.items():
        lines = [re.sub(r"^# (?=\[|\w+ = )", "", line) for line in text.splitlines()]
        (tmp_path / name).write_text("\n".join(lines))
    master = config.load_master(tmp_path / "master.toml")
    assert master.ftp.require_tls
    assert master.sections["video"].prefer == ("big",)
    node = config.load_node(tmp_path / "node.toml")
    assert node.labels == ("big",)
    assert node.ports == (50000, 50999)


def test_changing_a_port_leaves_what_its_owner_wrote() -> None:
    before = '# mine\n[link]\nlisten = "a:1"   # here\n\n[ftp]\n# listen = "old:9"\n'
    after = "idle_seconds = 9.0\n"
    changed = with_key(f'{before}  listen = "a:2"\n{after}', "ftp", "listen", "b:3")
    assert changed == f'{before}listen = "b:3"\n{after}'


def test_a_key_or_a_table_that_is_not_there_is_added() -> None:
    assert with_key("[ftp]\n", "ftp", "listen", "a:1") == '[ftp]\nlisten = "a:1"\n'
    assert with_key("", "ftp", "listen", "a:1") == '\n[ftp]\nlisten = "a:1"\n'
    assert with_key("[ftp]\n", "", "master", "a:1") == 'master = "a:1"\n[ftp]\n'


def test_a_file_that_is_written_otherwise_is_left_to_a_person() -> None:
    with pytest.raises(errors.ConfigError, match=r"ftp\.listen"):
        with_key('ftp = { listen = "a:1" }\n', "ftp", "listen", "b:2")


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_text_survives_the_way_through_a_config_file(value: str) -> None:
    assert with_key("", "", "master", value)  # raises when what is read back differs


def test_the_second_node_comes_before_the_tenth(site: Site) -> None:
    for name in ("node10", "node2", "master", "attic"):
        site.write(site.node_config(name), "")
    assert site.node_names() == ["attic", "node2", "node10"]


def test_a_directory_without_a_site_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="argosy up"):
        Site(tmp_path).load_master()


def test_a_path_too_long_for_a_socket_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    with pytest.raises(errors.ConfigError, match="shorter"):
        Site(deep).make()
    assert not deep.exists()


def test_the_environment_names_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGOSY_DIR", "/srv/argosy")
    assert default_directory() == Path("/srv/argosy")
    monkeypatch.delenv("ARGOSY_DIR")
    assert default_directory() == Path.home() / ".local" / "share" / "argosy"
