"""Random input for everything that parses, without a network: a property for each."""

from __future__ import annotations

import contextlib
import ftplib
import inspect
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

from argosy import errors
from argosy.sites import address
from argosy.sites.session import refusals
from argosy.wire import link, sumlists
from argosy.wire.ftp import (
    addresses,
    answers,
    arguments,
    commands,
    features,
    lines,
    listed,
    listing,
    replies,
    session,
    site,
    times,
)
from argosy.wire.link import pieces
from fuzz import making, nfs

_NOW = 1_795_321_522_000_000_000
"""2026-11-22."""

_LS = re.compile(
    rb"[-dl][-rwx]{9} +\d+ \S+ +\S+ +(?P<size>\d+) [A-Z][a-z]{2} [ \d]\d (?:\d\d:\d\d| \d{4}) (?P<name>.+)",
    re.DOTALL,
)
"""A line of `ls -l`, as clients take it apart."""

_PARSERS = ("parse_", "check_", "choose_")


def found_parsers(*modules: ModuleType) -> list[Callable[[bytes], object]]:
    """Find the functions that want an argument's bytes, and nothing else."""
    found: list[Callable[[bytes], object]] = []
    for module in modules:
        for name, thing in vars(module).items():
            if not name.startswith(_PARSERS) or thing.__module__ != module.__name__:
                continue
            first, *further = inspect.signature(thing).parameters.values()
            if first.annotation in (bytes, "bytes") and all(one.default is not one.empty for one in further):
                found.append(thing)
    return found


PARSERS = found_parsers(addresses, arguments, commands, listing, times)


def command_lines(chance: random.Random) -> int:
    """A line is a command or is refused, is admitted or answered, and is one line in the log."""
    line = making.line(chance)
    try:
        command = commands.parse(line)
    except errors.BadArgument:
        return 1
    assert str(command).isprintable(), command
    assert command.verb.isascii(), command
    course = session.Session(require_tls=chance.random() < 0.5)
    course.login = chance.choice(list(session.Login))
    refused = session.admit(command, course)
    assert refused is None or 500 <= refused.code <= 599, refused
    with contextlib.suppress(errors.Refused):
        site.parse(command.argument)
    return 1


def argument_parsers(chance: random.Random) -> int:
    """An argument is understood or refused by every parser there is."""
    argument = chance.choice(making.WORDS)
    if chance.random() < 0.6:
        argument = making.damaged(chance, argument + chance.choice(making.WORDS))
    parser = chance.choice(PARSERS)
    with contextlib.suppress(errors.Refused):
        parser(argument)
    return 1


def cut_lines(chance: random.Random) -> int:
    """Where the network cuts makes no difference, and every line's end has one line or one complaint."""
    data = b"".join(
        making.line(chance) + chance.choice((b"\r\n", b"\r\n", b"\n", b"\r\r\n"))
        for _ in range(chance.randrange(8))
    )
    limit = chance.choice((10, 100, 8192))
    whole = lines.LineReader(limit).feed(data)
    reader = lines.LineReader(limit)
    pieces = list(making.cut(chance, data))
    assert [line for piece in pieces for line in reader.feed(piece)] == whole
    assert len(whole) == data.count(b"\n")
    assert all(isinstance(line, lines.TooLong) or len(line) <= limit for line in whole)
    return len(whole) + len(pieces)


def conversations(chance: random.Random) -> int:
    """Whatever is asked and answered: each command has one last word, and no reply comes unasked."""
    course = session.Session(require_tls=chance.random() < 0.2)
    course.reply(replies.Reply.of(220, "x"))
    owed = done = 0
    for _ in range(chance.randrange(12)):
        done += 1
        try:
            command = commands.parse(making.line(chance))
        except errors.BadArgument:
            command = commands.Command("", b"")
        if not owed or (course.may_begin(command) and owed < 3):
            course.begin(command)
            owed += 1
        code = chance.choice(
            (150, 200, 211, 221, 226, 230, 234, 250, 331, 350, 421, 426, 451, 500, 501, 530, 550)
        )
        preliminary = code < 200
        if preliminary and course.state is not session.State.ANSWERING:
            continue
        said = course.reply(replies.Reply.of(code, "x"))
        assert said == b"%d x\r\n" % code
        if course.state is session.State.CLOSED:
            assert not course.may_begin(commands.Command("NOOP", b""))
            break
        owed -= not preliminary
        assert (course.state is session.State.IDLE) == (owed == 0), course.state
    return done


