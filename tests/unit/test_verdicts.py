"""What lines of lists are worth together, whatever they are."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from argosy.vfs.verdicts import Completeness, Judged, Verdict, percent

JUDGED = st.builds(
    Judged,
    st.just(b"a.sfv"),
    st.sampled_from([b"a", b"A", b"b", b"c"]),
    st.just("crc32"),
    st.just("00000000"),
    st.sampled_from(Verdict),
    st.integers(0, 3),
)


@given(st.lists(JUDGED))
def test_a_directory_is_complete_only_if_all_is_here_and_nothing_bad(lines: list[Judged]) -> None:
    judged = Completeness()
    for line in lines:
        judged.add(line)
    worst: dict[object, Verdict] = {}
    for line in lines:
        key = line.file or line.name.lower()
        worst[key] = max(worst.get(key, line.verdict), line.verdict, key=list(Verdict).index)
    assert +judged.counts == Counter(worst.values())
    complete = not {line.verdict for line in lines} - {Verdict.GOOD, Verdict.UNKNOWN}
    assert (percent(judged) == 100) == complete
    assert 0 <= percent(judged) <= 100
