"""The tracker on a real clip beside what MediaPipe said of it, and on what a camera should not but will send."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.paths import GOLDEN

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.face import FaceState
from facewire.models.assets.store import asset_path
from facewire.models.errors import ModelError
from facewire.models.face import tracker as tracker_module
from facewire.models.face.blendshapes import NETWORK_NAMES
from facewire.models.face.region import _crop
from facewire.models.face.tracker import KEEP_PROBABILITY, LOYALTY_NS, STEADY_NS, FaceTracker

pytestmark = pytest.mark.models

TALKING_FACE = GOLDEN / "mediapipe" / "talking_face.npz"
FRAME_NS = 33_333_333
FROM_NETWORK = [NETWORK_NAMES.index(name) for name in BLENDSHAPES[:-1]]


def clip() -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(asset_path("talking_face")))
    while True:
        ok, image = capture.read()
        if not ok:
            return
        yield image


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """Landmarks in pixels, blendshapes 0..1 in the frame's order (without the tongue)."""
    with np.load(TALKING_FACE) as stored:
        arrays = dict(stored)
    for name in ("mesh", "video_landmarks", "image_landmarks"):
        arrays[name] = arrays[name] / arrays["scale"]
    for name in ("video_blendshapes", "image_blendshapes"):
        arrays[name] = arrays[name][:, FROM_NETWORK] / 65535
    return arrays


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return next(clip())


@pytest.fixture(scope="module")
def tracker() -> FaceTracker:
    return FaceTracker("attention", "cpu")


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "tracker" in request.fixturenames:
        request.getfixturevalue("tracker").reset()


