"""Reading in any order from a site that can only begin somewhere and go on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy import config
from argosy.errors import Changed, Denied, NotFound, TransferCut, Unavailable, Unsupported
from argosy.sites.model import Version
from argosy.sites.reading.blocks import BlockCache
from argosy.sites.reading.reader import Reader
from argosy.sites.session.pool import Pool, Purpose

KIB, MIB = 1024, 1024 * 1024
SECONDS = 10.0


class Site:
    """The far end: files, and all that can go wrong with them."""

    def __init__(self, content: bytes = b"") -> None:
        self.files = {b"/f": content}
        self.lock = threading.Lock()
        self.logins = 0
        self.opened: list[int] = []
        """Where each RETR began."""
        self.prepared: list[int | None] = []
        """The windows of data connections that were opened beforehand."""
        self.sent = 0
        self.sending = 0
        self.most_sending = 0
        self.restarts = True
        self.refusal: Exception | None = None
        self.step = 64 * KIB
        self.cut_after: Callable[[], int] = lambda: 1 << 60
        """How many bytes a download gives before it breaks."""
        self.says_it_is_whole = False
        """Even when it is cut."""
        self.hangs_up = False
        """Lose the control connection with the data connection."""
        self.pause_seconds = 0.0

    def connect(self) -> Login:
        with self.lock:
            self.logins += 1
        return Login(self)


class Login:
    """A connection."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.usable = True
        self.busy = False

    @property
    def restarts(self) -> bool:
        return self.site.restarts

    def is_alive(self) -> bool:
        return self.usable

    def rest(self) -> None:
        pass

    def prepare(self, path: bytes | None = None, *, window: int | None = None) -> None:
        assert not self.busy, "one transfer at a time"
        assert path in self.site.files
        self.site.prepared.append(window)

    def close(self) -> None:
        self.usable = False

    def retrieve(self, path: bytes, offset: int = 0, *, window: int | None = None) -> Sending:
        assert not self.busy, "one transfer at a time"
        assert window is None or window >= 4 * KIB
        site = self.site
        if site.refusal:
            raise site.refusal
        if path not in site.files:
            raise NotFound(path)
        if offset and not site.restarts:
            raise Unsupported("502 REST")
        self.busy = True
        with site.lock:
            site.opened.append(offset)
            site.sending += 1
            site.most_sending = max(site.most_sending, site.sending)
        return Sending(self, site.files[path], offset, site.cut_after())


class Sending:
    """A data connection."""

    def __init__(self, login: Login, content: bytes, offset: int, cut_after: int) -> None:
        self.login = login
        self.content = content
        self.at = offset
        self.end = min(len(content), offset + cut_after)
        self.over = False

    def recv_into(self, view: memoryview) -> int:
        site = self.login.site
        if site.pause_seconds:
            time.sleep(site.pause_seconds)
        part = self.content[self.at : min(self.end, self.at + min(len(view), site.step))]
        if not part and self.end < len(self.content) and not site.says_it_is_whole:
            self._over()
            raise TransferCut("reset")
        view[: len(part)] = part
        self.at += len(part)
        with site.lock:
            site.sent += len(part)
        return len(part)

    def unread(self) -> int:
        return 0

    def finish(self) -> None:
        self._over()
        if self.at < len(self.content) and not self.login.site.says_it_is_whole:
            raise TransferCut("426")

    def abandon(self) -> None:
        self._over()

    def _over(self) -> None:
        if not self.over:
            self.over = True
            self.login.busy = False
            self.login.usable = self.login.usable and not self.login.site.hangs_up
            with self.login.site.lock:
                self.login.site.sending -= 1


class Desk:
    """A reader of one site, and what a mount knows of the file."""

    def __init__(
        self,
        site: Site,
        *,
        memory: int = 64 * MIB,
        disk: Path | None = None,
        spool: Path | None = None,
        **more: float,
    ) -> None:
        self.site = site
        remote = config.Remote(**({"retry_first_seconds": 0.01, "away_seconds": 2.0} | more))  # type: ignore[arg-type]
        self.cache = BlockCache(
            config.Cache(memory_bytes=memory, disk_bytes=64 * MIB if disk else 0), disk or spool
        )
        self.pool: Pool[Login] = Pool(site.connect, remote)
        self.shelf = self.cache.shelf("1")
        self.reader = Reader(self.pool, self.shelf, remote)
        self.version = Version(1, len(site.files[b"/f"]), 0)

    def read(self, offset: int, count: int, version: Version | None = None) -> bytes:
        version = version or self.version
        pieces = self.reader.known(version, offset, count)
        if pieces is None:
            pieces = self.reader.begin(version, lambda: b"/f", offset, count).result(SECONDS)
        return b"".join(pieces)

    def settled(self) -> None:
        """Wait until no head is at work."""
        until = time.monotonic() + SECONDS
        while any(head.active for file in self.reader._files.values() for head in file.heads):
            assert time.monotonic() < until
            time.sleep(0.002)


