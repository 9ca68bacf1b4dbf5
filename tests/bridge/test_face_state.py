"""The face that all stages share: its names are views of one array, and a copy has all that there is."""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.face import FACE_VALUES, REST_DISTANCE_M, FaceState, SpeechTick

BORROWED = {"landmarks", "raw"}
VIEWS = {"values", "blendshapes", "head", "gaze"}


def filled() -> FaceState:
    """Return a face in which no two values are alike, and no value is that of a new face."""
    face = FaceState.of(np.arange(52) / 64, np.arange(7) + 1, np.arange(4) / 8 + 1, confidence=0.9)
    face.landmarks, face.raw = np.ones((478, 3), np.float32), np.full(52, 0.3, np.float32)
    face.mouth_trust, face.camera_weight, face.speech_weight, face.video_ns, face.audio_ns = 0.1, 0.2, 0.3, 4, 5
    return face


def test_its_parts_are_views_of_its_values():
    face = FaceState()
    face.blendshapes[:], face.head[:], face.gaze[:] = 1, 2, 3
    np.testing.assert_array_equal(face.values, [1] * 52 + [2] * 7 + [3] * 4)
    assert len(face.values) == FACE_VALUES


def test_a_new_one_rests_straight_before_the_camera_and_so_does_one_that_is_reset():
    used = filled()
    used.reset()
    for face in (FaceState(), used):
        assert not face.blendshapes.any()
        np.testing.assert_allclose(face.head, [0, 0, 0, 1, 0, 0, -REST_DISTANCE_M])
        assert (face.sources, face.visibility, face.confidence, face.landmarks) == ("held", 0.0, 0.0, None)


def test_a_copy_has_every_field_of_it_and_none_of_its_own_arrays():
    """A field that ``copy_from`` forgets would be lost at the first stage."""
    new, face, copy = FaceState(), filled(), FaceState()
    copy.copy_from(face)
    for name in FaceState.__slots__:
        got, want = getattr(copy, name), getattr(face, name)
        np.testing.assert_array_equal(got, want, err_msg=name)
        assert not np.array_equal(want, getattr(new, name)), f"the test leaves {name} as it is in a new face"
        assert np.shares_memory(got, want) is (name in BORROWED) if isinstance(got, np.ndarray) else True, name
    assert set(FaceState.__slots__) > BORROWED | VIEWS


def test_who_keeps_a_face_has_its_own_of_what_was_shared():
    face, copy = filled(), FaceState()
    copy.copy_from(face)
    copy.detach()
    face.landmarks[:], face.raw[:] = 0, 0
    assert copy.landmarks.all()
    assert copy.raw.all()


def test_speech_that_eases_moves_less_and_nobody_speaks():
    tick = SpeechTick(np.full(52, 0.5, np.float32), 0.9, 7, 6, 20.0, np.ones(13, np.float32))
    eased = tick.eased(0.5)
    assert (eased.confidence, eased.capture_ns, eased.sound_ns, eased.snr_db) == (0.0, 7, 6, 20.0)
    np.testing.assert_array_equal(eased.blendshapes, 0.25)
    np.testing.assert_array_equal(eased.flame, 0.5)
    np.testing.assert_array_equal(tick.blendshapes, 0.5)
