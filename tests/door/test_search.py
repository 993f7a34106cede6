"""Search over the whole tree, as users and administrators meet it."""

from __future__ import annotations

import json
import subprocess

import pytest

from running import ARGOSY, Site
from talking import Talk


@pytest.fixture
def tree(talk: Talk) -> Talk:
    """Lay a small tree where the test is."""
    assert talk.codes("MKD a", "MKD a/b", "MKD c") == [257] * 3
    for path, size in (("a/one.txt", 1), ("a/b/two.TXT", 2_000), ("c/three.bin", 300_000), ("my file", 5)):
        talk.store(path, b"x" * size)
    assert talk.codes("SITE SYMLINK a/b c/way", "MFMT 20200101000000 a/one.txt") == [200, 213]
    return talk


def found(talk: Talk, line: str, place: str) -> list[str]:
    """Search, and give what is found, from the test's own directory on."""
    answer = talk.ask(line)
    assert answer.code == 200, answer
    first, *lines, last = answer.text.decode().splitlines()
    assert first == "200-Found:"
    assert last.startswith(f"200 {len(lines)} found")
    assert all(line.startswith(f" {place}/") for line in lines)
    return [line.removeprefix(f" {place}/") for line in lines]


def test_site_find_looks_below_where_you_are(tree: Talk, place: str) -> None:
    assert found(tree, "SITE FIND -name *.txt", place) == ["a/one.txt"]
    assert found(tree, "SITE FIND -iname *.txt", place) == ["a/one.txt", "a/b/two.TXT"]
    assert found(tree, 'SITE FIND -name "my f*"', place) == ["my file"]
    assert found(tree, "SITE FIND c", place) == ["c/three.bin", "c/way -> a/b"]
    assert found(tree, "SITE FIND -type d", place) == ["a/", "c/", "a/b/"]
    assert found(tree, "SITE FIND -type l", place) == ["c/way -> a/b"]
    assert found(tree, "SITE FIND -size 1K -size -100K", place) == ["a/b/two.TXT"]
    assert found(tree, "SITE FIND -mtime 365 -type f", place) == ["a/one.txt"]
    assert "a/one.txt" not in found(tree, "SITE FIND -mtime -1", place)
    assert len(found(tree, "SITE FIND -user bob", place)) == 8
    assert found(tree, "SITE FIND -user nobody", place) == []
    both = found(tree, "SITE FIND -slave n1", place) + found(tree, "SITE FIND -slave n2", place)
    assert sorted(both) == ["a/b/two.TXT", "a/one.txt", "c/three.bin", "my file"]
    assert len(found(tree, f"SITE FIND {place}/a -limit 2", place)) == 2
    assert b"there may be more" in tree.ask("SITE FIND -limit 2").text


def test_site_search_looks_for_words(tree: Talk, place: str) -> None:
    assert found(tree, "SITE SEARCH two txt", place) == ["a/b/two.TXT"]
    assert found(tree, "SITE SEARCH E I", place) == ["my file", "c/three.bin"]
    assert found(tree, 'SITE SEARCH "y f"', place) == ["my file"]
    assert found(tree, "SITE SEARCH *", place) == []


def test_bad_searches_are_refused(tree: Talk) -> None:
    assert tree.codes("SITE FIND gone", "SITE FIND a/one.txt", "SITE FIND -size big", "SITE SEARCH") == [
        *(550, 550, 501, 501)
    ]
    assert tree.codes("SITE FIND -name " + "*a" * 11, 'SITE SEARCH "', "NOOP") == [501, 501, 200]


def test_argosy_find_says_all_there_is_to_say(site: Site, tree: Talk, place: str) -> None:
    def find(*words: str) -> list[str]:
        line = [*ARGOSY, "find", place, *words, "--dir", str(site.directory)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.splitlines()

    (line,) = find("--json", "--name", "two*", "--size", "1K..")
    entry = json.loads(line)
    assert (entry["path"], entry["kind"], entry["size"]) == (f"{place}/a/b/two.TXT", "file", 2_000)
    assert (entry["owner"], entry["state"], len(entry["nodes"])) == ("bob", "live", 1)
    (line,) = find("--type", "l")
    assert line.endswith(f"{place}/c/way -> a/b")
    named = [line.rsplit("/", 1)[1] for line in find("--contains", "T", "--type", "f")]
    assert named == ["one.txt", "two.TXT", "three.bin"]
    assert [line.rsplit("/", 1)[1] for line in find("--older", "2021-01-01")] == ["one.txt"]
    assert find("--newer", "1h", "--iname", "ONE*") == []
    assert len(find("--limit", "3")) == 3
    assert find("--node", "n9") == []
    for words, complaint in ((("--size", "big"), "want MIN"), ((f"{place}/gone",), "No such file")):
        with pytest.raises(AssertionError, match=complaint):
            site.argosy("find", *words)
