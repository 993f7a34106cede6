"""Commands as they stand on the line, with the one table of what we understand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec

from argosy import errors


class Argument(Enum):
    """What may follow a verb."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Verb:
    """What is to know of a verb before its work begins."""

    argument: Argument
    rfc: str
    """Where it is specified."""
    help: str
    """Its line of HELP: what follows the verb, then what it does."""
    needs_login: bool = True
    verbatim: bool = False
    """The argument ends in a path or a password: blanks at its end belong to it."""
    at_once: bool = False
    """It is answered while a transfer runs; the others wait."""
    feature: str = ""
    """Its line of FEAT, empty for what RFC 959 has anyway."""


SECRETIVE = frozenset({"PASS", "ACCT", "ADDUSER", "GADDUSER", "CHPASS", "PASSWD"})
"""Verbs, some of SITE's, whose argument has a password in it."""


class Command(msgspec.Struct, frozen=True):
    """One line of the client's. `argument` is byte for byte what came."""

    verb: str
    """Upper case, and never an alias."""
    argument: bytes

    @property
    def text(self) -> str:
        """The argument for people, and for names of ours that are text, as a user's."""
        return self.argument.decode(errors="surrogateescape")

    def __str__(self) -> str:
        """Write the command for a log: without the password, and with nothing that breaks a line."""
        if self.verb in SECRETIVE:
            return f"{self.verb} ****"
        if self.verb == "SITE" and (word := self.text.partition(" ")[0].upper()) in SECRETIVE:
            return f"SITE {word} ****"
        return f"{self.verb} {ascii(self.text)[1:-1]}" if self.argument else self.verb


_NONE, _OPTIONAL, _REQUIRED = Argument.NONE, Argument.OPTIONAL, Argument.REQUIRED


def _sum_of(algorithm: str, verb: str) -> Verb:
    return Verb(
        _REQUIRED,
        "no RFC, GlobalSCAPE",
        f"path start end: {algorithm} of a file",
        verbatim=True,
        feature=verb,
    )


