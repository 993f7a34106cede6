"""The catalogue as everybody sees it: the tree, members, and what happens when many write at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

import record
from argosy import config, errors
from argosy.catalogue.catalogue import Catalogue
from argosy.catalogue.model import ROOT_ID, Found, Kind, Sealed, State, TreePath
from argosy.catalogue.people import LOOKING, Grant, Group, Settings, User
from argosy.catalogue.store.engine import Engine
from argosy.catalogue.store.ids import Mint

SUMS = (7, b"d" * 16)


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    async with record.opened(tmp_path, nodes=2) as catalogue:
        yield catalogue


async def put(catalogue: Catalogue, path: TreePath, volume: int = 1, size: int = 5) -> int:
    upload = await catalogue.begin(path, volume=volume, node=f"n{volume}", epoch=1, user="ann", resume=False)
    await catalogue.commit(upload.id, Sealed(size, 77, *SUMS), epoch=1)
    return upload.file


async def test_a_directory_is_found_and_listed(catalogue: Catalogue) -> None:
    made = await catalogue.make_directory((b"d",), owner="ann", mode=0o700)
    assert catalogue.find((b"d",)) == made
    assert (made.kind, made.owner, made.mode) == (Kind.DIRECTORY, "ann", 0o700)
    assert catalogue.children(ROOT_ID) == [made]
    assert catalogue.path_of(made.id) == (b"d",)
    assert catalogue.find(()).id == ROOT_ID


async def test_a_path_of_many_components_is_found_whatever_its_depth(catalogue: Catalogue) -> None:
    path: TreePath = ()
    for depth in range(20):
        path = (*path, b"%d" % depth)
        await catalogue.make_directory(path, owner="ann")
        found = catalogue.find(path)
        assert catalogue.path_of(found.id) == path
        assert catalogue.find_or_none((*path, b"none")) is None


async def test_a_page_goes_on_behind_the_last_name_in_byte_order(catalogue: Catalogue) -> None:
    names = sorted([b"a", b"B", "ä".encode(), b"\xff", b"a.b", b"a b"])
    for name in names:
        await catalogue.make_directory((name,), owner="ann")
    first = catalogue.children(ROOT_ID, limit=4)
    rest = catalogue.children(ROOT_ID, after=first[-1].name, limit=4)
    assert [entry.name for entry in first + rest] == names


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ((b"d",), errors.Exists),
        ((b"f",), errors.Exists),
        ((), errors.Exists),
        ((b"none", b"x"), errors.NotFound),
        ((b"f", b"x"), errors.NotADirectory),
        ((b".argosy",), errors.NameNotAllowed),
        ((b"a\nb",), errors.NameNotAllowed),
        ((b"n" * 256,), errors.NameNotAllowed),
    ],
)
async def test_a_directory_that_cannot_be_is_refused(
    catalogue: Catalogue, path: TreePath, refusal: type[errors.Refused]
) -> None:
    await catalogue.make_directory((b"d",), owner="ann")
    await put(catalogue, (b"f",))
    with pytest.raises(refusal):
        await catalogue.make_directory(path, owner="ann")


async def test_looking_below_a_file_says_that_it_is_no_directory(catalogue: Catalogue) -> None:
    await put(catalogue, (b"f",))
    with pytest.raises(errors.NotADirectory):
        catalogue.find((b"f", b"x", b"y"))
    with pytest.raises(errors.NotFound):
        catalogue.find((b"g", b"x", b"y"))


async def test_only_an_empty_directory_can_be_removed(catalogue: Catalogue) -> None:
    await catalogue.make_directory((b"d",), owner="ann")
    upload = await catalogue.begin((b"d", b"x"), volume=1, node="n1", epoch=1, user="ann", resume=False)
    with pytest.raises(errors.NotEmpty):
        await catalogue.remove_directory((b"d",))
    await catalogue.cut(upload.id, 0)
    await catalogue.remove_directory((b"d",))
    with pytest.raises(errors.NotFound):
        catalogue.find((b"d",))
    with pytest.raises(errors.Denied):
        await catalogue.remove_directory(())
    await put(catalogue, (b"f",))
    with pytest.raises(errors.NotADirectory):
        await catalogue.remove_directory((b"f",))


async def test_a_deleted_file_leaves_deletions_owed_until_they_are_done(catalogue: Catalogue) -> None:
    await put(catalogue, (b"f",))
    removal = await catalogue.delete((b"f",))
    assert [(d.volume, d.loc, d.size, d.mtime_ns) for d in removal.discards] == [(1, b"f", 5, 77)]
    assert catalogue.tombs(1) == list(removal.discards)
    assert catalogue.tombs(2) == []
    await catalogue.buried(1, removal.discards)
    assert catalogue.tombs(1) == []


async def test_deleting_a_directory_as_a_file_is_refused(catalogue: Catalogue) -> None:
    await catalogue.make_directory((b"d",), owner="ann")
    with pytest.raises(errors.IsADirectory):
        await catalogue.delete((b"d",))


async def test_a_renamed_file_keeps_its_id_and_its_place_on_the_disk(catalogue: Catalogue) -> None:
    file = await put(catalogue, (b"f",))
    await catalogue.make_directory((b"d",), owner="ann")
    await catalogue.rename((b"f",), (b"d", b"g"))
    assert catalogue.find((b"d", b"g")).id == file
    assert [replica.loc for replica in catalogue.replicas(file)] == [b"f"]
    assert catalogue.find_or_none((b"f",)) is None


async def test_a_file_renamed_onto_another_takes_its_place(catalogue: Catalogue) -> None:
    file = await put(catalogue, (b"new",))
    await put(catalogue, (b"old",), volume=2)
    removal = await catalogue.rename((b"new",), (b"old",))
    assert [(discard.volume, discard.loc) for discard in removal.discards] == [(2, b"old")]
    assert catalogue.find((b"old",)).id == file


@pytest.mark.parametrize(
    ("source", "target", "refusal"),
    [
        ((b"d",), (b"d", b"in", b"x"), errors.BadArgument),
        ((b"d",), (b"f",), errors.NotADirectory),
        ((b"f",), (b"d",), errors.IsADirectory),
        ((b"e",), (b"d",), errors.NotEmpty),
        ((b"none",), (b"x",), errors.NotFound),
        ((b"f",), (b"none", b"x"), errors.NotFound),
        ((b"f",), (b"f", b"x"), errors.NotADirectory),
        ((b"f",), (b".argosy",), errors.NameNotAllowed),
        ((), (b"x",), errors.Denied),
        ((b"f",), (b"busy",), errors.Busy),
    ],
)
async def test_a_rename_that_makes_no_sense_is_refused(
    catalogue: Catalogue, source: TreePath, target: TreePath, refusal: type[errors.Refused]
) -> None:
    for path in [(b"d",), (b"d", b"in"), (b"e",)]:
        await catalogue.make_directory(path, owner="ann")
    await put(catalogue, (b"f",))
    await catalogue.begin((b"busy",), volume=1, node="n1", epoch=1, user="ann", resume=False)
    with pytest.raises(refusal):
        await catalogue.rename(source, target)


async def test_two_directories_moved_into_each_other_at_once_make_no_circle(catalogue: Catalogue) -> None:
    await catalogue.make_directory((b"a",), owner="ann")
    await catalogue.make_directory((b"b",), owner="ann")
    results = await asyncio.gather(
        catalogue.rename((b"a",), (b"b", b"a")),
        catalogue.rename((b"b",), (b"a", b"b")),
        return_exceptions=True,
    )
    assert sum(isinstance(result, errors.Refused) for result in results) == 1
    assert catalogue.find((b"b", b"a"))


async def test_an_empty_directory_gives_way_to_a_directory(catalogue: Catalogue) -> None:
    made = await catalogue.make_directory((b"a",), owner="ann")
    await catalogue.make_directory((b"b",), owner="ann")
    await catalogue.rename((b"a",), (b"b",))
    assert catalogue.find((b"b",)).id == made.id


async def test_renaming_a_file_to_itself_changes_nothing(catalogue: Catalogue) -> None:
    file = await put(catalogue, (b"f",))
    assert (await catalogue.rename((b"f",), (b"f",))).discards == ()
    assert catalogue.find((b"f",)).id == file


async def test_attributes_are_set_where_given(catalogue: Catalogue) -> None:
    await put(catalogue, (b"f",))
    await catalogue.set_attributes((b"f",), mtime_ns=5)
    await catalogue.set_attributes((b"f",), mode=0o600)
    entry = catalogue.find((b"f",))
    assert (entry.mtime_ns, entry.mode) == (5, 0o600)


async def test_holders_and_counts_say_where_files_are(catalogue: Catalogue) -> None:
    first, second = await put(catalogue, (b"a",)), await put(catalogue, (b"b",), volume=2, size=6)
    assert catalogue.holders(ROOT_ID, b"", b"b") == {first: ["n1"], second: ["n2"]}
    assert catalogue.holders(ROOT_ID, b"a", b"b") == {second: ["n2"]}
    counts = catalogue.counts()
    assert (counts.files, counts.directories, counts.bytes, counts.damaged) == (2, 0, 11, 0)
    assert counts.by_volume == {1: (1, 5), 2: (1, 6)}


# --- members ----


async def test_another_life_of_a_node_has_another_epoch(catalogue: Catalogue) -> None:
    assert await catalogue.register("n1", "boot") == 1
    assert await catalogue.register("n1", "another") == 2
    assert await catalogue.register("n1", "another") == 2


async def test_a_revoked_node_is_denied(catalogue: Catalogue) -> None:
    await catalogue.revoke("n1")
    with pytest.raises(errors.Denied):
        await catalogue.register("n1", "boot")
    assert [node.revoked for node in catalogue.nodes()] == [True, False]


async def test_a_disk_put_into_another_machine_takes_its_volume_along(catalogue: Catalogue) -> None:
    moved = await catalogue.attach("1" * 32, "n2")
    assert (moved.number, moved.node) == (1, "n2")
    assert [volume.number for volume in catalogue.volumes("n2")] == [1, 2]
    assert catalogue.volumes("n1") == []


async def test_a_token_is_good_once(catalogue: Catalogue) -> None:
    token, secret = (await catalogue.add_token(60)).split(".")
    with pytest.raises(errors.Denied):
        await catalogue.use_token(token, secret + "0")
    await catalogue.use_token(token, secret)
    with pytest.raises(errors.Denied):
        await catalogue.use_token(token, secret)
    with pytest.raises(errors.Denied):
        await catalogue.use_token("never", secret)


async def test_a_token_ends_by_itself_and_its_secret_is_not_in_the_file(tmp_path: Path) -> None:
    now = [1_800_000_000_000_000_000]
    catalogue = Catalogue(config.Catalogue(directory=str(tmp_path)), clock_ns=lambda: now[0])
    await catalogue.open()
    token, secret = (await catalogue.add_token(60)).split(".")
    now[0] += 61_000_000_000
    with pytest.raises(errors.Denied):
        await catalogue.use_token(token, secret)
    await catalogue.close()
    assert secret.encode() not in (tmp_path / "argosy.db").read_bytes()


async def test_an_account_is_kept_and_changed_and_dropped(catalogue: Catalogue) -> None:
    settings = Settings(home=b"/h\xff", grants=(Grant(b"/", LOOKING),), masks=("::1/128",), uploads=0)
    ann = User("ann", "hash", admin=True, groups=("b", "a"), settings=settings)
    await catalogue.put_user(ann)
    assert catalogue.users() == [ann]
    assert catalogue.user("ann") == ann
    with pytest.raises(errors.Exists):
        await catalogue.put_user(ann, new=True)
    await catalogue.drop_user("ann")
    assert catalogue.user("ann") is None
    with pytest.raises(errors.NoSuchAccount):
        await catalogue.drop_user("ann")


async def test_a_group_that_is_dropped_loses_its_members(catalogue: Catalogue) -> None:
    staff, crew = Group("staff", Settings(uploads=3)), Group("crew")
    for group in (staff, crew):
        await catalogue.put_group(group, new=True)
    await catalogue.put_user(User("ann", "hash", groups=("staff", "crew")))
    assert catalogue.groups() == [crew, staff]
    with pytest.raises(errors.Exists):
        await catalogue.put_group(Group("crew"), new=True)
    before = catalogue.accounts_generation()
    await catalogue.drop_group("staff")
    assert catalogue.accounts_generation() != before
    ann = catalogue.user("ann")
    assert ann is not None
    assert ann.groups == ("crew",)
    with pytest.raises(errors.NoSuchAccount):
        await catalogue.drop_group("staff")


async def test_two_who_change_a_user_lose_nothing(catalogue: Catalogue) -> None:
    await catalogue.put_user(User("ann", "hash", groups=()))

    def join(number: int) -> Callable[[User], User]:
        return lambda user: replace(user, groups=(*user.groups, f"g{number}"))

    await asyncio.gather(*(catalogue.change_user("ann", join(number)) for number in range(20)))
    ann = catalogue.user("ann")
    assert ann is not None
    assert sorted(ann.groups) == sorted(f"g{number}" for number in range(20))
    with pytest.raises(errors.NoSuchAccount):
        await catalogue.change_user("ben", join(1))


# --- many at once, and what a crash leaves ----


async def test_a_refused_change_takes_back_only_itself(catalogue: Catalogue) -> None:
    results = await asyncio.gather(
        *(catalogue.make_directory((name,), owner="ann") for name in [b"a", b"a", b"b", b".argosy", b"c"]),
        return_exceptions=True,
    )
    assert [isinstance(result, errors.Refused) for result in results] == [False, True, False, True, False]
    assert [entry.name for entry in catalogue.children(ROOT_ID)] == [b"a", b"b", b"c"]


async def test_half_a_change_is_never_seen(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "x.db", cache_bytes=0, batch_limit=10, busy_seconds=1)
    engine.open(1)

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO meta(key, value) VALUES('half', 1)")
        raise ZeroDivisionError

    def whole(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO meta(key, value) VALUES('whole', 1)")

    results = await asyncio.gather(engine.write(half), engine.write(whole), return_exceptions=True)
    assert [type(result) for result in results] == [ZeroDivisionError, type(None)]
    keys = engine.read(lambda db: db.execute("SELECT key FROM meta ORDER BY key").fetchall())
    assert [key for (key,) in keys] == ["accounts", "schema", "whole"]
    await asyncio.to_thread(engine.close)


async def test_the_writer_outlives_a_database_that_is_locked_for_too_long(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "x.db", cache_bytes=0, batch_limit=10, busy_seconds=0.05)
    engine.open(1)
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    put = "INSERT INTO meta(key, value) VALUES(?, 1)"
    results = await asyncio.gather(
        *(engine.write(lambda db, key=key: db.execute(put, (key,)) and None) for key in "abc"),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [sqlite3.OperationalError] * 3
    other.execute("COMMIT")
    other.close()
    await engine.write(lambda db: db.execute(put, ("d",)) and None)
    await asyncio.to_thread(engine.close)


async def test_closing_commits_what_waits(tmp_path: Path) -> None:
    catalogue = Catalogue(config.Catalogue(directory=str(tmp_path), batch_limit=3))
    await catalogue.open()
    waiting = [
        asyncio.ensure_future(catalogue.make_directory((b"%d" % number,), owner="ann"))
        for number in range(50)
    ]
    await asyncio.sleep(0)
    await catalogue.close()
    await asyncio.gather(*waiting)
    await catalogue.open()
    assert len(catalogue.children(ROOT_ID)) == 50
    await catalogue.close()


async def test_another_process_sees_what_this_one_writes_and_the_other_way_round(tmp_path: Path) -> None:
    mine = Catalogue(config.Catalogue(directory=str(tmp_path)))
    await mine.open()
    await mine.make_directory((b"mine",), owner="ann")
    program = (
        "import asyncio, sys\n"
        "from argosy import config\n"
        "from argosy.catalogue.catalogue import Catalogue\n"
        "async def main():\n"
        "    theirs = Catalogue(config.Catalogue(directory=sys.argv[1]))\n"
        "    await theirs.open()\n"
        "    assert theirs.find((b'mine',))\n"
        "    await theirs.make_directory((b'theirs',), owner='ben')\n"
        "    await theirs.close()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(tmp_path))
    assert await process.wait() == 0
    assert mine.find((b"theirs",)).owner == "ben"
    await mine.close()


async def test_what_was_acknowledged_is_there_after_the_process_was_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from argosy import config\n"
        "from argosy.catalogue.catalogue import Catalogue\n"
        "async def main():\n"
        "    catalogue = Catalogue(config.Catalogue(directory=sys.argv[1]))\n"
        "    await catalogue.open()\n"
        "    for number in range(10_000):\n"
        "        await catalogue.make_directory((b'%d' % number,), owner='ann')\n"
        "        print(number, flush=True)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = [await process.stdout.readline() for _ in range(100)]
    process.send_signal(signal.SIGKILL)
    said += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    catalogue = Catalogue(config.Catalogue(directory=str(tmp_path)))
    await catalogue.open()
    for line in said:
        if line.endswith(b"\n"):
            assert catalogue.find((line.strip(),))
    await catalogue.close()


async def test_the_database_is_nobody_elses_to_read(tmp_path: Path) -> None:
    catalogue = Catalogue(config.Catalogue(directory=str(tmp_path / "new")))
    await catalogue.open()
    assert os.stat(tmp_path / "new").st_mode & 0o777 == 0o700
    for name in os.listdir(tmp_path / "new"):
        assert os.stat(tmp_path / "new" / name).st_mode & 0o077 == 0
    await catalogue.close()


async def test_a_catalogue_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    catalogue = Catalogue(config.Catalogue(directory=str(tmp_path)))
    await catalogue.open()
    await catalogue.close()
    with sqlite3.connect(tmp_path / "argosy.db") as db:
        db.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
    db.close()
    with pytest.raises(errors.ConfigError, match="99"):
        await catalogue.open()


async def test_a_clock_that_was_set_back_repeats_no_id(tmp_path: Path) -> None:
    now = [1_800_000_000_000_000_000]
    table = config.Catalogue(directory=str(tmp_path))
    ids = []
    for name in (b"a", b"b"):
        catalogue = Catalogue(table, clock_ns=lambda: now[0], draw=lambda _bits: 0)
        await catalogue.open()
        ids.append((await catalogue.make_directory((name,), owner="ann")).id)
        await catalogue.close()
        now[0] -= 3_600_000_000_000
    assert ids[0] < ids[1]


def test_ids_rise_and_fit_63_bits_to_the_end_of_their_time() -> None:
    now = [0]
    mint = Mint(lambda: now[0], lambda bits: (1 << bits) - 1)
    ids = []
    for year in (1990, 2026, 2026, 2088):
        now[0] = (year - 1970) * 31_556_952 * 1_000_000_000
        ids.append(mint())
    assert ids == sorted(set(ids))
    assert ids[0] > 1
    assert ids[-1] < 1 << 63


async def test_a_name_kept_aside_is_settled_by_a_rename(catalogue: Catalogue) -> None:
    await catalogue.merge(1, [Found(b"a", 1, 1)], seq=1, whole=False)
    report = await catalogue.merge(2, [Found(b"a", 2, 1)], seq=1, whole=False)
    assert report.conflicts == ["/a.conflict-n2"]
    assert catalogue.conflicts() == [(b"a.conflict-n2",)]
    await catalogue.rename((b"a.conflict-n2",), (b"b",))
    assert catalogue.find((b"b",)).state is State.LIVE
    assert catalogue.conflicts() == []


async def test_the_record_is_closed_only_when_nobody_asks_it_any_more(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "c.db", cache_bytes=1 << 20, batch_limit=8, busy_seconds=1.0)
    engine.open(0)
    asking, answered = threading.Event(), threading.Event()

    def long_question(db: sqlite3.Connection) -> int:
        asking.set()
        answered.wait(10)
        return int(db.execute("SELECT count(*) FROM ent").fetchone()[0])

    asked = asyncio.create_task(asyncio.to_thread(engine.read, long_question))
    await asyncio.to_thread(asking.wait, 10)
    closing = asyncio.create_task(asyncio.to_thread(engine.close))
    await asyncio.sleep(0.2)
    assert not closing.done()
    answered.set()
    assert await asked > 0
    await closing
