"""The whole way of a picture with the real networks: faces that come, go, turn over, and pictures of every kind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.wire.codec import Encoder
from facewire.models.assets.store import asset_path
from facewire.models.face.tracker import FaceTracker
from facewire.runtime.capture.video.demo_face import DemoFace, DemoPose, demo_pose
from facewire.runtime.pipeline import FacePipeline

pytestmark = pytest.mark.models

FRAME_NS = 33_333_333
BLACK = np.zeros((480, 640, 3), np.uint8)


@pytest.fixture(scope="module")
def demo() -> DemoFace:
    return DemoFace(cv2.imread(str(asset_path("demo_face"))))


@pytest.fixture(scope="module", params=["v2", "attention"])
def tracker(request):
    return FaceTracker(request.param, device="cpu")


@pytest.fixture
def pipeline(tracker):
    tracker.reset()
    return FacePipeline(lambda _: tracker)


def frames_of(pipeline, images):
    """Return the frames of pictures at 30 a second; every one must be fit to be sent."""
    frames, encoder = [], Encoder()
    for i, image in enumerate(images):
        pipeline.track(image, i * FRAME_NS)
        frame = pipeline.finish(i, i * FRAME_NS, i * FRAME_NS, lambda: 0)
        assert encoder.frame(frame)
        assert ((frame.blendshapes >= 0) & (frame.blendshapes <= 1)).all()
        assert abs(np.linalg.norm(frame.head[:4]) - 1) < 1e-5
        frames.append(frame)
    return frames


def test_a_face_that_leaves_is_held_and_is_followed_again_without_a_jump(pipeline, demo):
    face = [demo.render(demo_pose(i / 30)) for i in range(15)]
    frames = frames_of(pipeline, [*face, *[BLACK] * 45, *face, *face])
    assert [frame.sources for frame in frames] == ["video"] * 15 + ["held"] * 45 + ["video"] * 30
    np.testing.assert_allclose(frames[16].blendshapes, frames[15].blendshapes, atol=0.2)  # held, no jump
    assert frames[59].blendshapes.max() < 0.05  # at rest
    assert frames[59].confidence == 0
    own, back = (np.array([frame.blendshapes for frame in part]) for part in (frames[:15], frames[60:75]))
    assert np.abs(np.diff(back, axis=0)).max() < np.abs(np.diff(own, axis=0)).max() + 0.1
    np.testing.assert_allclose(frames[77].blendshapes, frames[2].blendshapes, atol=0.25)


def test_pictures_of_every_kind_give_frames(pipeline, demo):
    face = demo.render(DemoPose())
    noise = np.random.default_rng(0).integers(0, 255, face.shape, np.uint8)
    kinds = [
        face,
        BLACK,
        np.full_like(face, 255),
        noise,
        cv2.rotate(face, cv2.ROTATE_90_CLOCKWISE),
        cv2.rotate(face, cv2.ROTATE_180),
        cv2.resize(face, (1920, 1080)),
        cv2.resize(face, (80, 60)),
        face[:1, :1].copy(),
        face[::2, ::-1],  # not contiguous
        face,
    ]
    frames = frames_of(pipeline, [image for image in kinds for _ in range(4)])
    assert frames[0].sources == "video"
    assert frames[-1].sources == "video"


def test_the_demo_face_drives_what_it_shows(pipeline, demo):
    def shape(pose, *names):
        frame = frames_of(pipeline, [demo.render(pose)] * 12)[-1]
        pipeline.filter.reset()
        return [frame.blendshapes[BLENDSHAPE_INDEX[name]] for name in names]

    assert min(shape(DemoPose(lids=1), "eyeBlinkLeft", "eyeBlinkRight")) > 0.4
    assert max(shape(DemoPose(), "eyeBlinkLeft", "eyeBlinkRight")) < 0.2
    assert shape(DemoPose(jaw=1, sober=1), "jawOpen")[0] > shape(DemoPose(sober=1), "jawOpen")[0] + 0.2
    assert min(shape(DemoPose(), "mouthSmileLeft")) > shape(DemoPose(sober=1), "mouthSmileLeft")[0] + 0.3
    assert shape(DemoPose(brows=1), "browInnerUp")[0] > shape(DemoPose(), "browInnerUp")[0] + 0.03


def test_the_head_turns_with_the_picture_and_a_mirror_turns_it_back(tracker, demo):
    def yaw(pose, *, mirror=False):
        tracker.reset()
        head = frames_of(FacePipeline(lambda _: tracker, mirror=mirror), [demo.render(pose)] * 3)[-1].head
        return 2 * np.arctan2(head[1], head[3]) * np.sign(head[3])

    assert yaw(DemoPose(turn=1)) - yaw(DemoPose(turn=-1)) > 0.08
    assert yaw(DemoPose(turn=1), mirror=True) - yaw(DemoPose(turn=-1), mirror=True) < -0.08
