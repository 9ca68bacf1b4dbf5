"""The live stage of speech: sound in, ticks out at 60 Hz of sound, on two threads that never wait for a neighbour.

capture thread (or PortAudio's) ─ ring of 10 ms blocks ─ speak thread (pipeline) ─ tick
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from facewire.bridge.recording.layout import AudioBlock, AudioFormat
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.face import Sources, SpeechTick
from facewire.bridge.shared.worker import STOP_S, Worker
from facewire.runtime.capture.sound.sound_source import SoundSource
from facewire.runtime.capture.sound.sound_thread import SoundThread
from facewire.runtime.sound.blocks import SoundBlock, SoundRing
from facewire.runtime.speech.pipeline import SpeechPipeline
from facewire.runtime.tools.stats import Window

logger = logging.getLogger("facewire.runtime")

STALE_NS = 250_000_000
"""Sound that stalls for this long counts as lost."""
EASE_S = 0.3
"""How fast the mouth then shuts: the time constant, after three of which it is nearly shut."""
EASE_STEP_S = 1 / 60
EASE_STEPS = 60
"""So many at least: a mouth that is shut already eases no more, but eyes that looked about do."""
REST_WAIT_S = 0.5

TakeTick: TypeAlias = Callable[[SpeechTick, Sources], int]
"""Gets each tick, and whether sound drives it ("audio") or it eases to rest ("held"); returns when it was published."""
Tap: TypeAlias = Callable[[AudioBlock, AudioFormat], None]


class Speak(Worker):
    """Runs one source of sound through one pipeline into ``take_tick``, which must not block.

    ``tap``, if given, gets the sound as it was captured, for a recording. ``notify`` gets one line for each thing
    that a person should know, from any thread.
    """

    def __init__(
        self,
        source: SoundSource,
        take_tick: TakeTick | None,
        *,
        tap: Tap | None = None,
        notify: Callable[[str], None] = logger.warning,
        clock: Clock = now_ns,
    ) -> None:
        """Without ``take_tick`` the sound is only tapped."""
        super().__init__("speak", clock)
        self._take_tick, self._tap, self._notify = take_tick, tap, notify
        self.ring = SoundRing()
        self.capture = SoundThread(source, self.ring, notify)
        self._pipeline: SpeechPipeline | None = None
        self._last: SpeechTick | None = None
        self._heard_ns = 0
        self._eased = 0
        self._tapped: tuple[int, int] | None = None
        self._tapped_next = 0
        self._bad_blocks = 0
        self._late = Window()
        self._work = Window()

    def start(self, make_pipeline: Callable[[], SpeechPipeline] | None) -> None:  # type: ignore[override]
        """Load the networks with ``make_pipeline`` while a microphone opens, then listen.

        A file starts only when all is ready, so that nothing of it is missed. Raises what ``make_pipeline`` raises.
        """
        if self.capture.source.returns:
            self.capture.start()
        try:
            self._pipeline = make_pipeline() if make_pipeline is not None else None
        except BaseException:
            self.stop()
            raise
        while self.ring.waiting > 1:  # What was said while the networks loaded is no news.
            self.ring.take(0)
        self.ring.overruns = 0
        if not self.capture.source.returns:
            self.capture.start()
        super().start()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """End both threads; safe to call twice."""
        self._stopping.set()
        self.ring.close()
        self.capture.stop(timeout_s)
        super().stop(timeout_s)

    def use(self, pipeline: SpeechPipeline) -> None:
        """Have ``pipeline`` make the motion from the next block on."""
        self._pipeline = pipeline

    def status(self) -> dict[str, Any]:
        """Return the device, rates, latencies and drops, to be merged into the status message."""
        now, source, pipeline = self._clock(), self.capture.source, self._pipeline
        latencies = {"speak": self._work.median(now), "sound": self._late.median(now)}
        device: dict[str, Any] = {
            "kind": source.kind,
            "name": source.name,
            "state": self.capture.state,
            "error": str(self.capture.error) if self.capture.error else None,
            "rate": source.rate,
            "losses": self.capture.losses,
        }
        if pipeline is not None:
            device |= {
                "delay_ms": pipeline.driver.delay_ms,
                "gain": round(pipeline.gain, 3),
                "level_db": round(pipeline.level.level_db - 20 * math.log10(max(pipeline.gain, 1e-3)), 1),
                "snr_db": round(pipeline.level.snr_db, 1),
                "voice": round(pipeline.voice, 3),
                "near": round(pipeline.near.share, 3),
                "usual_db": None if pipeline.near.usual_db is None else round(pipeline.near.usual_db, 1),
                "drift_ppm": round(pipeline.drift * 1e6, 1),
            }
        return {
            "devices": {"audio": device},
            "rates": {"speak": round(self._late.rate(now), 2)},
            "latencies": {name: round(ms, 3) for name, ms in latencies.items() if ms is not None},
            "drops": {"sound": self.ring.overruns + self.ring.device_overruns, "bad_blocks": self._bad_blocks},
        }

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves until there is sound."""
        return self._last is None or (self._eased >= EASE_STEPS and not self._last.blendshapes.any())

    def wait(self) -> None:
        """Wait for sound, or until the face has to ease to rest."""
        self.ring.wait(REST_WAIT_S if self.at_rest else EASE_STEP_S)

    def turn(self, now_ns: int) -> bool:
        """Make ticks of a block that waits, or ease the face if none comes; return False at the source's end."""
        block = self.ring.take(0)
        if block is not None:
            self._speak(block, now_ns)
        elif self.ring.exhausted:
            return False
        elif not self.at_rest and now_ns - self._heard_ns > STALE_NS:
            self._ease()
        return True

    def goes_on(self, error: Exception) -> bool:
        """Count the block as bad: nothing that one block does may end the stream."""
        self._note_bad_block(error)
        return True

    def _speak(self, block: SoundBlock, started_ns: int) -> None:
        if self._tap is not None:
            self._tap(*self._recorded(block))
        pipeline = self._pipeline  # ``use`` may put another in its place
        if pipeline is None or self._take_tick is None:
            return
        self._heard_ns, self._eased = started_ns, 0
        pipeline.feed(block)
        while (tick := pipeline.step()) is not None:
            self._last = tick
            published_ns = self._take_tick(tick, "audio")
            self._late.add(published_ns, (published_ns - tick.capture_ns) * 1e-6)
        ended_ns = self._clock()
        self._work.add(ended_ns, (ended_ns - started_ns) * 1e-6)

    def _ease(self) -> None:
        """One step of the face coming to rest because no sound comes."""
        assert self._last is not None
        assert self._take_tick is not None
        self._eased += 1
        share = max(0.0, 1.0 - EASE_STEP_S / EASE_S)
        self._last = self._last.eased(share if self._last.blendshapes.max() * share >= 0.01 else 0.0)
        self._take_tick(self._last, "held")

    def _recorded(self, block: SoundBlock) -> tuple[AudioBlock, AudioFormat]:
        data = (np.clip(np.nan_to_num(block.samples), -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
        # A take's samples count on over streams, so that a microphone that returns is not a damaged file.
        stream, shift = self._tapped or (block.stream, 0)
        if stream != block.stream:
            shift = self._tapped_next
        self._tapped, self._tapped_next = (block.stream, shift), shift + block.first_sample + len(block.samples)
        return AudioBlock(block.start_ns, shift + block.first_sample, data), AudioFormat(block.rate, 1)

    def _note_bad_block(self, error: Exception) -> None:
        """Count it, and say the first one only: a fault that stays would be said a hundred times a second."""
        self._bad_blocks += 1
        if self._bad_blocks == 1:
            line = f"{type(error).__name__}: {error}".splitlines()[0]
            self._notify(f"some sound could not be used ({line}); the stream goes on")


def merged(status: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two stages' parts of the status message as one."""
    whole = dict(status)
    for key, value in other.items():
        whole[key] = {**whole.get(key, {}), **value} if isinstance(value, Mapping) else value
    return whole