def link_frames(chance: random.Random) -> int:
    """Frames come out as they went in however they are cut; damaged ones are frames or end the link."""
    frames = [making.frame(chance) for _ in range(chance.randrange(1, 5))]
    data = b"".join(link.encode(frame) + chance.choice((b"", link.ALIVE)) for frame in frames)
    reader = link.FrameReader()
    pieces = list(making.cut(chance, data))
    heard = [frame for piece in pieces for frame in reader.feed(piece)]
    assert [link.encode(frame) for frame in heard] == [link.encode(frame) for frame in frames]
    reader = link.FrameReader()
    with contextlib.suppress(link.LinkError):
        for piece in making.cut(chance, making.damaged(chance, data)):
            assert all(isinstance(frame, link.Frame) for frame in reader.feed(piece))
    return len(frames) + len(pieces)


def pieces_between_nodes(chance: random.Random) -> int:
    """Of each file come as many bytes as it has, or its end says how many, or the connection ends."""
    files = [(number, chance.choice((-1, 0, 1, 5000, 3 << 20))) for number in range(chance.randrange(5))]
    heads = [head for ver, size in files for head in _sent(chance, ver, size)] + [pieces.END]
    if chance.random() < 0.5:
        place = chance.randrange(len(heads))
        ver, length, mark = heads[place]
        wrong = pieces.Piece(chance.choice((ver, 0, 1, 7)), length + chance.choice((-1, 0, 1, 1 << 20)), mark)
        heads[place : place + chance.randrange(2)] = [wrong._replace(length=max(0, wrong.length))]
    coming, came = pieces.Coming(files), Counter[int]()
    with contextlib.suppress(link.LinkError):
        for head in heads:
            buffer = bytearray(pieces.HEAD_BYTES)
            pieces.pack_into(buffer, 0, head)
            if chance.random() < 0.02:
                buffer[chance.randrange(len(buffer))] ^= 1 << chance.randrange(8)
            taken = coming.take(buffer)
            assert taken.length <= pieces.PIECE_LIMIT, taken
            size = dict(files).get(taken.ver, -1)
            if taken.mark in (pieces.Mark.MORE, pieces.Mark.LAST):
                came[taken.ver] += taken.length
                assert size < 0 or came[taken.ver] <= size, taken
            if taken.mark is pieces.Mark.LAST:
                assert came[taken.ver] == size, taken
            if taken.mark is pieces.Mark.END:
                break
    return len(heads)


def _sent(chance: random.Random, ver: int, size: int) -> Iterator[pieces.Piece]:
    """Cut a file into pieces; now and then it is refused in its middle."""
    left = size if size >= 0 else chance.randrange(1 << 21)
    while left > 0 and (size < 0 or left > pieces.PIECE_LIMIT or chance.random() < 0.5):
        if chance.random() < 0.1:
            yield pieces.Piece(ver, chance.randrange(50), pieces.Mark.REFUSED)
            return
        length = min(left, chance.randrange(1, pieces.PIECE_LIMIT + 1))
        yield pieces.Piece(ver, length, pieces.Mark.MORE)
        left -= length
    if size < 0:
        yield pieces.Piece(ver, pieces.WHOLE_BYTES, pieces.Mark.WHOLE)
    else:
        yield pieces.Piece(ver, left, pieces.Mark.LAST)


def listings(chance: random.Random) -> int:
    """Clients read back what we write: Python's reads MLSD, and a line of LIST has one place for its name."""
    page = [_entry(chance) for _ in range(chance.randrange(4))]
    facts = listing.choose_facts(b";".join(chance.sample([fact.encode() for fact in listing.FACTS], 5)))
    written = listing.mlsd(page, facts)
    assert [name for name, _ in _read_by_python(written)] == [entry.name for entry in page]
    for entry, (_, read) in zip(page, _read_by_python(written), strict=True):
        if "size" in facts and "size" in read:
            assert int(read["size"]) == entry.size
        if "modify" in facts:
            assert read["modify"].isascii()
    for entry, line in zip(page, listing.unix(page, _NOW).split(b"\r\n"), strict=False):
        found = _LS.fullmatch(line)
        assert found, line
        assert (int(found["size"]), found["name"][: len(entry.name)]) == (entry.size, entry.name), line
    assert listing.names(page).split(b"\r\n")[:-1] == [entry.name for entry in page]
    return len(page)


