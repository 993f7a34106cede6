"""Who may do what on a mount: its owner what the site lets the login do, strangers what the mode says."""

from __future__ import annotations

import pytest

from argosy.doors.nfs import rights
from argosy.sites.model import Attributes, Kind
from argosy.wire.nfs.nfs3 import Access
from argosy.wire.nfs.rpc import Credential

ANN = Credential(1000, 1000)
ROOT = Credential(0, 0)
COLLEAGUE = Credential(1001, 1001, (5, 1000))
STRANGER = Credential(1002, 1002)


def of(kind: Kind, mode: int, perm: str | None = None) -> Attributes:
    return Attributes(
        file=9, parent=3, kind=kind, size=0, mode=mode, uid=1000, gid=1000, mtime_ns=0, ctime_ns=0, perm=perm
    )


FILE, DIRECTORY, LINK = Kind.FILE, Kind.DIRECTORY, Kind.LINK
CHANGE = Access.MODIFY | Access.EXTEND


@pytest.mark.parametrize(
    ("attributes", "who", "may"),
    [
        (of(FILE, 0o644), ANN, rights.ALL & ~Access.EXECUTE),
        (of(FILE, 0o755), ANN, rights.ALL),
        (of(FILE, 0o755), ROOT, rights.ALL),
        (of(FILE, 0o644), ROOT, rights.ALL & ~Access.EXECUTE),
        (of(FILE, 0o444), ANN, rights.ALL & ~Access.EXECUTE),  # the site decides, not its `ls -l`
        (of(FILE, 0o640), COLLEAGUE, Access.READ),
        (of(FILE, 0o660), COLLEAGUE, Access.READ | CHANGE),
        (of(FILE, 0o640), STRANGER, Access(0)),
        (of(FILE, 0o645), STRANGER, Access.READ | Access.EXECUTE),
        (of(FILE, 0o644), None, Access.READ),
        (of(FILE, 0o600), None, Access(0)),
        (of(FILE, 0o666, "r"), ANN, Access.READ),
        (of(FILE, 0o755, "r"), ANN, Access.READ | Access.EXECUTE),
        (of(FILE, 0o666, "adfrw"), STRANGER, Access.READ | CHANGE),
        (of(FILE, 0o666, "a"), ANN, Access.EXTEND),
        (of(FILE, 0o666, "r"), ROOT, Access.READ),
        (of(DIRECTORY, 0o755), ANN, rights.ALL),
        (of(DIRECTORY, 0o755), STRANGER, Access.READ | Access.LOOKUP),
        (of(DIRECTORY, 0o711), STRANGER, Access.LOOKUP),
        (of(DIRECTORY, 0o777, "el"), STRANGER, Access.READ | Access.LOOKUP),
        (of(DIRECTORY, 0o755, "CDEFLMP"), ANN, rights.ALL & ~Access.EXECUTE),
        (of(DIRECTORY, 0o755, "elx?"), ANN, Access.READ | Access.LOOKUP),
        (of(LINK, 0o777, ""), STRANGER, Access.READ),
        (of(LINK, 0, ""), ANN, rights.ALL),
    ],
)
def test_access_is_what_the_site_and_the_mode_say(
    attributes: Attributes, who: Credential | None, may: Access
) -> None:
    assert Access(rights.allowed(attributes, who, ours=who in (ANN, ROOT))) == may


def test_whose_login_it_is_may_do_all_with_files_that_others_own_there() -> None:
    theirs = of(FILE, 0o600)
    assert Access(rights.allowed(theirs, STRANGER, ours=True)) == rights.ALL & ~Access.EXECUTE
    assert Access(rights.allowed(theirs, STRANGER, ours=False)) == Access(0)
    assert Access(rights.allowed(theirs, ANN, ours=False)) == rights.ALL & ~Access.EXECUTE
