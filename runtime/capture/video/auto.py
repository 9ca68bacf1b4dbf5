"""The camera that ``auto`` means: the first one that shows the world in colours."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from facewire.bridge.shared.arrays import Image
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.runtime.capture.video import camera as cameras
from facewire.runtime.capture.video.camera import CameraSource
from facewire.runtime.capture.video.cameras import UNLISTED, CameraInfo, ranked
from facewire.runtime.capture.video.opencv import Opener, open_camera
from facewire.runtime.capture.video.source import CameraWish, CapturedImage, CaptureError, Source

TRIAL_NS = 2_000_000_000
"""How long a camera may give pictures that are none before the next one is tried: most begin with dark ones."""
LOOK_NS = 3_000_000_000
"""How often it is looked for another one while the one in use gives no colours."""
AGAIN_NS = 30_000_000_000
"""How often those that did not open are tried again meanwhile: another program may have let one go."""
STEADY_NS = 10_000_000_000
"""Whatever is lost before it ran for this long is tried after the others."""
STEP = 8
"""Every eighth pixel of every eighth line tells."""
COLOURED = 12
"""Levels between the channels of a pixel that has a colour; a compressed grey one has fewer."""
FEW = 0.001
SPREAD = 4.0
"""Standard deviation of a picture that shows something."""
_GRADES = ("", "gives pictures that never change", "gives only grey pictures", "gives only black or empty pictures")
"""What is wrong with pictures, from the best to the worst."""
REAL, STILL, GREY, EMPTY = range(4)


def grade(image: Image, before: Image | None) -> int:
    """Return how much a picture looks like a camera's; ``before`` is one to differ from, if it is to differ."""
    few = image[::STEP, ::STEP].astype(np.int16)
    if float(few.std(axis=(0, 1)).max()) < SPREAD:
        return EMPTY
    if float(np.mean(few.max(axis=2) - few.min(axis=2) > COLOURED)) < FEW:
        return GREY
    return STILL if before is not None and np.array_equal(before, image) else REAL


