"""Calibration on faces whose geometry and network values are known: rest, range, lids, dead shapes, and refusals."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from support.faces import seen_face
from support.turns import matrix_of

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.models.assets.store import asset_path
from facewire.runtime.face.calibrate import Calibrator, with_gain
from facewire.runtime.face.calibration import Calibration
from facewire.runtime.face.filters import FaceFilter
from facewire.runtime.face.guided import POSES, CalibrationError, calibrate_neutral, calibrate_pose
from facewire.runtime.face.sampling import Sampling

FRAME_NS = 33_333_333
PICTURE = np.full((64, 64, 3), 128, np.uint8)
LIDS = ((386, 385, 387, 374, 380, 373), (159, 158, 160, 145, 153, 144))
pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def mesh():
    with np.load(asset_path("face_geometry")) as file:
        vertices = file["vertices"].astype(np.float64)
    return np.vstack([vertices, np.zeros((10, 3))])


def quaternion(pitch=0.0, turn=0.0):
    a, b = np.deg2rad(pitch) / 2, np.deg2rad(turn) / 2
    x, y = np.array([np.sin(a), 0, 0, np.cos(a)]), np.array([0, np.sin(b), 0, np.cos(b)])
    return np.array([
        y[3] * x[0], y[1] * x[3], -y[1] * x[0], y[3] * x[3],
    ])  # fmt: skip


@pytest.fixture(scope="module")
def make(mesh):
    """Make a face: ``lids`` (left, right) as shares of the usual opening, the canonical mesh moved by centimetres at
    some points, the head turned, and what the network says of it."""

    def face(lids=(1.0, 1.0), moved=(), pitch=0.0, turn=0.0, x_m=0.0, gaze=(0, 0, 0, 0), **network):
        points = mesh.copy()
        for side, (a, b, c, d, e, f) in enumerate(LIDS):
            for upper, lower in ((a, d), (b, e), (c, f)):
                middle = (points[upper] + points[lower]) / 2
                for point in (upper, lower):
                    points[point] = middle + lids[side] * (points[point] - middle)
        for index, shift in moved:
            points[index] += shift
        head = quaternion(pitch, turn)
        landmarks = (points @ matrix_of(head).T * 20.0 * [1, -1, -1] + [320, 240, 0]).astype(np.float32)
        shapes = np.zeros(len(BLENDSHAPES), np.float32)
        for name, value in network.items():
            for i, shape in enumerate(BLENDSHAPES):
                if shape in (name, f"{name}Left", f"{name}Right"):
                    shapes[i] = value
        place = np.array([*head, x_m, 0, -0.5], np.float32)
        return seen_face(0.9, shapes, place, np.array(gaze, np.float32), landmarks)

    return face


def shown(calibrator, face, name, now_ns=0):
    shapes = calibrator.step(face, now_ns).blendshapes
    return float(shapes[BLENDSHAPE_INDEX[name]])


def samples_of(faces):
    calibrator = Calibrator()
    return [sample for face in faces if face is not None and (sample := calibrator.sample(face)) is not None]


def neutral(faces, own=None):
    return calibrate_neutral(samples_of(faces), len(faces), own or Calibration())


def test_rest_is_zero_in_every_shape_and_the_gaze_is_straight(make):
    rest = {"browDown": 0.3, "mouthShrugLower": 0.2, "eyeLookDown": 0.4, "eyeBlink": 0.2}
    own = neutral([make(gaze=(0.1, -0.05, 0.08, -0.05), **rest)] * 15)
    found = Calibrator(own).step(make(gaze=(0.1, -0.05, 0.08, -0.05), **rest), 0)
    np.testing.assert_array_equal(found.blendshapes, 0)
    np.testing.assert_allclose(found.gaze, 0, atol=1e-6)
    assert shown(Calibrator(own), make(**{**rest, "browDown": 0.8}), "browDownLeft") > 0.6


def test_rest_does_not_take_blinks_away(make):
    own = neutral([make(eyeBlink=0.3)] * 15)
    assert shown(Calibrator(own), make(eyeBlink=0.3), "eyeBlinkLeft") == 0
    assert shown(Calibrator(own), make(lids=(0.1, 0.1), eyeBlink=0.75), "eyeBlinkLeft") > 0.95


def test_one_bad_frame_changes_neither_rest_nor_range(make):
    rest, smile = [make(mouthSmile=0.1)] * 15, [make(mouthSmile=0.55)] * 40
    clean = calibrate_pose("smile", samples_of(smile), 40, neutral(rest))[0]
    bad = make(lids=(3.0, 0.0), mouthSmile=1.0, jawOpen=1.0, browDown=0.9)
    rest[7] = smile[20] = bad
    spoilt = calibrate_pose("smile", samples_of(smile), 40, neutral(rest))[0]
    for name in ("neutral", "spread", "top", "measures"):
        np.testing.assert_allclose(getattr(spoilt, name), getattr(clean, name), atol=0.011, err_msg=name)


def test_a_pose_gives_its_shapes_their_range_and_says_what_did_not_move(make):
    own = neutral([make(mouthSmile=0.05)] * 15)
    weak = samples_of([make(mouthSmileLeft=0.45, mouthSmileRight=0.06)] * 40)
    new, unseen = calibrate_pose("smile", weak, 40, own)
    assert unseen == ["mouthSmileRight"]
    calibrator = Calibrator(new)
    assert shown(calibrator, make(mouthSmile=0.45), "mouthSmileLeft") >= 0.95
    assert 0.3 < shown(calibrator, make(mouthSmile=0.25), "mouthSmileLeft") < 0.7
    assert shown(calibrator, make(mouthSmile=0.05), "mouthSmileLeft") == 0
    assert new.top[BLENDSHAPE_INDEX["mouthSmileRight"]] == own.top[BLENDSHAPE_INDEX["mouthSmileRight"]]


def test_every_pose_names_shapes_that_there_are():
    for stems in POSES.values():
        for stem in stems:
            assert any(name.startswith(stem) for name in BLENDSHAPES)


def test_what_cannot_calibrate_is_refused_in_words(make):
    still = [make()] * 15
    for faces, words in (
        ([make()] * 5 + [None] * 10, "no face"),
        ([], "no pictures"),
        ([make()] * 3, "too few pictures"),
        ([make(turn=2.0 * i) for i in range(15)], "head moved"),
        ([make(x_m=0.01 * i) for i in range(15)], "head moved"),
        ([make(jawOpen=0.9 * (i % 2)) for i in range(15)], "face moved"),
    ):
        with pytest.raises(CalibrationError, match=words):
            neutral(faces)
    with pytest.raises(CalibrationError, match="neutral face first"):
        calibrate_pose("smile", samples_of(still), 15, Calibration())
    with pytest.raises(CalibrationError, match="unknown pose"):
        calibrate_pose("dance", samples_of(still), 15, neutral(still))


def judge(sampling):
    sampling.check()
    return calibrate_neutral(sampling.samples, sampling.pictures, Calibration())


@pytest.mark.parametrize(("rate", "pictures"), [(30.0, 16), (12.0, 7), (5.0, 7), (1.0, 3)])
def test_a_slow_camera_is_watched_for_longer_but_not_for_ever(make, rate, pictures):
    sampling, calibrator, seen = Sampling(0.5), Calibrator(), 0
    while not sampling.step(calibrator, make(browDown=0.3), PICTURE, round(seen * 1e9 / rate)):
        seen += 1
    assert sampling.done.is_set()
    assert sampling.pictures == pictures
    if rate > 1:
        assert judge(sampling).neutral[BLENDSHAPE_INDEX["browDownLeft"]] == pytest.approx(0.3)
    else:
        with pytest.raises(CalibrationError, match="too few pictures"):
            judge(sampling)


def test_a_dark_picture_is_told_from_an_empty_room():
    for level, words in ((4, "dark"), (120, "no face")):
        sampling, calibrator = Sampling(0.5), Calibrator()
        image = np.full((64, 64, 3), level, np.uint8)
        steps = [sampling.step(calibrator, None, image, i * FRAME_NS) for i in range(17)]
        assert steps[-1]
        assert sampling.done.is_set()
        with pytest.raises(CalibrationError, match=words):
            judge(sampling)


def test_both_lids_close_alike_and_a_wink_stays_one(make):
    calibrator = Calibrator(neutral([make(eyeBlink=0.1)] * 15))

    def lids(left, right):
        network = {"eyeBlinkLeft": 0.1 + 0.6 * (1 - left), "eyeBlinkRight": 0.1 + 0.6 * (1 - right)}
        shapes = calibrator.step(make(lids=(left, right), **network), 0).blendshapes
        return float(shapes[0]), float(shapes[7])

    left, right = lids(0.2, 0.45)
    assert left == pytest.approx(right, abs=0.1)
    assert min(left, right) > 0.85
    left, right = lids(0.1, 0.95)
    assert left > 0.9
    assert right < 0.1
    assert max(lids(0.95, 0.95)) == 0


@pytest.mark.parametrize("pitch", [-25, -12, 12, 25])
def test_a_nod_does_not_close_the_eyes_and_a_blink_still_does(make, pitch):
    calibrator = Calibrator(neutral([make(eyeBlink=0.1)] * 15))
    # The network itself closes them: at 25 degrees it says 0.6 of an open eye.
    assert shown(calibrator, make(pitch=pitch, eyeBlink=0.6), "eyeBlinkLeft") < 0.1
    assert shown(calibrator, make(pitch=pitch, lids=(0.15, 0.15), eyeBlink=0.7), "eyeBlinkLeft") > 0.9


def test_a_squint_does_not_close_the_eyes(make):
    calibrator = Calibrator(neutral([make(eyeBlink=0.1)] * 15))
    assert shown(calibrator, make(lids=(0.6, 0.6), eyeBlink=0.15, eyeSquint=0.8), "eyeBlinkLeft") < 0.25


def test_the_eye_that_is_turned_away_follows_the_other(make):
    calibrator = Calibrator(neutral([make(eyeBlink=0.1)] * 15))
    face = make(turn=45, lids=(0.1, 1.0), eyeBlink=0.6)
    assert shown(calibrator, face, "eyeBlinkLeft") < 0.15
    assert shown(calibrator, face, "eyeBlinkRight") < 0.15


def test_a_blink_of_a_tenth_of_a_second_closes_fully_at_30_frames_a_second(make):
    for phase in (0.0, 0.25, 0.5, 0.75):
        calibrator, filters, most = Calibrator(neutral([make(eyeBlink=0.1)] * 15)), FaceFilter(), 0.0
        for i in range(40):
            t = (i + phase) / 30 - 0.6
            # Down in 60 ms, shut for 40, up in 120: a short blink.
            shut = np.clip(np.interp(t, [0, 0.06, 0.10, 0.22], [0, 1, 1, 0]), 0, 1)
            face = make(lids=(1 - 0.95 * shut,) * 2, eyeBlink=0.1 + 0.6 * shut)
            found = filters.step(calibrator.step(face, i * FRAME_NS), i * FRAME_NS)
            most = max(most, float(found.blendshapes[0]))
        assert most > 0.9


WINGS, CHEEKS = ((278, 294, 327), (48, 64, 98)), ((425, 411, 427, 436), (205, 187, 207, 216))


def test_dead_shapes_come_from_geometry_against_the_own_neutral(make):
    calibrator = Calibrator(neutral([make(eyeWide=0.0)] * 15))
    assert shown(calibrator, make(lids=(1.3, 1.3)), "eyeWideLeft") > 0.9
    sneer = [(i, [0, 0.4, 0]) for side in WINGS for i in side]
    assert shown(calibrator, make(moved=sneer), "noseSneerLeft") > 0.5
    assert shown(calibrator, make(moved=sneer[:3]), "noseSneerRight") == 0  # one side alone
    puff = [(i, [0.8 * s, 0, 0]) for side, s in zip(CHEEKS, (1, -1), strict=True) for i in side]
    assert shown(calibrator, make(moved=puff), "cheekPuff") > 0.8
    assert shown(calibrator, make(moved=[*puff, (14, [0, -2.0, 0])]), "cheekPuff") == 0  # not with an open mouth
    chin = [(i, [0.8, 0, 0]) for i in (152, 377, 148)]
    assert shown(calibrator, make(moved=chin), "jawLeft") > 0.8
    assert shown(calibrator, make(moved=chin), "jawRight") == 0


def test_a_smile_is_neither_a_sneer_nor_a_puff(make):
    calibrator = Calibrator(neutral([make()] * 15))
    wide = [(i, [0.3 * s, 0, 0]) for side, s in zip(CHEEKS, (1, -1), strict=True) for i in side]
    lifted = [(i, [0, 0.3, 0]) for side in WINGS for i in side]
    smile = make(moved=[*wide, *lifted], mouthSmile=0.95)
    for name in ("cheekPuff", "noseSneerLeft", "noseSneerRight"):
        assert shown(calibrator, smile, name) < 0.05


def stream(calibrator, faces, start=0):
    out = []
    for i, face in enumerate(faces):
        out.append(calibrator.step(face, (start + i) * FRAME_NS).blendshapes.copy())
    return np.array(out)


def test_silence_learns_the_range_of_a_weak_face(make):
    calibrator = Calibrator(silent=True)
    day = []
    for _ in range(20):  # two minutes: five seconds of rest, then a weak smile
        day += [make(mouthSmile=0.15, eyeLookDown=0.35)] * 150 + [make(mouthSmile=0.5, eyeLookDown=0.35)] * 30
    smile = BLENDSHAPE_INDEX["mouthSmileLeft"]
    before = stream(calibrator, day[:180])[-1, smile]
    after = stream(calibrator, day[180:], 180)
    assert before < 0.55
    assert after[-1, smile] >= 0.9
    assert after[-40, smile] <= 0.05
    assert after[-40].max() <= 0.05


def test_silence_is_not_fooled_by_bad_frames_and_saturates_nothing_at_rest(make):
    rng = np.random.default_rng(3)
    rest = {"mouthPress": 0.1, "browDown": 0.25}
    faces = [make(**{k: v + rng.normal(0, 0.01) for k, v in rest.items()}) for _ in range(100)] * 60
    for i in range(0, len(faces), 97):
        faces[i] = make(mouthSmile=1.0, jawOpen=1.0, browDown=1.0)
    calibrator = Calibrator(silent=True)
    shapes = stream(calibrator, faces)
    quiet = np.delete(shapes[-600:], [i for i in range(600) if (len(faces) - 600 + i) % 97 == 0], axis=0)
    assert np.percentile(quiet, 99.5, axis=0).max() <= 0.05
    smile = BLENDSHAPE_INDEX["mouthSmileLeft"]
    assert calibrator.calibration.top[smile] < 0.95  # the bad ones were not taken for the extreme


def test_silence_keeps_a_rest_that_was_shown(make):
    own = neutral([make(browDown=0.25)] * 15)
    kept = own.copy()
    calibrator = Calibrator(own, silent=True)
    stream(calibrator, [make(browDown=0.45)] * 900)
    np.testing.assert_array_equal(calibrator.calibration.neutral, kept.neutral)
    np.testing.assert_array_equal(calibrator.calibration.measures, kept.measures)


def test_gain_scales_one_shape_within_bounds(make):
    calibrator = Calibrator(with_gain(Calibration(), {"jawOpen": 2.0, "mouthPucker": 0.5}))
    assert shown(calibrator, make(jawOpen=0.4), "jawOpen") == pytest.approx(0.8)
    assert shown(calibrator, make(jawOpen=0.9), "jawOpen") == 1.0
    assert shown(calibrator, make(mouthPucker=0.8), "mouthPucker") == pytest.approx(0.4)


def test_landmarks_that_are_no_face_leave_the_networks_word(make):
    face = make(jawOpen=0.5)
    face.landmarks[:] = np.nan
    assert shown(Calibrator(), face, "jawOpen") == pytest.approx(0.5)
    assert Calibrator().sample(face) is None


def test_a_step_keeps_nothing(make):
    calibrator, face = Calibrator(silent=True), make(jawOpen=0.5)
    for i in range(200):
        calibrator.step(face, i * FRAME_NS)
    tracemalloc.start()
    calibrator.step(face, 200 * FRAME_NS)
    before = tracemalloc.get_traced_memory()[0]
    for i in range(201, 1201):
        calibrator.step(face, i * FRAME_NS)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held < 2000


def test_before_a_face_is_known_no_shape_comes_from_its_geometry(make):
    """Noses and cheeks differ more between people than a sneer moves them."""
    other = [(i, [0, 0.5, 0]) for side in WINGS for i in side]
    calibrator = Calibrator(silent=True)
    shapes = stream(calibrator, [make(moved=other)] * 1200)  # forty seconds of a short nose
    assert shapes[:, BLENDSHAPE_INDEX["noseSneerLeft"]].max() < 0.05
    assert calibrator.calibration.measures_known
    sneer = [(i, [0, 0.9, 0]) for side in WINGS for i in side]
    assert stream(calibrator, [make(moved=sneer)] * 5, 1200)[-1, BLENDSHAPE_INDEX["noseSneerLeft"]] > 0.4
