"""A Linux that is nothing but an NFS client, made of Debian's packages: a kernel, and its files in memory.

`python -m kernel.image` fetches and makes it, below `build/kernel`; it stays there until this code asks for
something else. Nothing is installed and no package's script runs, so it wants no root: the packages' files go
straight into the archive that the kernel unpacks at its start.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kernel.cpio import Archive

BUILD = Path(__file__).resolve().parents[2] / "build" / "kernel"
HERE = Path(__file__).resolve().parent

ARCHITECTURE = "amd64"
KERNEL = "linux-image-cloud-amd64"
"""Names the release's own kernel for virtual machines."""
PACKAGES = (
    "busybox-static",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "git",
    "mount",
    "netbase",
    "nfs-common",
    "python3-minimal",
    "rsync",
    "sudo",
    "tar",
    "vim-tiny",
)
"""What the guest's commands are; apt finds what they need. BusyBox is for all else."""
MODULES = ("virtio_pci", "virtio_net", "nfsv3")
"""Of the kernel; what they need is found in them."""

_UNWANTED = re.compile(
    r"usr/share/(doc|man|info|locale|lintian|bash-completion|zoneinfo|perl|bug|menu|vim/vim\d+/(doc|tutor|lang))/"
    r"|usr/lib/[^/]*/(perl|gconv)/|usr/lib/python3(\.\d+)?/(test|dist-packages|idlelib)/"
    r"|usr/lib/git-core/(git-(http|imap|daemon|shell|remote-http)|scalar|mergetools/)|usr/bin/(scalar|git-shell)"
    r"|lib/(systemd|udev)/|var/"
)
"""Beginnings of paths that would only take memory."""
_UNPACKED = re.compile(
    r"^(adduser|debconf|dpkg|init-system-helpers|perl|usrmerge|ucf|git-man|lib.*-perl|libperl[\d.]+)(-|_)"
)
"""Packages that are for installing others, or for their Perl."""
_MERGED = ("bin", "sbin", "lib", "lib64")
"""Directories that are links to those in /usr, whatever packages say."""
_GIT = b"""[user]
	name = Ann
	email = ann@example.org
[safe]
	directory = *
[init]
	defaultBranch = main
"""
PASSWORD = "opensesame"
"""Ann's on the guest, for sudo; bob needs none."""
_SHADOW = "$6$guest$zGpKvToxkWRG6kS9KX/.1RKd9uvgovGJgGV/Pt5Rly/wKt.JTNp2IKkIDKbuc7ZLqH.a5kBdPaOvMICBsE/44/"
_SUDOERS = b"ann ALL=(ALL:ALL) ALL\nbob ALL=(ALL:ALL) NOPASSWD: ALL\n"
_SECONDS = 600.0


class Missing(Exception):  # noqa: N818 - reads as a sentence
    """No guest can be made on this machine; the reason says why."""


@dataclass(frozen=True, slots=True)
class Image:
    """What QEMU starts."""

    kernel: Path
    files: Path


def image() -> Image:
    """Give the image that was made here.

    Raises:
        Missing: None was, or by other code than this.
    """
    made = Image(BUILD / "vmlinuz", BUILD / "files.cpio")
    if not _is_current():
        raise Missing("the guest isn't made; `make client-programs` does it")
    return made


def main() -> int:
    """Fetch and make what isn't there, and tell what can't be had."""
    if _is_current():
        return 0
    try:
        make()
    except Missing as error:
        print(f"kernel: {error}; so its tests can't run", file=sys.stderr)  # noqa: T201
    return 0


def make() -> None:
    """Fetch the packages, and make the image of them.

    Raises:
        Missing: It can't be: no Debian, or a package can't be had.
    """
    for program in ("apt-get", "apt-cache", "dpkg", "dpkg-deb"):
        if shutil.which(program) is None:
            raise Missing(f"no {program} here, so there is nothing to make the guest of")
    found = _said("dpkg", "--print-architecture").strip()
    if found != ARCHITECTURE:
        raise Missing(f"the guest is for {ARCHITECTURE}, and this machine is {found}")
    print("kernel: fetching the guest's packages", file=sys.stderr)  # noqa: T201
    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "made").unlink(missing_ok=True)
    try:
        kernel, packages = _fetched(BUILD / "packages")
    except Missing:  # perhaps the lists are old, or there are none yet
        _said(*([] if os.geteuid() == 0 else ["sudo", "-n"]), "apt-get", "update", "-qq")
        kernel, packages = _fetched(BUILD / "packages")
    modules: dict[str, tuple[str, bytes]] = {}
    for member, content in _members(kernel):
        if re.fullmatch(r"boot/vmlinuz-.*", member.name):
            (BUILD / "vmlinuz").write_bytes(content)
        if match := re.fullmatch(r".*/([^/]*)\.ko(\.xz)?", member.name):
            modules[match[1].replace("-", "_")] = (member.name, content)
    with (BUILD / "files.cpio").open("wb") as file, Archive(file) as archive:
        for name in _MERGED:
            archive.folder(f"usr/{name}")
            archive.link(name, f"usr/{name}")
        for package in packages:
            _add(archive, package)
        _add_our_own(archive)
        for number, name in enumerate(in_order(MODULES, modules)):
            path, content = modules[name]
            plain = lzma.decompress(content) if path.endswith(".xz") else content
            archive.file(f"modules/{number:02}-{name}.ko", plain)
    (BUILD / "made").write_text(_state())