VERBS: Mapping[str, Verb] = {
    "USER": Verb(_REQUIRED, "RFC 959 section 4.1.1", "name: say who you are", needs_login=False),
    "PASS": Verb(_OPTIONAL, "RFC 959 section 4.1.1", "password: prove it", needs_login=False, verbatim=True),
    "ACCT": Verb(
        _REQUIRED, "RFC 959 section 4.1.1", "account: not needed here", needs_login=False, verbatim=True
    ),
    "QUIT": Verb(_NONE, "RFC 959 section 4.1.1", "end the session", needs_login=False),
    "REIN": Verb(_NONE, "RFC 959 section 4.1.1", "begin anew, as another user", needs_login=False),
    "HOST": Verb(
        _REQUIRED,
        "RFC 7151 section 3",
        "name: say by which name you know this site, before USER",
        needs_login=False,
        feature="HOST",
    ),
    "SYST": Verb(_NONE, "RFC 959 section 4.1.3", "say what system this is", needs_login=False),
    "FEAT": Verb(_NONE, "RFC 2389 section 3", "list the extensions", needs_login=False),
    "OPTS": Verb(_REQUIRED, "RFC 2389 section 4", "command option: set an option", needs_login=False),
    "LANG": Verb(
        _OPTIONAL,
        "RFC 2640 section 4",
        "tag: choose the language of replies",
        needs_login=False,
        feature="LANG EN*",
    ),
    "TYPE": Verb(_REQUIRED, "RFC 959 section 4.1.2", "A, A N, A T, I or L 8: how data is represented"),
    "MODE": Verb(_REQUIRED, "RFC 959 section 4.1.2", "S: data comes as a stream"),
    "STRU": Verb(_REQUIRED, "RFC 959 section 4.1.2", "F: files have no inner structure"),
    "PWD": Verb(_NONE, "RFC 959 section 4.1.3", "say which directory you are in"),
    "CWD": Verb(_REQUIRED, "RFC 959 section 4.1.1", "path: go to a directory", verbatim=True),
    "CDUP": Verb(_NONE, "RFC 959 section 4.1.1", "go to the directory above"),
    "LIST": Verb(_OPTIONAL, "RFC 959 section 4.1.3", "path: list, for people", verbatim=True),
    "NLST": Verb(_OPTIONAL, "RFC 959 section 4.1.3", "path: list names only", verbatim=True),
    "MLSD": Verb(_OPTIONAL, "RFC 3659 section 7", "path: list a directory, for programs", verbatim=True),
    "MLST": Verb(_OPTIONAL, "RFC 3659 section 7", "path: tell of one entry, for programs", verbatim=True),
    "STAT": Verb(
        _OPTIONAL,
        "RFC 959 section 4.1.3",
        "path: list over this connection; alone: how are things",
        verbatim=True,
        at_once=True,
    ),
    "SIZE": Verb(
        _REQUIRED, "RFC 3659 section 4", "path: how many bytes RETR would send", verbatim=True, feature="SIZE"
    ),
    "MDTM": Verb(
        _REQUIRED,
        "RFC 3659 section 3",
        "path: when it was modified; time path: set that",
        verbatim=True,
        feature="MDTM",
    ),
    "MFMT": Verb(
        _REQUIRED,
        "draft-somers-ftp-mfxx-04 section 3",
        "time path: set when it was modified",
        verbatim=True,
        feature="MFMT",
    ),
    "MFCT": Verb(
        _REQUIRED,
        "draft-somers-ftp-mfxx-04 section 4",
        "time path: set when it was made",
        verbatim=True,
        feature="MFCT",
    ),
    "MFF": Verb(
        _REQUIRED,
        "draft-somers-ftp-mfxx-04 section 5",
        "fact=value; path: set facts, as MLST shows them",
        verbatim=True,
        feature="MFF Create;Modify;UNIX.mode;",
    ),
    "SITE": Verb(
        _REQUIRED,
        "RFC 959 section 4.1.3",
        "command: what only this server knows, see SITE HELP",
        verbatim=True,
        feature="SITE SYMLINK",  # lftp looks for it before `ln -s`
    ),
    "PRET": Verb(
        _REQUIRED,
        "draft-dd-pret-00",
        "command path: say what PASV is for, to be sent straight to the node",
        verbatim=True,
        feature="PRET",
    ),
    "PASV": Verb(_NONE, "RFC 959 section 4.1.2", "open a port for the next transfer"),
    "EPSV": Verb(_OPTIONAL, "RFC 2428 section 3", "open a port here, for IPv4 or IPv6", feature="EPSV"),
    "PORT": Verb(_REQUIRED, "RFC 959 section 4.1.2", "h1,h2,h3,h4,p1,p2: dial me for the next transfer"),
    "EPRT": Verb(_REQUIRED, "RFC 2428 section 2", "|1|address|port|: dial me, IPv4 or IPv6", feature="EPRT"),
    "REST": Verb(
        _REQUIRED, "RFC 3659 section 5", "offset: begin the next transfer there", feature="REST STREAM"
    ),
    "RETR": Verb(_REQUIRED, "RFC 959 section 4.1.3", "path: fetch a file", verbatim=True),
    "STOR": Verb(_REQUIRED, "RFC 959 section 4.1.3", "path: store a file", verbatim=True),
    "STOU": Verb(
        _OPTIONAL, "RFC 959 section 4.1.3", "path: store a file under a new name like it", verbatim=True
    ),
    "APPE": Verb(_REQUIRED, "RFC 959 section 4.1.3", "path: go on at a file's end", verbatim=True),
    "ABOR": Verb(_NONE, "RFC 959 section 4.1.3", "stop the transfer", needs_login=False, at_once=True),
    "RNFR": Verb(_REQUIRED, "RFC 959 section 4.1.3", "path: rename this", verbatim=True),
    "RNTO": Verb(_REQUIRED, "RFC 959 section 4.1.3", "path: to that", verbatim=True),
    "DELE": Verb(_REQUIRED, "RFC 959 section 4.1.3", "path: delete a file", verbatim=True),
    "MKD": Verb(_REQUIRED, "RFC 959 section 4.1.3", "path: make a directory", verbatim=True),
    "RMD": Verb(_REQUIRED, "RFC 959 section 4.1.3", "path: remove an empty directory", verbatim=True),
    "ALLO": Verb(_REQUIRED, "RFC 959 section 4.1.3", "size: how long the next file will be"),
    "AVBL": Verb(
        _OPTIONAL,
        "draft-peterson-streamlined-ftp-command-extensions-10 section 4",
        "path: how many bytes can be stored there",
        verbatim=True,
        feature="AVBL",
    ),
    "NOOP": Verb(_OPTIONAL, "RFC 959 section 4.1.3", "do nothing", needs_login=False),
    "HELP": Verb(_OPTIONAL, "RFC 959 section 4.1.3", "verb: this text", needs_login=False),
    "AUTH": Verb(
        _REQUIRED, "RFC 4217 section 4", "TLS: encrypt this connection", needs_login=False, feature="AUTH TLS"
    ),
    "CCC": Verb(_NONE, "RFC 2228 section 3", "go back to clear: never here", needs_login=False),
    "ADAT": Verb(_OPTIONAL, "RFC 2228 section 3", "data: TLS needs none", needs_login=False),
    "MIC": Verb(
        _REQUIRED, "RFC 2228 section 3", "command: not with TLS, which protects all", needs_login=False
    ),
    "CONF": Verb(_REQUIRED, "RFC 2228 section 3", "command: likewise", needs_login=False),
    "ENC": Verb(_REQUIRED, "RFC 2228 section 3", "command: likewise", needs_login=False),
    "PBSZ": Verb(_REQUIRED, "RFC 4217 section 9", "0: comes before PROT", needs_login=False, feature="PBSZ"),
    "PROT": Verb(
        _REQUIRED, "RFC 4217 section 9", "P or C: encrypt data, or don't", needs_login=False, feature="PROT"
    ),
    "HASH": Verb(
        _REQUIRED,
        "draft-bryan-ftpext-hash-02 section 3",
        "path: hash of a file, by the algorithm that OPTS HASH chose",
        verbatim=True,
    ),
    "RANG": Verb(
        _REQUIRED, "draft-bryan-ftpext-hash-02 section 3.3", "first last: the bytes that the next HASH is of"
    ),
    "XCRC": _sum_of("CRC-32", "XCRC"),
    "XMD5": _sum_of("MD5", "XMD5"),
    "XSHA": _sum_of("SHA-1", "XSHA"),
    "XSHA1": _sum_of("SHA-1", "XSHA1"),
    "XSHA256": _sum_of("SHA-256", "XSHA256"),
    "XSHA512": _sum_of("SHA-512", "XSHA512"),
    "MD5": Verb(
        _REQUIRED, "draft-twine-ftpmd5-00 section 3.1", "path: MD5 of a file", verbatim=True, feature="MD5"
    ),
    "CLNT": Verb(_OPTIONAL, "no RFC", "program: say what you run", needs_login=False, feature="CLNT"),
    "CSID": Verb(
        _OPTIONAL, "no RFC, Serv-U", "name=value; ...: say what you run", needs_login=False, feature="CSID"
    ),
}
"""Every verb that we answer."""

