"""Python's own libraries: ftplib, aioftp, and the newest curl by PycURL."""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import IO

import aioftp
import pycurl

from clients.client import Here, Job

# --- ftplib


def ftplib_job(work: Callable[[ftplib.FTP, Here], str]) -> Job:
    """Make a job of what is to be done in a session."""

    def within(here: Here) -> str:
        context = ssl.create_default_context(cafile=str(here.server.authority)) if here.tls else None
        session = ftplib.FTP_TLS(context=context, timeout=20) if context else ftplib.FTP(timeout=20)
        with session:
            session.connect(here.server.host, here.server.port)
            session.login(here.server.user, here.server.password)
            if isinstance(session, ftplib.FTP_TLS):
                session.prot_p()
            return work(session, here)

    async def job(here: Here) -> str:
        return await asyncio.to_thread(within, here)

    return job


def ftplib_list(session: ftplib.FTP, here: Here) -> str:
    return "\n".join(session.nlst(here.remote))


def ftplib_get(session: ftplib.FTP, here: Here) -> str:
    with here.local.open("wb") as file:
        return session.retrbinary(f"RETR {here.remote}", file.write)


def ftplib_put(session: ftplib.FTP, here: Here) -> str:
    with here.local.open("rb") as file:
        return session.storbinary(f"STOR {here.remote}", file)


def ftplib_resume_get(session: ftplib.FTP, here: Here) -> str:
    with here.local.open("ab") as file:
        return session.retrbinary(f"RETR {here.remote}", file.write, rest=file.tell())


def ftplib_resume_put(session: ftplib.FTP, here: Here) -> str:
    session.voidcmd("TYPE I")  # vsftpd answers SIZE only then, and so do we
    there = session.size(here.remote)
    with here.local.open("rb") as file:
        file.seek(there or 0)
        return session.storbinary(f"STOR {here.remote}", file, rest=there)


def ftplib_rename(session: ftplib.FTP, here: Here) -> str:
    return session.rename(here.remote, here.target)


def ftplib_delete(session: ftplib.FTP, here: Here) -> str:
    return session.delete(here.remote)


# --- aioftp


@asynccontextmanager
async def aioftp_session(here: Here) -> AsyncIterator[aioftp.Client]:
    async with asyncio.timeout(20):
        client = aioftp.Client(socket_timeout=20)
        await client.connect(here.server.host, here.server.port)
        try:
            if here.tls:
                context = ssl.create_default_context(cafile=str(here.server.authority))
                await client.upgrade_to_tls(context)
            await client.login(here.server.user, here.server.password)
            yield client
            await client.quit()
        finally:
            client.close()


async def aioftp_list(here: Here) -> str:
    async with aioftp_session(here) as client:
        return "\n".join([str(path) async for path, _ in client.list(here.remote)])


async def aioftp_get(here: Here) -> str:
    async with aioftp_session(here) as client:
        await client.download(here.remote, str(here.local), write_into=True)
    return ""


async def aioftp_put(here: Here) -> str:
    async with aioftp_session(here) as client:
        await client.upload(str(here.local), here.remote, write_into=True)
    return ""


async def aioftp_resume_get(here: Here) -> str:
    async with aioftp_session(here) as client:
        with here.local.open("ab") as file:
            async with client.download_stream(here.remote, offset=file.tell()) as stream:
                async for block in stream.iter_by_block():
                    file.write(block)
    return ""


async def aioftp_resume_put(here: Here) -> str:
    async with aioftp_session(here) as client:
        with here.local.open("rb") as file:
            file.seek(here.offset)
            async with client.upload_stream(here.remote, offset=here.offset) as stream:
                await stream.write(file.read())
    return ""


async def aioftp_rename(here: Here) -> str:
    async with aioftp_session(here) as client:
        await client.rename(here.remote, here.target)
    return ""


async def aioftp_delete(here: Here) -> str:
    async with aioftp_session(here) as client:
        await client.remove_file(here.remote)
    return ""


# --- the newest libcurl


def libcurl_job(prepare: Callable[[pycurl.Curl, Here, IO[bytes]], None], mode: str = "") -> Job:
    """Make a job of what is set before the one call.

    Args:
        prepare: Sets it; the third argument is the file.
        mode: How to open the local file. Empty: what comes is said.
    """

    def perform(here: Here) -> str:
        with contextlib.ExitStack() as stack:
            body = BytesIO()
            file: IO[bytes] = stack.enter_context(here.local.open(mode)) if mode else body
            curl = pycurl.Curl()
            stack.callback(curl.close)
            curl.setopt(pycurl.URL, here.url)
            curl.setopt(pycurl.USERNAME, here.server.user)
            curl.setopt(pycurl.PASSWORD, here.server.password)
            curl.setopt(pycurl.TIMEOUT, 30)
            curl.setopt(pycurl.WRITEDATA, body)
            if here.tls:
                curl.setopt(pycurl.USE_SSL, pycurl.USESSL_ALL)
                curl.setopt(pycurl.CAINFO, str(here.server.authority))
            prepare(curl, here, file)
            curl.perform()
            return body.getvalue().decode(errors="surrogateescape")

    async def job(here: Here) -> str:
        return await asyncio.to_thread(perform, here)

    return job


def libcurl_list(curl: pycurl.Curl, here: Here, file: IO[bytes]) -> None:
    curl.setopt(pycurl.URL, f"{here.url}/")


def libcurl_get(curl: pycurl.Curl, here: Here, file: IO[bytes]) -> None:
    curl.setopt(pycurl.WRITEDATA, file)
    curl.setopt(pycurl.RESUME_FROM_LARGE, file.tell())


def libcurl_put(curl: pycurl.Curl, here: Here, file: IO[bytes]) -> None:
    curl.setopt(pycurl.UPLOAD, 1)
    curl.setopt(pycurl.READDATA, file)
    curl.setopt(pycurl.INFILESIZE_LARGE, here.local.stat().st_size)


def libcurl_resume_put(curl: pycurl.Curl, here: Here, file: IO[bytes]) -> None:
    libcurl_put(curl, here, file)
    curl.setopt(pycurl.SEEKFUNCTION, lambda offset, whence: file.seek(offset, whence) and None)
    curl.setopt(pycurl.RESUME_FROM_LARGE, -1)  # it asks the server how much there is


def libcurl_rename(curl: pycurl.Curl, here: Here, file: IO[bytes]) -> None:
    _quote(curl, here, f"RNFR {here.remote}", f"RNTO {here.target}")


def libcurl_delete(curl: pycurl.Curl, here: Here, file: IO[bytes]) -> None:
    _quote(curl, here, f"DELE {here.remote}")


def _quote(curl: pycurl.Curl, here: Here, *lines: str) -> None:
    curl.setopt(pycurl.URL, f"ftp://{here.server.host}:{here.server.port}/")
    curl.setopt(pycurl.NOBODY, 1)
    curl.setopt(pycurl.QUOTE, [line.encode() for line in lines])
