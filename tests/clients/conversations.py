"""Programs that one talks with, line by line: tnftp, inetutils, yafc, gFTP's text mode."""

from __future__ import annotations

import re

from clients.client import Here
from clients.programs import quoted


async def conversation(here: Here, program: str, *lines: str) -> str:
    """Run one of the children of BSD's ftp, as a script of old does."""
    server = here.server
    before = (f"open {server.host} {server.port}", f'user {server.user} "{server.password}"', "binary")
    return await here.run(program, "-n", said="\n".join((*before, *lines, "quit", "")))


# --- tnftp


async def tnftp_list(here: Here) -> str:
    return await conversation(here, "tnftp", f'ls "{here.remote}"')


async def tnftp_get(here: Here) -> str:
    return await here.run("tnftp", "-o", here.local, here.url_with_account)


async def tnftp_put(here: Here) -> str:
    if quoted(here.remote) != here.remote:  # with -u it takes the URL's percent signs for a name's
        return await conversation(here, "tnftp", f'put "{here.local}" "{here.remote}"')
    return await here.run("tnftp", "-u", here.url_with_account, here.local)


async def tnftp_resume_get(here: Here) -> str:
    return await conversation(here, "tnftp", f'reget "{here.remote}" "{here.local}"')


async def tnftp_resume_put(here: Here) -> str:
    line = f'put "{here.local}" "{here.remote}"'
    return await conversation(here, "tnftp", f"restart {here.offset}", line)


async def tnftp_rename(here: Here) -> str:
    return await conversation(here, "tnftp", f'rename "{here.remote}" "{here.target}"')


async def tnftp_delete(here: Here) -> str:
    return await conversation(here, "tnftp", f'delete "{here.remote}"')


# --- inetutils


async def inetutils_list(here: Here) -> str:
    return await conversation(here, "inetutils-ftp", f'ls "{here.remote}"')


async def inetutils_get(here: Here) -> str:
    return await conversation(here, "inetutils-ftp", f'get "{here.remote}" "{here.local}"')


async def inetutils_put(here: Here) -> str:
    return await conversation(here, "inetutils-ftp", f'put "{here.local}" "{here.remote}"')


async def inetutils_resume_get(here: Here) -> str:
    return await conversation(here, "inetutils-ftp", f'reget "{here.remote}" "{here.local}"')


async def inetutils_resume_put(here: Here) -> str:
    line = f'put "{here.local}" "{here.remote}"'
    return await conversation(here, "inetutils-ftp", f"restart {here.offset}", line)


async def inetutils_rename(here: Here) -> str:
    return await conversation(here, "inetutils-ftp", f'rename "{here.remote}" "{here.target}"')


async def inetutils_delete(here: Here) -> str:
    return await conversation(here, "inetutils-ftp", f'delete "{here.remote}"')


# --- yafc


async def yafc(here: Here, *lines: str) -> str:
    server = here.server
    where = f"ftp://{server.user}:{quoted(server.password)}@{server.host}:{server.port}"
    words = ("-q", "-n", "-W", here.home / ".yafc", where)
    return await here.run("yafc", *words, said="\n".join((*lines, "quit", "")))


def escaped(path: object) -> str:
    """Write a path for yafc, which looks for quotation marks in local names."""
    return re.sub(r"([ \"'\\*?\[])", r"\\\1", str(path))


async def yafc_list(here: Here) -> str:
    return await yafc(here, f"ls {escaped(here.remote)}")


async def yafc_get(here: Here) -> str:
    return await yafc(here, f"get {escaped(here.remote)} -o {escaped(here.local)}")


async def yafc_put(here: Here, *options: str) -> str:
    folder, _, name = here.remote.rpartition("/")  # its -o takes no name with blanks
    local = here.local.rename(here.local.with_name(name))
    return await yafc(here, f"cd {escaped(folder)}", " ".join(("put", *options, escaped(local))))


async def yafc_resume_get(here: Here) -> str:
    return await yafc(here, f"get --resume {escaped(here.remote)} -o {escaped(here.local)}")


async def yafc_resume_put(here: Here) -> str:
    return await yafc_put(here, "--resume")


async def yafc_rename(here: Here) -> str:
    return await yafc(here, f"mv {escaped(here.remote)} {escaped(here.target)}")


async def yafc_delete(here: Here) -> str:
    return await yafc(here, f"rm {escaped(here.remote)}")


# --- gFTP's text mode: names are of the directories where it is, here and there


async def gftp(here: Here, *lines: str) -> str:
    server = here.server
    where = (
        f"ftp://{server.user}:{server.password}@{server.host}:{server.port}/"  # it decodes no percent signs
    )
    folder = here.remote.rpartition("/")[0]
    before = (f"lcd {here.local.parent}", f"cd {folder}")
    return await here.run("gftp-text", where, said="\n".join((*before, *lines, "quit", "")))


async def gftp_list(here: Here) -> str:
    return await gftp(here, f"cd {here.remote}", "ls")


async def gftp_get(here: Here, *answers: str) -> str:
    name = here.remote.rpartition("/")[2]
    said = await gftp(here, f"get {name}", *answers)
    came = here.local.with_name(name)
    if came != here.local and came.exists():
        came.rename(here.local)
    return said


async def gftp_put(here: Here, *answers: str) -> str:
    name = here.remote.rpartition("/")[2]
    if here.local.name != name:
        here.local.rename(here.local.with_name(name))
    return await gftp(here, f"put {name}", *answers)


async def gftp_resume_get(here: Here) -> str:
    return await gftp_get(here, "r")


async def gftp_resume_put(here: Here) -> str:
    return await gftp_put(here, "r")


async def gftp_rename(here: Here) -> str:
    return await gftp(here, f"rename {here.remote} {here.target}")


async def gftp_delete(here: Here) -> str:
    return await gftp(here, f"delete {here.remote}")