ALIASES: Mapping[str, str] = {"XPWD": "PWD", "XCWD": "CWD", "XCUP": "CDUP", "XMKD": "MKD", "XRMD": "RMD"}
"""Names from before RFC 959 (RFC 775) that old clients send: RFC 1123 section 4.1.3.1."""

NOT_IMPLEMENTED = frozenset({"SMNT", "LPRT", "LPSV"})
"""What RFC 959 and RFC 1639 have, and we don't: 502 rather than 500. EPRT and EPSV replaced LPRT and LPSV."""

_LINE = re.compile(rb"([A-Za-z][A-Za-z0-9]*)(?: (.*))?", re.DOTALL)


def parse(line: bytes, verbs: Mapping[str, Verb] = VERBS) -> Command:
    """Read a command line: a verb, and after just one blank its argument.

    Further blanks belong to the argument, since a name may begin with one. At its end they are kept
    for a verb that takes a path or password, and for verbs we don't know. What can't be in a name is
    left to `session.admit`, which knows whether anybody asked.

    Args:
        line: Without CR and LF.
        verbs: The table that says which arguments are kept as they are.

    Raises:
        BadArgument: Empty, or no verb. Answer 500.
    """
    found = _LINE.fullmatch(line)
    if not found:
        raise errors.BadArgument("a command is a word, a blank and a line of text")
    verb = found[1].decode("ascii").upper()
    verb = ALIASES.get(verb, verb) if verbs is VERBS else verb
    argument = found[2] or b""
    known = verbs.get(verb)
    if known and not known.verbatim:
        argument = argument.strip(b" ")
    return Command(verb, argument)


PLANNABLE = frozenset({"RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"})
"""What PRET may announce: everything that moves data."""


def parse_pret(argument: bytes) -> Command:
    """Read what follows PRET: the command that the next data connection is for.

    Raises:
        BadArgument: No command, or one without the path that it needs. Answer 501.
        Unsupported: A command that moves no data. Answer 504.
    """
    command = parse(argument)
    if command.verb not in PLANNABLE:
        raise errors.Unsupported(f"PRET {command.verb}")
    if VERBS[command.verb].argument is Argument.REQUIRED and not command.argument:
        raise errors.BadArgument(f"PRET {command.verb}")
    return command


def features(changing: Iterable[str], *, tls: bool) -> tuple[str, ...]:
    """Give FEAT's lines, in order of the alphabet.

    Args:
        changing: Those lines that OPTS changes: MLST's facts (RFC 3659 section 7.8) and HASH's algorithms.
        tls: Whether AUTH TLS can be had.
    """
    lines = {verb.feature for verb in VERBS.values() if verb.feature}
    if not tls:
        lines -= {VERBS[verb].feature for verb in ("AUTH", "PBSZ", "PROT")}
    # UTF8: RFC 2640 section 3.1; TVFS: paths as Unix has them, RFC 3659 section 6
    return tuple(sorted({*lines, *changing, "UTF8", "TVFS"}))


def help_lines(verbs: Mapping[str, Verb] = VERBS) -> tuple[str, ...]:
    """Give the lines of HELP or SITE HELP, one for each verb."""
    return tuple(f"{name} {verb.help}" for name, verb in sorted(verbs.items()))
