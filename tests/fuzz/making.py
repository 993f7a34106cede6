"""Random input that is nearly right: commands, paths, messages of the link; damaged, and cut anywhere."""

from __future__ import annotations

import random
import types
import typing
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from argosy.wire import link
from argosy.wire.ftp.commands import ALIASES, NOT_IMPLEMENTED, VERBS

VERB_NAMES = tuple(name.encode() for name in sorted({*VERBS, *ALIASES, *NOT_IMPLEMENTED}))

WORDS = (
    *(b"", b"/", b".", b"..", b"//", b"/..", b"../../..", b"a", b"/a", b"a/b", b"/a/b/../c", b" ", b"  a  "),
    *(b"~", b"-la", b"-la /", b"-- -x", b"*", b"?", b"a b", b"caf\xc3\xa9", b"caf\xe9", b"\xff", b"\xff\xff"),
    *(b"\xff\xf4\xff\xf2", b"\xff\xfb\x01", b"\x00", b"\r", b"\x1b[2J", b"a\rb", b"x" * 255, b"x" * 256),
    *(b"y" * 4000, b"z" * 9000, b"/d" * 1500, b"../" * 300, b"con", b"a;b=c; d", b"a\tb", b"%s%n", b"'\"`"),
    *(b"I", b"A", b"A N", b"L 8", b"E", b"S", b"F", b"B", b"R", b"P", b"C", b"0", b"1", b"-1", b"65536"),
    *(b"9223372036854775807", b"9223372036854775808", b"99999999999999999999", b"1e3", b"0x10", b"007"),
    *(
        b"127,0,0,1,0,1",
        b"127,0,0,1,200,21",
        b"1,2,3,4,5",
        b"1,2,3,4,5,6,7",
        b"256,0,0,1,1,1",
        b"10,0,0,1,99,9",
    ),
    *(b"|1|127.0.0.1|5|", b"|2|::1|65000|", b"|1|x|1|", b"||||", b"|3|1|1|", b"ALL", b"|1|127.0.0.1|99999|"),
    *(b"20261122042522 a", b"20261122042522.123 a", b"20261322042522 a", b"2026 a", b"202611220425 a"),
    *(b"a 20261122042522 20261122042522 20261122042522 UTC", b"644 a", b"9999 a", b"0 a", b"u+x a"),
    *(
        b"TLS",
        b"SSL",
        b"TLS-C",
        b"MLST type;size;",
        b"MLST",
        b"UTF8 ON",
        b"UTF8 OFF",
        b"HASH SHA-256",
        b"\xc3",
    ),
    *(b'"a" 1 2', b"a 1 2", b'"a""b"', b'"', b"UNIX.mode=0644; a", b"Modify=20261122042522; a", b"50 R 60"),
    *(b"CHMOD 644 a", b"UTIME 20261122042522 a", b"HELP", b"WHO", b"NODES", b"SYMLINK a b", b"FIND x", b"DF"),
    *(
        b"RETR a",
        b"STOR b",
        b"LIST",
        b"MLSD",
        b"PRET",
        b"ann",
        b"anonymous",
        b"en-US",
        b"example.org",
        b"[::1]",
    ),
)
"""Arguments, or the beginnings of some."""


def line(chance: random.Random, verbs: tuple[bytes, ...] = VERB_NAMES) -> bytes:
    """Make a command line, without its end: most are right, many nearly, some are noise."""
    kind = chance.random()
    if kind < 0.03:
        return _without_ends(chance.randbytes(chance.randrange(60)))
    verb = chance.choice(verbs)
    if kind < 0.2:
        verb = bytes(letter ^ (32 * chance.randrange(2)) for letter in verb)
    made = verb
    for _ in range(chance.choice((0, 1, 1, 1, 1, 2, 3))):
        made += b" " + chance.choice(WORDS)
    if kind > 0.85:
        made = damaged(chance, made)
    return _without_ends(made)


def damaged(chance: random.Random, data: bytes) -> bytes:
    """Change, take out, put in or double some bytes."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0 if place < len(changed):
                changed[place] ^= 1 << chance.randrange(8)
            case 1:
                del changed[place : place + chance.randrange(1, 5)]
            case 2:
                changed[place:place] = chance.randbytes(chance.randrange(1, 5))
            case _:
                changed[place:place] = changed[place : place + chance.randrange(1, 9)]
    return bytes(changed)


def cut(chance: random.Random, data: bytes) -> Iterator[bytes]:
    """Cut data anywhere, into few pieces or into many."""
    most = chance.choice((1, 3, 20, 500, 20_000))
    start = 0
    while start < len(data):
        end = start + chance.randint(1, most)
        yield data[start:end]
        start = end


def _without_ends(data: bytes) -> bytes:
    return data.replace(b"\n", b"")


# --- the link

BODIES: tuple[type[link.Message], ...] = typing.get_args(link.Body)
"""All messages that are a frame's body; the others are parts of them."""

Likely = Mapping[str, Sequence[typing.Any]]
"""What a field of that name is one of, so that a message gets past the first look at it."""

_RANDOM: Likely = {}


def frame(chance: random.Random) -> link.Frame:
    """Make a frame of the right form with a random message in it."""
    number = chance.choice((0, 1, 2, 3, chance.randrange(1 << 32)))
    return link.Frame(number, chance.random() < 0.3, message(chance, chance.choice(BODIES)))


def message(chance: random.Random, kind: type[msgspec.Struct], likely: Likely = _RANDOM) -> typing.Any:
    """Make a message of the right form, with likely values where there are some, and any else."""
    hints = typing.get_type_hints(kind)
    return kind(*(_field(chance, name, hints[name], likely) for name in kind.__struct_fields__))


def _field(chance: random.Random, name: str, hint: typing.Any, likely: Likely) -> typing.Any:
    if name in likely:
        return chance.choice(likely[name])
    return _value(chance, hint, likely)


def _value(chance: random.Random, hint: typing.Any, likely: Likely) -> typing.Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _value(chance, chance.choice(inner), likely)
    if origin is tuple and inner[-1] is not Ellipsis:
        return tuple(_value(chance, one, likely) for one in inner)
    if origin in (list, tuple):
        return [_value(chance, inner[0], likely) for _ in range(chance.randrange(4))]
    if origin is typing.Literal:
        return chance.choice(inner)
    if origin is dict:
        return {
            _value(chance, inner[0], likely): _value(chance, inner[1], likely)
            for _ in range(chance.randrange(3))
        }
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return message(chance, hint, likely)
    made: dict[typing.Any, typing.Any] = {
        int: lambda: chance.choice(
            (0, 1, -1, 7, 1 << 31, (1 << 63) - 1, -(1 << 63), chance.randrange(1 << 40))
        ),
        str: lambda: chance.choice(("", "n1", "127.0.0.1", "Failed", "x" * 300, "\0", "é", "../..")),
        bytes: lambda: chance.choice((b"", b"a", b"a/b", b"../x", b"/x", b"\xff\0", chance.randbytes(20))),
        bool: lambda: chance.random() < 0.5,
        float: lambda: chance.choice((0.0, -1.0, 0.5, 1e300, float("inf"), float("nan"))),
        type(None): lambda: None,
    }
    return made[hint]()
