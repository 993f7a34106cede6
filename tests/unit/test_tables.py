"""Tables agree with each other: no refusal without a reply code, no verb without a handler."""

from argosy import errors
from argosy.doors.ftp.server import CODE_FOR
from argosy.doors.ftp.site import verbs as site
from argosy.doors.ftp.verbs import HANDLERS
from argosy.wire import link
from argosy.wire.ftp.commands import VERBS
from argosy.wire.ftp.site import SITE_VERBS


def test_the_ftp_door_has_a_code_for_every_refusal() -> None:
    ours = {kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.Refused}
    assert CODE_FOR.keys() == ours


def test_try_again_codes_are_for_refusals_that_say_so() -> None:
    for kind, code in CODE_FOR.items():
        if "try again" in (kind.__doc__ or ""):
            assert 400 <= code < 500, kind


def test_every_verb_has_a_handler_and_every_handler_a_verb() -> None:
    assert HANDLERS.keys() == VERBS.keys()
    assert site.HANDLERS.keys() == SITE_VERBS.keys()


def test_every_message_of_the_link_can_travel() -> None:
    messages = {
        kind
        for kind in vars(link).values()
        if isinstance(kind, type) and issubclass(kind, link.Message) and kind is not link.Message
    }
    inner = {
        link.Part,
        link.VolumeState,
        link.CommitPart,
        link.Doomed,
        link.Base,
        link.Running,
        link.Space,
        link.File,
        link.Group,
    }
    assert set(link.Body.__args__) == messages - inner
    tags = [kind.__struct_config__.tag for kind in messages]
    assert len(tags) == len(set(tags))