def _entry(chance: random.Random) -> listing.Line:
    name = bytes(byte for byte in chance.randbytes(chance.randrange(1, 30)) if byte not in b"\r\n\0/") or b"x"
    odd = ("ann", "b;b", "x y", "z\r\n", "", "\t", "é", "\udcff")
    return listing.Line(
        name=name,
        is_directory=chance.random() < 0.3,
        size=chance.choice((0, 1, (1 << 63) - 1, chance.randrange(1 << 50))),
        mtime_ns=chance.choice((0, -(1 << 63), (1 << 63) - 1, chance.randrange(1 << 62))),
        created_ns=chance.randrange(1 << 62),
        mode=chance.randrange(0o10000),
        owner=chance.choice(odd),
        group=chance.choice(odd),
        unique=chance.randrange(1, 1 << 62),
        perm=chance.choice(("", "adfrw", "cdeflmp")),
        nodes=tuple(chance.sample(["n1", "n 2", "n;3"], chance.randrange(4))),
    )


def _read_by_python(page: bytes) -> list[tuple[bytes, dict[str, str]]]:
    """Have ftplib read a page of MLSD, names as bytes."""

    class Told(ftplib.FTP):
        def retrlines(self, cmd: str, callback: Callable[[str], object] | None = None) -> str:
            assert callback is not None, cmd
            for line in page.split(b"\r\n")[:-1]:
                callback(line.decode("latin-1"))
            return "226"

    return [(name.encode("latin-1"), facts) for name, facts in Told().mlsd()]


_ANSWERS = (
    b"220-Hi\r\n there\r\n220 Go on\r\n",
    b"211-Features:\r\n MLST type*;size*;modify;\r\n REST STREAM\r\n211 End\r\n",
    b"227 Entering Passive Mode (127,0,0,1,19,137).\r\n",
    b"229 Entering Extended Passive Mode (|||6446|)\r\n",
    b"250-Listing /a\r\n type=file;size=5;modify=20260101000000; /a\r\n250 End\r\n",
    b'257 "/a ""b""" is here\r\n',
    b"213 20260101000000\r\n",
    b"550 /a: No such file or directory\r\n",
)
_READINGS: tuple[Callable[[answers.Answer], object], ...] = (
    answers.passive,
    answers.extended_passive,
    answers.pathname,
    answers.size,
    answers.modified,
    answers.entry,
    features.of,
)


def site_answers(chance: random.Random) -> int:
    """Whatever a site says is heard the same however it is cut, and each reply is read or refused."""
    data = b"".join(chance.choice(_ANSWERS) for _ in range(chance.randrange(1, 6)))
    if chance.random() < 0.7:
        data = making.damaged(chance, data)

    def heard(pieces: list[bytes]) -> list[answers.Answer]:
        reader, found = answers.AnswerReader(), []
        with contextlib.suppress(errors.Failed):
            for piece in pieces:
                found += reader.feed(piece)
        return found

    pieces = list(making.cut(chance, data))
    cut = heard(pieces)
    assert heard([data])[: len(cut)] == cut[: len(heard([data]))]
    for answer in cut:
        assert answer.text.isprintable()
        assert isinstance(refusals.refusal(answer), errors.Refused)
        for reading in _READINGS:
            with contextlib.suppress(errors.Failed):
                reading(answer)
    return len(pieces)


_LISTED = (
    b"-rw-r--r--    1 ftp      ftp          1234 Nov 22 04:20 a b.txt",
    b"lrwxrwxrwx   1 ann      staff           7 Mar 13  2023 link -> ../x y",
    b"-rw-r--r--   1 ann staff          12 2024-01-12 10:11:12.500000000 +0100 full",
    b"d [R----F--] supervisor            512       Jan 16 18:53    login",
    b"11-05-25  09:09PM       <DIR>          pub x",
    b"2024-01-12  22:11             1,234 iso.txt",
    b"+i8388621.44468,m839956783,r,s10376,up644,\tRFC EPLF",
    b"CII-MANUAL.TEX;1  213/216  29-JAN-1996 03:33:12  [ANONYMOU]   (RWED,RWED,,)",
    b"QSYS            77824 02/23/00 15:09:55 *DIR       QOpenSys/",
    b"type=OS.unix=slink:/a;modify=20260101000000;UNIX.mode=0755; l",
    b"total 12",
)


def site_listings(chance: random.Random) -> int:
    """Whatever a site lists: names that are names, each once, and numbers in their bounds."""
    page = [chance.choice(_LISTED) for _ in range(chance.randrange(1, 6))]
    data = making.damaged(chance, b"\r\n".join(page))
    for found in (listed.parse_list(data, _NOW), listed.parse_mlsd(data)):
        names = [entry.name for entry in found.entries]
        assert len(set(names)) == len(names)
        for entry in found.entries:
            assert listed.can_be_name(entry.name), entry
            assert entry.size is None or 0 <= entry.size < 1 << 63, entry
            assert entry.mode is None or 0 <= entry.mode < 1 << 12, entry
    return len(page)


