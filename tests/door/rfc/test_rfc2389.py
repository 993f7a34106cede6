"""Feature negotiation, RFC 2389."""

from __future__ import annotations

from argosy.wire.ftp.commands import VERBS
from running import Site
from talking import Talk


def test_3_feat_names_each_feature_in_a_line_behind_a_blank(site: Site) -> None:
    with Talk(site, login=False) as talk:
        told = talk.ask("FEAT")
        assert told.code == 211
        first, *features, last, nothing = told.text.decode().split("\r\n")
        assert (first, last, nothing) == ("211-Features:", "211 End", "")
        assert all(line[0] == " " and line[1] != " " for line in features)
        assert {verb.feature for verb in VERBS.values() if verb.feature} <= {line[1:] for line in features}
        assert talk.ask("FEAT x").code == 501


def test_3_feat_says_nothing_of_what_is_not_there(talk: Talk) -> None:
    for feature in talk.ask("FEAT").text.decode().split("\r\n")[1:-2]:
        verb = feature.split()[0]
        if verb not in {"TVFS", "UTF8"}:
            assert talk.ask(f"{verb} \1").code not in {500, 502}, verb


def test_4_opts_answers_200_or_501_and_keeps_what_was(talk: Talk) -> None:
    assert talk.codes("OPTS UTF8 ON", "OPTS utf-8", "OPTS UTF8 OFF", "OPTS RETR", "OPTS X y", "OPTS") == [
        *(200, 200, 501, 501, 501, 501),
    ]
    assert talk.ask("OPTS MLST size;Type;nonsense;").text == b"200 MLST OPTS type;size;\r\n"
    assert b" MLST type*;size*;modify;" in talk.ask("FEAT").text
    assert talk.codes("OPTS HASH crc-37") == [501]
    assert b" HASH SHA-256*;" in talk.ask("FEAT").text
