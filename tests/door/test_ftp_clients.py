"""Clients that people use, with the settings they come with: list, fetch and store, in clear and by TLS."""

from __future__ import annotations

import asyncio
import ftplib
import gc
import os
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aioftp
import pytest

from argosy.net.pki import Authority
from running import PASSWORD, USER, Site, needs, run
from talking import Talk

CONTENT = os.urandom(5_000_000)
BLANKS, UNICODE = "two  blanks.bin", "Gr\u00fc\u00dfe \u65e5\u672c \u2713.bin"
LATIN = os.fsdecode(b"caf\xe9 \xe8.bin")
"""A name that isn't UTF-8."""


@dataclass(frozen=True)
class Here:
    """What a client is told: where the server is, which file there, which file here."""

    site: Site
    tls: bool
    remote: str
    """Path of the file, or of the directory to list."""
    local: Path
    home: Path
    """An empty home, so that nobody's own settings count."""

    @property
    def url(self) -> str:
        """The whole URL without the account."""
        return f"ftp://{self.site.host}:{self.site.port}{quote(os.fsencode(self.remote))}"

    @property
    def url_with_account(self) -> str:
        """The whole URL."""
        return self.url.replace("ftp://", f"ftp://{USER}:{quote(PASSWORD)}@")

    async def run(self, *words: object, said: str = "", env: dict[str, str] | None = None) -> str:
        """Run a program that must end well, and give what it says."""
        needs(str(words[0]))
        home = {"HOME": str(self.home), "LC_ALL": "C.UTF-8", **(env or {})}
        texts = [str(word) for word in words]
        code, out, err = await run(*texts, cwd=self.home, said=os.fsencode(said), env=home)
        assert code == 0, f"{words}: {code}\n{os.fsdecode(out)}\n{err}"
        return os.fsdecode(out) + err


Job = Callable[[Here], Awaitable[str]]


@dataclass(frozen=True)
class Client:
    """A client: what to run for each job, and what it can't do by itself."""

    name: str
    listing: Job | None
    get: Job | None
    put: Job | None
    tls: bool = False
    cannot: tuple[str, ...] = ()
    """Names that it doesn't manage, whatever the server does."""


# --- one function for each client and job


async def curl(here: Here, *words: object) -> str:
    tls = ("--ssl-reqd", "--cacert", here.site.authority) if here.tls else ()
    return await here.run("curl", "-sS", "-u", f"{USER}:{PASSWORD}", *tls, *words)


async def curl_list(here: Here) -> str:
    return await curl(here, f"{here.url}/")


async def curl_get(here: Here) -> str:
    return await curl(here, "-o", here.local, here.url)


async def curl_put(here: Here) -> str:
    return await curl(here, "-T", here.local, here.url)


async def lftp(here: Here, command: str) -> str:
    trust = f"set ssl:ca-file {here.site.authority}" if here.tls else "set ftp:ssl-allow no"
    where = f"open -u {USER},'{PASSWORD}' -p {here.site.port} {here.site.host}"
    return await here.run("lftp", "-c", f"set cmd:fail-exit yes; {trust}; {where}; {command}")


async def lftp_list(here: Here) -> str:
    return await lftp(here, f"cls -1 {here.remote}/")


async def lftp_get(here: Here) -> str:
    return await lftp(here, f'get "{here.remote}" -o "{here.local}"')


async def lftp_put(here: Here) -> str:
    return await lftp(here, f'put "{here.local}" -o "{here.remote}"')


async def rclone(here: Here, verb: str, *words: object) -> str:
    secret = (await here.run("rclone", "obscure", PASSWORD)).strip()
    file = here.home / "rclone.conf"
    file.touch()
    env = {
        "RCLONE_CONFIG": str(file),
        "RCLONE_CONFIG_AT_TYPE": "ftp",
        "RCLONE_CONFIG_AT_HOST": here.site.host,
        "RCLONE_CONFIG_AT_PORT": str(here.site.port),
        "RCLONE_CONFIG_AT_USER": USER,
        "RCLONE_CONFIG_AT_PASS": secret,
        "RCLONE_CONFIG_AT_EXPLICIT_TLS": "true" if here.tls else "false",
        "SSL_CERT_FILE": str(here.site.authority),
    }
    return await here.run("rclone", verb, *words, env=env)


async def rclone_list(here: Here) -> str:
    return await rclone(here, "lsf", f"at:{here.remote}")


async def rclone_get(here: Here) -> str:
    return await rclone(here, "copyto", f"at:{here.remote}", here.local)


async def rclone_put(here: Here) -> str:
    return await rclone(here, "copyto", here.local, f"at:{here.remote}")


async def ncftp(here: Here, program: str, *words: object) -> str:
    return await here.run(program, "-u", USER, "-p", PASSWORD, "-P", here.site.port, *words)


async def ncftp_list(here: Here) -> str:
    return await ncftp(here, "ncftpls", f"ftp://{here.site.host}{here.remote}/")


async def ncftp_get(here: Here) -> str:
    return await ncftp(here, "ncftpget", "-C", here.site.host, here.remote, here.local)


