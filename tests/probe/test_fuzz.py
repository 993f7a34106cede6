"""A little of `make fuzz` for a real site."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz import asking, live
from gateways import Gateway
from running import PASSWORD, Site
from talking import Talk


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("fuzz") / "site", "--nodes", "2", settings=live.SETTINGS)
    site.start()
    site.add_user(live.GUEST)
    yield site
    site.stop()


@pytest.mark.parametrize("secure", [False, True], ids=["in clear", "by TLS"])
def test_every_line_has_one_last_word_however_it_is_cut(site: Site, secure: bool) -> None:
    codes = live.converse(site, random.Random(5), 40_000, secure=secure)
    assert codes.keys() >= {200, 500, 501, 550}


# `wrap_socket` of a connection that was reset meanwhile raises and leaves its new socket to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_after_rudeness_at_every_port_the_site_serves_and_holds_nothing(site: Site) -> None:
    before = live.Before(site)
    done = live.be_rude(site, random.Random(6), 10.0)
    assert done.keys() == live.RUDENESSES.keys()
    before.check()


def test_a_node_that_says_what_makes_no_sense_leaves_the_others_alone(site: Site) -> None:
    assert asking.as_a_node(site, random.Random(8), 8).keys() >= {"Ok", "NotFound", "Unsupported"}


def test_every_question_of_an_administrator_has_one_answer(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "--nodes", "2", settings=live.SETTINGS)
    site.start()
    try:
        told = asking.questions(site, random.Random(9), 800)
    finally:
        site.stop()
    assert told.keys() >= {"Report", "BadArgument", "NotFound", "Unsupported"}


def test_every_call_to_a_gateway_has_one_answer_however_it_is_cut(site: Site, tmp_path: Path) -> None:
    # In a directory of its own: others here may have a file whose only copy is on a node that went away.
    with Talk(site, live.GUEST) as talk:
        assert talk.ask("MKD /exported").code == 257
    gateway = Gateway(tmp_path / "gateway", live.GATEWAY)
    gateway.start()
    try:
        url = f"ftp://{live.GUEST}:{PASSWORD}@{site.host}:{site.port}/exported"
        answers = live.call(gateway, url, random.Random(7), 1200)
        assert answers.keys() >= {
            "OK",
            "NOENT",
            "BADHANDLE",
            "GARBAGE_ARGS",
            "PROG_UNAVAIL",
            "NOTDIR",
            "ACCES",
        }
        assert gateway.stop() == 0
    finally:
        gateway.stop()
