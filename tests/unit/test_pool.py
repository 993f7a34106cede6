"""The control connections of a storage: who gets one, and what happens when the site has troubles."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from argosy import config
from argosy.errors import LoginFailed, NotFound, TooMany, Unavailable
from argosy.sites.session.pool import Pool, Purpose

META, READ, WRITE = Purpose.META, Purpose.READ, Purpose.WRITE

SECONDS = 10.0
"""Long enough on any machine."""
SOON = 0.05
"""Short, for what is expected not to happen."""


class Site:
    """The far end: a site that allows so many logins, and can go away."""

    def __init__(self, allowed: int = 1000) -> None:
        self.allowed = allowed
        self.refusal: Exception | None = None
        self.there: set[Login] = set()
        self.logins = 0
        self.tries = 0
        self.login_seconds = 0.0
        self.most_logins_at_once = self._logins_at_once = 0

    def connect(self) -> Login:
        self.tries += 1
        self._logins_at_once += 1
        self.most_logins_at_once = max(self.most_logins_at_once, self._logins_at_once)
        time.sleep(self.login_seconds)
        self._logins_at_once -= 1
        if self.refusal:
            raise self.refusal
        if len(self.there) >= self.allowed:
            raise TooMany("421 Too many connections")
        self.logins += 1
        login = Login(self)
        self.there.add(login)
        return login

    def restart(self) -> None:
        self.there.clear()


class Login:
    """One connection, as the client has it: it learns of the site's end when it asks."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.usable = True
        self.noops = 0
        self.ready = True

    def ask(self) -> str:
        if self not in self.site.there:
            self.usable = False
            raise Unavailable("the site hung up")
        return "250"

    def is_alive(self) -> bool:
        self.noops += 1
        return self in self.site.there

    def rest(self) -> None:
        self.ready = False

    def close(self) -> None:
        self.site.there.discard(self)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pool_of(site: Site, clock: Callable[[], float] = time.monotonic, **settings: float) -> Pool[Login]:
    quick = {"retry_first_seconds": 0.01, "retry_most_seconds": 0.02} | settings
    return Pool(site.connect, config.Remote(**quick), clock=clock)  # type: ignore[arg-type]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as executor:
        yield executor


def still_waits(future: Future[Login]) -> bool:
    with pytest.raises(TimeoutError):
        future.result(SOON)
    return True


def test_a_connection_serves_one_after_the_other_with_one_login() -> None:
    site = Site()
    pool = pool_of(site)
    for _ in range(5):
        with pool.borrow(META, SECONDS) as login:
            assert login.ask() == "250"
    assert site.logins == 1


def test_uploads_and_reading_leave_a_connection_for_listings(threads: ThreadPoolExecutor) -> None:
    site = Site()
    pool = pool_of(site, connections=4)
    held = [pool.take(WRITE, SECONDS), pool.take(WRITE, SECONDS), pool.take(READ, SECONDS)]
    waiting = threads.submit(pool.take, READ, SECONDS)
    assert still_waits(waiting)
    with pool.borrow(META, 0) as login:
        assert login.ask() == "250"
    pool.give(held.pop())
    assert waiting.result(SECONDS).ask() == "250"


def test_uploads_leave_a_connection_for_reading() -> None:
    pool = pool_of(Site(), connections=4)
    pool.take(WRITE, SECONDS)
    pool.take(WRITE, SECONDS)
    with pytest.raises(Unavailable, match="busy"):
        pool.take(WRITE, SOON)
    pool.take(READ, SECONDS)


def test_a_site_of_one_login_serves_everything_by_turns(threads: ThreadPoolExecutor) -> None:
    site = Site(allowed=1)
    pool = pool_of(site, connections=8)

    def work(number: int) -> str:
        purpose = (META, READ, WRITE)[number % 3]
        with pool.borrow(purpose, SECONDS) as login:
            return login.ask()

    assert set(threads.map(work, range(60))) == {"250"}
    assert site.logins == 1


