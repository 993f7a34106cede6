"""A relay over TLS hands on whole files, and never a part of one as the whole."""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
import io
import os
import ssl

import pytest

from running import PASSWORD, USER, Site

SIZES = (0, 1, 300_000, 3_000_001)


def connected(site: Site) -> ftplib.FTP_TLS:
    context = ssl.create_default_context(cafile=str(site.directory / "keys" / "authority.pem"))
    client = ftplib.FTP_TLS(context=context, timeout=30)
    try:
        client.connect(site.host, site.port)
        client.login(USER, PASSWORD)
        client.prot_p()
    except BaseException:
        client.close()
        raise
    return client


@pytest.mark.parametrize("size", SIZES)
async def test_ten_downloads_in_a_row_are_whole(site: Site, size: int) -> None:
    content = os.urandom(size)

    def ten_times() -> None:
        for _ in range(10):  # the ends' goodbyes raced: one download alone could be lucky
            got = io.BytesIO()
            with contextlib.closing(connected(site)) as client:
                client.storbinary(f"STOR relayed-{size}", io.BytesIO(content))
                reply = client.retrbinary(f"RETR relayed-{size}", got.write)
            assert (reply[:3], got.getvalue() == content) == ("226", True)

    await asyncio.to_thread(ten_times)


async def test_a_client_that_is_cut_off_leaves_no_whole_file(site: Site) -> None:
    def cut_off() -> str:
        client = connected(site)
        data = client.transfercmd("STOR cut-off")
        data.sendall(b"x" * 200_000)
        client.close()  # control first, as when a process is killed
        data.close()
        client = connected(site)
        client.voidcmd("TYPE I")
        with pytest.raises(ftplib.Error) as refused:
            client.retrbinary("RETR cut-off", lambda _: None)
        client.close()
        return str(refused.value)[:3]

    assert await asyncio.to_thread(cut_off) in ("450", "550")
