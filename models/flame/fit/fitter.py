"""FLAME from landmarks, frame by frame: pose, jaw and expression at once, eyes from the irises, identity over time.

Camera: the pinhole that gives the head pose (``pose.VERTICAL_FIELD_OF_VIEW_RAD``). Landmarks are fitted in the
picture; their depth, which a network can only guess, counts ``fit_state.DEPTH_WEIGHT``. A single camera does not see
how large a head is: it is as large as its identity says in the model, and its distance follows from that.

The head's turn is the global one (FLAME's root) and the neck stays at rest: one camera that sees a head and no
shoulders cannot tell them apart. Eyes turn as the person's own do: their angles are those of ``gaze``, measured from
the irises with an adult's eye, seen from the fitted head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float32Array, Float64Array
from facewire.models.errors import ModelError
from facewire.models.face.gaze import Gaze
from facewire.models.face.landmarks import (
    LANDMARK_COUNT,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MESH_COUNT,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)
from facewire.models.face.pose import VERTICAL_FIELD_OF_VIEW_RAD, HeadPose
from facewire.models.flame.fit.fit_kernels import copy_state, minimise, observe, take_identity
from facewire.models.flame.fit.identity import Identity, forget, learn, unknown_identity
from facewire.models.flame.fit.points import see, with_asymmetries
from facewire.models.flame.fit.state import make_setup, make_state, make_work
from facewire.models.flame.model import FlameModel
from facewire.models.flame.registration.correspondence import Correspondence
from facewire.models.flame.rotations import axis_angle, eyes_of
from facewire.models.jit import resolved

WARM_STEPS, COLD_STEPS = 4, 30
"""At most; most frames need two or three."""
WORST_RESIDUAL = 0.16
"""Of the distance between the eyes: landmarks that lie farther from every face the model can make are not a face."""
LEAST_FACING = 0.05
"""Cosine of the turn away from the camera: a network sees no face from behind."""
TAKE_NS, REFINE_NS = 100_000_000, 2_000_000_000
"""Between frames that identity is learned from, in the first seconds and then."""
LEARN_FRAMES = 25
REFINE_SHARE = 0.05
"""Of the way to what the evidence says, for each frame after that."""
LEARN_CONFIDENCE = 0.5


@dataclass(slots=True)
class FlameFit:
    """A frame's FLAME parameters. The arrays are the fitter's own: they hold until its next step."""

    expression: Float32Array
    """[e], standard deviations: the model's first coefficients, at most ``points.MOST_EXPRESSIONS``."""
    jaw: Float32Array
    """[3], axis-angle in radians, as all rotations."""
    neck: Float32Array
    """[3], at rest."""
    eyes: Float32Array
    """[6], left, right."""
    shape: Float32Array
    """[s], the identity, standard deviations; likewise."""
    rotation: Float32Array
    """[3], of the root: turns the head about the root's joint, in camera space (as ``FaceFrame.head``)."""
    translation: Float32Array
    """[3], metres, added after that: FLAME's ``transl``."""
    residual_px: float
    """Mean distance in the picture from the landmarks."""
    confidence: float
    """0 where the landmarks cannot be a face's: then all else is of the last that were."""