def track(tracker: FaceTracker) -> dict[str, np.ndarray]:
    rows = []
    for index, image in enumerate(clip()):
        seen = tracker.step(image, index * 1000 // 30 * 1_000_000)
        assert seen is not None
        rows.append(
            (seen.landmarks.copy(), seen.blendshapes.copy(), seen.head.copy(), seen.gaze.copy(), seen.confidence)
        )
    names = ("landmarks", "blendshapes", "head", "gaze", "confidence")
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


@pytest.fixture(scope="module")
def attention() -> dict[str, np.ndarray]:
    return track(FaceTracker("attention", "cpu"))


@pytest.fixture(scope="module")
def v2() -> dict[str, np.ndarray]:
    return track(FaceTracker("v2", "cpu", smoothing=True))  # as FaceLandmarker does


def distances_px(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.linalg.norm(ours[..., :2] - theirs[..., :2], axis=-1)


def correlations(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    active = theirs.std(axis=0) > 0.02
    assert active.sum() > 15
    return np.array([np.corrcoef(ours[:, k], theirs[:, k])[0, 1] for k in np.flatnonzero(active)])


def test_attention_landmarks_are_facemeshs(attention: dict[str, np.ndarray], golden: dict[str, np.ndarray]) -> None:
    ours = attention["landmarks"][:: golden["step"]]
    off = distances_px(ours, golden["mesh"])
    assert off.mean() < 0.1
    assert np.percentile(off, 99) < 0.4
    assert np.abs(ours[..., 2] - golden["mesh"][..., 2]).mean() < 0.1


def test_v2_landmarks_and_blendshapes_are_facelandmarkers(
    v2: dict[str, np.ndarray], golden: dict[str, np.ndarray]
) -> None:
    off = distances_px(v2["landmarks"][:: golden["step"]], golden["video_landmarks"])
    assert off.mean() < 0.1
    assert np.percentile(off, 99) < 0.5
    shapes = v2["blendshapes"][:, :-1]
    assert np.abs(shapes - golden["video_blendshapes"]).mean() < 0.002
    assert np.median(correlations(shapes, golden["video_blendshapes"])) > 0.995
    assert (v2["blendshapes"][:, -1] == 0).all()


def test_v2_head_is_facelandmarkers(v2: dict[str, np.ndarray], golden: dict[str, np.ndarray]) -> None:
    x, y, z, w = v2["head"][:, :4].T
    forward = np.stack([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)], axis=1)
    angle = np.arccos(np.clip((forward * golden["video_matrix"][:, :3, 2]).sum(axis=1), -1, 1))
    assert np.degrees(angle).max() < 0.3
    np.testing.assert_allclose(100 * v2["head"][:, 4:], golden["video_matrix"][:, :3, 3], atol=0.3)
    np.testing.assert_allclose(np.linalg.norm(v2["head"][:, :4], axis=1), 1, atol=1e-6)


def test_both_meshes_see_the_same_head(v2: dict[str, np.ndarray], attention: dict[str, np.ndarray]) -> None:
    assert np.abs(v2["head"] - attention["head"]).max() < 0.03


def test_image_mode_is_a_reset_before_each_image(golden: dict[str, np.ndarray]) -> None:
    tracker, images = FaceTracker("v2", "cpu"), list(clip())
    for k, index in enumerate(golden["image_frames"]):
        tracker.reset()
        seen = tracker.step(images[index], 0)
        assert seen is not None
        assert distances_px(seen.landmarks, golden["image_landmarks"][k]).mean() < 0.4
        assert np.abs(seen.blendshapes[:-1] - golden["image_blendshapes"][k]).mean() < 0.005


@pytest.mark.parametrize(("mesh", "least"), [("v2", 0.5), ("attention", 0.35)])
def test_gaze_follows_what_the_blendshapes_say(mesh: str, least: float, request: pytest.FixtureRequest) -> None:
    """While the lids are open: the eyes turn up and down with the eyeLook shapes, about the camera on average."""
    seen = request.getfixturevalue(mesh)
    shape = {name: seen["blendshapes"][:, index] for index, name in enumerate(BLENDSHAPES)}
    open_eyes = np.maximum(shape["eyeBlinkLeft"], shape["eyeBlinkRight"]) < 0.4
    for side, offset in (("Left", 0), ("Right", 2)):
        pitch = seen["gaze"][open_eyes, offset + 1]
        upwards = (shape[f"eyeLookUp{side}"] - shape[f"eyeLookDown{side}"])[open_eyes]
        assert np.corrcoef(pitch, upwards)[0, 1] > least
    assert np.abs(seen["gaze"][open_eyes].mean(axis=0)).max() < 0.15
    assert np.corrcoef(seen["gaze"][open_eyes, 1], seen["gaze"][open_eyes, 3])[0, 1] > least


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((480, 640), np.uint8),
        np.zeros((480, 640, 4), np.uint8),
        np.zeros((480, 640, 3), np.float32),
        np.zeros(0, np.uint8),
        None,
        b"image",
    ],
)
def test_what_is_no_image_is_refused_in_one_line(tracker: FaceTracker, image: object) -> None:
    with pytest.raises(
        ModelError, match=r"^an image must be a BGR array uint8\[height, width, 3\], not \S+"
    ) as refused:
        tracker.step(image, 0)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("shape", [(480, 640), (1, 1), (0, 0), (7, 2000), (16, 16)])
@pytest.mark.parametrize("value", [0, 255])
def test_an_image_without_a_face_gives_none(tracker: FaceTracker, shape: tuple[int, int], value: int) -> None:
    for time_ns in range(4):
        assert tracker.step(np.full((*shape, 3), value, np.uint8), time_ns) is None


def test_noise_gives_none(tracker: FaceTracker) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    assert all(tracker.step(noise, time_ns) is None for time_ns in range(4))


def test_an_image_in_pieces_or_read_only_is_seen_alike_and_compiles_nothing(
    tracker: FaceTracker, face: np.ndarray
) -> None:
    seen = tracker.step(face, 0)
    assert seen is not None
    expected = seen.landmarks.copy()
    fixed = face.copy()
    fixed.flags.writeable = False
    for image in (np.concatenate([face, face], axis=1)[:, : face.shape[1]], fixed, face[::-1][::-1]):
        tracker.reset()
        seen = tracker.step(image, 0)
        assert seen is not None
        np.testing.assert_array_equal(seen.landmarks, expected)
    assert len(_crop.signatures) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mesh", ["v2", "attention"])
