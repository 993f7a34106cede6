"""A gateway's file: what may be said in it, and how what may not is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy import config
from argosy.errors import ConfigError


def loaded(tmp_path: Path, text: str) -> config.Gateway:
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    return config.load_gateway(file)


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == config.Gateway()


def test_paths_start_at_the_files_directory(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        '[state]\ndirectory = "state"\nstop_seconds = 3\n'
        '[sites.museum]\nurl = "ftp://ann@host/"\npassword_file = "museum.password"\n',
    )
    assert settings.state == config.State(directory=str(tmp_path / "state"), stop_seconds=3)
    assert settings.sites["museum"].password_file == str(tmp_path / "museum.password")


@pytest.mark.parametrize("name", ["a/b", "a:b", "ann@host", "a b", "..", "ticket-1"])
def test_a_site_can_have_no_name_that_means_something_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="want a name"):
        loaded(tmp_path, f'[sites."{name}"]\nurl = "ftp://host"\n')


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[nfs]\nlisten = 12049\n", "nfs.listen"),
        ('[nfs]\nlisten = "12049"\n', "nfs.listen"),
        ("[nfs]\nticket_seconds = 0\n", "ticket_seconds"),
        ("[state]\nstop_seconds = 0\n", "stop_seconds"),
        ("[remote]\nconnections = 0\n", "remote.connections"),
        ("[nfs]\nport = 12049\n", "nfs.port"),
        ('[sites.a]\nurl = "ftp://host"\ntls = "maybe"\n', "tls"),
    ],
)
def test_what_can_not_be_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("remote", "connections", 0),
        ("remote", "heads", 0),
        ("remote", "retry_first_seconds", 0),
        ("remote", "away_seconds", -1),
        ("remote", "read_ahead_bytes", -1),
        ("cache", "memory_bytes", 1024),
        ("cache", "spool_bytes", -1),
    ],
)
def test_a_limit_that_nothing_could_be_read_with_is_named(
    tmp_path: Path, table: str, key: str, value: int
) -> None:
    with pytest.raises(ConfigError, match=key):
        loaded(tmp_path, f"[{table}]\n{key} = {value}\n")