@contextmanager
def desk(site: Site, **settings: object) -> Iterator[Desk]:
    made = Desk(site, **settings)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.reader.close()
        made.pool.close()
        assert made.pool.report().busy == 0, "every connection was given back"


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_a_small_file_is_fetched_once() -> None:
    site = Site(content(10_000))
    with desk(site) as at:
        assert at.read(0, 4096) == site.files[b"/f"][:4096]
        at.settled()
        assert at.read(4096, 99_999) == site.files[b"/f"][4096:]
        assert at.read(0, 99_999) == site.files[b"/f"]
    assert site.opened == [0]
    assert site.sent == 10_000


def test_reading_beyond_the_end_gives_nothing_and_asks_nobody() -> None:
    site = Site(content(100))
    with desk(site) as at:
        assert at.read(100, 10) == b""
        assert at.read(5000, 10) == b""
    assert not site.logins


def test_four_kib_of_a_large_file_fetch_little() -> None:
    site = Site(content(32 * MIB))
    with desk(site) as at:
        assert at.read(20 * MIB, 4 * KIB) == site.files[b"/f"][20 * MIB : 20 * MIB + 4 * KIB]
        at.settled()
    assert site.opened == [20 * MIB]
    assert site.sent <= 64 * KIB


def test_reading_here_and_there_takes_one_login_or_two() -> None:
    site = Site(content(32 * MIB))
    chance = random.Random(1)
    with desk(site) as at:
        for _ in range(200):
            offset = chance.randrange(8000) * 4 * KIB
            assert at.read(offset, 4 * KIB) == site.files[b"/f"][offset : offset + 4 * KIB]
    assert site.logins <= 4


def test_reading_in_order_is_one_download_that_runs_ahead() -> None:
    site = Site(content(8 * MIB))
    with desk(site) as at:
        waited = 0
        for offset in range(0, 8 * MIB, 64 * KIB):
            if at.reader.known(at.version, offset, 64 * KIB) is None:
                waited += 1
            assert at.read(offset, 64 * KIB) == site.files[b"/f"][offset : offset + 64 * KIB]
            time.sleep(0.001)
        assert waited < 64
    assert site.opened == [0]
    assert site.sent == 8 * MIB


def test_who_reads_only_the_beginning_does_not_fetch_all() -> None:
    site = Site(content(32 * MIB))
    with desk(site) as at:
        at.read(0, 64 * KIB)
        at.settled()
    assert site.sent <= MIB


def test_reads_that_overtake_each_other_are_still_in_order() -> None:
    site = Site(content(8 * MIB))
    with desk(site) as at:
        for offset in range(0, 8 * MIB, 512 * KIB):
            parts = [(offset + 128 * KIB * turn, 128 * KIB) for turn in (1, 0, 3, 2)]
            futures = [at.reader.begin(at.version, lambda: b"/f", *part) for part in parts]
            for (start, count), future in zip(parts, futures, strict=True):
                assert b"".join(future.result(SECONDS)) == site.files[b"/f"][start : start + count]
    assert len(site.opened) <= 2


def test_a_short_gap_is_read_over() -> None:
    site = Site(content(8 * MIB))
    with desk(site) as at:
        for offset in range(4 * MIB, 6 * MIB, 64 * KIB):
            at.read(offset, 32 * KIB)
    assert len(site.opened) <= 2


def test_a_slow_distant_site_is_read_by_several_heads() -> None:
    site = Site(content(64 * MIB))
    site.pause_seconds = 0.002
    with desk(site, heads=3) as at:
        most = 0
        for offset in range(0, 64 * MIB, MIB):
            assert at.read(offset, MIB) == site.files[b"/f"][offset : offset + MIB]
            most = max(most, at.reader.report().heads)
    assert most == 3
    assert site.most_sending >= 3  # a head that gave way may not have let go of its connection yet
    assert site.sent <= 70 * MIB


def test_one_login_is_enough_for_reading_two_files_and_a_listing() -> None:
    site = Site(content(4 * MIB))
    site.files[b"/g"] = content(4 * MIB)[::-1]
    with desk(site, connections=1) as at:
        other = Version(2, 4 * MIB, 0)
        for offset in range(0, 4 * MIB, 256 * KIB):
            assert at.read(offset, 256 * KIB) == site.files[b"/f"][offset : offset + 256 * KIB]
            told = at.reader.begin(other, lambda: b"/g", offset, 256 * KIB).result(SECONDS)
            assert b"".join(told) == site.files[b"/g"][offset : offset + 256 * KIB]
            with at.pool.borrow(Purpose.META, SECONDS) as login:
                assert not login.busy
    assert site.logins == 1