def mount_addresses(chance: random.Random) -> int:
    """Whatever a mount line has after its first colon: an address that can be said in commands, or none."""
    words = [b"ftp://", b"ann", b":", b"@", b"/", b"host", b"2121", b"[::1]", b"%2F", b"%0d", b"secret"]
    export = making.damaged(chance, b"".join(chance.choice(words) for _ in range(chance.randrange(8))))
    with contextlib.suppress(errors.BadArgument, errors.NotFound):
        found = address.parse_export(export)
        assert 1 <= found.port <= 65_535
        said = f"{found.user}{found.password}".encode(errors="surrogateescape") + found.directory
        assert not set(said) & set(b"\r\n\0"), found
    return 1


_LIST_NAMES = (b"a.sfv", b"B.SFV", b"a.md5", b"MD5SUMS", b"x.sha1", b"sha256sums.txt", b"y.SHA512SUM")
_LISTED_NAMES = (
    b"a",
    b"movie part 1.rar",
    b"./CD1/a",
    b"CD2\\b",
    b"../a",
    b"/a",
    b"a//b",
    b"(b) = c",
    b"\xe9",
)
_LINE_ENDS = (b"\n", b"\n", b"\r\n", b"\r", b"\x1a", b"")


def lists_of_sums(chance: random.Random) -> int:
    """Whatever lies beside files as a list of checksums: names below it, each with a checksum of its kind."""
    algorithm = sumlists.algorithm_of(chance.choice(_LIST_NAMES))
    assert algorithm
    page = [_sum_line(chance, algorithm) for _ in range(chance.randrange(8))]
    data = b"".join(line + chance.choice(_LINE_ENDS) for line in page)
    if chance.random() < 0.7:
        data = making.damaged(chance, data)
    found = sumlists.parse(data, algorithm)
    assert len(found) <= data.count(b"\n") + data.count(b"\r") + 1, found
    for name, (kind, digits) in found.items():
        assert all(part not in (b"", b".", b"..") for part in name.split(b"/")), name
        assert not set(name) & set(b"\r\n\0"), name
        assert re.fullmatch(rf"[0-9a-f]{{{sumlists.DIGITS[kind]}}}", digits), digits
    plain = b"".join(b"%b %b\n" % (name, b"%08x" % number) for number, name in enumerate((b"a b", b"c/d")))
    assert sumlists.parse(data + b"\n" + plain, "crc32").items() >= sumlists.parse(plain, "crc32").items()
    return len(page) + 1


def _sum_line(chance: random.Random, algorithm: str) -> bytes:
    kind = algorithm if chance.random() < 0.8 else chance.choice(tuple(sumlists.DIGITS))
    name, digits = chance.choice(_LISTED_NAMES), chance.randbytes(sumlists.DIGITS[kind] // 2).hex().encode()
    forms = (
        b"%b %b" % (name, digits.upper()),
        b"%b  %b" % (digits, name),
        b"%b *%b" % (digits, name),
        b"\\%b  %b\\n\\\\" % (digits, name),
        b"%b (%b) = %b" % (kind.upper().encode(), name, digits),
        b"; %b" % name,
    )
    return chance.choice(forms)


TARGETS: Mapping[str, Callable[[random.Random], int]] = {
    "command lines": command_lines,
    "arguments": argument_parsers,
    "lines and cuts": cut_lines,
    "conversations": conversations,
    "link frames": link_frames,
    "pieces between nodes": pieces_between_nodes,
    "listings": listings,
    "answers of sites": site_answers,
    "listings of sites": site_listings,
    "addresses of mounts": mount_addresses,
    "lists of checksums": lists_of_sums,
    "NFS calls": nfs.calls,
}
"""Everything that parses or formats, by name."""


def again_and_again(name: str, count: int, seed: int, *, inputs: bool = False) -> int:
    """Try a target with that many lines, frames and cuts in all; give how many inputs they made.

    Args:
        name: Of the target.
        count: How many.
        seed: For all of it.
        inputs: Count inputs, each of several lines, instead.

    Raises:
        AssertionError: It failed; the message says how to have the same input again.
    """
    target = TARGETS[name]
    done = number = 0
    while done < count:
        number += 1
        try:
            tried = target(random.Random(f"{seed}:{number}"))
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise AssertionError(f"{name}: input {number} of seed {seed}: {told}") from error
        done += 1 if inputs else tried
    return number
