"""What sites say that they can."""

from hypothesis import given
from hypothesis import strategies as st

from argosy.wire.ftp import features
from argosy.wire.ftp.answers import Answer
from argosy.wire.ftp.features import parse_features

PROFTPD = b"""\
 AUTH TLS
 MLST modify*;perm*;size*;type*;unique*;UNIX.group*;UNIX.mode;UNIX.owner*;
 REST STREAM
 SITE SYMLINK
 SITE UTIME
 SIZE""".split(b"\n")


def test_verbs_and_their_parameters_are_known() -> None:
    known = parse_features(PROFTPD)
    assert known.has("SIZE")
    assert known.has("REST", "STREAM")
    assert not known.has("REST", "BLOCK")
    assert not known.has("MLSD")
    assert known.site("SYMLINK")
    assert known.site("UTIME")
    assert not known.site("CHMOD")


def test_all_of_site_may_stand_in_one_line() -> None:
    known = parse_features([b" site chmod;utime", b" AUTH SSL;TLS"])
    assert known.site("UTIME")
    assert known.has("AUTH", "TLS")


def test_facts_are_asked_for_that_are_not_told_anyway() -> None:
    asked = "modify;perm;size;type;unique;UNIX.group;UNIX.mode;UNIX.owner;"
    assert parse_features(PROFTPD).fact_options() == asked
    assert parse_features([b" MLST type*;size*;media-type;"]).fact_options() == ""
    assert parse_features([]).fact_options() == ""


def test_a_site_that_knows_no_feat_has_no_features() -> None:
    assert features.of(Answer(502, (b"SIZE", b"SIZE", b"SIZE"))) == features.Features()
    assert features.of(Answer(211, (b"no-features",))) == features.Features()


@given(st.lists(st.binary(max_size=60)))
def test_any_line_is_read_or_passed_over(lines: list[bytes]) -> None:
    known = parse_features(lines)
    assert "\r" not in known.fact_options()
    assert "\n" not in known.fact_options()
