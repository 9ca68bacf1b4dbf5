"""JSON that is nested deeper than Python goes is refused as damaged, wherever others can hand it to us."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from facewire.bridge.export.flame import flame_about
from facewire.bridge.outputs.vrchat.avatar import AvatarError, from_file, from_tree
from facewire.bridge.outputs.vts.tokens import TOKEN_FILE, Tokens
from facewire.bridge.recording.errors import SessionError
from facewire.bridge.recording.layout import _json_map

DEEP = "[" * 200_000


def test_it_is_what_breaks_the_reader() -> None:
    with pytest.raises(RecursionError):
        json.loads(DEEP)


def test_sessions_say_that_they_are_damaged() -> None:
    with pytest.raises(SessionError, match="not a JSON map"):
        _json_map({"audio": DEEP}, "audio")
    session = SimpleNamespace(metadata=SimpleNamespace(hello={}), end={"flame": DEEP})
    assert flame_about(cast("Any", session)) == {}


def test_lists_of_avatars_and_tokens(tmp_path: Path) -> None:
    for read in (from_file, from_tree):
        with pytest.raises(AvatarError, match="not JSON"):
            read(DEEP.encode())
    (tmp_path / TOKEN_FILE).write_text(DEEP[:15_000])
    assert Tokens(tmp_path, "here").load() is None
