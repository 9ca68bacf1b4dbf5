"""The live loop: pictures in, frames out, on two threads that never wait for a slower neighbour.

capture thread ─ newest-wins slot ─ track thread (track → calibrate → presence → filter → fuse → frame) ─ publish

Speech comes in from the speak thread, which has frames of its own made from ``fuse`` on.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.errors import BusyError, CommandError, NotReadyError
from facewire.bridge.shared.face import Sources, SpeechTick
from facewire.bridge.shared.worker import STOP_S, Worker
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.pacing import Beat
from facewire.runtime.capture.video.source import Captured, CapturedImage, Source
from facewire.runtime.capture.video.thread import CaptureThread
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.tools.slots import NewestSlot
from facewire.runtime.tools.stats import Window

logger = logging.getLogger("facewire.runtime")

STALE_NS = 250_000_000
"""A source that gave no picture for this long counts as having lost the face."""
IDLE_STEP_S = 1 / 30
"""How often the face eases on its own then; once it rests nothing is published until there is news."""
REST_WAIT_S = 0.5
STAGES = ("hand_over", "track", "filter", "publish", "total")
MAX_REQUESTS = 64


class Live(Worker):
    """Runs one source through one pipeline into ``publish``, which must not block.

    ``publish`` gets every frame from the track thread; several takers (server, recording, outputs) share it by a
    function that calls each. ``notify`` gets one line for each thing that a person should know, from any thread.
    """

    def __init__(
        self,
        source: Source | None,
        publish: Callable[[FaceFrame], None],
        *,
        notify: Callable[[str], None] = logger.warning,
        clock: Clock = now_ns,
    ) -> None:
        super().__init__("track", clock)
        self._publish, self._notify = publish, notify
        self.slot: NewestSlot[Captured] = NewestSlot()
        """Where what is captured waits to be tracked."""
        self.on_other_camera: Callable[[], None] = lambda: None
        """Called when a source has become another camera or phone, whose calibration is another; from its thread."""
        self.capture = self._capture_of(source, self.slot) if source else None
        self._pipeline: FacePipeline | None = None
        self._requests: deque[Callable[[FacePipeline], None]] = deque()
        self._publishing = threading.Lock()
        self._beat = Beat()
        self._seq = 0
        self._capture_ns = 0
        self._bad_frames = 0
        self._errors_seen: set[str] = set()
        self._windows = {name: Window() for name in STAGES}
        self._published = Window()

    def start(self, make_pipeline: Callable[[], FacePipeline]) -> None:  # type: ignore[override]
        """Load the networks with ``make_pipeline``, while a camera opens on its own thread, then track.

        A file starts only when all is ready, so that nothing of it is missed. Raises what ``make_pipeline`` raises.
        """
        if self.capture is None:
            self._pipeline = make_pipeline()
            return
        if self.capture.source.returns:
            self.capture.start()
        try:
            self._pipeline = make_pipeline()
        except BaseException:
            self.stop()
            raise
        if not self.capture.source.returns:
            self.capture.start()
        super().start()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """End both threads; safe to call twice."""
        self._stopping.set()  # first: a slot that is closed is the end of the source only to a thread that goes on
        self.slot.close()
        if self.capture is not None:
            self.capture.stop(timeout_s)
        super().stop(timeout_s)

    def publish_speech(self, tick: SpeechTick, sources: Sources) -> int:
        """Take a tick of speech, from the speak thread; return when a frame of it was published, or now.

        A frame is made if speech moves anything: every tick without a camera, and beside one whenever the mouth or the
        idle eyes are speech's, unless pictures come faster: then the next one's frame has it. ``held`` says that the
        sound has stalled and the mouth shuts.
        """
        pipeline = self._pipeline
        if pipeline is None:
            return self._clock()
        with self._publishing:
            now = self._clock()
            pipeline.take_speech(tick if sources == "audio" or self.capture is None else None)
            if self.capture is not None and not (pipeline.needs_speech and self._beat.tick(now)):
                return now
            frame = pipeline.finish(self._seq, max(tick.capture_ns, self._capture_ns), now, self._clock)
            self._dispatch(frame)
            return frame.publish_ns

    def switch(self, source: Source) -> None:
        """Watch another source from now on; the face goes on.

        Raises:
            CommandError: no source was watched yet.
        """
        if self.capture is None or self._pipeline is None:
            raise CommandError("no camera is in use: start again with --video")
        old_capture, old_slot = self.capture, self.slot
        slot: NewestSlot[Captured] = NewestSlot()
        slot.dropped = old_slot.dropped
        self.slot, self.capture = slot, self._capture_of(source, slot)
        self.capture.start()
        old_slot.close()
        old_capture.stop()

    @property
    def source(self) -> Source | None:
        """What is watched now."""
        return None if self.capture is None else self.capture.source

    @property
    def pipeline(self) -> FacePipeline:
        """The face's way, for what its documentation allows from other threads; NotReadyError before start."""
        if self._pipeline is None:
            raise NotReadyError("the networks are still being loaded: try again in a moment")
        return self._pipeline

    def request(self, change: Callable[[FacePipeline], None]) -> None:
        """Have ``change`` made between two frames, on the track thread; at once if nothing is watched, for no thread
        turns there while sound is lost.

        Raises:
            BusyError: too many wait.
            CommandError: the networks are still being loaded.
        """
        if self.capture is None:
            with self._publishing:
                change(self.pipeline)
            return
        if len(self._requests) >= MAX_REQUESTS:
            raise BusyError("busy: too many changes are waiting; try again in a moment")
        self._requests.append(change)

    def status(self) -> dict[str, Any]:
        """Return device, rates, medians of the last seconds by stage, and drops, for the status message."""
        now = self._clock()
        latencies = {name: window.median(now) for name, window in self._windows.items()}
        return {
            "devices": {} if self.capture is None else {"video": _describe(self.capture)},
            "rates": {
                "capture": 0.0 if self.capture is None else round(self.capture.rate(now), 2),
                "track": round(self._windows["total"].rate(now), 2),
                "publish": round(self._published.rate(now), 2),
            },
            "latencies": {name: round(ms, 3) for name, ms in latencies.items() if ms is not None},
            "drops": {"capture": self.slot.dropped, "bad_frames": self._bad_frames},
            **({} if self._pipeline is None else {"face": self._pipeline.state(now)}),
            **({} if self._pipeline is None or self._pipeline.flame is None else self._pipeline.flame.state()),
        }

    def wait(self) -> None:
        """Wait for what is captured, or until the face has to ease on its own."""
        self.slot.wait(REST_WAIT_S if self.pipeline.at_rest else IDLE_STEP_S)

    def turn(self, now_ns: int) -> bool:
        """Make the changes that were asked for and a frame of what was captured; return False at the source's end."""
        pipeline, slot = self.pipeline, self.slot
        captured = slot.take(0)
        while self._requests:
            self._requests.popleft()(pipeline)
        if captured is not None:
            self._track(pipeline, captured, now_ns)
        elif slot.exhausted:
            return slot is not self.slot  # another source may have taken its place
        elif not pipeline.at_rest and now_ns - self._capture_ns > STALE_NS:
            pipeline.lose(now_ns)
            with self._publishing:
                self._dispatch(pipeline.finish(self._seq, self._capture_ns, self._clock(), self._clock))
        return True

    def goes_on(self, error: Exception) -> bool:
        """Count the frame as bad: nothing that one frame does may end the stream."""
        self._note_bad_frame(error)
        return True

    def _capture_of(self, source: Source, slot: NewestSlot[Captured]) -> CaptureThread:
        capture = CaptureThread(source, slot, self._notify)
        capture.on_other_camera = lambda: self.on_other_camera()
        return capture

    def _track(self, pipeline: FacePipeline, captured: Captured, start_ns: int) -> None:
        self._capture_ns = captured.capture_ns
        try:
            if isinstance(captured, CapturedImage):
                pipeline.track(captured.image, captured.capture_ns)
            else:
                pipeline.follow(captured.face, captured.capture_ns)
        except Exception as error:
            pipeline.lose(captured.capture_ns)
            self._note_bad_frame(error)
            self._recover(pipeline, error)
        finally:
            if self.capture is not None and isinstance(captured, CapturedImage):
                self.capture.recycle(captured.image)
        tracked_ns = self._clock()
        published_ns = self._publish_picture(pipeline, captured.capture_ns)
        end_ns = self._clock()
        times_ns = (captured.capture_ns, start_ns, tracked_ns, published_ns, end_ns)
        for i, name in enumerate(STAGES[:4]):
            self._windows[name].add(end_ns, (times_ns[i + 1] - times_ns[i]) * 1e-6)
        self._windows["total"].add(end_ns, (end_ns - captured.capture_ns) * 1e-6)

    def _publish_picture(self, pipeline: FacePipeline, capture_ns: int) -> int:
        """Publish a frame of what was tracked, unless the next tick of speech does; return when, or now."""
        with self._publishing:
            now = self._clock()
            if not self._beat.picture(now):
                return now
            frame = pipeline.finish(self._seq, capture_ns, now, self._clock)
            self._dispatch(frame)
            return frame.publish_ns

    def _dispatch(self, frame: FaceFrame) -> None:
        self._seq += 1
        self._published.add(frame.publish_ns)
        self._publish(frame)

    def _note_bad_frame(self, error: Exception) -> None:
        """Count it; say it once for each kind, for a fault that stays would say it sixty times a second."""
        self._bad_frames += 1
        kind = f"{type(error).__name__}: {error}"
        if kind not in self._errors_seen and len(self._errors_seen) < 100:
            self._errors_seen.add(kind)
            first_line = kind.splitlines()[0]
            self._notify(f"a picture could not be tracked ({first_line}); the stream goes on")

    def _recover(self, pipeline: FacePipeline, error: Exception) -> None:
        """Go on without a GPU that fails: it takes its session with it."""
        if type(error).__module__.startswith("onnxruntime") and pipeline.fall_back_to_cpu():
            self._notify("the GPU has failed: tracking goes on on the processor")


def _describe(capture: CaptureThread) -> dict[str, Any]:
    source = capture.source
    return {
        "kind": source.kind,
        "name": source.name,
        "state": capture.state,
        "error": str(capture.error) if capture.error else None,
        "rate": round(source.rate, 2),
        "losses": capture.losses,
        **({"dropped": source.dropped} if source.dropped else {}),
    }
