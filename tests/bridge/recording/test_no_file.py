"""What is found under a take's name and is no file: nobody waits for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.reader import open_session
from facewire.bridge.recording.repair import repair

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes in folders")


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, link_to_a_device], ids=["pipe", "folder", "device"])
def test_a_pipe_a_folder_or_a_device_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "take.mcap"
    make(path)
    with pytest.raises(SessionError, match=r"it is a (pipe|folder|device), not a file"):
        open_session(path)
    with pytest.raises(SessionError, match=r"it is a (pipe|folder|device), not a file"):
        repair(path, tmp_path / "repaired.mcap")
    assert not (tmp_path / "repaired.mcap").exists()