def test_of_one_login_a_listing_gets_it_before_more_bytes(threads: ThreadPoolExecutor) -> None:
    pool = pool_of(Site(), connections=1)
    upload = pool.take(WRITE, SECONDS)
    reading = threads.submit(pool.take, READ, SECONDS)
    listing = threads.submit(pool.take, META, SECONDS)
    assert still_waits(reading)
    assert still_waits(listing)
    pool.give(upload)
    assert listing.result(SECONDS) is upload
    assert still_waits(reading)
    pool.give(upload)
    assert reading.result(SECONDS) is upload


def test_who_holds_a_connection_idly_gives_it_to_who_needs_one() -> None:
    site = Site()
    pool = pool_of(site, connections=1)
    parked = [pool.take(READ, SECONDS)]
    asked = []

    def lender(urgent: bool) -> bool:
        asked.append(urgent)
        if parked:
            pool.give(parked.pop())
            return True
        return False

    pool.lend(lender)
    with pool.borrow(META, SECONDS) as login:
        assert login.ask() == "250"
    assert asked == [True]
    assert site.logins == 1


def test_a_site_that_refuses_one_more_login_is_not_asked_again_at_once(threads: ThreadPoolExecutor) -> None:
    site, clock = Site(allowed=2), Clock()
    pool = pool_of(site, clock, limit_seconds=60)
    first, second = pool.take(META, SECONDS), pool.take(META, SECONDS)
    waiting = threads.submit(pool.take, META, SECONDS)
    assert still_waits(waiting)
    assert site.tries == 3
    pool.give(first)
    assert waiting.result(SECONDS) is first
    assert pool.report().limit == 2
    site.allowed = 3
    clock.now += 61
    third = pool.take(META, SECONDS)
    assert third not in (first, second)
    assert pool.report().limit == 3


def test_a_dead_idle_connection_is_replaced_unseen() -> None:
    site = Site()
    pool = pool_of(site)
    with pool.borrow(META, SECONDS):
        pass
    site.restart()
    assert pool.ask(META, Login.ask, SECONDS) == "250"
    assert site.logins == 2


def test_after_one_dead_connection_the_other_idle_ones_are_tried_first() -> None:
    site = Site()
    pool = pool_of(site)
    logins = [pool.take(META, SECONDS) for _ in range(4)]
    for login in logins:
        pool.give(login)
    site.restart()
    assert pool.ask(META, Login.ask, SECONDS) == "250"
    assert [login.noops for login in logins].count(1) == 3
    assert pool.report().connections == 1


def test_a_connection_idle_for_a_while_is_asked_whether_it_lives() -> None:
    site, clock = Site(), Clock()
    pool = pool_of(site, clock)
    with pool.borrow(META, SECONDS) as first:
        pass
    clock.now += 5
    site.restart()
    with pool.borrow(META, SECONDS) as login:
        assert login.ask() == "250"
    assert login is not first


def test_a_refusal_of_the_site_is_not_asked_for_twice() -> None:
    pool = pool_of(Site())
    asked = []

    def missing(login: Login) -> None:
        asked.append(login)
        raise NotFound("/x")

    with pytest.raises(NotFound):
        pool.ask(META, missing, SECONDS)
    assert len(asked) == 1
    assert pool.report().connections == 1, "the connection is kept"


def test_an_idle_connection_is_closed_in_time() -> None:
    site, clock = Site(), Clock()
    pool = pool_of(site, clock, idle_seconds=60)
    with pool.borrow(META, SECONDS):
        pass
    clock.now += 59
    pool.tend()
    assert len(site.there) == 1
    clock.now += 1
    pool.tend()
    assert not site.there


def test_what_an_idle_connection_holds_ready_is_let_go_before_it_is_closed() -> None:
    site, clock = Site(), Clock()
    pool = pool_of(site, clock, idle_seconds=60, ready_seconds=5)
    with pool.borrow(META, SECONDS) as login:
        pass
    clock.now += 4
    pool.tend()
    held_ready = [login.ready]
    clock.now += 1
    pool.tend()
    held_ready.append(login.ready)
    assert held_ready == [True, False]
    assert len(site.there) == 1


def test_no_login_is_made_for_who_can_have_one_that_comes_back_at_once(threads: ThreadPoolExecutor) -> None:
    site = Site()
    pool = pool_of(site)
    for _ in range(20):
        held = pool.take(READ, SECONDS)
        waiting = threads.submit(pool.take, READ, SECONDS)
        pool.give(held)
        pool.give(waiting.result(SECONDS))
    assert site.logins == 1