def in_order(wanted: Sequence[str], modules: Mapping[str, tuple[str, bytes]]) -> list[str]:
    """Order modules such that each comes after those it needs.

    Args:
        wanted: Their names.
        modules: All that there are by name: path and content. One that isn't here is in the kernel itself.
    """
    found: list[str] = []

    def add(name: str) -> None:
        if name in found or name not in modules:
            return
        path, content = modules[name]
        plain = lzma.decompress(content) if path.endswith(".xz") else content
        told = re.search(rb"\0depends=([^\0]*)\0", plain)  # in the section .modinfo
        for needed in told[1].decode().split(",") if told else ():
            add(needed.replace("-", "_"))
        found.append(name)

    for name in wanted:
        add(name)
    return found


def _fetched(place: Path) -> tuple[Path, list[Path]]:
    """Fetch the kernel's package, and all others with what they need, as if nothing were installed here."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "partial").mkdir(parents=True)
    options = (
        *("-qq", "-o", "Dir::State::status=/dev/null", "-o", f"Dir::Cache::archives={place}"),
        *("-o", "APT::Install-Recommends=false", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="),
    )
    _said("apt-get", *options, "--download-only", "-y", "install", *PACKAGES)
    packages = sorted(place.glob("*.deb"))
    named = re.search(r"Depends: (linux-image-\S+)", _said("apt-cache", "depends", KERNEL))
    if named is None:
        raise Missing(f"apt knows no {KERNEL}")
    _said("apt-get", *options, "download", named[1], cwd=place)
    return next(place.glob("linux-image-*.deb")), packages


def _add(archive: Archive, package: Path) -> None:
    """Add a package's files."""
    if _UNPACKED.match(package.name):
        return
    for member, content in _members(package):
        name = member.name
        if not name or _UNWANTED.match(name) or name in _MERGED:
            continue
        if name.split("/")[0] in _MERGED:
            name = f"usr/{name}"
        if member.isdir():
            archive.folder(name, member.mode)
        elif member.issym():
            archive.link(name, member.linkname)
        elif member.islnk():
            archive.link(name, "/" + str(PurePosixPath(member.linkname)))
        elif member.isfile():
            archive.file(name, content, member.mode)


def _add_our_own(archive: Archive) -> None:
    """Add what belongs to no package."""
    for name, mode in (("dev", 0o755), ("proc", 0o755), ("sys", 0o755), ("tmp", 0o1777), ("run", 0o755)):
        archive.folder(name, mode)
    for name in ("mnt", "root", "home", "modules", "usr/local/bin", "var/lib/nfs", "var/tmp"):
        archive.folder(name)
    archive.link("etc/mtab", "/proc/self/mounts")
    archive.file("etc/nsswitch.conf", b"hosts: files\n")
    archive.file("etc/hosts", b"127.0.0.1 localhost guest\n10.0.2.2 gateway\n")
    people = {"root": (0, "/root"), "nobody": (65534, "/")}
    people |= {name: (number, f"/home/{name}") for name, number in (("ann", 1000), ("bob", 1001))}
    for file, line in (("passwd", "{0}:x:{1}:{1}::{2}:/bin/sh\n"), ("group", "{0}:x:{1}:\n")):
        text = "".join(line.format(name, number, home) for name, (number, home) in people.items())
        archive.file(f"etc/{file}", text.encode())
    archive.file("etc/shadow", f"ann:{_SHADOW}:20000::::::\nbob:*:20000::::::\n".encode(), 0o640)
    for kind in ("auth", "account", "session", "session-noninteractive"):  # what PAM's own scripts would make
        archive.file(f"etc/pam.d/common-{kind}", f"{kind.partition('-')[0]} required pam_unix.so\n".encode())
    archive.file("etc/sudoers.d/people", _SUDOERS, 0o440)
    archive.link("usr/bin/sh", "dash")  # BusyBox's own takes its own programs before all others
    archive.file("root/.gitconfig", _GIT)
    archive.file("init", (HERE / "init").read_bytes(), 0o755)
    archive.file("agent.py", (HERE / "agent.py").read_bytes())


def _members(package: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Go through a package's files; names begin at its root, without a slash."""
    unpacking = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
    with unpacking, tarfile.open(fileobj=unpacking.stdout, mode="r|") as members:
        for member in members:
            member.name = "" if member.name in (".", "./") else member.name.removeprefix("./")
            file = members.extractfile(member) if member.isfile() else None
            yield member, file.read() if file else b""


def _said(*words: str, cwd: Path | None = None) -> str:
    """Run a program and give what it said.

    Raises:
        Missing: It failed.
    """
    done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd=cwd)
    if done.returncode:
        raise Missing(f"{words[0]} {words[-1]}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _state() -> str:
    """Tell what an image is made by: one that was made by something else is old."""
    made_by = ("image.py", "cpio.py", "init", "agent.py")
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in made_by)).hexdigest()


def _is_current() -> bool:
    made = BUILD / "made"
    return made.exists() and made.read_text() == _state()


if __name__ == "__main__":
    sys.exit(main())
