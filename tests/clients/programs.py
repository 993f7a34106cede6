"""Programs that do one job for each call: curl, lftp, rclone, ncftp, wget, BusyBox, aria2, axel, ftpcopy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from urllib.parse import quote

from clients.client import Here

# --- curl


async def curl(here: Here, *words: object) -> str:
    tls = ("--ssl-reqd", "--cacert", here.server.authority) if here.tls else ()
    return await here.run("curl", "-sS", "-u", f"{here.server.user}:{here.server.password}", *tls, *words)


async def curl_list(here: Here) -> str:
    return await curl(here, f"{here.url}/")


async def curl_get(here: Here) -> str:
    return await curl(here, "-o", here.local, here.url)


async def curl_put(here: Here) -> str:
    return await curl(here, "-T", here.local, here.url)


async def curl_resume_get(here: Here) -> str:
    return await curl(here, "-C", "-", "-o", here.local, here.url)


async def curl_resume_put(here: Here) -> str:
    return await curl(here, "-C", "-", "-T", here.local, here.url)


async def curl_rename(here: Here) -> str:
    return await curl(here, "-I", "-Q", f"RNFR {here.remote}", "-Q", f"RNTO {here.target}", _top(here))


async def curl_delete(here: Here) -> str:
    return await curl(here, "-I", "-Q", f"DELE {here.remote}", _top(here))


def _top(here: Here) -> str:
    return f"ftp://{here.server.host}:{here.server.port}/"


# --- curl with PRET, straight to the node


PRET = ("--ftp-pret", "--no-ftp-skip-pasv-ip")


async def curl_pret_list(here: Here) -> str:
    return await curl(here, *PRET, f"{here.url}/")


async def curl_pret_get(here: Here) -> str:
    return await curl(here, *PRET, "-o", here.local, here.url)


async def curl_pret_put(here: Here) -> str:
    return await curl(here, *PRET, "-T", here.local, here.url)


async def curl_pret_resume_get(here: Here) -> str:
    return await curl(here, *PRET, "-C", "-", "-o", here.local, here.url)


async def curl_pret_resume_put(here: Here) -> str:
    return await curl(here, *PRET, "-C", "-", "-T", here.local, here.url)


# --- lftp


async def lftp(here: Here, command: str) -> str:
    trust = f"set ssl:ca-file {here.server.authority}" if here.tls else "set ftp:ssl-allow no"
    where = f"open -u {here.server.user},'{here.server.password}' -p {here.server.port} {here.server.host}"
    return await here.run("lftp", "-c", f"set cmd:fail-exit yes; {trust}; {where}; {command}")


async def lftp_list(here: Here) -> str:
    return await lftp(here, f"cls -1 {here.remote}/")


async def lftp_get(here: Here) -> str:
    return await lftp(here, f'get "{here.remote}" -o "{here.local}"')


async def lftp_put(here: Here) -> str:
    return await lftp(here, f'put "{here.local}" -o "{here.remote}"')


async def lftp_resume_get(here: Here) -> str:
    return await lftp(here, f'get -c "{here.remote}" -o "{here.local}"')


async def lftp_resume_put(here: Here) -> str:
    return await lftp(here, f'put -c "{here.local}" -o "{here.remote}"')


async def lftp_rename(here: Here) -> str:
    return await lftp(here, f'mv "{here.remote}" "{here.target}"')


async def lftp_delete(here: Here) -> str:
    return await lftp(here, f'rm "{here.remote}"')


# --- rclone


async def rclone(here: Here, verb: str, *words: object) -> str:
    secret = (await here.run("rclone", "obscure", here.server.password)).strip()
    file = here.home / "rclone.conf"
    file.touch()
    env = {
        "RCLONE_CONFIG": str(file),
        "RCLONE_CONFIG_AT_TYPE": "ftp",
        "RCLONE_CONFIG_AT_HOST": here.server.host,
        "RCLONE_CONFIG_AT_PORT": str(here.server.port),
        "RCLONE_CONFIG_AT_USER": here.server.user,
        "RCLONE_CONFIG_AT_PASS": secret,
        "RCLONE_CONFIG_AT_EXPLICIT_TLS": "true" if here.tls else "false",
        "SSL_CERT_FILE": str(here.server.authority),
    }
    return await here.run("rclone", verb, "--retries", "1", *words, env=env)


async def rclone_list(here: Here) -> str:
    return await rclone(here, "lsf", f"at:{here.remote}")


async def rclone_get(here: Here) -> str:
    return await rclone(here, "copyto", f"at:{here.remote}", here.local)


async def rclone_put(here: Here) -> str:
    return await rclone(here, "copyto", here.local, f"at:{here.remote}")


async def rclone_rename(here: Here) -> str:
    return await rclone(here, "moveto", f"at:{here.remote}", f"at:{here.target}")


async def rclone_delete(here: Here) -> str:
    return await rclone(here, "deletefile", f"at:{here.remote}")


# --- ncftp


async def ncftp(here: Here, program: str, *words: object, said: str = "") -> str:
    account = ("-u", here.server.user, "-p", here.server.password, "-P", here.server.port)
    return await here.run(program, *account, *words, said=said)


async def ncftp_list(here: Here) -> str:
    return await ncftp(here, "ncftpls", f"ftp://{here.server.host}{here.remote}/")


async def ncftp_get(here: Here) -> str:
    return await ncftp(here, "ncftpget", "-C", here.server.host, here.remote, here.local)


async def ncftp_put(here: Here) -> str:
    return await ncftp(here, "ncftpput", "-C", here.server.host, here.local, here.remote)


async def ncftp_resume_get(here: Here) -> str:
    return await ncftp(here, "ncftpget", "-z", "-C", here.server.host, here.remote, here.local)


async def ncftp_resume_put(here: Here) -> str:
    return await ncftp(here, "ncftpput", "-z", "-C", here.server.host, here.local, here.remote)


async def ncftp_rename(here: Here) -> str:
    line = f'rename "{here.remote}" "{here.target}"\nquit\n'
    return await ncftp(here, "ncftp", here.server.host, said=line)


async def ncftp_delete(here: Here) -> str:
    return await ncftp(here, "ncftp", here.server.host, said=f'rm "{here.remote}"\nquit\n')


# --- wget


async def wget(here: Here, url: str, *words: object) -> str:
    account = (f"--user={here.server.user}", f"--password={here.server.password}")
    tls = (f"--ca-certificate={here.server.authority}",) if here.tls else ()
    url = url.replace("ftp://", "ftps://") if here.tls else url
    return await here.run("wget", "-q", "--tries=1", *account, *tls, *words, url)


async def wget_list(here: Here) -> str:
    return await wget(here, f"{here.url}/", "-O", "-")


async def wget_get(here: Here) -> str:
    return await wget(here, here.url, "-O", here.local)


async def wget_resume_get(here: Here) -> str:
    return await wget(here, here.url, "-c", "-O", here.local)


# --- BusyBox


async def busybox(here: Here, applet: str, *words: object) -> str:
    account = ("-u", here.server.user, "-p", here.server.password, "-P", here.server.port)
    return await here.run("busybox", applet, *account, *words)


async def busybox_get(here: Here) -> str:
    return await busybox(here, "ftpget", here.server.host, here.local, here.remote)


async def busybox_put(here: Here) -> str:
    return await busybox(here, "ftpput", here.server.host, here.remote, here.local)


async def busybox_resume_get(here: Here) -> str:
    return await busybox(here, "ftpget", "-c", here.server.host, here.local, here.remote)


# --- aria2 and axel, which fetch several ranges at once


async def aria2(here: Here, *words: object) -> str:
    """Fetch. Where 150 and 226 come in one piece it waits 60 seconds for the 226 that it has read already."""
    account = (f"--ftp-user={here.server.user}", f"--ftp-passwd={here.server.password}")
    where = (f"--dir={here.local.parent}", f"--out={here.local.name}")
    return await here.run("aria2c", "--no-conf", "--max-tries=1", *account, *where, *words, here.url)


async def aria2_get(here: Here) -> str:
    return await aria2(here)


async def aria2_resume_get(here: Here) -> str:
    return await aria2(here, "--continue=true")


async def axel(here: Here, *words: object) -> str:
    server = here.server  # it decodes no percent signs
    url = f"ftp://{server.user}:{server.password}@{server.host}:{server.port}{here.remote}"
    return await here.run("axel", *words, "-o", here.local, url)


async def axel_get(here: Here) -> str:
    return await axel(here, "-q")


async def axel_resume_get(here: Here) -> str:
    await cut(axel(here, "-q", "-n", "2", "-s", "100000"), here.local.parent, f"{here.local.name}.st")
    said = await axel(here, "-n", "2")
    assert "State file found" in said, said
    return said


# --- ftpcopy, which mirrors


async def ftpcopy(here: Here, *words: object) -> str:
    account = ("-u", here.server.user, "-p", here.server.password)
    where = f"{here.server.host}:{here.server.port}"
    return await here.run("ftpcopy", "-n", *account, *words, where, here.remote, here.local)


async def ftpcopy_list(here: Here) -> str:
    account = ("-u", here.server.user, "-p", here.server.password)
    return await here.run("ftpls", *account, f"{here.server.host}:{here.server.port}", here.remote)


async def ftpcopy_get(here: Here) -> str:
    return await ftpcopy(here)


async def ftpcopy_resume_get(here: Here) -> str:
    await cut(ftpcopy(here, "--rate-limit=200000"), here.local.parent, ".tmp.*")
    said = await ftpcopy(here)
    assert "restarting at" in said, said
    return said


async def cut(job: Coroutine[None, None, str], folder: Path, sign: str) -> None:
    """Let a slow client begin, and interrupt it.

    Args:
        job: What it does, so slowly that it can't end before we look on a busy machine.
        folder: Where it does it.
        sign: A file there that tells that it has begun; it goes on from that when it is called again.
    """
    task = asyncio.create_task(job)
    try:
        async with asyncio.timeout(30):
            while not await asyncio.to_thread(_begun, folder, sign):
                await asyncio.sleep(0.1)
    finally:
        task.cancel()
        await asyncio.wait({task})


def _begun(folder: Path, sign: str) -> bool:
    return any(file.stat().st_size for file in folder.glob(sign))


def quoted(path: str) -> str:
    """Write a path as in a URL."""
    return quote(os.fsencode(path))
