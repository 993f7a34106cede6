"""Argosy in the guest, as a user has it on a machine: a virtual environment, and the Python that it is of.

It is the Python that the tests run on, with all that it loads; so it fits, whosever build it is.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

import argosy
from kernel.guest import Guest

HOME = PurePosixPath("/opt/argosy")
"""The environment's directory in the guest."""

PYTHON = f"{HOME}/bin/python"
TERMINAL, WATCH = f"{HOME}/terminal.py", f"{HOME}/watch.py"
"""Programs that the tests have there beside it."""

_UNWANTED = {"ensurepip", "idlelib", "lib2to3", "site-packages", "dist-packages", "test", "tkinter"}
_USELESS = (".opt-1.pyc", ".opt-2.pyc", ".a", ".exe")
_COMPILE_SECONDS = 600.0
"""All of it is compiled once, for who may not write there would do so at each start."""
_LIBRARY = re.compile(r"=> (/\S+)")


def install(guest: Guest) -> None:
    """Bring it there; `argosy` is in everybody's path then."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for source, target in _all():
            archive.add(source.resolve(), str(target).lstrip("/"), recursive=False)
    # What Debian's packages brought stays as it is.
    guest.do("tar -xf - -C / --skip-old-files --no-same-owner", said=packed.getvalue())
    here = Path(__file__).parent
    guest.put(str(HOME), here / "terminal.py", here / "watch.py")
    site = HOME / "lib" / _version() / "site-packages"
    guest.do(
        f"""
        mkdir -p {HOME}/bin
        printf 'home = {Path(_program()).parent}\\n' > {HOME}/pyvenv.cfg
        ln -s {_program()} {HOME}/bin/python
        printf '#!{HOME}/bin/python\\nimport sys\\nfrom argosy.cli.main import main\\nsys.exit(main())\\n' \
            > {HOME}/bin/argosy
        chmod 755 {HOME}/bin/argosy
        ln -s {HOME}/bin/argosy /usr/local/bin/argosy
        {HOME}/bin/python -m compileall -q {site}
        """,
        seconds=_COMPILE_SECONDS,
    )


def _all() -> Iterator[tuple[Path, PurePosixPath]]:
    """Give each file, and where it goes."""
    ours = list(_packages())
    yield from ours
    python = [Path(_program()), *_files(Path(sysconfig.get_path("stdlib")))]
    yield from ((file, PurePosixPath(file)) for file in python)
    loaded = [file for file in [*python, *(file for file, _ in ours)] if _loads(file)]
    yield from ((file, PurePosixPath(file.parent.resolve() / file.name)) for file in _libraries(loaded))


def _packages() -> Iterator[tuple[Path, PurePosixPath]]:
    """Give Argosy's own files, and those of the packages that it wants."""
    site = HOME / "lib" / _version() / "site-packages"
    source = Path(argosy.__file__).parent
    yield from ((file, site / "argosy" / file.relative_to(source)) for file in _files(source))
    for name in sorted(_wanted("argosy", set()) - {"argosy"}):
        for path in metadata.distribution(name).files or ():
            file = Path(str(path.locate()))
            if ".." not in path.parts and file.is_file():
                yield file, site / path


def _wanted(name: str, found: set[str]) -> set[str]:
    found.add(name)
    for said in metadata.requires(name) or ():
        match = re.match(r"[\w.-]+", said)
        if match and "extra ==" not in said and match[0] not in found:
            try:
                _wanted(match[0], found)
            except metadata.PackageNotFoundError:  # for another system, or another Python
                found.discard(match[0])
    return found


def _files(directory: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(directory):
        folders[:] = [
            folder for folder in folders if folder not in _UNWANTED and not folder.startswith("config-")
        ]
        yield from (Path(place) / name for name in names if not name.endswith(_USELESS))


def _loads(file: Path) -> bool:
    return file.suffix == ".so" or ".so." in file.name or file == Path(_program())


def _libraries(files: Iterable[Path]) -> set[Path]:
    """Give the shared libraries that files load, and those that these load."""
    done = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, timeout=120, check=False)
    return {Path(found) for found in _LIBRARY.findall(done.stdout)}


def _program() -> str:
    return os.path.realpath(sys.executable)


def _version() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"
