"""What sites mean by their "no": as recorded from servers of many makes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy import errors
from argosy.sites.session import refusals
from argosy.wire.ftp.answers import Answer

SAID = [
    ("550 /x: No such file or directory", errors.NotFound),  # ProFTPD
    ("550 Can't change directory to x: No such file or directory", errors.NotFound),  # Pure-FTPd
    ("550 The system cannot find the file specified.", errors.NotFound),  # IIS
    ("550 File not found", errors.NotFound),  # FileZilla Server
    ("550 x doesn't exist", errors.NotFound),
    ("550 Failed to open file.", errors.Denied),  # vsftpd: it could be anything
    ("550 Permission denied.", errors.Denied),
    ("550 Access is denied.", errors.Denied),
    ("550 x: Read-only file system", errors.Denied),
    ("550 Directory not empty", errors.NotEmpty),
    ("550 The directory is not empty.", errors.NotEmpty),
    ("550 x: File exists", errors.Exists),
    ("550 Cannot create a file when that file already exists.", errors.Exists),
    ("521 Directory already exists", errors.Exists),
    ("550 x: Not a directory", errors.NotADirectory),
    ("550 x: Is a directory", errors.IsADirectory),
    ("550 x: not a plain file", errors.IsADirectory),  # ProFTPD
    ("550 I can only retrieve regular files", errors.Denied),  # Pure-FTPd: looking tells
    ("553 Could not create file.", errors.Denied),  # vsftpd
    ("553 Prohibited file name: x", errors.NameNotAllowed),  # Pure-FTPd
    ("552 Exceeded storage allocation", errors.OverQuota),
    ("452 Insufficient storage space", errors.NoSpace),
    ("451 x: No space left on device", errors.NoSpace),
    ("550 x: Disk quota exceeded", errors.OverQuota),
    ("426 Failure writing network stream.", errors.TransferCut),
    ("425 Can't open data connection", errors.NoDataConnection),
    ("450 x: file is busy", errors.Busy),
    ("500 Unknown command.", errors.Unsupported),
    ("502 Command not implemented.", errors.Unsupported),
    ("504 Command not implemented for that parameter.", errors.Unsupported),
    ("501 x: Invalid directory name", errors.NameNotAllowed),
    ("550 x: File name too long", errors.NameNotAllowed),
    ("421 Too many connections (8) from this IP", errors.TooMany),  # Pure-FTPd
    ("421 There are too many connected users, please try later.", errors.TooMany),  # vsftpd
    ("530 Sorry, the maximum number of clients (2) for this user are already connected.", errors.TooMany),
    ("421 Timeout.", errors.Unavailable),
    ("530 Login incorrect.", errors.LoginFailed),
    ("530 Login authentication failed", errors.LoginFailed),
]


@pytest.mark.parametrize(("line", "kind"), SAID)
def test_the_words_of_servers_are_understood(line: str, kind: type[errors.Refused]) -> None:
    answer = Answer(int(line[:3]), (line[4:].encode(),))
    assert type(refusals.refusal(answer)) is kind


@pytest.mark.parametrize(
    "text", ["Failed to open file.", "I can only retrieve regular files", "x: not found"]
)
def test_what_is_unclear_is_looked_at_before_it_is_told(text: str) -> None:
    assert refusals.is_unclear(Answer(550, (text.encode(),)), "RETR")


@pytest.mark.parametrize("line", ["550 Directory not empty", "452 No room", "421 Bye", "550 File exists"])
def test_what_is_clear_is_not_looked_at(line: str) -> None:
    assert not refusals.is_unclear(Answer(int(line[:3]), (line[4:].encode(),)), "RETR")


@given(st.integers(300, 599), st.binary(max_size=200))
def test_every_no_is_some_refusal(code: int, text: bytes) -> None:
    refused = refusals.refusal(Answer(code, (text,)), b"/a")
    assert isinstance(refused, errors.Refused)
    assert type(refused) is not errors.Refused
