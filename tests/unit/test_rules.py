"""What is in force for a user: settings, inheritance, and the deepest grant."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.accounts.rules import Account, only_looking, resolve
from argosy.catalogue.model import TreePath
from argosy.catalogue.people import (
    EVERYTHING,
    LOOKING,
    NOTHING,
    USUAL,
    Grant,
    Group,
    Right,
    Rights,
    Settings,
    User,
    parts,
)

NAMES = st.sampled_from([b"a", b"b", b"c"])
PATHS = st.lists(NAMES, max_size=4).map(tuple)
GRANTS = st.lists(
    st.builds(
        Grant,
        PATHS.map(lambda path: b"/" + b"/".join(path)),
        st.frozensets(st.sampled_from(list(Right))),
    ),
    max_size=4,
).map(tuple)
SETTINGS = st.builds(
    Settings,
    grants=GRANTS,
    uploads=st.none() | st.integers(0, 5),
    home=st.none() | st.just(b"/x"),
    locked=st.none() | st.booleans(),
)
LAYERS = st.lists(SETTINGS, min_size=1, max_size=4)


def account(layers: Sequence[Settings], *, admin: bool = False) -> Account:
    own, *rest = layers
    groups = [Group(f"g{number}", settings) for number, settings in enumerate(rest)]
    names = tuple(group.name for group in groups)
    return resolve(User("ann", "", admin, names, own), groups)


def by_the_book(layers: Sequence[Settings], path: TreePath) -> Rights:
    """Find the rights by trying all grants: the longest path, then the first layer, then the last said."""
    best: tuple[tuple[int, int, int], Rights] | None = None
    for place, layer in enumerate(layers):
        for number, grant in enumerate(layer.grants):
            at = parts(grant.path)
            rank = (len(at), -place, number)
            if path[: len(at)] == at and (best is None or rank > best[0]):
                best = (rank, grant.rights)
    return USUAL if best is None else best[1]


@given(LAYERS, PATHS)
def test_the_deepest_grant_counts_and_the_users_own_before_its_groups(
    layers: list[Settings], path: TreePath
) -> None:
    assert account(layers).rights(path) == by_the_book(layers, path)


@given(LAYERS, PATHS)
def test_an_administrator_may_do_everything_everywhere(layers: list[Settings], path: TreePath) -> None:
    assert account(layers, admin=True).rights(path) == EVERYTHING


@given(LAYERS)
def test_of_a_setting_the_first_that_says_something_is_heard(layers: list[Settings]) -> None:
    told = [layer.uploads for layer in layers if layer.uploads is not None]
    assert account(layers).uploads == (told[0] if told else 0)
    locks = [layer.locked for layer in layers if layer.locked is not None]
    assert account(layers).locked == (locks[0] if locks else False)


@given(LAYERS, SETTINGS)
def test_a_further_group_changes_nothing_that_was_said_before(layers: list[Settings], last: Settings) -> None:
    before, after = account(layers), account([*layers, last])
    for layer in layers:
        for name, value in msgspec.structs.asdict(layer).items():
            if value is not None and name in ("uploads", "home", "locked"):
                assert getattr(after, name) == getattr(before, name)
    assert {path: after.grants[path] for path in before.grants} == before.grants


@given(LAYERS, PATHS)
def test_who_sees_a_path_sees_the_way_there(layers: list[Settings], path: TreePath) -> None:
    ann = account(layers)
    if ann.sees(path):
        assert all(ann.sees(path[:depth]) for depth in range(len(path)))


@pytest.mark.parametrize(
    ("path", "rights"),
    [
        ((), NOTHING),
        ((b"other",), NOTHING),
        ((b"pub",), LOOKING),
        ((b"pub", b"deep", b"er"), LOOKING),
        ((b"pub", b"in"), frozenset({Right.WRITE})),
        ((b"public",), NOTHING),
    ],
)
def test_a_grant_holds_below_its_path_and_not_beside_it(path: TreePath, rights: Rights) -> None:
    grants = (
        Grant(b"/", NOTHING),
        Grant(b"/pub/", LOOKING),
        Grant(b"/pub/in", frozenset({Right.WRITE})),
    )
    assert account([Settings(grants=grants)]).rights(path) == rights


def test_new_files_show_the_first_group() -> None:
    assert account([Settings(), Settings(), Settings()]).group == "g0"
    assert account([Settings()]).group == "argosy"


@given(LAYERS, PATHS, st.booleans())
def test_who_may_only_look_has_what_is_left_of_its_rights(
    layers: list[Settings], path: TreePath, admin: bool
) -> None:
    whole = account(layers, admin=admin)
    assert only_looking(whole).rights(path) == whole.rights(path) & LOOKING


@given(LAYERS, PATHS, NAMES)
def test_what_is_said_of_a_directorys_children_is_what_holds_for_each(
    layers: list[Settings], path: TreePath, name: bytes
) -> None:
    ann = account(layers)
    rights, others = ann.children(path)
    if name in others:
        assert others[name] == (ann.rights((*path, name)) if ann.sees((*path, name)) else None)
    else:
        assert ann.rights((*path, name)) == rights
        assert ann.sees((*path, name)) == bool(rights)