class FlameFitter:
    """Fits one face. Explicit state, no clock; after set-up a step makes no arrays.

    State: the last pose, jaw and expression (warm start) and the identity: what was learned of it so far, and
    when a frame was last taken for it. No delay. Where a step ends does not depend on where it starts: a fit that
    begins in the middle of a sequence, with the same identity, gives the same from its third frame on.
    """

    def __init__(self, model: FlameModel, correspondence: Correspondence, *, offsets: bool = True) -> None:
        """Precompute the model at the landmarks and compile the kernels.

        ``offsets``: learn a person's own offsets of the landmarks (``identity``) and asymmetry (``points``). Raises
        ModelError where the correspondence is not this model's.
        """
        points = see(model, correspondence)
        points = with_asymmetries(points) if offsets else points
        self._points, self._with_offsets = points, offsets
        self._setup = make_setup(points)
        self._state, self._kept, self._last = (make_state(points) for _ in range(3))
        self._work = make_work(points)
        self._landmarks = np.zeros((LANDMARK_COUNT, 3), np.float32)
        rest_cm = (100.0 * points.rest).astype(np.float32)
        self._pose = HeadPose(rest_cm, points.bases.order, points.weights)
        self._gaze = Gaze(rest_cm)
        self._head, self._eyes_rad, self._matrix = np.zeros(7, np.float32), np.zeros(4, np.float32), np.eye(4)
        self._identity = unknown_identity(points)
        self._compile()
        sizes = (points.expressions, 3, 3, 6, points.shapes, 3, 3)
        expression, jaw, neck, eyes, shape, rotation, translation = (np.zeros(size, np.float32) for size in sizes)
        self._fit = FlameFit(expression, jaw, neck, eyes, shape, rotation, translation, 0.0, 0.0)
        self._eye_distance_m = 0.01 * eye_distance(rest_cm)
        self.reset()
        self._warm_up()

    def reset(self) -> None:
        """Forget the face and who it is."""
        forget(self._identity)
        take_identity(self._identity.shape, self._identity.offsets, self._points.bases, self._work)
        self._taken, self._taken_ns = 0, -REFINE_NS
        self._following = False
        fit = self._fit
        for array in (fit.expression, fit.jaw, fit.neck, fit.eyes, fit.shape, fit.rotation, fit.translation):
            array[:] = 0.0
        fit.residual_px = fit.confidence = 0.0

    @property
    def identity(self) -> Identity:
        """What was learned of the person; for reading."""
        return self._identity

    @property
    def frozen(self) -> bool:
        """Whether the first seconds are over, and the identity only drifts towards what later frames say."""
        return self._taken >= LEARN_FRAMES

    @property
    def learned(self) -> float:
        """How much of the first seconds is over, 0 to 1."""
        return min(self._taken / LEARN_FRAMES, 1.0)

    @property
    def rest(self) -> Float64Array:
        """[468, 3], this person's landmarks at rest, metres, in the model's space."""
        rest, order = np.empty((MESH_COUNT, 3)), self._points.bases.order
        rest[order] = self._work.a.T
        rest[order[: self._work.b.shape[1]]] += self._work.b.T
        return rest

    @property
    def root(self) -> Float64Array:
        """[3], the root's joint of this person, metres."""
        root: Float64Array = self._points.root + self._identity.shape[: self._points.shapes] @ self._points.root_shape
        return root

    @property
    def last(self) -> FlameFit:
        """The last step's result."""
        return self._fit

    def step(self, landmarks: Float32Array, width: int, height: int, now_ns: int, confidence: float = 1.0) -> FlameFit:
        """Fit landmarks [478, 3] in pixels of a width × height picture taken at ``now_ns``.

        ``confidence``, 0..1, is that of the landmarks; doubtful ones teach nothing about identity.

        Raises:
            ModelError: they are not such an array.
        """
        if landmarks.shape != (LANDMARK_COUNT, 3) or landmarks.dtype != np.float32 or min(width, height) < 1:
            raise ModelError(f"landmarks must be float32 [{LANDMARK_COUNT}, 3] in a picture of some size")
        residual = self._solve(landmarks, width, height)
        fit = self._fit
        if not residual < math.inf:
            fit.confidence = 0.0
            return fit
        self._write(landmarks, width, height, residual, confidence)
        self._learn(now_ns, confidence)
        return fit

    def _solve(self, landmarks: Float32Array, width: int, height: int) -> float:
        """Fit; starting from the last frame or, if that leads nowhere, from none. Infinite if it is not a face."""
        self._landmarks[:] = landmarks
        if not self._observe(self._landmarks, width, height, self._points.bases, self._setup, self._work):
            return math.inf
        self._copy_state(self._state, self._last)
        if self._following:
            residual = self._try(WARM_STEPS)
            if residual < math.inf:
                return residual
        self._place(landmarks, width, height)
        residual = self._try(COLD_STEPS)
        self._following = residual < math.inf
        if not self._following:
            self._copy_state(self._last, self._state)
        return residual

    def _try(self, steps: int) -> float:
        """Return the residual, infinite if what comes out is not a face seen from the front."""
        state, work = self._state, self._work
        residual = self._minimise(steps, self._points.bases, self._setup, state, self._kept, work)
        distance_m = float(np.sqrt(state.shift @ state.shift))
        facing = -float(state.turn[:, 2] @ state.shift) / max(distance_m, 1e-9)
        good = residual * distance_m < WORST_RESIDUAL * self._eye_distance_m and facing > LEAST_FACING
        return residual if good else math.inf

    def _place(self, landmarks: Float32Array, width: int, height: int) -> None:
        """Start again: the template where the landmarks are."""
        self._pose.fit(landmarks, width, height, self._head)
        matrix, state = self._pose.matrix, self._state
        scale = max(float(np.cbrt(abs(np.linalg.det(matrix[:3, :3])))), 1e-9)
        state.turn[:] = matrix[:3, :3] / scale
        state.shift[:] = 0.01 * matrix[:3, 3] / scale
        state.jaw[:] = 0.0
        state.expression[:] = 0.0

    def _write(self, landmarks: Float32Array, width: int, height: int, residual: float, confidence: float) -> None:
        fit, state = self._fit, self._state
        fit.expression[:] = state.expression
        fit.jaw[:] = state.jaw
        self._matrix[:3, :3], self._matrix[:3, 3] = state.turn, 100.0 * state.shift
        self._gaze.measure(landmarks, width, height, self._matrix, self._eyes_rad)
        eyes_of(self._eyes_rad, fit.eyes)
        axis_angle(state.turn, fit.rotation)
        root = self.root
        fit.translation[:] = state.shift + state.turn @ root - root
        unit = 2.0 * math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD) / height
        fit.residual_px = residual / unit
        share = residual * float(np.sqrt(state.shift @ state.shift)) / (WORST_RESIDUAL * self._eye_distance_m)
        fit.confidence = min(max(confidence, 0.0), 1.0) * (1.0 - share)

    def _learn(self, now_ns: int, confidence: float) -> None:
        """Learn who it is from the frame, if that is due."""
        frozen = self.frozen
        since_ns = now_ns - self._taken_ns
        if confidence < LEARN_CONFIDENCE or 0 <= since_ns < (REFINE_NS if frozen else TAKE_NS):
            return
        self._taken, self._taken_ns = self._taken + 1, now_ns
        share = REFINE_SHARE if frozen else 1.0
        arguments = self._points.bases, self._setup, self._state, self._work, self._identity
        self._take(self._with_offsets, share, *arguments)
        self._fit.shape[:] = self._identity.shape[: self._points.shapes]

    def _compile(self) -> None:
        """Look up the kernels for these arrays, once."""
        bases, setup, state, work = self._points.bases, self._setup, self._state, self._work
        self._observe = resolved(observe, self._landmarks, 1, 1, bases, setup, work)
        self._copy_state = resolved(copy_state, state, state)
        self._minimise = resolved(minimise, 1, bases, setup, state, state, work)
        self._take = resolved(learn, True, 1.0, bases, setup, state, work, self._identity)

    def _warm_up(self) -> None:
        """Compile every kernel: the template, seen straight from half a metre."""
        landmarks = np.zeros((LANDMARK_COUNT, 3), np.float32)
        scale = 0.5 * 480 / math.tan(0.5 * VERTICAL_FIELD_OF_VIEW_RAD) / 0.5
        landmarks[:MESH_COUNT] = self._points.rest * (scale, -scale, -scale)
        landmarks[:, :2] += (320, 240)
        self.step(landmarks, 640, 480, 0)
        self.reset()


def eye_distance(landmarks: npt.NDArray[np.floating]) -> float:
    """Between the middles of both eyes' corners, in the unit of landmarks [478 or 468, d]."""
    left = (landmarks[LEFT_EYE_INNER] + landmarks[LEFT_EYE_OUTER]) / 2
    right = (landmarks[RIGHT_EYE_INNER] + landmarks[RIGHT_EYE_OUTER]) / 2
    return float(np.linalg.norm(left - right))
