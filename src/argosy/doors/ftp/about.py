"""What this server is and knows, in which language, and who the client's program is."""

from __future__ import annotations

from argosy import __version__, errors
from argosy.doors.ftp.client import Client
from argosy.wire.ftp import arguments, commands, hashes, listing, replies
from argosy.wire.ftp.commands import Command
from argosy.wire.ftp.replies import Reply

PROGRAM_LENGTH = 100
"""What is kept of CLNT's argument: a line of the client's may be as long as a path."""


def system(client: Client, command: Command) -> Reply:
    """SYST: what listings look like. RFC 959 section 4.1.3."""
    del client, command
    return Reply.of(215, "UNIX Type: L8")


def features(client: Client, command: Command) -> Reply:
    """FEAT: what we know beyond RFC 959. RFC 2389 section 3."""
    del command
    changing = listing.mlst_feature(client.facts), hashes.feature(client.hashing)
    return replies.features(commands.features(changing, tls=True))


def options(client: Client, command: Command) -> Reply:
    """OPTS: choose MLST's facts and HASH's algorithm; UTF8 is always on. RFC 2389 section 4."""
    try:
        name, wanted = arguments.parse_option(command.argument)
        if name == "HASH":
            client.hashing = hashes.choose(wanted, client.hashing)
    except errors.Unsupported as refused:
        return Reply.of(501, str(refused))
    match name:
        case "MLST":
            client.facts = listing.choose_facts(wanted)
            return Reply.of(200, listing.mlst_options(client.facts))
        case "HASH":
            return Reply.of(200, client.hashing)
        case _:
            return Reply.of(200, "UTF8 is always on")


def language(client: Client, command: Command) -> Reply:
    """LANG: English it is. RFC 2640 section 4."""
    del client
    arguments.check_language(command.argument)
    return Reply.of(200, "Replies are in English")


def help_me(client: Client, command: Command) -> Reply:
    """HELP: what can be said. RFC 959 section 4.1.3."""
    del client
    word = command.text.upper()
    if known := commands.VERBS.get(commands.ALIASES.get(word, word)):
        return Reply.of(214, f"{word} {known.help}")
    return replies.help_text(commands.help_lines())


def nothing(client: Client, command: Command) -> Reply:
    """NOOP: still here. RFC 959 section 4.1.3."""
    del client, command
    return Reply.of(200, "Still here")


def program(client: Client, command: Command) -> Reply:
    """CLNT: noted, for who asks who is here. No RFC."""
    client.visitor.program = command.text[:PROGRAM_LENGTH]
    return Reply.of(200, "Noted")


def identify(client: Client, command: Command) -> Reply:
    """CSID: each side says what it runs. No RFC, Serv-U's."""
    del client, command
    return Reply.of(200, f"Name=Argosy; Version={__version__}; CaseSensitive=1; DirSep=/;")
