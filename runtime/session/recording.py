"""A live run that is recorded into one file: what ``facewire record`` does, without a command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from facewire.bridge.recording.layout import SessionMetadata
from facewire.bridge.shared.clock import NS_PER_S, now_ns
from facewire.bridge.wire.messages import Greeting
from facewire.runtime.fusion.fuse import Fusion
from facewire.runtime.live import Live
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.session.broadcast import Broadcast
from facewire.runtime.session.inputs import gives_pictures, open_inputs
from facewire.runtime.session.listener import Listener
from facewire.runtime.session.networks import make_flame, make_pipeline
from facewire.runtime.session.options import RecordOptions
from facewire.runtime.speech.thread import Speak
from facewire.runtime.takes.manager import recorded_profile, recorded_status, remove_empty, versions
from facewire.runtime.takes.recorder import Recorder


class RecordSession:
    """A run from its options to its take. Making it opens the inputs and the file, and starts nothing."""

    def __init__(self, options: RecordOptions, notify: Callable[[str], None]) -> None:
        """Make all parts of the run.

        Raises:
            FacewireError: an input or the file cannot be opened.
        """
        self.options, self._notify = options, notify
        live = options.live
        self.flame = make_flame(live.flame)
        self.source, sound = open_inputs(live.inputs, notify)
        if self.source is not None and self.source.opened:
            notify(f"listening on {self.source.opened}")
        self.frames = Broadcast()
        self.live = Live(self.source, self.frames.publish, notify=notify)
        self.recorder = self._make_recorder()
        self.listener = Listener(live, sound, self.live.publish_speech, self.recorder.offer_audio, notify)
        self.frames.join(self.recorder.offer_frame)
        self._end_ns: int | None = None

    @property
    def watched(self) -> Live | Speak:
        """Whose end is the end of the run."""
        return self.live if self.source is not None or self.listener.speak is None else self.listener.speak

    def begin(self) -> None:
        """Begin to write what comes; ``start`` makes it come, and ``stop`` is due from now on."""
        self.recorder.start()

    def start(self) -> None:
        """Load the networks, listen and track.

        Raises:
            ModelError: a network cannot be loaded.
        """
        self.listener.start()
        self.live.start(self._prepare)
        if self.options.duration_s is not None:
            self._end_ns = now_ns() + round(self.options.duration_s * NS_PER_S)

    def is_over(self) -> bool:
        """Return whether the input has ended, the time is over or the disk has failed."""
        late = self._end_ns is not None and now_ns() >= self._end_ns
        return late or self.watched.ended.is_set() or not self.recorder.active

    def stop(self) -> Path:
        """End all parts and return the take's path; one that holds no frame is removed.

        Raises:
            RecordingError: the take could not be finished, or had failed before.
        """
        self.listener.stop()
        self.live.stop()
        path = self.recorder.stop()
        if self.recorder.counts.frames == 0:
            remove_empty(path)
        return path

    def _prepare(self) -> FacePipeline:
        live = self.options.live
        fusion = Fusion(live.inputs.driven_by, sync=live.sync)
        return make_pipeline(live.tracking, fusion=fusion, camera=gives_pictures(self.source), flame=self.flame)

    def _make_recorder(self) -> Recorder:
        keep, rate = self.options.live.keep_device_names, self.options.live.inputs.rate
        greeting = Greeting(rate=rate, flame=None if self.flame is None else self.flame.greeting)
        metadata = SessionMetadata(
            started_unix_ns=time.time_ns(),
            started_clock_ns=now_ns(),
            versions=versions(),
            hello=greeting.message(now_ns()),
            devices=dict(self.live.status()["devices"]) if keep else None,
        )
        return Recorder(
            self.options.output,
            metadata,
            force=self.options.force,
            status=recorded_status(self.live.status, keep_device_names=keep),
            profile=partial(recorded_profile, self.live),
            flame=self._person,
            notify=self._notify,
        )

    def _person(self) -> Mapping[str, Any] | None:
        return None if self.flame is None else self.flame.person()