def test_a_site_without_rest_sends_a_file_once(tmp_path: Path) -> None:
    site = Site(content(16 * MIB))
    site.restarts = False
    chance = random.Random(2)
    with desk(site, memory=8 * MIB, spool=tmp_path / "spool") as at:
        for _ in range(300):
            offset = chance.randrange(4000) * 4 * KIB
            assert at.read(offset, 4 * KIB) == site.files[b"/f"][offset : offset + 4 * KIB]
    assert site.opened == [0]
    assert site.sent == 16 * MIB


def test_what_left_the_memory_comes_back_from_disk(tmp_path: Path) -> None:
    site = Site(content(16 * MIB))
    with desk(site, memory=8 * MIB, disk=tmp_path / "cache") as at:
        for _ in range(3):
            for offset in range(0, 16 * MIB, MIB):
                assert at.read(offset, MIB) == site.files[b"/f"][offset : offset + MIB]
        at.settled()
        assert at.cache.report().memory_bytes <= 8 * MIB
    assert site.sent <= 26 * MIB


@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_download_that_is_cut_goes_on_where_it_was(hangs_up: bool) -> None:
    site = Site(content(4 * MIB))
    site.cut_after = lambda: 300_000
    site.hangs_up = hangs_up
    with desk(site) as at:
        assert at.read(0, 4 * MIB) == site.files[b"/f"]
    assert site.sent == 4 * MIB


def test_a_cut_that_the_site_passes_for_an_end_goes_on_all_the_same() -> None:
    site = Site(content(4 * MIB))
    site.cut_after = lambda: 300_000
    site.says_it_is_whole = True
    with desk(site) as at:
        assert at.read(0, 4 * MIB) == site.files[b"/f"]


def test_a_site_that_cuts_each_download_at_once_is_a_refusal() -> None:
    site = Site(content(MIB))
    site.cut_after = lambda: 0
    with desk(site) as at:
        with pytest.raises(TransferCut):
            at.read(0, 4096)
        site.cut_after = lambda: 1 << 60
        assert at.read(0, 4096) == site.files[b"/f"][:4096]


def test_a_file_that_is_shorter_than_it_was_listed_has_changed() -> None:
    site = Site(content(100_000))
    with desk(site) as at:
        at.version = Version(1, 150_000, 0)
        assert at.read(0, 90_000) == site.files[b"/f"][:90_000]
        with pytest.raises(Changed):
            at.read(90_000, 60_000)
        at.version = Version(1, 100_000, 1)
        assert at.read(90_000, 60_000) == site.files[b"/f"][90_000:]


def test_a_file_that_has_grown_gives_the_bytes_it_was_listed_with() -> None:
    site = Site(content(100_000))
    with desk(site) as at:
        at.version = Version(1, 50_000, 0)
        assert at.read(0, 100_000) == site.files[b"/f"][:50_000]
        at.settled()


def test_another_version_is_read_anew() -> None:
    site = Site(content(100_000))
    with desk(site) as at:
        at.read(0, 100_000)
        site.files[b"/f"] = b"x" * 100_000
        at.version = Version(1, 100_000, 5)
        assert at.read(0, 100_000) == b"x" * 100_000


def test_what_was_forgotten_is_read_anew() -> None:
    site = Site(content(100_000))
    with desk(site) as at:
        at.read(0, 100_000)
        site.files[b"/f"] = b"x" * 100_000
        at.reader.forget(1)
        assert at.read(0, 100_000) == b"x" * 100_000


def test_two_mounts_never_see_each_others_bytes() -> None:
    one, other = Site(b"a" * 1000), Site(b"b" * 1000)
    cache = BlockCache(config.Cache())
    remote = config.Remote()
    pools = [Pool(site.connect, remote) for site in (one, other)]
    readers = [Reader(pool, cache.shelf(str(at)), remote) for at, pool in enumerate(pools)]
    version = Version(1, 1000, 0)
    for _ in range(2):
        for reader, byte in zip(readers, (b"a", b"b"), strict=True):
            assert b"".join(reader.fetch(version, lambda: b"/f", 0, 1000)) == byte * 1000
    for reader in readers:
        reader.close()


@pytest.mark.parametrize("refusal", [NotFound("/f"), Denied("/f")])
def test_what_the_site_refuses_is_said_and_not_tried_again(refusal: Exception) -> None:
    site = Site(content(1000))
    site.refusal = refusal
    with desk(site) as at, pytest.raises(type(refusal)):
        at.read(0, 10)
    assert site.logins == 1