async def ncftp_put(here: Here) -> str:
    return await ncftp(here, "ncftpput", "-C", here.site.host, here.local, here.remote)


async def tnftp_list(here: Here) -> str:
    return await conversation(here, "tnftp", f'ls "{here.remote}"')


async def tnftp_get(here: Here) -> str:
    return await here.run("tnftp", "-o", here.local, here.url_with_account)


async def tnftp_put(here: Here) -> str:
    if (
        quote(os.fsencode(here.remote)) != here.remote
    ):  # with -u it takes the URL's percent signs for a name's
        return await conversation(here, "tnftp", f'put "{here.local}" "{here.remote}"')
    return await here.run("tnftp", "-u", here.url_with_account, here.local)


async def conversation(here: Here, program: str, *lines: str) -> str:
    """Run one of the interactive clients, as a script of old does."""
    before = (f"open {here.site.host} {here.site.port}", f'user {USER} "{PASSWORD}"', "binary")
    return await here.run(program, "-n", said="\n".join((*before, *lines, "quit", "")))


async def inetutils_list(here: Here) -> str:
    return await conversation(here, "inetutils-ftp", f'ls "{here.remote}"')


async def inetutils_get(here: Here) -> str:
    return await conversation(here, "inetutils-ftp", f'get "{here.remote}" "{here.local}"')


async def inetutils_put(here: Here) -> str:
    return await conversation(here, "inetutils-ftp", f'put "{here.local}" "{here.remote}"')


async def busybox(here: Here, applet: str, *words: object) -> str:
    account = ("-u", USER, "-p", PASSWORD, "-P", here.site.port)
    return await here.run("busybox", applet, *account, here.site.host, *words)


async def busybox_get(here: Here) -> str:
    return await busybox(here, "ftpget", here.local, here.remote)


async def busybox_put(here: Here) -> str:
    return await busybox(here, "ftpput", here.remote, here.local)


async def wget(here: Here, url: str, *words: object) -> str:
    account = (f"--user={USER}", f"--password={PASSWORD}")
    tls = (f"--ca-certificate={here.site.authority}",) if here.tls else ()
    url = url.replace("ftp://", "ftps://") if here.tls else url
    return await here.run("wget", "-q", "--tries=1", *account, *tls, *words, url)


async def wget_list(here: Here) -> str:
    return await wget(here, f"{here.url}/", "-O", "-")


async def wget_get(here: Here) -> str:
    return await wget(here, here.url, "-O", here.local)


def ftplib_session(here: Here) -> ftplib.FTP:
    context = ssl.create_default_context(cafile=str(here.site.authority)) if here.tls else None
    session = ftplib.FTP_TLS(context=context, timeout=20) if context else ftplib.FTP(timeout=20)
    session.connect(here.site.host, here.site.port)
    session.login(USER, PASSWORD)
    if isinstance(session, ftplib.FTP_TLS):
        session.prot_p()
    return session


async def ftplib_list(here: Here) -> str:
    def work() -> str:
        with ftplib_session(here) as session:
            names = session.nlst(here.remote)
            assert sorted(name for name, _ in session.mlsd(here.remote)) == sorted(
                name.rpartition("/")[2] for name in names
            )
            return "\n".join(names)

    return await asyncio.to_thread(work)


async def ftplib_get(here: Here) -> str:
    def work() -> str:
        with ftplib_session(here) as session, here.local.open("wb") as file:
            return session.retrbinary(f"RETR {here.remote}", file.write)

    return await asyncio.to_thread(work)


async def ftplib_put(here: Here) -> str:
    def work() -> str:
        with ftplib_session(here) as session, here.local.open("rb") as file:
            return session.storbinary(f"STOR {here.remote}", file)

    return await asyncio.to_thread(work)


@asynccontextmanager
async def aioftp_session(here: Here) -> AsyncIterator[aioftp.Client]:
    async with asyncio.timeout(60):
        client = aioftp.Client(socket_timeout=20)
        await client.connect(here.site.host, here.site.port)
        if here.tls:
            await client.upgrade_to_tls(ssl.create_default_context(cafile=str(here.site.authority)))
        await client.login(USER, PASSWORD)
        yield client
        await client.quit()


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


async def basic_ftp(here: Here, verb: str) -> str:
    script = Path(__file__).with_name("basic_ftp.js")
    if not (script.parent / "node_modules" / "basic-ftp").exists():
        pytest.skip("needs basic-ftp: npm ci --prefix tests/door")
    authority = str(here.site.authority) if here.tls else ""
    where = (here.site.host, here.site.port, USER, PASSWORD, authority)
    return await here.run("node", script, verb, *where, here.remote, here.local)


async def basic_ftp_list(here: Here) -> str:
    return await basic_ftp(here, "list")


async def basic_ftp_get(here: Here) -> str:
    return await basic_ftp(here, "get")


async def basic_ftp_put(here: Here) -> str:
    return await basic_ftp(here, "put")


