"""The benchmark runs, and its figures are of this world."""

import os
import re
import sys
from pathlib import Path

import pytest

from running import needs, run

BENCH = Path(__file__).parents[2] / "bench" / "run.py"


async def test_the_quick_benchmark_measures_us_beside_another_server() -> None:
    tables = ("large", "small", "logins", "lists", "idle", "secure")
    code, out, err = await run(
        sys.executable, str(BENCH), *tables, "--quick", "--only", "argosy,pyftpdlib", seconds=900
    )
    assert (code, err) == (0, "")
    text = out.decode()
    figures = {
        line.split(",")[0]: [
            float(number.replace(",", "")) for number in re.findall(r"\d[\d.,]*(?=\s|$)", line)
        ]
        for line in text.splitlines()
        if "GiB/s" in line or "files/s" in line or "a second" in line
    }
    for what in ("RETR", "STOR", "1 KiB files read", "1 KiB files written", "files deleted"):
        assert figures[what], text
        assert all(figure > 0 for figure in figures[what]), text
    assert "share of the bytes that went through the master, %             0.0           100.0" in text
    assert "1 KiB files read a second" not in text, "there is no vsftpd to compare with"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces")
async def test_the_quick_benchmark_has_nodes_on_links_of_their_own() -> None:
    needs("tc")
    code, out, err = await run(
        sys.executable, str(BENCH), "nodes", "repair", "lostnode", "uploads", "scrub", "--quick", seconds=900
    )
    assert (code, err) == (0, "")
    text = out.decode()
    shares = re.search(r"the master's share of the bytes on the wire, %\s+([\d.]+)", text)
    assert shares, text
    assert 0 < float(shares[1]) < 1, text
    for what in ("download", "upload", "both at once, down", "both at once, up"):
        rate = re.search(rf"{what}, all clients, Mbit/s\s+([\d.]+)", text)
        assert rate, text
        assert 30 < float(rate[1]) < 310, text  # three links of 100 Mbit, on a machine that may be busy
    for what in ("anything else that failed, errors", "without two whole copies in the end, files"):
        assert re.search(rf"{what}\s+0$", text, re.MULTILINE), text
    for what in ("bytes copied, MB/s", "second copies of small files, files/s", "large files, MB/s"):
        speed = re.search(rf"{what}\s+([\d.,]+)", text)
        assert speed, text
        assert float(speed[1].replace(",", "")) > 1, text


@pytest.mark.parametrize("words", [["nonsense"], ["--only", "nobody"], ["profile"], ["profile", "nothing"]])
async def test_who_asks_for_a_table_that_isnt_there_is_told_those_that_are(words: list[str]) -> None:
    code, _, err = await run(sys.executable, str(BENCH), *words)
    assert code == 2
    assert "usage:" in err
