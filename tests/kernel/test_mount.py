"""What people do with a mounted site."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import servers
from kernel.guest import Guest
from kernel.scene import Scene, contents, gateway_for, mounted, real_tree

MIB = 1 << 20


def test_the_mount_line_of_old_works_as_typed(guest: Guest, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, for FTP's own port")
    with (
        servers.vsftpd(tmp_path / "site", {"ssl_enable": "NO"}, host="127.0.0.2", port=21) as site,
        gateway_for(tmp_path / "gateway", site) as gateway,
    ):
        assert site.root is not None
        (site.root / "hello").write_text("hello\n")
        (site.root / "hello").chmod(0o644)
        with mounted(guest, gateway.port, "127.0.0.2:anonymous:a-password") as mnt:
            assert guest.do(f"cat {mnt}/hello; echo new > {mnt}/area/new; ls {mnt}") == "hello\narea\nhello\n"
        assert (site.root / "area" / "new").read_text() == "new\n"


def test_a_tree_of_thousands_of_files_is_copied_in_and_out_and_compares_equal(
    scene: Scene, tmp_path: Path
) -> None:
    guest, tree = scene.guest, real_tree(tmp_path)
    guest.put("/tmp/in", tree)
    with scene.mounted() as mnt:
        guest.do(f"cp -r /tmp/in/tree {mnt}/tree", seconds=600)
        assert contents(scene.root / "tree") == contents(tree)
    with scene.mounted() as mnt:  # with nothing in the kernel's memory
        guest.do(f"cp -r {mnt}/tree /tmp/out && diff -r /tmp/in/tree /tmp/out", seconds=600)
        told = guest.do("cd /tmp/in && find tree -type f -exec sha256sum {} + > /tmp/sums; wc -l < /tmp/sums")
        assert int(told) == len(contents(tree))
        guest.do(f"cd {mnt} && sha256sum --quiet -c /tmp/sums", seconds=600)
        guest.do(f"rm -r {mnt}/tree", seconds=600)
    assert not (scene.root / "tree").exists()
    guest.do("rm -r /tmp/in /tmp/out /tmp/sums")


def test_ls_of_ten_thousand_files_is_one_listing(guest: Guest, tmp_path: Path) -> None:
    with (
        servers.vsftpd(tmp_path / "site") as site,
        # Longer than the guest takes, for it computes slowly.
        gateway_for(tmp_path / "gateway", site, listing_seconds=900.0) as gateway,
    ):
        scene = Scene(guest, gateway, site)
        (scene.root / "many").mkdir()
        for number in range(10_000):
            (scene.root / "many" / f"file-{number:05}").touch()
        with scene.mounted() as mnt:
            listed = scene.guest.do(f"ls -l {mnt}/many", seconds=300)
            assert listed.count("file-") == 10_000
            scene.guest.do(f"ls -l {mnt}/many > /dev/null", seconds=300)
        assert len(scene.commands(r'FTP command: Client "[^"]*", "LIST[^"]*"')) - 1 <= 1, "one is of /area"
        # One may be asked for, to learn the site's time zone.
        assert len(scene.commands(r'"(?:SIZE|MDTM) .*file-')) <= 1


def test_four_kibibytes_at_900_mb_fetch_less_than_8_mib(scene: Scene) -> None:
    marks = {900_000_000: b"far in", 1_000_000_000: b"further"}
    with (scene.root / "large").open("wb") as file:
        file.truncate(1 << 30)
        for offset, mark in marks.items():
            file.seek(offset)
            file.write(mark)
    with scene.mounted() as mnt:
        for offset, mark in marks.items():
            command = f"dd if={mnt}/large bs=4096 count=1 iflag=skip_bytes skip={offset} status=none"
            assert scene.guest.do(command).startswith(mark.decode())
            break
        told = scene.gateway.sites()["mounts"][0]
        assert 4096 <= told["fetched_bytes"] < 8 * MIB
    sent = [int(number) for number in scene.commands(r'DOWNLOAD: .*"/area/large", (\d+) bytes')]
    assert sum(sent) < 8 * MIB


def test_tar_packs_and_unpacks(whole: Scene, tmp_path: Path) -> None:
    guest, tree = whole.guest, real_tree(tmp_path)
    for path in sorted(tree.rglob("*.py"))[300:]:
        path.unlink()
    guest.put("/tmp/in", tree)
    with whole.mounted() as mnt:
        guest.do(f"tar -czf {mnt}/tree.tgz -C /tmp/in tree", seconds=300)
        guest.do(f"mkdir {mnt}/un && tar -xzf {mnt}/tree.tgz -C {mnt}/un", seconds=300)
        guest.do(f"tar -dzf {mnt}/tree.tgz -C {mnt}/un && diff -r /tmp/in/tree {mnt}/un/tree", seconds=300)
    assert contents(whole.root / "un" / "tree") == contents(tree)
    guest.do("rm -r /tmp/in")


def test_git_works_in_a_mount(scene: Scene) -> None:
    with scene.mounted() as mnt:
        scene.guest.do(
            f"""
            mkdir /tmp/origin; cd /tmp/origin; git init -q .
            for n in $(seq 60); do mkdir -p d$((n % 7)); seq $n 300 > d$((n % 7))/f$n; done
            git add -A; git commit -qm first
            cd {mnt}; git clone -q /tmp/origin clone; cd clone
            git status --porcelain | grep . && exit 1
            git checkout -q -b side; echo more >> d1/f1; rm d2/f2; git mv d3/f3 d3/moved; git add -A
            git commit -qm second; git checkout -q main; git merge -q side; git gc -q
            git fsck --full --strict
            git log --oneline | wc -l; git push -q origin side; git -C /tmp/origin rev-parse side
            rm -r /tmp/origin
            """,
            seconds=600,
        )
        assert "no" not in scene.guest.do(f"cd {mnt}/clone && git status --porcelain")
    assert (scene.root / "clone" / "d3" / "moved").exists()
    assert not (scene.root / "clone" / "d2" / "f2").exists()


def test_an_editor_saves(whole: Scene) -> None:
    (whole.root / "note").write_text("one\ntwo\n")
    os.chmod(whole.root / "note", 0o666)
    with whole.mounted() as mnt:
        for mode in ("yes", "no"):  # write a new file and rename it; write over the old one
            whole.guest.do(
                f"cd {mnt} && vim.tiny -es -u NONE -c 'set backup writebackup backupcopy={mode} fsync' "
                f"-c '%s/two/two {mode}/' -c wq note"
            )
            assert f"two {mode}" in (whole.root / "note").read_text()
        whole.guest.do(f"cd {mnt} && sed -i s/one/eins/ note && printf 'end\\n' >> note")
    assert (whole.root / "note").read_text() == "eins\ntwo no yes\nend\n"


def test_files_are_changed_in_every_way(scene: Scene) -> None:
    said = scene.guest.do
    with scene.mounted() as mnt:
        said(
            f"cd {mnt}; echo a > a; echo b > b; mv a b; cat b; [ ! -e a ]"
            "; mkdir -p d/e; mv b d/e/c; cat d/e/c"
        )
        assert (scene.root / "d" / "e" / "c").read_text() == "a\n"
        said(f"cd {mnt}; touch -d '2001-02-03 04:05:06 UTC' old; cp -p old kept")
        assert said(f"stat -c %Y {mnt}/kept").strip() == "981173106"
        kept = scene.arrived("kept")
        said(f"until [ $(stat -c %Y {mnt}/kept) = 981173106 ]; do sleep 1; done", seconds=30)
        assert kept.stat().st_mtime == 981173106
        said(f"cd {mnt}; dd if=/dev/urandom of=big bs=64k count=32 status=none; cp big /tmp/big")
        said(
            f"for f in {mnt}/big /tmp/big; do into='dd status=none conv=notrunc bs=1'"
            "; printf middle | $into of=$f seek=1000000; printf end >> $f"
            "; truncate -s 1500000 $f; truncate -s 3000000 $f"
            "; printf sparse | $into of=$f seek=4000000; done"
        )
        said(f"sync {mnt}/big; cmp {mnt}/big /tmp/big")
        scene.guest.get("/tmp", Path(scene.root.parent.parent / "got"))
        got = scene.root.parent.parent / "got" / "big"
        assert (scene.root / "big").read_bytes() == got.read_bytes()
        said(
            f"cd {mnt}; set -o noclobber; echo 1 > new; if (echo 2 > new); then exit 1; fi"
            "; cat new; rm new; if cat new; then exit 2; fi"
        )
        said(f"cd {mnt}; umask 077; tar -cf t.tar old; rm old; tar -xf t.tar; rm t.tar; ls -l old")
        said(f"cd {mnt}; exec 3> held; echo x >&3; rm held; echo y >&3; exec 3>&-; ls -A; rm -rf d")
        said("rm /tmp/big")
    scene.arrived("old")  # empty, so it gets to the site a moment later
    assert sorted(path.name for path in scene.root.iterdir()) == ["big", "kept", "old"]


def test_names_of_all_kinds_come_through(scene: Scene) -> None:
    names = [
        "with blank",
        "ümläut",
        "日本",
        "-dash",
        "semi;colon",
        "quo'te",
        "a" * 200,
        "$HOME",
        "back\\slash",
    ]
    with scene.mounted() as mnt:
        for name in names:
            scene.guest.do(
                'cd $M; f=$(cat); echo x > ./"$f"; cat ./"$f"'.replace("$M", mnt), said=name.encode()
            )
        listed = scene.guest.do(f"ls -N {mnt}").splitlines()
    assert sorted(listed) == sorted(names)
    assert sorted(path.name for path in scene.root.iterdir()) == sorted(names)


def test_what_others_change_is_seen_within_the_time_to_live(scene: Scene) -> None:
    with scene.mounted() as mnt:
        scene.guest.do(f"ls {mnt}; if cat {mnt}/later; then exit 1; fi")
        (scene.root / "later").write_text("here\n")
        (scene.root / "later").chmod(0o644)
        scene.guest.do(f"until cat {mnt}/later 2>/dev/null; do sleep 1; done", seconds=60)
        (scene.root / "later").write_text("and longer\n")
        scene.guest.do(f"until grep longer {mnt}/later; do sleep 1; done", seconds=90)


def test_hard_links_and_devices_are_refused_as_not_permitted(scene: Scene) -> None:
    with scene.mounted() as mnt:
        scene.guest.do(f"echo x > {mnt}/x")
        for command in (f"ln {mnt}/x {mnt}/y", f"mknod {mnt}/z c 1 3"):
            ended = scene.guest.run(command)
            assert ended.code != 0
            assert "not permitted" in ended.err
