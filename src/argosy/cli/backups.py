"""`argosy backup` and `argosy restore`: all of a master that can't be made again, in one file."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import io
import json
import os
import re
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from argosy import __version__, config
from argosy.catalogue.store import saving
from argosy.cli import grammar, tables
from argosy.cli.ask import ask
from argosy.cli.catalogues import master_config
from argosy.cli.site import Site
from argosy.errors import BadArgument, ConfigError, Exists, Refused
from argosy.wire import link

FORM = 1
"""The form of the file. A later one is refused."""

MANIFEST = "argosy-backup.json"
DATABASE = "catalogue/argosy.db"
SMALL_LIMIT = 1024 * 1024
"""Bytes of a key, a certificate or a config file."""

_NAME = re.compile(r"(?:config|keys)/[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
"""What a backup holds beside the database and its list."""

CHUNK = 1024 * 1024


class NotABackup(BadArgument):
    """That is no backup of a site."""


def declare(to: grammar.Add) -> None:
    """Declare the words of this module."""
    saved = grammar.word(to, "backup", backup)
    saved.add_argument("file", help="what to write; one that is there is replaced once the new one is whole")
    grammar.dir_or_config(saved)
    back = grammar.word(to, "restore", restore)
    back.add_argument("file", help="what `argosy backup` wrote")
    back.add_argument("--replace", action="store_true", help="put what is there aside, beside its place")
    grammar.dir_or_config(back)


def backup(arguments: argparse.Namespace) -> int:
    """Write catalogue, keys and config into one file, whether the master runs or not."""
    master = master_config(arguments)
    target = Path(arguments.file).absolute()
    copy, fresh = (target.with_name(f".{target.name}.{end}") for end in ("db", "part"))
    for leftover in (copy, fresh):
        leftover.unlink(missing_ok=True)
    try:
        saving.save(
            Path(master.catalogue.directory) / "argosy.db",
            copy,
            pace=master.catalogue.backup_bytes_per_second,
            busy_seconds=master.catalogue.busy_seconds,
            told=_told,
        )
        manifest = _write(fresh, copy, _members(arguments, master))
        fresh.replace(target)
    finally:
        for leftover in (copy, fresh):
            leftover.unlink(missing_ok=True)
    outside = [path for path in (master.ftp.certificate, master.ftp.key) if path]
    size = target.stat().st_size
    document = {"file": str(target), "bytes": size, "members": len(manifest["members"]), "outside": outside}
    if arguments.json:
        print(tables.as_json(document))
        return 0
    held = tables.counted(len(manifest["members"]), "member")
    print(f"{target}: {tables.size(size)}, {held}. Keep it secret, there are keys in it")
    for path in outside:
        print(f"not in it, for it is yours: {path}")
    return 0


def restore(arguments: argparse.Namespace) -> int:
    """Put a master back as a backup has it. The master must not run."""
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(tarfile.open(arguments.file, "r:"))
        except (OSError, tarfile.TarError) as error:
            raise NotABackup(f"{arguments.file}: {error}") from error
        manifest = _manifest(archive)
        texts = {name: _small(archive, manifest, name) for name in manifest["members"] if name != DATABASE}
        file = Path(arguments.config).absolute() if arguments.config else None
        site = Site(Path(arguments.dir).absolute())
        places = _config_places(texts, file or site.master_config, alone=file is not None)
        master = _settings(texts, file or site.master_config, replace=arguments.replace)
        _check_stopped(master)
        keys, directory = Path(master.paths.keys), Path(master.catalogue.directory)
        places |= {name: keys / name.partition("/")[2] for name in texts if name.startswith("keys/")}
        database = directory / "argosy.db"
        taken = [at for name, at in places.items() if at.exists() and at.read_bytes() != texts[name]]
        taken += [at for at in (database,) if at.exists()]
        if taken and not arguments.replace:
            raise Exists(f"{taken[0]}; --replace puts aside what is there")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = directory / ".argosy.db.restored"
        stack.callback(fresh.unlink, missing_ok=True)
        _extract(archive, manifest, fresh)
        version = saving.check(fresh)
        saving.put_back(fresh, time.time_ns())
        aside = [_put_aside(at) for at in (*taken, *_beside(database))]
        for name, at in places.items():
            _place(at, texts[name], secret=name.endswith(".key"))
        fresh.replace(database)
    document = {
        "created": manifest["created"],
        "schema": version,
        "aside": [str(at) for at in aside if at],
        "catalogue": str(database),
    }
    print(tables.as_json(document) if arguments.json else _restored_text(document))
    return 0


def _restored_text(document: Mapping[str, Any]) -> str:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(document["created"]))
    lines = [
        f"put back as of {stamp}. Now start the master. Each node tells all that it has when it joins:",
        "  files that came since are there again, and have the names that they had",
        "  files that were deleted since are listed and damaged (argosy status), for their bytes are gone",
        "  users, groups, rules, owners, modes and links are those of the backup",
    ]
    return "\n".join([*lines, *(f"put aside: {at}" for at in document["aside"])])


# --- writing ----


def _members(arguments: argparse.Namespace, master: config.Master) -> dict[str, Path]:
    """Say which files belong to it, by their names in the backup."""
    if arguments.config:
        files = {"config/master.toml": Path(arguments.config)}
    else:
        directory = Site(Path(arguments.dir)).master_config.parent
        files = {f"config/{file.name}": file for file in sorted(directory.glob("*.toml"))}
    keys = {f"keys/{file.name}": file for file in sorted(Path(master.paths.keys).glob("*"))}
    return {name: file for name, file in (files | keys).items() if _NAME.fullmatch(name) and file.is_file()}


def _write(target: Path, copy: Path, files: Mapping[str, Path]) -> dict[str, Any]:
    texts = {name: file.read_bytes() for name, file in files.items()}
    with copy.open("rb") as database:
        digests = {DATABASE: hashlib.file_digest(database, "sha256").hexdigest()}
    digests |= {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    manifest = {"form": FORM, "software": __version__, "created": time.time(), "members": digests}
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            _add(archive, MANIFEST, json.dumps(manifest, indent=1).encode())
            for name, text in texts.items():
                _add(archive, name, text)
            with copy.open("rb") as database:
                archive.addfile(_info(DATABASE, copy.stat().st_size), database)
        out.flush()
        os.fsync(descriptor)
    return manifest


def _add(archive: tarfile.TarFile, name: str, text: bytes) -> None:
    archive.addfile(_info(name, len(text)), io.BytesIO(text))


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(time.time())
    return info


def _told(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        print(f"\r{tables.size(done)} of {tables.size(total)} ", end=end, file=sys.stderr, flush=True)


# --- reading ----


def _manifest(archive: tarfile.TarFile) -> dict[str, Any]:
    """Read the list, and see that there is nothing else in the file.

    Raises:
        NotABackup: It isn't one, or was damaged, or of a later form.
    """
    try:
        names = {member.name: member for member in archive.getmembers()}
        first = names.pop(MANIFEST)
        manifest = json.loads(_read(archive, first))
        form, members = manifest["form"], manifest["members"]
        created = float(manifest["created"])
    except (KeyError, TypeError, ValueError, OSError, tarfile.TarError) as error:
        raise NotABackup(f"{archive.name!r}") from error
    if form != FORM:
        raise NotABackup(f"its form is {form}, this program knows {FORM}")
    fit = all(name == DATABASE or _NAME.fullmatch(name) for name in members)
    if not fit or set(names) != set(members) or not all(member.isreg() for member in names.values()):
        raise NotABackup("its members aren't those of its list")
    if DATABASE not in members or "config/master.toml" not in members:
        raise NotABackup("there is no catalogue in it, or no config")
    return {"members": members, "created": created}


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > SMALL_LIMIT or not member.isreg():
        raise NotABackup(f"{member.name} is no small file")
    with _opened(archive, member) as file:
        return file.read()


@contextlib.contextmanager
def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[BinaryIO]:
    file = archive.extractfile(member)
    assert file is not None, "a regular file"
    with file:
        yield file  # type: ignore[misc]


def _small(archive: tarfile.TarFile, manifest: Mapping[str, Any], name: str) -> bytes:
    text = _read(archive, archive.getmember(name))
    if hashlib.sha256(text).hexdigest() != manifest["members"][name]:
        raise NotABackup(f"{name} was damaged")
    return text


def _extract(archive: tarfile.TarFile, manifest: Mapping[str, Any], target: Path) -> None:
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    digest = hashlib.sha256()
    with open(descriptor, "wb") as out, _opened(archive, archive.getmember(DATABASE)) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(descriptor)
    if digest.hexdigest() != manifest["members"][DATABASE]:
        raise NotABackup("the catalogue in it was damaged")


def _config_places(texts: Mapping[str, bytes], master: Path, *, alone: bool) -> dict[str, Path]:
    """Say where config files go; only the master's own, where it was named."""
    names = [name for name in texts if name.startswith("config/")]
    if alone:
        return {} if master.exists() else {"config/master.toml": master}
    return {name: master.parent / PurePosixPath(name).name for name in names}


