"""Tables agree with each other: no refusal without a reply code, no verb without a handler."""

from importlib import import_module
from pkgutil import iter_modules

from argosy import errors
from argosy.doors.ftp.server import CODE_FOR
from argosy.doors.ftp.site import verbs as site
from argosy.doors.ftp.verbs import HANDLERS
from argosy.doors.nfs.procedures import WAYS, Again
from argosy.doors.nfs.statuses import MOUNT_STATUS_FOR, STATUS_FOR
from argosy.wire import link
from argosy.wire.ftp.commands import VERBS
from argosy.wire.ftp.site import SITE_VERBS
from argosy.wire.nfs import mount3
from argosy.wire.nfs.nfs3 import Procedure, Status

REFUSALS = {kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.Refused}


def test_the_ftp_door_has_a_code_for_every_refusal() -> None:
    assert CODE_FOR.keys() == REFUSALS


def test_the_nfs_door_has_a_status_for_every_refusal() -> None:
    assert STATUS_FOR.keys() == REFUSALS
    assert Status.OK not in STATUS_FOR.values()
    assert Status.NOTSUPP not in STATUS_FOR.values(), 'Linux shows it as "Unknown error 524"'
    assert Status.BADHANDLE not in STATUS_FOR.values(), "that is said of handles that we never made"


def test_mnt_never_refuses_with_success() -> None:
    assert mount3.Status.OK not in MOUNT_STATUS_FOR.values()
    assert Status.OK not in MOUNT_STATUS_FOR


def test_every_nfs_procedure_is_carried_out() -> None:
    assert WAYS.keys() == set(Procedure) - {Procedure.NULL}


def test_what_changes_names_is_done_once_however_often_it_is_asked() -> None:
    once = {procedure.name for procedure, way in WAYS.items() if way.again is Again.ONCE}
    assert once == {"SETATTR", "CREATE", "MKDIR", "SYMLINK", "REMOVE", "RMDIR", "RENAME"}


def test_try_again_codes_are_for_refusals_that_say_so() -> None:
    for kind, code in CODE_FOR.items():
        if "try again" in (kind.__doc__ or ""):
            assert 400 <= code < 500, kind


def test_every_verb_has_a_handler_and_every_handler_a_verb() -> None:
    assert HANDLERS.keys() == VERBS.keys()
    assert site.HANDLERS.keys() == SITE_VERBS.keys()


def test_every_message_of_the_link_can_travel_and_is_said_by_the_links_name() -> None:
    rooms = [import_module(found.name) for found in iter_modules(link.__path__, f"{link.__name__}.")]
    messages = {
        kind
        for room in rooms
        for kind in vars(room).values()
        if isinstance(kind, type) and issubclass(kind, link.Message) and kind is not link.Message
    }
    inner = {
        link.Part,
        link.VolumeState,
        link.CommitPart,
        link.Doomed,
        link.Left,
        link.Pass,
        link.Doubt,
        link.Base,
        link.Space,
        link.File,
        link.Group,
        link.Offer,
        link.Visit,
        link.Item,
        link.Wanted,
        link.Arrived,
    }
    assert set(link.Body.__args__) == messages - inner
    assert all(getattr(link, kind.__name__) is kind for kind in messages)
    tags = [kind.__struct_config__.tag for kind in messages]
    assert len(tags) == len(set(tags))
