"""The face that goes from stage to stage, and the moment of speech that joins it.

A tracker or a phone makes a ``FaceState``; each stage on its way receives one and returns one of its own. A driver of
speech makes ``SpeechTick``s. Both live here, where models, bridge and runtime may import them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array

Sources: TypeAlias = Literal["video", "audio", "both", "held"]
"""Which inputs drive a face; ``held`` means that input was lost and the face is held or eases to rest."""

REST_DISTANCE_M = 0.5
"""Where the head is before anybody was seen, or if nobody says where: straight before the camera."""

SHAPES: Final = slice(0, len(BLENDSHAPES))
HEAD: Final = slice(SHAPES.stop, SHAPES.stop + 7)
GAZE: Final = slice(HEAD.stop, HEAD.stop + 4)
FACE_VALUES: Final = GAZE.stop
"""63: shapes, head and gaze one after the other, as all buffers of a whole face hold them."""


class FaceState:
    """One face at one moment. Its arrays are allocated once; its owner writes them again at each step.

    A stage owns the state that it gives, and that holds until its next step. It begins with ``copy_from`` what it was
    given, so that what it knows nothing of goes on as it came: a field that is added here reaches every later stage.
    The named arrays are views of ``values``: write into them, never put others in their place.
    """

    __slots__ = (
        "audio_ns",
        "blendshapes",
        "camera_weight",
        "confidence",
        "gaze",
        "head",
        "landmarks",
        "mouth_trust",
        "raw",
        "sources",
        "speech_weight",
        "values",
        "video_ns",
        "visibility",
    )

    def __init__(self) -> None:
        """Make a face at rest that nobody sees."""
        self.values: Final[Float32Array] = np.zeros(FACE_VALUES, np.float32)
        """[63], the next three one after the other."""
        self.blendshapes: Final[Float32Array] = self.values[SHAPES]
        """[52], 0..1, in the order of ``BLENDSHAPES``."""
        self.head: Final[Float32Array] = self.values[HEAD]
        """[7]: unit quaternion x, y, z, w, then the place in metres; camera space: +x right in the image, +y up, +z
        from the face towards the camera."""
        self.gaze: Final[Float32Array] = self.values[GAZE]
        """[4]: left yaw, pitch, right yaw, pitch in radians, from the head; +yaw to the subject's left, +pitch up."""
        self.reset()

    def reset(self) -> None:
        """Go back to rest: straight before the camera, and nobody seen."""
        self.values[:] = 0.0
        self.head[3], self.head[6] = 1.0, -REST_DISTANCE_M
        self.confidence = 0.0
        """Probability, 0..1, that it is a face; of speech if only that drives it."""
        self.sources: Sources = "held"
        self.visibility = 0.0
        """How much of the face that was seen is shown: 1 while it is followed, 0 at rest."""
        self.mouth_trust = 0.0
        """0..1, how far the camera's mouth can be trusted."""
        self.camera_weight = self.speech_weight = 0.0
        """0..1, the shares of the mouth that the camera and speech have; fusion decides."""
        self.landmarks: Float32Array | None = None
        """[478, 3]: x, y in pixels of the image, and depth relative to the face's middle on the same scale; None if
        there is no picture. They are the tracker's own: see ``detach``."""
        self.raw: Float32Array | None = None
        """[52], 0..1: the shapes as they were seen, before calibration; None if nothing was. The calibrator's own."""
        self.video_ns: int | None = None
        """Session clock of what is shown of the camera; None if it never showed anything."""
        self.audio_ns: int | None = None
        """Session clock of the newest sound behind it; None if there never was any."""

    @classmethod
    def of(
        cls,
        blendshapes: Float32Array,
        head: Float32Array,
        gaze: Float32Array,
        *,
        confidence: float = 1.0,
        landmarks: Float32Array | None = None,
    ) -> FaceState:
        """Make the state of a face that is seen, from copies of shapes [52], head [7] and gaze [4]."""
        face = cls()
        face.blendshapes[:], face.head[:], face.gaze[:] = blendshapes, head, gaze
        face.confidence, face.landmarks = confidence, landmarks
        face.sources, face.visibility = "video", 1.0
        return face

    def copy_from(self, other: FaceState) -> None:
        """Take all that ``other`` says; the arrays that are not its own, ``landmarks`` and ``raw``, are shared."""
        self.values[:] = other.values
        self.confidence, self.sources, self.visibility = other.confidence, other.sources, other.visibility
        self.mouth_trust = other.mouth_trust
        self.camera_weight, self.speech_weight = other.camera_weight, other.speech_weight
        self.landmarks, self.raw = other.landmarks, other.raw
        self.video_ns, self.audio_ns = other.video_ns, other.audio_ns

    def detach(self) -> None:
        """Copy what is shared, for a caller that keeps it beyond its owner's next step."""
        self.landmarks = None if self.landmarks is None else self.landmarks.copy()
        self.raw = None if self.raw is None else self.raw.copy()


@dataclass(frozen=True, slots=True)
class SpeechTick:
    """A face as speech has it at one moment; nobody writes its arrays again."""

    blendshapes: Float32Array
    """[52], 0..1; upper-face shapes are small companions of the voice."""
    confidence: float
    """How likely it is that somebody speaks, 0..1."""
    capture_ns: int
    """Session clock when the newest sample behind it was captured."""
    sound_ns: int
    """Session clock of the sound that it shows: ``capture_ns`` less the driver's delay."""
    snr_db: float = 60.0
    """Speech against the background."""
    flame: Float32Array | None = None
    """[E + 3]: FLAME's expression, then its jaw as an axis-angle in radians; None if the driver does not give FLAME."""

    def eased(self, share: float) -> SpeechTick:
        """Return the same moment with ``share`` 0..1 of its motion, and nobody speaking."""
        flame = None if self.flame is None else self.flame * np.float32(share)
        return replace(self, blendshapes=self.blendshapes * np.float32(share), confidence=0.0, flame=flame)
