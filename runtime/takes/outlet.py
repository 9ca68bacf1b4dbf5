"""Where frames leave for subscribers: the live ones, or those of a take that is replayed in their place."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from facewire.bridge.recording.layout import SUFFIX
from facewire.bridge.recording.reader import open_session
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.errors import CommandError, FacewireError
from facewire.bridge.shared.text import as_utf8
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.takes.replay import ARGUMENTS, Replay
from facewire.runtime.tools.arguments import CommandSpec, Flag, Text

logger = logging.getLogger("facewire.runtime")

MAX_TAKES = 200
"""Newest takes that are listed."""
LIST = CommandSpec("takes")
START = CommandSpec("replay_start", {"file": Text("one of takes"), "loop": Flag()}, required=("file",))
STOP = CommandSpec("replay_stop")


class Outlet:
    """Sends live frames on, or a take's while one plays; ``seq`` counts on over both, and times are the session's.

    State: the number of the last frame, and the replay. While a take plays live frames are left out (drop policy:
    the take wins); a recorder gets the live ones all the same.
    """

    def __init__(self, publish: Callable[[FaceFrame], None], folder: Path | None, clock: Clock = now_ns) -> None:
        """``folder`` is where the takes are, or None."""
        self._publish, self._folder, self._clock = publish, folder, clock
        self._lock = threading.Lock()
        self._replay: Replay | None = None
        self._file: str | None = None
        self._shift = 0
        self._last_seq = -1

    def live(self, frame: FaceFrame) -> None:
        """Take a live frame, from the thread that makes them. Never blocks for long."""
        with self._lock:
            replay = self._replay
            if replay is not None and not replay.ended.is_set():
                return
            if replay is not None:
                if replay.error is not None:
                    logger.warning(f"{self._file} ended before its time: {replay.error}")
                self._replay = self._file = None
                threading.Thread(target=replay.stop, name="facewire-replay-end", daemon=True).start()
            if frame.seq + self._shift <= self._last_seq:
                self._shift = self._last_seq + 1 - frame.seq
            self._send(replace(frame, seq=frame.seq + self._shift) if self._shift else frame)

    @property
    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """What clients may ask, by name."""
        steering = {name: self._steer(name) for name in ARGUMENTS}
        return {
            LIST.name: LIST.handler(self._list),
            START.name: START.handler(self._start),
            STOP.name: STOP.handler(self._stop),
            **steering,
        }

    def state(self) -> dict[str, Any]:
        """Return the keys that the status message gets."""
        replay, file = self._replay, self._file
        if replay is None or replay.ended.is_set():
            return {"replay": None}
        return {"replay": {"file": file, **replay.state()}}

    def stop(self) -> None:
        """End a take that plays; safe to call twice."""
        with self._lock:
            replay, self._replay, self._file = self._replay, None, None
        if replay is not None:
            replay.stop()

    def _send(self, frame: FaceFrame) -> None:
        self._last_seq = frame.seq
        self._publish(frame)

    def _from_take(self, replay: Replay, frame: FaceFrame) -> None:
        with self._lock:
            if replay is not self._replay:
                return
            now = self._clock()
            age_ns = max(frame.publish_ns - frame.capture_ns, 0)
            captured = max(now - age_ns, 0)
            seq = self._last_seq + 1
            self._send(replace(frame, seq=seq, publish_ns=now, capture_ns=captured, video_ns=None, audio_ns=None))

    def _list(self, _args: dict[str, Any]) -> dict[str, Any]:
        if self._folder is None:
            return {"takes": [], "folder": None}
        takes: list[dict[str, Any]] = [
            {"file": name, "bytes": about.st_size, "unix_s": about.st_mtime}
            for name, (_, about) in _takes(self._folder).items()
        ]
        takes.sort(key=lambda take: take["unix_s"], reverse=True)
        return {"takes": takes[:MAX_TAKES], "folder": str(self._folder)}

    def _start(self, args: dict[str, Any]) -> dict[str, Any]:
        name, loop = args["file"], args.get("loop", False)
        takes = {} if self._folder is None else _takes(self._folder)
        if name not in takes:
            raise CommandError(f"there is no take {name[:80]!r}")
        path = takes[name][0]
        try:
            session = open_session(path).require_frames()
        except FacewireError as error:
            raise CommandError(
                as_utf8(str(error).replace(str(path), name))
            ) from None  # where it is says nothing to a client
        self.stop()
        replay = Replay(session, lambda frame: self._from_take(replay, frame), loop=loop, clock=self._clock)
        with self._lock:
            self._replay, self._file = replay, name
        replay.start()
        return {"file": name, "seconds": round(session.duration_ns * 1e-9, 2)}

    def _steer(self, name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        def run(args: Mapping[str, Any]) -> dict[str, Any]:
            ARGUMENTS[name].refuse_unknown(args)  # They are wrong whether a take plays or not.
            replay = self._replay
            if replay is None or replay.ended.is_set():
                raise CommandError("no take is playing")
            return replay.commands[name](args)  # Without our lock: the replay holds its own when it sends.

        return run

    def _stop(self, _args: dict[str, Any]) -> dict[str, Any]:
        if self._replay is None:
            raise CommandError("no take is playing")
        self.stop()
        return {}


def _takes(folder: Path) -> dict[str, tuple[Path, os.stat_result]]:
    """Return the takes in a folder by the names that clients see; what is no file, or goes while it is looked at, the
    folder included, is left out."""
    found: dict[str, tuple[Path, os.stat_result]] = {}
    with contextlib.suppress(OSError):
        for file in folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):
                about = file.stat()
                if stat.S_ISREG(about.st_mode):
                    found[as_utf8(file.name)] = file, about
    return found
