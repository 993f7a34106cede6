"""The clients, one after the other: what each does, lacks, and fails at with every server."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Callable

import pycurl

from clients import conversations as talk
from clients import filezilla
from clients import libraries as lib
from clients import programs as run
from clients.client import Client, Setup, debian
from clients.languages import MODULES, jobs

_MIRROR = "it mirrors from a server, and changes nothing there"
_FETCHES = "it only fetches"
_UTF8 = "it takes and writes every name as UTF-8"


def _libcurl() -> str:
    return str(pycurl.version_info()[1])


def _said_by(*words: str) -> Callable[[], str]:
    """Ask a program itself for a version."""

    def ask() -> str:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()

    return ask


def _basic_ftp() -> str:
    return str(json.loads((MODULES / "basic-ftp/package.json").read_text())["version"])


CLIENTS = (
    Client(
        "curl",
        {
            "list": run.curl_list,
            "get": run.curl_get,
            "put": run.curl_put,
            "resume get": run.curl_resume_get,
            "resume put": run.curl_resume_put,
            "rename": run.curl_rename,
            "delete": run.curl_delete,
        },
        debian("curl"),
        needs=("curl",),
        tls=True,
    ),
    Client(
        "curl --ftp-pret",
        {
            "list": run.curl_pret_list,
            "get": run.curl_pret_get,
            "put": run.curl_pret_put,
            "resume get": run.curl_pret_resume_get,
            "resume put": run.curl_pret_resume_put,
            "rename": run.curl_rename,
            "delete": run.curl_delete,
        },
        debian("curl"),
        needs=("curl",),
        tls=True,
    ),
    Client(
        "libcurl (PycURL)",
        {
            "list": lib.libcurl_job(lib.libcurl_list),
            "get": lib.libcurl_job(lib.libcurl_get, "ab"),
            "put": lib.libcurl_job(lib.libcurl_put, "rb"),
            "resume get": lib.libcurl_job(lib.libcurl_get, "ab"),
            "resume put": lib.libcurl_job(lib.libcurl_resume_put, "rb"),
            "rename": lib.libcurl_job(lib.libcurl_rename),
            "delete": lib.libcurl_job(lib.libcurl_delete),
        },
        _libcurl,
        tls=True,
    ),
    Client(
        "lftp",
        {
            "list": run.lftp_list,
            "get": run.lftp_get,
            "put": run.lftp_put,
            "resume get": run.lftp_resume_get,
            "resume put": run.lftp_resume_put,
            "rename": run.lftp_rename,
            "delete": run.lftp_delete,
        },
        debian("lftp"),
        needs=("lftp",),
        tls=True,
    ),
    Client(
        "rclone",
        {
            "list": run.rclone_list,
            "get": run.rclone_get,
            "put": run.rclone_put,
            "rename": run.rclone_rename,
            "delete": run.rclone_delete,
        },
        debian("rclone"),
        needs=("rclone",),
        tls=True,
        lacks=dict.fromkeys(("resume get", "resume put"), "it begins a file anew"),
    ),
    Client(
        "wget",
        {"list": run.wget_list, "get": run.wget_get, "resume get": run.wget_resume_get},
        debian("wget"),
        needs=("wget",),
        tls=True,
        lacks=dict.fromkeys(("put", "resume put", "rename", "delete"), _FETCHES),
        spells=True,  # in a page of HTML
        mute=True,
    ),
    Client(
        "ncftp",
        {
            "list": run.ncftp_list,
            "get": run.ncftp_get,
            "put": run.ncftp_put,
            "resume get": run.ncftp_resume_get,
            "resume put": run.ncftp_resume_put,
            "rename": run.ncftp_rename,
            "delete": run.ncftp_delete,
        },
        debian("ncftp"),
        needs=("ncftp", "ncftpls", "ncftpget", "ncftpput"),
        fails={"resume put": "it says REST, and then sends the file from its beginning"},
        mute=True,
    ),
    Client(
        "tnftp",
        {
            "list": talk.tnftp_list,
            "get": talk.tnftp_get,
            "put": talk.tnftp_put,
            "resume get": talk.tnftp_resume_get,
            "resume put": talk.tnftp_resume_put,
            "rename": talk.tnftp_rename,
            "delete": talk.tnftp_delete,
        },
        debian("tnftp"),
        needs=("tnftp",),
        mute=True,
    ),
    Client(
        "inetutils",
        {
            "list": talk.inetutils_list,
            "get": talk.inetutils_get,
            "put": talk.inetutils_put,
            "resume get": talk.inetutils_resume_get,
            "resume put": talk.inetutils_resume_put,
            "rename": talk.inetutils_rename,
            "delete": talk.inetutils_delete,
        },
        debian("inetutils-ftp"),
        needs=("inetutils-ftp",),
    ),
    Client(
        "BusyBox",
        {"get": run.busybox_get, "put": run.busybox_put, "resume get": run.busybox_resume_get},
        debian("busybox"),
        needs=("busybox",),
        lacks={
            "list": "it has `ftpget` and `ftpput`, no more",
            "resume put": "`ftpput` always sends all",
            **dict.fromkeys(("rename", "delete"), "it has `ftpget` and `ftpput`, no more"),
        },
    ),
    Client(
        "yafc",
        {
            "list": talk.yafc_list,
            "get": talk.yafc_get,
            "put": talk.yafc_put,
            "resume get": talk.yafc_resume_get,
            "resume put": talk.yafc_resume_put,
            "rename": talk.yafc_rename,
            "delete": talk.yafc_delete,
        },
        debian("yafc"),
        needs=("yafc",),
        fails={"Latin-1": "it leaves out the bytes that aren't UTF-8"},
    ),
    Client(
        "gFTP (text)",
        {
            "list": talk.gftp_list,
            "get": talk.gftp_get,
            "put": talk.gftp_put,
            "resume get": talk.gftp_resume_get,
            "resume put": talk.gftp_resume_put,
            "rename": talk.gftp_rename,
            "delete": talk.gftp_delete,
        },
        debian("gftp-text"),
        needs=("gftp-text",),
        fails={"Latin-1": "it takes names for UTF-8"},
        mute=True,
    ),
    Client(
        "aria2",
        {"get": run.aria2_get, "resume get": run.aria2_resume_get},
        debian("aria2"),
        needs=("aria2c",),
        lacks=dict.fromkeys(("list", "put", "resume put", "rename", "delete"), _FETCHES),
    ),
    Client(
        "axel",
        {"get": run.axel_get, "resume get": run.axel_resume_get},
        debian("axel"),
        needs=("axel",),
        keeps_state=True,
        lacks=dict.fromkeys(("list", "put", "resume put", "rename", "delete"), _FETCHES),
    ),
    Client(
        "ftpcopy",
        {"list": run.ftpcopy_list, "get": run.ftpcopy_get, "resume get": run.ftpcopy_resume_get},
        debian("ftpcopy"),
        needs=("ftpcopy", "ftpls"),
        keeps_state=True,
        lacks=dict.fromkeys(("put", "resume put", "rename", "delete"), _MIRROR),
    ),
    Client(
        "Python ftplib",
        {
            "list": lib.ftplib_job(lib.ftplib_list),
            "get": lib.ftplib_job(lib.ftplib_get),
            "put": lib.ftplib_job(lib.ftplib_put),
            "resume get": lib.ftplib_job(lib.ftplib_resume_get),
            "resume put": lib.ftplib_job(lib.ftplib_resume_put),
            "rename": lib.ftplib_job(lib.ftplib_rename),
            "delete": lib.ftplib_job(lib.ftplib_delete),
        },
        platform.python_version,
        tls=True,
        fails={"Latin-1": _UTF8},
    ),
    Client(
        "Python aioftp",
        {
            "list": lib.aioftp_list,
            "get": lib.aioftp_get,
            "put": lib.aioftp_put,
            "resume get": lib.aioftp_resume_get,
            "resume put": lib.aioftp_resume_put,
            "rename": lib.aioftp_rename,
            "delete": lib.aioftp_delete,
        },
        lambda: importlib.metadata.version("aioftp"),
        tls=True,
        fails={"Latin-1": _UTF8},
    ),
    Client(
        "Perl Net::FTP",
        jobs("perl", "net_ftp.pl"),
        _said_by("perl", "-MNet::FTP", "-e", "print Net::FTP->VERSION"),
        needs=("perl",),
        tls=True,
    ),
    Client(
        "Ruby net/ftp",
        jobs("ruby", "net_ftp.rb"),
        _said_by("ruby", "-rnet/ftp", "-e", "print Net::FTP::VERSION"),
        needs=("ruby",),
        tls=True,
        fails={"Latin-1": _UTF8},
    ),
    Client(
        "PHP ftp",
        jobs("php", "ftp.php"),
        _said_by("php", "-r", "echo PHP_VERSION;"),
        needs=("php",),
        tls=True,
    ),
    Client(
        "Node basic-ftp",
        jobs("node", "basic_ftp.js"),
        _basic_ftp,
        needs=("node",),
        tls=True,
        fails={"Latin-1": _UTF8},
    ),
    Client(
        "FileZilla",
        filezilla.JOBS,
        debian("filezilla"),
        needs=("filezilla", "Xvfb", "xdotool"),
        clear=False,
        tls=True,
        mute=True,
    ),
)

SETUPS = [
    Setup(client, tls) for client in CLIENTS for tls in (False, True) if (client.tls if tls else client.clear)
]