def test_logins_are_made_by_twos_while_others_serve(threads: ThreadPoolExecutor) -> None:
    site = Site()
    pool = pool_of(site, connections=16)
    pool.take(META, SECONDS)
    site.login_seconds = SOON
    taken = [threads.submit(pool.take, META, SECONDS) for _ in range(8)]
    assert len({future.result(SECONDS) for future in taken}) == 8
    assert site.most_logins_at_once == 2


def test_a_site_that_comes_back_is_found_by_who_waits(threads: ThreadPoolExecutor) -> None:
    site = Site()
    site.refusal = Unavailable("connection refused")
    pool = pool_of(site)
    waiting = [threads.submit(pool.take, META, SECONDS) for _ in range(5)]
    time.sleep(SOON)
    assert pool.report().away_seconds > 0
    site.refusal = None
    assert all(future.result(SECONDS).ask() == "250" for future in waiting)
    assert pool.report().away_seconds == 0


def test_a_site_that_is_away_is_tried_by_one_at_a_time_with_growing_pauses(
    threads: ThreadPoolExecutor,
) -> None:
    site, clock = Site(), Clock()
    site.refusal = Unavailable("no route")
    pool = pool_of(site, clock, retry_first_seconds=1, retry_most_seconds=4)
    tries = []
    for _ in range(12):
        with pytest.raises(Unavailable, match="no route"):
            pool.take(META, 0)
        tries.append(site.tries)
        clock.now += 1
    assert tries == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5]


def test_who_comes_when_the_site_has_been_away_for_long_hears_it_at_once() -> None:
    site, clock = Site(), Clock()
    site.refusal = Unavailable("no route")
    pool = pool_of(site, clock, retry_first_seconds=1, retry_most_seconds=100)
    for _ in range(8):
        with pytest.raises(Unavailable):
            pool.take(META, 0)
        clock.now += 10
    started = time.monotonic()
    with pytest.raises(Unavailable, match="away"):
        pool.take(META, 30)
    assert time.monotonic() - started < 5


def test_a_wrong_password_is_said_at_once_and_not_tried_again_and_again() -> None:
    site, clock = Site(), Clock()
    site.refusal = LoginFailed("530 Login incorrect")
    pool = pool_of(site, clock, retry_first_seconds=1)
    for _ in range(5):
        with pytest.raises(LoginFailed, match="530"):
            pool.take(META, SECONDS)
    assert site.tries == 1


def test_an_accident_while_connecting_is_not_a_lost_connection() -> None:
    site = Site()
    site.refusal = ZeroDivisionError()
    pool = pool_of(site, connections=1)
    with pytest.raises(ZeroDivisionError):
        pool.take(META, SECONDS)
    site.refusal = None
    assert pool.take(META, SECONDS).ask() == "250"


def test_a_closed_pool_hangs_up_and_lends_no_more(threads: ThreadPoolExecutor) -> None:
    site = Site()
    pool = pool_of(site, connections=1)
    held = pool.take(META, SECONDS)
    waiting = threads.submit(pool.take, META, SECONDS)
    assert still_waits(waiting)
    pool.close()
    with pytest.raises(Unavailable, match="closed"):
        waiting.result(SECONDS)
    pool.give(held)
    assert not site.there


@pytest.mark.parametrize("allowed", [1, 2, 3, 8])
def test_never_more_logins_than_allowed_and_nobody_starves(allowed: int, threads: ThreadPoolExecutor) -> None:
    site = Site(allowed)
    pool = pool_of(site)
    most = []
    lock = threading.Lock()

    def work(number: int) -> None:
        purpose = (META, READ, WRITE, READ)[number % 4]
        with pool.borrow(purpose, SECONDS) as login:
            login.ask()
            with lock:
                most.append(len(site.there))
            if number % 17 == 0:
                login.usable = False

    list(threads.map(work, range(300)))
    assert len(most) == 300
    assert max(most) <= allowed
    assert pool.report().busy == 0
