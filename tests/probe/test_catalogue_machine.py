"""Whatever is done to a site, in whatever order, and whatever is lost on the way: it shows what was said.

The catalogue is the real one, and so are the disks; nodes vanish and come back, orders and answers get lost,
masters follow each other, files vanish from disks and appear there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from argosy import errors
from argosy.catalogue.keeping import Surplus
from argosy.catalogue.model import Removal, Sealed, TreePath, Upload
from argosy.wire import link
from probe.model import Arriving
from probe.world import WANTED, Copying, Node, World

_T = TypeVar("_T")

NAMES = (b"a", b"b", b"c")
PICKED = st.integers(0, 1 << 16)

OFTEN = {
    **dict.fromkeys(("upload", "rename", "copying_begins", "copy_arrives"), 4),
    **dict.fromkeys(("finish", "a_node_comes_back"), 3),
    **dict.fromkeys(("begin", "resume", "files_are_moved"), 2),
    **dict.fromkeys(("mkdir", "rmdir", "delete", "cut", "a_copy_is_too_many", "debts_are_paid"), 1),
    **dict.fromkeys(("news_are_told", "the_link_breaks", "another_master_starts"), 1),
    **dict.fromkeys(("a_file_vanishes_from_a_disk", "a_file_is_put_on_a_disk"), 1),
}
"""What may happen, and how often beside the others."""

WHAT = [what for what, times in OFTEN.items() for _ in range(times)]


def picked(number: int, among: Sequence[_T]) -> _T:
    return among[number % len(among)]


class Site(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.model = self.world.model
        self.catalogue = self.world.catalogue
        self.bases: dict[int, link.Base] = {}

    @initialize()
    def there_are_files(self) -> None:
        """Begin with something to lose."""
        self.world.agree(
            lambda: self.model.make_directory((b"a",)),
            lambda: self.catalogue.make_directory((b"a",), owner="ann"),
        )
        for number, path in enumerate([(b"b",), (b"c",), (b"a", b"a"), (b"a", b"b")]):
            if upload := self._begin(path, self.world.nodes[number % 3], number):
                self._finish(upload, heard=True)

    def teardown(self) -> None:
        try:
            self.world.rest()
            self.at_peace()
        finally:
            self.world.close()

    def path(self, number: int) -> TreePath:
        """Choose a path: mostly one that is there, or could be."""
        if number % 16 == 0:
            return (b"a", b"b", b"c")[: number // 16 % 4]
        there = sorted(self.model.tree)
        below = [(*path, name) for path in there if len(path) < 3 for name in NAMES]
        return picked(number // 16, sorted({*there, *below}))

    @rule(what=st.sampled_from(WHAT), one=PICKED, other=PICKED, heard=st.booleans())
    def something_happens(self, what: str, one: int, other: int, heard: bool) -> None:
        """Have one of the things happen that are listed in `OFTEN`; what makes no sense now is left out."""
        happen: Callable[[int, int, bool], None] = getattr(self, what)
        happen(one, other, heard)

    # --- the tree ----

    def mkdir(self, one: int, _: int, __: bool) -> None:
        path = self.path(one)
        self.world.agree(
            lambda: self.model.make_directory(path),
            lambda: self.catalogue.make_directory(path, owner="ann"),
        )

    def rmdir(self, one: int, _: int, __: bool) -> None:
        path = self.path(one)
        self.world.agree(
            lambda: self.model.remove_directory(path), lambda: self.catalogue.remove_directory(path)
        )

    def delete(self, one: int, _: int, heard: bool) -> None:
        path = self.path(one)
        agreed = self.world.agree(lambda: self.model.delete(path), lambda: self.catalogue.delete(path))
        self._clear(agreed, heard)

    def rename(self, one: int, other: int, heard: bool) -> None:
        old, new = self.path(one), self.path(other)
        agreed = self.world.agree(
            lambda: self.model.rename(old, new), lambda: self.catalogue.rename(old, new)
        )
        self._clear(agreed, heard)

    def _clear(self, agreed: tuple[None, object] | None, heard: bool) -> None:
        """Tell the nodes at once, or leave what can wait to those who pay debts."""
        if agreed:
            removal = agreed[1]
            assert isinstance(removal, Removal)
            self.world.tell_forget(removal.forgotten)
            for node in self._linked() if heard else []:
                self.world.pay(node)

    # --- uploads ----

    def begin(self, one: int, other: int, early: bool) -> None:
        if linked := self._linked():
            self._begin(self.path(one), picked(other, linked), other % 10, early=early)

    def upload(self, one: int, other: int, heard: bool) -> None:
        if (linked := self._linked()) and (
            upload := self._begin(self.path(one), picked(other, linked), other % 10)
        ):
            self._finish(upload, heard=heard or other % 4 > 0)

    def resume(self, one: int, other: int, early: bool) -> None:
        """Go on with what was cut, or append to what is there."""
        cut = [path for path, name in self.model.tree.items() if name.upload and not name.upload.open]
        path = picked(one, cut) if cut and other % 2 else self.path(one)
        if linked := self._linked():
            held = self.model.tree[path].upload if path in self.model.tree else None
            node = self.world.nodes[held.node - 1] if held else picked(other, linked)
            if node.linked:
                self._begin(path, node, other % 10, resume=True, early=early)

    def finish(self, one: int, other: int, heard: bool) -> None:
        if running := self._open():
            self._finish(picked(one, running), heard=heard or other % 4 > 0)

    def cut(self, one: int, other: int, _: bool) -> None:
        if running := self._open():
            upload = picked(one, running)
            received = max(upload.received, len(upload.content) * (other % 4) // 4)
            if upload.base is None and received > upload.received:
                self._write(upload, received, seal=False)
            self.world.cut(upload, received)

    def _linked(self) -> list[Node]:
        return [node for node in self.world.nodes if node.linked]

    def _open(self) -> list[Arriving]:
        return [one for one in self.model.uploads() if one.open and self.world.nodes[one.node - 1].linked]

    def _begin(
        self, path: TreePath, node: Node, length: int, *, resume: bool = False, early: bool = False
    ) -> Arriving | None:
        content = b"%d:" % next(self.world.serial) + b"x" * length
        entry = None
        if path in self.model.tree and not self.model.tree[path].folder:
            entry = self.catalogue.find(path)
        holds = entry is not None and any(
            one.volume == node.number and one.ver == entry.ver for one in self.world.good(entry.id)
        )
        agreed = self.world.agree(
            lambda: self.model.begin(path, node.number, node.epoch, content, resume=resume, holds=holds),
            lambda: self.catalogue.begin(
                path, volume=node.number, node=node.name, epoch=node.epoch, user="ann", resume=resume
            ),
        )
        if agreed is None:
            return None
        arriving, upload = agreed
        assert isinstance(upload, Upload)
        if arriving.id:
            assert (arriving.id, arriving.received) == (upload.id, upload.received)
        arriving.id = upload.id
        self.world.tell_forget(upload.forgotten)
        if base := upload.base:
            self.bases[upload.id] = link.Base(base.loc, base.ver, base.size)
        if early and not upload.base:
            self._write(arriving, len(arriving.content) // 2, seal=False)
        return arriving

    def _write(self, upload: Arriving, upto: int, *, seal: bool) -> Sealed | None:
        """Have the node write; what it goes on from may be gone by hand."""
        node, base = self.world.nodes[upload.node - 1], self.bases.get(upload.id)
        offset = len(upload.base) if upload.base is not None else upload.received
        content = upload.content[: max(upto, offset)]
        return self.world.write(node, upload.id, content, base, offset, seal=seal)

    def _finish(self, upload: Arriving, *, heard: bool) -> None:
        node = self.world.nodes[upload.node - 1]
        try:
            sealed = self._write(upload, len(upload.content), seal=True)
        except errors.Damaged:
            assert upload.base is not None
            self.world.cut(upload, 0)
            return
        assert sealed is not None
        entry, replica, discards = self.world.do(self.catalogue.commit(upload.id, sealed, epoch=upload.epoch))
        self.world.contents[entry.ver] = upload.content
        self.model.commit(upload)
        node.linked = heard
        self.world.tell_commit(node, [self.catalogue.placement(replica, self.world.now_ns, discards)])

    # --- copies ----

    def copying_begins(self, one: int, other: int, _: bool) -> None:
        if not (files := self.world.files()):
            return
        _path, file, ver = picked(one, files)
        node = picked(one // 7, self.world.nodes)
        held = {one.volume for one in self.catalogue.replicas(file)}
        sources = [one for one in self.world.good(file) if self.world.nodes[one.volume - 1].linked]
        under_way = any((one.ver, one.target) == (ver, node) for one in self.world.copies)
        if not sources or node.number in held or not node.linked or under_way:
            return
        replica = picked(other, sources)
        if (replica.volume, ver) not in self.world.taken:
            self.world.copies.append(Copying(ver, node, self.world.read(replica)))

    def copy_arrives(self, one: int, other: int, heard: bool) -> None:
        if not self.world.copies:
            return
        copy = picked(one, self.world.copies)
        self.world.copies.remove(copy)
        node = copy.target
        if not node.linked:
            return
        sealed = self.world.write(node, copy.ver, copy.content, None, 0, seal=True)
        assert sealed is not None
        if not heard and other % 2:
            node.linked = False  # sealed, and nobody was told
            return
        verdict = self.world.do(
            self.catalogue.add_copies(node.number, node.name, node.epoch, [(copy.ver, sealed)])
        )
        node.linked = heard
        self.world.tell_commit(node, verdict.commit)
        self.world.tell_forget([(node.number, ver) for ver in verdict.forget])

    def a_copy_is_too_many(self, one: int, other: int, heard: bool) -> None:
        many = [(file, ver) for _, file, ver in self.world.files() if len(self.world.good(file)) > 1]
        if not many:
            return
        file, ver = picked(one, many)
        good = self.world.good(file)
        if any((one.volume, ver) in self.world.taken for one in good):
            return
        gone = picked(other, good).volume
        keep = tuple(one.volume for one in good if one.volume != gone)
        if other % 8 == 0:
            keep = tuple(
                node.number for node in self.world.nodes if node.number != gone
            )  # believed by mistake
        dropped = self.world.do(self.catalogue.drop_copies([Surplus(file, ver, gone, keep)]))
        assert not dropped or {*keep} <= {one.volume for one in good}
        if heard and self.world.nodes[gone - 1].linked:
            self.world.pay(self.world.nodes[gone - 1])

    # --- what happens by itself, and what shouldn't ----

    def files_are_moved(self, _: int, __: int, heard: bool) -> None:
        self.world.settle(heard=heard)

    def debts_are_paid(self, one: int, _: int, __: bool) -> None:
        if linked := self._linked():
            self.world.pay(picked(one, linked))

    def news_are_told(self, one: int, other: int, _: bool) -> None:
        if linked := self._linked():
            self.world.feed(picked(one, linked), whole=other % 4 == 0)

    def the_link_breaks(self, one: int, _: int, __: bool) -> None:
        picked(one, self.world.nodes).linked = False

    def a_node_comes_back(self, one: int, _: int, restart: bool) -> None:
        away = [node for node in self.world.nodes if not node.linked]
        self.world.join(picked(one, away or self.world.nodes), restart=restart)

    def another_master_starts(self, one: int, _: int, __: bool) -> None:
        self.world.another_master()
        for number, node in enumerate(self.world.nodes):
            if one >> number & 1:
                self.world.join(node, restart=False)

    def a_file_vanishes_from_a_disk(self, one: int, other: int, _: bool) -> None:
        node = picked(one, self.world.nodes)
        if rows := [row for row in node.volume.journal.page(b"", 1000) if row.ver]:
            self.world.take(node, picked(other, rows))

    def a_file_is_put_on_a_disk(self, one: int, _: int, __: bool) -> None:
        number = next(self.world.serial)
        self.world.bring(picked(one, self.world.nodes), b"h%d" % number, b"%d by hand" % number)

    # --- what must be true ----

    @invariant()
    def the_tree_is_what_was_said(self) -> None:
        assert self.world.shown() == self.model.shown()

    @invariant()
    def every_copy_is_where_it_is_said_to_be(self) -> None:
        for path, file, ver in self.world.files():
            for replica in self.world.good(file):
                assert replica.ver == ver, path
                if (replica.volume, ver) not in self.world.taken:
                    assert self.world.read(replica) == self.world.contents[ver], path

    @invariant()
    def a_file_with_too_few_copies_is_noted(self) -> None:
        noted = {job.file for job in self.catalogue.due(10_000, (), 1 << 62)}
        for path, file, _ in self.world.files():
            assert file in noted or len(self.world.good(file)) == WANTED, path

    def at_peace(self) -> None:
        """All nodes are here, all debts are paid: disks, lists and tree say the same, and go on to."""
        self.the_tree_is_what_was_said()
        self.every_copy_is_where_it_is_said_to_be()
        for node in self.world.nodes:
            report = self.world.feed(node, whole=True)
            changes = report.created, report.added, report.dropped, report.changed, report.conflicts
            assert changes == (0, 0, 0, 0, []), changes
            believed = {
                one.loc
                for _, file, _ in self.world.files()
                for one in self.catalogue.replicas(file)
                if one.volume == node.number
            }
            assert {row.loc for row in node.volume.journal.page(b"", 10_000)} == believed
            waiting = {part.upload for part in node.volume.state().parts}
            assert waiting <= {one.id for one in self.model.uploads()} | {
                one.ver for one in self.world.copies
            }


Site.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

TestSite = Site.TestCase