class AutoCamera(Source):
    """Tries cameras in their order and keeps the first that shows something in colours, and then that one until it is
    lost. If none does, the best of the others; then it looks for one that was plugged in meanwhile.

    State: the camera in use, those that are left to try, and why others were not taken.
    """

    kind, returns = "camera", True

    def __init__(
        self,
        index: int,
        *,
        wish: CameraWish | None = None,
        notify: Callable[[str], None] = lambda _: None,
        opener: Opener = open_camera,
        clock: Clock = now_ns,
    ) -> None:
        """``index`` is the camera that is likely to be it; ``notify`` gets a line with the one that is, and why."""
        super().__init__()
        self._wish, self._notify, self._opener, self._clock = wish, notify, opener, clock
        self._device: CameraSource | None = None
        self._camera = next((one for one in _candidates() if one.index == index), CameraInfo(index, ""))
        self._take_name(self._camera)
        self._left: list[CameraInfo] = []
        self._why_not: list[str] = []
        self._poor: list[tuple[int, int, CameraInfo]] = []
        self._tried: set[str] = set()
        self._unsteady: set[str] = set()
        self._kept = self._real = self._failed = False
        self._since_ns = self._looked_ns = 0
        self._best = EMPTY
        self._before: Image | None = None
        self._said: CameraInfo | None = None

    def open(self) -> None:
        """Open the first camera that can be opened.

        Raises:
            CaptureError: there is none.
        """
        self._left = sorted(ranked(_candidates()), key=lambda camera: camera.identity in self._unsteady)
        if not self._left:
            raise CaptureError("there is no camera any more: plug one in, or choose an input with --video")
        self._why_not, self._poor, self._tried = [], [], {camera.identity for camera in self._left}
        self._kept = self._real = self._failed = False
        self._next()

    def read(self, spare: Image | None = None) -> CapturedImage | None:
        """Wait for the next picture of a camera that was found good.

        Raises:
            CaptureError: the camera is lost, or none of all gives pictures.
        """
        while not self._interrupted.is_set():
            if self._device is None:
                raise CaptureError(f"{self.name} is not open")
            try:
                captured = self._device.read(spare)
            except Exception as error:  # a driver may raise anything
                if self._kept:
                    self._note_loss()
                    raise
                self._failed = True
                self._pass_over(_reason(self._device, error))
                continue
            if captured is None or self._passes(captured):
                return captured
            spare = None
        return None

    def close(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None

    def interrupt(self) -> None:
        super().interrupt()
        if (device := self._device) is not None:
            device.interrupt()

    def _passes(self, captured: CapturedImage) -> bool:
        """Return whether a picture may go on; one that may not has the next camera tried when it is time."""
        if self._real or (self._kept and captured.capture_ns - self._looked_ns < LOOK_NS):
            return True
        self._looked_ns = captured.capture_ns
        found = grade(captured.image, self._before)
        if self._before is None and (self._camera.seems == "virtual" or not self._camera.name):
            self._before, found = captured.image.copy(), max(found, STILL)  # it may be a logo
        self._best = min(self._best, found)
        if found == REAL:
            self._real = True
            self._keep("it gives pictures in colours")
        elif self._kept:
            return not self._look_for_another(captured.capture_ns - self._since_ns)
        elif not self._left and not self._poor:
            self._keep("it is the only one" if len(self._tried) == 1 else "it is the only one that gives pictures")
        elif captured.capture_ns - self._since_ns > TRIAL_NS:
            self._poor.append((self._best, len(self._poor), self._camera))
            self._pass_over(_GRADES[self._best])
        return self._kept

    def _look_for_another(self, kept_ns: int) -> bool:
        """Begin anew if there is a camera that was not tried, or not lately; nothing runs that is worth keeping."""
        new = not {camera.identity for camera in _candidates()} <= self._tried
        if not new and not (self._failed and kept_ns > AGAIN_NS):
            return False
        self.close()
        self.open()
        return True

    def _note_loss(self) -> None:
        """Have one that is lost as soon as it was taken tried after the others."""
        if self._clock() - self._since_ns < STEADY_NS:
            self._unsteady.add(self._camera.identity)
        else:
            self._unsteady.clear()

    def _pass_over(self, why: str) -> None:
        self._why_not.append(f"{self._camera.label} {why}")
        self._next()

    def _next(self) -> None:
        """Open the next camera that can be opened; after the last one go back to the best of those that gave pictures.

        Raises:
            CaptureError: none of them can be opened.
        """
        self.close()
        while self._left:
            if self._try(self._left.pop(0)):
                return
        while self._poor:
            best = min(self._poor)
            self._poor.remove(best)
            self._why_not = [line for line in self._why_not if not line.startswith(best[2].label)]
            if self._try(best[2]):
                self._keep(f"it {_GRADES[best[0]]}, but there is no better one")
                return
        raise CaptureError("no camera can be used: " + "; ".join(self._why_not))

    def _try(self, camera: CameraInfo) -> bool:
        device = CameraSource(
            camera.called, lambda *_: (camera.index, camera), wish=self._wish, opener=self._opener, clock=self._clock
        )
        try:
            device.open()
        except Exception as error:  # a driver may raise anything
            device.close()
            self._failed = True
            self._why_not.append(f"{camera.label} {_reason(device, error)}")
            return False
        self._device, self._camera, self.rate = device, camera, device.rate
        self._since_ns, self._best, self._before = self._clock(), EMPTY, None
        self._take_name(camera)
        return True

    def _keep(self, why: str) -> None:
        """Take the camera, and say so unless that is known."""
        self._kept = True
        if self._said is not None and self._said == self._camera:
            return
        self._said = self._camera
        gives = self._device.gives_now if self._device is not None else ""
        missed = self._wish.missed(gives) if self._wish is not None and gives else ""
        others = [f"{camera.label} is {camera.seems}" for camera in self._left if camera.seems != "camera"]
        which = f"{self._camera.label}{f', {gives}{missed}' if gives else ''}"
        self._notify("; ".join((f"auto takes {which}: {why}", *self._why_not, *others)))

    def _take_name(self, camera: CameraInfo) -> None:
        self._be(camera.called, camera.identity, camera.formerly)


def _reason(device: CameraSource, error: Exception) -> str:
    """Return in a few words what is wrong with a device."""
    said = str(error).removeprefix(f"{device.name} ").partition(":")[0] or type(error).__name__
    return said if isinstance(error, CaptureError) else f"fails ({said})"


def _candidates() -> list[CameraInfo]:
    """Return the cameras that there are now; the first numbers where the system does not list them."""
    found = cameras.list_cameras()
    return found or ([] if sys.platform == "linux" else [CameraInfo(index, "") for index in range(UNLISTED)])