CLIENTS = (
    Client("curl", curl_list, curl_get, curl_put, tls=True),
    Client("lftp", lftp_list, lftp_get, lftp_put, tls=True),
    Client("rclone", rclone_list, rclone_get, rclone_put, tls=True),
    Client("ncftp", ncftp_list, ncftp_get, ncftp_put),
    Client("tnftp", tnftp_list, tnftp_get, tnftp_put),
    Client("inetutils", inetutils_list, inetutils_get, inetutils_put),
    Client("busybox", None, busybox_get, busybox_put),
    Client("wget", wget_list, wget_get, None, tls=True),
    # The last three write every name as UTF-8.
    Client("ftplib", ftplib_list, ftplib_get, ftplib_put, tls=True, cannot=(LATIN,)),
    Client("aioftp", aioftp_list, aioftp_get, aioftp_put, tls=True, cannot=(LATIN,)),
    Client("basic-ftp", basic_ftp_list, basic_ftp_get, basic_ftp_put, tls=True, cannot=(LATIN,)),
)

WAYS = [(client, tls) for client in CLIENTS for tls in (False, True) if client.tls or not tls]


def _ways(able: Callable[[Client], Job | None]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("client", "tls"),
        [
            pytest.param(client, tls, id=f"{client.name}-{'tls' if tls else 'clear'}")
            for client, tls in WAYS
            if able(client)
        ],
    )


@pytest.fixture(scope="session")
def shelf(site: Site) -> str:
    """Put files there to be fetched, and give their directory."""
    with Talk(site) as talk:
        assert talk.ask("MKD /shelf").code == 257
        talk.store("/shelf/five.bin", CONTENT)
        for name in (BLANKS, UNICODE, LATIN):
            talk.store(os.fsencode(f"/shelf/{name}"), os.fsencode(name) * 1000)
    return "/shelf"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give an empty home."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@_ways(lambda client: client.listing)
async def test_a_client_lists_a_directory(
    site: Site, place: str, home: Path, client: Client, tls: bool
) -> None:
    assert client.listing is not None
    with Talk(site) as talk:
        for name in ("five.bin", BLANKS, UNICODE):
            talk.store(f"{place}/{name}", b"5")
    listed = await client.listing(Here(site, tls, place, home / "none", home))
    assert "five.bin" in listed
    if client.name != "wget":  # it makes a page of HTML, with names in its own spelling
        assert BLANKS in listed
        assert UNICODE in listed


@_ways(lambda client: client.get)
async def test_a_client_fetches_a_file(site: Site, shelf: str, home: Path, client: Client, tls: bool) -> None:
    assert client.get is not None
    local = home / "five.bin"
    await client.get(Here(site, tls, f"{shelf}/five.bin", local, home))
    assert local.read_bytes() == CONTENT


@_ways(lambda client: client.put)
async def test_a_client_stores_a_file(site: Site, place: str, home: Path, client: Client, tls: bool) -> None:
    assert client.put is not None
    local = home / "mine.bin"
    local.write_bytes(CONTENT)
    await client.put(Here(site, tls, f"{place}/mine.bin", local, home))
    with Talk(site) as talk:
        assert talk.retrieve(f"{place}/mine.bin") == CONTENT


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@_ways(lambda client: client.get)
async def test_a_client_hears_that_a_file_is_missing(
    site: Site, place: str, home: Path, client: Client, tls: bool
) -> None:
    assert client.get is not None
    try:
        said = await client.get(Here(site, tls, f"{place}/gone.bin", home / "gone.bin", home))
    except Exception as error:  # noqa: BLE001 - each has a way of its own to fail
        said = str(error)
    gc.collect()  # aioftp leaves a socket open; Python shall complain here, and not in another test
    if client.name not in ("ncftp", "tnftp", "wget"):  # they only say that it failed
        assert re.search("550|No such file|not found|does not exist", said), said
    assert not re.search("(?i)reset|426", said), said


@pytest.mark.parametrize("name", [BLANKS, UNICODE, LATIN], ids=["blanks", "unicode", "latin-1"])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
async def test_a_client_can_use_any_name(
    site: Site, shelf: str, place: str, home: Path, client: Client, name: str
) -> None:
    if name in client.cannot:
        return
    local, content = home / "local", os.fsencode(name) * 1000
    if client.get:
        await client.get(Here(site, False, f"{shelf}/{name}", local, home))
        assert local.read_bytes() == content
    if client.put:
        local.write_bytes(content)
        await client.put(Here(site, False, f"{place}/{name}", local, home))
        with Talk(site) as talk:
            assert talk.retrieve(os.fsencode(f"{place}/{name}")) == content


async def test_a_client_that_trusts_another_authority_stays_away(site: Site, shelf: str, home: Path) -> None:
    curl = needs("curl")
    stranger = home / "stranger.pem"
    stranger.write_bytes(Authority.open(home / "other-site").pem)
    url = f"ftp://{site.host}:{site.port}{shelf}/five.bin"
    code, _, err = await run(curl, "-sS", "--ssl-reqd", "--cacert", str(stranger), url)
    assert code == 60, err  # CURLE_PEER_FAILED_VERIFICATION
