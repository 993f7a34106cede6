"""A rule is set on a running site by the command line, and a user's uploads heed it from then on."""

from __future__ import annotations

import ftplib
import io
import os
from pathlib import Path

import pytest

from running import PASSWORD, USER, Site

CONTENT = os.urandom(100_000)


def upload(site: Site, path: str) -> None:
    with ftplib.FTP() as client:
        client.connect(site.host, site.port, timeout=30)
        client.login(USER, PASSWORD)
        client.storbinary(f"STOR {path}", io.BytesIO(CONTENT))


def holders(site: Site, path: str) -> list[str]:
    return sorted(
        root.name
        for root in (site.directory / "nodes").iterdir()
        if (root / path).exists() and (root / path).read_bytes() == CONTENT
    )


def test_a_rule_makes_copies_tells_what_it_lacks_and_is_taken_back(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "2")
    try:
        site.start()
        upload(site, "/before")
        assert site.argosy("why", "/before")["wanted"]["copies"] == {"value": 0, "by": "default"}
        assert site.status()["copies"]["lacking"] == []
        site.argosy("rule", "set", "/", "--copies", "2")
        upload(site, "/after")
        for name in ("before", "after"):
            site.wait_for(f"two copies of {name}", lambda name=name: holders(site, name) == ["n1", "n2"])
        told = site.argosy("why", "/after")
        assert told["wanted"]["copies"] == {"value": 2, "by": "rule on /"}
        assert sorted(replica["node"] for replica in told["replicas"]) == ["n1", "n2"]

        site.argosy("rule", "set", "/", "--copies", "3")
        site.wait_for("the obstacle", lambda: site.status()["copies"]["obstacles"])
        copies = site.status()["copies"]
        assert copies["lacking"] == [{"left": 2, "files": 2, "bytes": 2 * len(CONTENT)}]
        assert copies["obstacles"][0]["why"] == "3 copies are wanted, 2 volumes are there"

        site.argosy("rule", "unset", "/")
        site.wait_for("nothing to be wanted", lambda: not site.status()["copies"]["lacking"])
        assert holders(site, "after") == ["n1", "n2"]  # nobody speaks of copies any more
    finally:
        site.stop()


def test_a_rule_of_a_running_site_says_where_uploads_go(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "2")
    try:
        site.start()
        site.argosy("rule", "set", "/", "--require", "nowhere")
        with pytest.raises(ftplib.error_temp, match="452"):
            upload(site, "/x")
        site.argosy("rule", "unset", "/", "require")
        upload(site, "/x")
    finally:
        site.stop()