def test_a_camera_on_its_side_or_upside_down_is_understood(mesh: str, turns: int, face: np.ndarray) -> None:
    tracker = FaceTracker(mesh, "cpu")  # type: ignore[arg-type]

    def settled(image: np.ndarray) -> np.ndarray:
        tracker.reset()
        for k in range(3):  # the detector is rough: the next looks are at the right place
            seen = tracker.step(image, k * FRAME_NS)
            assert seen is not None
            assert seen.confidence > 0.95
        return seen.landmarks.copy()

    expected, turned = settled(face), settled(np.ascontiguousarray(np.rot90(face, -turns)))
    height, width = face.shape[:2]
    x, y = turned[:, 0], turned[:, 1]
    back = {1: (y, height - x), 2: (width - x, height - y), 3: (width - y, x)}[turns]
    assert distances_px(np.stack(back, axis=1), expected).mean() < 3


@pytest.mark.parametrize("darker", [1, 4])
@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mesh", ["v2", "attention"])
def test_a_clip_that_is_turned_is_the_right_way_up_wherever_it_begins(mesh: str, turns: int, darker: int) -> None:
    """Detector and meshes see a face that stands on its head too, with a probability of up to 1."""
    capture, tracker, wrong = cv2.VideoCapture(str(asset_path("talking_face"))), FaceTracker(mesh, "cpu"), []  # type: ignore[arg-type]
    for begin in range(0, 300, 15):
        capture.set(cv2.CAP_PROP_POS_FRAMES, begin)
        tracker.reset()
        for k in range(6):  # a fifth of a second
            ok, image = capture.read()
            assert ok
            seen = tracker.step(np.ascontiguousarray(np.rot90(image // darker, -turns)), k * FRAME_NS)
        if seen is None or roll_turns(seen.landmarks) != turns:
            wrong.append(begin)
    capture.release()
    assert wrong == []


def roll_turns(landmarks: np.ndarray) -> int:
    """Return by how many quarter turns, clockwise, a face stands turned, from its forehead to its chin."""
    down = landmarks[152, :2] - landmarks[10, :2]
    return round(float(np.arctan2(-down[0], down[1])) / (np.pi / 2)) % 4


@pytest.mark.parametrize("left", [0, 600, 1100])
def test_a_face_too_far_away_for_the_detector_is_found_by_looking_closer(
    tracker: FaceTracker, face: np.ndarray, left: int
) -> None:
    shown = np.full((720, 1280, 3), 90, np.uint8)
    small = cv2.resize(face, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    shown[300 : 300 + small.shape[0], left : left + small.shape[1]] = small
    for k in range(8):
        seen = tracker.step(shown, k * FRAME_NS)
    assert left < middle_x(seen) < left + small.shape[1]
    assert 50 < np.ptp(seen.landmarks[:, 0]) < 80  # type: ignore[union-attr]


def test_a_face_that_leaves_is_lost_and_one_that_returns_is_seen_at_once(
    tracker: FaceTracker, face: np.ndarray
) -> None:
    time_ns = 0
    for image, expected in ((face, True), (np.zeros_like(face), False), (face, True)) * 2:
        for _ in range(40):
            assert (tracker.step(image, time_ns) is not None) == expected
            assert tracker.following == expected
            time_ns += FRAME_NS


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.concatenate([left, right], axis=1)


def middle_x(seen: FaceState | None) -> float:
    assert seen is not None
    return float(seen.landmarks[:, 0].mean())


def scaled(image: np.ndarray, factor: float) -> np.ndarray:
    """Return the image made smaller in the upper left corner of a black one."""
    small, shown = cv2.resize(image, None, fx=factor, fy=factor), np.zeros_like(image)
    shown[: small.shape[0], : small.shape[1]] = small
    return shown


def test_of_two_faces_the_larger_is_followed_and_never_swapped(tracker: FaceTracker) -> None:
    """Not even when, later, the other is the larger."""
    for index, image in zip(range(120), clip(), strict=False):
        shown = beside(scaled(image, 0.5 + 0.004 * index), scaled(image, 1 - 0.003 * index))
        assert middle_x(tracker.step(shown, index * FRAME_NS)) > image.shape[1]


def test_a_neighbour_is_not_taken_for_a_face_that_was_just_lost(tracker: FaceTracker, face: np.ndarray) -> None:
    width, black, time_ns = face.shape[1], np.zeros_like(face), 0
    neighbour = scaled(face, 0.7)
    while time_ns < STEADY_NS + FRAME_NS:
        assert middle_x(tracker.step(beside(neighbour, face), time_ns)) > width
        time_ns += FRAME_NS
    lost_ns = time_ns
    while time_ns < lost_ns + LOYALTY_NS // 2:
        assert tracker.step(beside(neighbour, black), time_ns) is None
        time_ns += FRAME_NS
    assert middle_x(tracker.step(beside(neighbour, face), time_ns)) > width  # back at once
    while tracker.step(beside(neighbour, black), time_ns) is None:  # and gone for good
        time_ns += FRAME_NS
        assert time_ns < lost_ns + 3 * LOYALTY_NS
    assert middle_x(tracker.step(beside(neighbour, black), time_ns)) < width
    tracker.reset()
    assert middle_x(tracker.step(beside(neighbour, face), time_ns)) > width


class DoubtfulMesh:
    """Finds the same landmarks always, with the probability that it is told."""

    def __init__(self, mesh: object) -> None:
        self.mesh, self.probability = mesh, 1.0

    def infer(self, image: np.ndarray, region: np.ndarray, landmarks: np.ndarray) -> float:
        self.mesh.infer(image, region, landmarks)  # type: ignore[attr-defined]
        return self.probability


def test_a_followed_face_may_be_less_probable_than_a_new_one(face: np.ndarray) -> None:
    tracker = FaceTracker("attention", "cpu")
    tracker._mesh = mesh = DoubtfulMesh(tracker._mesh)
    steps = [(0.45, False), (0.55, True), (0.45, True), (KEEP_PROBABILITY - 0.01, False), (0.45, False), (0.55, True)]
    for k, (mesh.probability, expected) in enumerate(steps):
        seen = tracker.step(face, k * FRAME_NS)
        assert (seen is not None) == expected
        assert seen is None or seen.confidence == mesh.probability


def test_an_unknown_mesh_is_refused() -> None:
    with pytest.raises(ModelError, match="there is no mesh 'v3': choose one of v2, attention"):
        FaceTracker("v3")  # type: ignore[arg-type]


def test_the_same_arrays_are_used_again_and_nothing_grows(tracker: FaceTracker, face: np.ndarray) -> None:
    first = tracker.step(face, 0)
    assert first is not None
    arrays = [id(array) for array in (first.landmarks, first.blendshapes, first.head, first.gaze)]
    ours = tracemalloc.Filter(True, str(Path(tracker_module.__file__).parents[1] / "*"))
    tracemalloc.start()
    for k in range(1, 201):
        if k == 50:
            before = tracemalloc.take_snapshot().filter_traces([ours])
        seen = tracker.step(face, k * FRAME_NS)
    gc.collect()
    after = tracemalloc.take_snapshot().filter_traces([ours])
    tracemalloc.stop()
    assert seen is first
    assert [id(array) for array in (seen.landmarks, seen.blendshapes, seen.head, seen.gaze)] == arrays
    assert sum(line.size_diff for line in after.compare_to(before, "lineno")) < 1000