def _settings(texts: Mapping[str, bytes], file: Path, *, replace: bool) -> config.Master:
    """Read the config that will count, as if it lay in its place."""
    if file.exists() and not replace:
        return config.load_master(file)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    trial = file.with_name(f".{file.name}.restored")
    try:
        trial.write_bytes(texts["config/master.toml"])
        return config.load_master(trial)
    finally:
        trial.unlink(missing_ok=True)


def _check_stopped(master: config.Master) -> None:
    try:
        asyncio.run(ask(master, link.AskStatus()))
    except Refused:
        return
    raise BadArgument(f"a master runs in {master.paths.run}; stop it first")


def _beside(database: Path) -> list[Path]:
    """What SQLite keeps beside a database: it belongs to that one alone."""
    return [at for end in ("-wal", "-shm") if (at := database.with_name(database.name + end)).exists()]


def _put_aside(at: Path) -> Path | None:
    if not at.exists():
        return None
    aside = at.with_name(f"{at.name}.before-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
    at.rename(aside)
    return aside


def _place(at: Path, text: bytes, *, secret: bool) -> None:
    """Write a file, whole or not at all.

    Raises:
        ConfigError: It can't be written.
    """
    fresh = at.with_name(f"{at.name}.new")
    try:
        at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
        with open(descriptor, "wb") as out:
            out.write(text)
            out.flush()
            os.fsync(descriptor)
        fresh.replace(at)
    except OSError as error:
        raise ConfigError(f"{at}: {error.strerror}") from error
