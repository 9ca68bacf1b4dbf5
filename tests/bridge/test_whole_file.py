"""A file is there whole or not at all, and what somebody put in its way is neither followed nor written over."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from facewire.bridge.shared.regular_file import read_regular
from facewire.bridge.shared.whole_file import PRIVATE, open_own, replacing, write_whole

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such links and modes")


def test_it_takes_its_place_at_the_end_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)  # a temporary name must not be longer than the system lets
    path.write_bytes(b"old")
    with replacing(path, sync=True) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    with replacing(path) as file, io.TextIOWrapper(file, encoding="ascii") as text:
        text.write("text")  # closes the file beneath
    assert path.read_bytes() == b"text"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_links_in_the_way_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", ".a.part", "a.part", "a.new"):  # the last ones: temporary names of before
        (folder / name).symlink_to(victim)
    write_whole(folder / "a", b"new")
    assert victim.read_bytes() == b"mine"
    assert (folder / "a").read_bytes() == b"new"
    assert not (folder / "a").is_symlink()
    with pytest.raises(OSError, match="link"):
        open_own(folder / "a.part", append=True)
    assert victim.read_bytes() == b"mine"


@posix
def test_the_temporary_name_is_another_every_time_and_private_from_the_start(tmp_path: Path) -> None:
    seen = set()
    for _ in range(3):
        with replacing(tmp_path / "a", mode=PRIVATE):
            (part,) = (entry for entry in tmp_path.iterdir() if entry.name != "a")
            assert stat.S_IMODE(part.stat().st_mode) == 0o600
            seen.add(part.name)
    assert len(seen) == 3
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@posix
def test_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "here").write_bytes(b"here")
    for name, target in (("out", "../secret"), ("device", "/dev/zero"), ("loop", "loop"), ("in", "here")):
        (folder / name).symlink_to(target)
    assert read_regular(folder / "in", 100, within=folder) == b"here"
    for name in ("out", "device", "loop"):
        with pytest.raises(OSError, match=r"outside of|a device|[Ll]oop|symbolic"):
            read_regular(folder / name, 100, within=folder)