def test_a_site_that_is_away_is_waited_for(tmp_path: Path) -> None:
    site = Site(content(MIB))
    site.refusal = Unavailable("gone")
    with desk(site) as at:
        back = threading.Timer(0.1, lambda: setattr(site, "refusal", None))
        back.start()
        assert at.read(0, MIB) == site.files[b"/f"]
        back.join()


def test_closing_ends_who_waits() -> None:
    site = Site(content(MIB))
    site.pause_seconds = 0.2
    with desk(site) as at:
        future = at.reader.begin(at.version, lambda: b"/f", 0, MIB)
        at.reader.close()
        with pytest.raises(Unavailable, match="closed"):
            future.result(SECONDS)
        with pytest.raises(Unavailable, match="closed"):
            at.read(0, MIB)


def test_a_head_that_nobody_uses_gives_its_connection_back() -> None:
    site = Site(content(32 * MIB))
    with desk(site, park_seconds=0.0) as at:
        at.read(0, 4 * KIB)
        at.settled()
        assert at.pool.report().busy == 1
        at.reader.tend()
        assert at.pool.report().busy == 0
        assert at.pool.report().connections == 1


async def test_who_does_not_wait_any_more_is_forgotten() -> None:
    site = Site(content(MIB))
    site.pause_seconds = 0.05
    with desk(site) as at:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await at.reader.read(at.version, lambda: b"/f", 0, MIB)
        assert b"".join(await at.reader.read(at.version, lambda: b"/f", 0, MIB)) == site.files[b"/f"]


@pytest.mark.parametrize("connections", [1, 3, 8])
@pytest.mark.parametrize("restarts", [True, False])
def test_many_readers_in_all_kinds_of_trouble_get_right_bytes_or_a_refusal(
    tmp_path: Path, connections: int, restarts: bool
) -> None:
    chance = random.Random(connections)
    site = Site(content(3 * MIB))
    site.files |= {b"/%d" % number: content(number * 700_001) for number in range(1, 6)}
    site.restarts = restarts
    site.cut_after = lambda: chance.choice([1 << 60, 1 << 60, 200_000]) if restarts else 1 << 60
    generation = dict.fromkeys(site.files, 0)
    served = []
    with desk(site, memory=8 * MIB, spool=tmp_path, connections=connections) as at:
        until = time.monotonic() + 1.5

        def work(number: int) -> None:
            own = random.Random(number)
            while time.monotonic() < until:
                path = own.choice(list(site.files))
                whole = site.files[path]
                offset, count = own.randrange(len(whole)), own.choice([1, 4 * KIB, 64 * KIB, MIB])
                version = Version(len(path) + path[-1], len(whole), generation[path])
                with contextlib.suppress(Changed, TransferCut, Unavailable):
                    told = at.reader.begin(version, partial(bytes, path), offset, count).result(SECONDS)
                    assert b"".join(told) == whole[offset : offset + count]
                    served.append(count)

        def harm() -> None:
            own = random.Random(0)
            while time.monotonic() < until:
                time.sleep(0.02)
                path = own.choice(list(site.files))
                match own.randrange(4):
                    case 0:
                        at.reader.tend()
                    case 1:
                        at.reader.forget(len(path) + path[-1])
                    case 2:
                        generation[path] += 1
                    case 3:
                        with at.pool.borrow(Purpose.META, SECONDS) as login:
                            assert not login.busy

        with ThreadPoolExecutor(9) as threads:
            for done in [threads.submit(harm), *(threads.submit(work, number) for number in range(8))]:
                done.result(60)
    assert len(served) > 10


READS = st.lists(
    st.tuples(
        st.integers(0, 3 * MIB), st.sampled_from([1, 100, 4 * KIB, 64 * KIB, 300_000, MIB]), st.booleans()
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=30)
@given(
    reads=READS,
    restarts=st.booleans(),
    cut=st.sampled_from([1 << 60, 1 << 60, 700_000]),
    connections=st.sampled_from([1, 2, 8]),
    memory=st.sampled_from([8 * MIB, 64 * MIB]),
    step=st.sampled_from([1460, 64 * KIB, 1 << 20]),
)
def test_whatever_is_read_is_what_the_site_has(
    reads: list[tuple[int, int, bool]], restarts: bool, cut: int, connections: int, memory: int, step: int
) -> None:
    site = Site(content(2 * MIB + 12_345))
    site.restarts, site.step = restarts, step
    site.cut_after = lambda: cut if restarts else 1 << 60
    whole = site.files[b"/f"]
    with desk(site, connections=connections, memory=memory) as at:
        futures = []
        for offset, count, waits in reads:
            future = at.reader.begin(at.version, lambda: b"/f", offset, count)
            futures.append((offset, count, future))
            if waits:
                future.result(SECONDS)
        for offset, count, future in futures:
            assert b"".join(future.result(SECONDS)) == whole[offset : offset + count]
    assert site.logins <= connections
