"""The one table of procedure and what carries it out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from enum import Enum
from typing import Any, NamedTuple

from argosy.doors.nfs import files, limits, lists, names
from argosy.doors.nfs.visit import Visit
from argosy.wire.nfs import nfs3
from argosy.wire.nfs.nfs3 import Procedure
from argosy.wire.nfs.rpc import Piece


class Again(Enum):
    """What it means to be asked the same twice: a client that waits too long for an answer does that."""

    HARMLESS = 1
    """The answer is the same, so a client may be told to come back later."""
    HELD = 2
    """The same, but it brings much with it, which would lie about twice: the answer takes its time."""
    ONCE = 3
    """A second REMOVE finds nothing: the second answer has to be the first one's."""


class Way(NamedTuple):
    """How a procedure is carried out."""

    carry_out: Callable[[Visit, Any], Coroutine[Any, Any, bytes | list[Piece]]]
    told: Callable[[Visit], bytes]
    """What a failure tells of the files whose handles came, in the procedure's form."""
    again: Again = Again.HARMLESS


def _nothing(visit: Visit) -> bytes:
    del visit
    return b""


def _post_op(visit: Visit) -> bytes:
    return nfs3.post_op(visit.told_of(0))


def _wcc(visit: Visit) -> bytes:
    return nfs3.wcc(None, visit.told_of(0))


def _two_wcc(visit: Visit) -> bytes:
    return nfs3.wcc(None, visit.told_of(0)) + nfs3.wcc(None, visit.told_of(1))


def _post_op_and_wcc(visit: Visit) -> bytes:
    return nfs3.post_op(visit.told_of(0)) + nfs3.wcc(None, visit.told_of(1))


WAYS: Mapping[Procedure, Way] = {
    Procedure.GETATTR: Way(files.attributes, _nothing),
    Procedure.SETATTR: Way(files.set_attributes, _wcc, Again.ONCE),
    Procedure.LOOKUP: Way(names.lookup, _post_op),
    Procedure.ACCESS: Way(files.access, _post_op),
    Procedure.READLINK: Way(files.read_link, _post_op),
    Procedure.READ: Way(files.read, _post_op),
    Procedure.WRITE: Way(files.write, _wcc, Again.HELD),
    Procedure.CREATE: Way(names.create, _wcc, Again.ONCE),
    Procedure.MKDIR: Way(names.make_directory, _wcc, Again.ONCE),
    Procedure.SYMLINK: Way(names.make_link, _wcc, Again.ONCE),
    Procedure.MKNOD: Way(names.make_node, _wcc),
    Procedure.REMOVE: Way(names.remove, _wcc, Again.ONCE),
    Procedure.RMDIR: Way(names.remove_directory, _wcc, Again.ONCE),
    Procedure.RENAME: Way(names.rename, _two_wcc, Again.ONCE),
    Procedure.LINK: Way(names.link, _post_op_and_wcc),
    Procedure.READDIR: Way(lists.names, _post_op),
    Procedure.READDIRPLUS: Way(lists.names_and_attributes, _post_op),
    Procedure.FSSTAT: Way(limits.room, _post_op),
    Procedure.FSINFO: Way(limits.sizes, _post_op),
    Procedure.PATHCONF: Way(limits.names, _post_op),
    Procedure.COMMIT: Way(files.commit, _wcc),
}
"""A test says that these are all of RFC 1813 but NULL, which does nothing."""
