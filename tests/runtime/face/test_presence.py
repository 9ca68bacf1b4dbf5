"""A lost face holds, eases to rest, and comes back without a jump."""

from __future__ import annotations

import numpy as np
import pytest
from support.faces import head_of, seen_face

from facewire.bridge.shared.face import REST_DISTANCE_M
from facewire.runtime.face.presence import Presence, PresenceConfig

S = 1_000_000_000
CONFIG = PresenceConfig(hold_s=0.3, ease_s=0.7, home_s=10.0)


def face(level=0.8, x_m=0.1, confidence=0.9):
    """Make a face turned to the side by half a radian, at ``x_m``."""
    head = head_of(yaw_rad=0.5, place_m=(x_m, 0, -0.4))
    return seen_face(confidence, np.full(52, level, np.float32), head, np.full(4, 0.2, np.float32))


def shown(presence):
    return presence.face.blendshapes.copy(), presence.face.head.copy(), presence.face.gaze.copy()


def test_before_anybody_was_seen_the_face_rests():
    presence = Presence(CONFIG)
    presence.step(None, 5 * S)
    assert presence.face.sources == "held"
    assert presence.at_rest
    assert presence.face.confidence == 0
    assert not presence.face.blendshapes.any()
    np.testing.assert_allclose(presence.face.head, [0, 0, 0, 1, 0, 0, -REST_DISTANCE_M])


def test_a_seen_face_goes_through_unchanged():
    presence, seen = Presence(CONFIG), face()
    presence.step(seen, S)
    assert (presence.face.sources, presence.face.confidence, presence.at_rest) == ("video", 0.9, False)
    np.testing.assert_array_equal(presence.face.blendshapes, seen.blendshapes)
    np.testing.assert_array_equal(presence.face.head, seen.head)
    np.testing.assert_array_equal(presence.face.gaze, seen.gaze)
    assert presence.face.blendshapes is not seen.blendshapes


def test_a_lost_face_holds_then_eases_without_a_jump_then_rests():
    presence = Presence(CONFIG)
    presence.step(face(), 0)
    before = shown(presence)
    steps, last = [], before[0][0]
    for i in range(1, 100):
        presence.step(None, i * S // 60)
        assert presence.face.sources == "held"
        steps.append(last - presence.face.blendshapes[0])
        last = presence.face.blendshapes[0]
        if i * S // 60 <= S // 60 + 0.3 * S:
            np.testing.assert_allclose(presence.face.blendshapes, before[0], atol=1e-6)
            np.testing.assert_allclose(presence.face.head, before[1], atol=1e-6)
        assert abs(np.linalg.norm(presence.face.head[:4]) - 1) < 1e-5
    assert min(steps) >= -1e-6
    assert max(steps) < 0.05
    assert presence.at_rest
    assert presence.face.confidence == 0
    assert not presence.face.blendshapes.any()
    assert not presence.face.gaze.any()
    np.testing.assert_allclose(presence.face.head[:4], [0, 0, 0, 1], atol=1e-6)


def test_a_face_that_returns_is_followed_again_without_a_jump():
    presence = Presence(CONFIG)
    presence.step(face(), 0)
    for i in range(1, 80):
        presence.step(None, i * S // 60)
    last = shown(presence)
    for i in range(80, 120):
        presence.step(face(1.0), i * S // 60)
        assert presence.face.sources == "video"
        now = shown(presence)
        assert np.abs(now[0] - last[0]).max() < 0.05
        assert np.abs(now[1] - last[1]).max() < 0.05
        last = now
    np.testing.assert_array_equal(presence.face.blendshapes, 1.0)
    np.testing.assert_array_equal(presence.face.head, face().head)


def test_a_face_that_was_only_held_is_followed_at_once_and_held_anew():
    presence = Presence(CONFIG)
    presence.step(face(), 0)
    for i in range(1, 15):
        presence.step(None, i * S // 60)
    presence.step(face(0.3), 15 * S // 60)
    np.testing.assert_allclose(presence.face.blendshapes, 0.3)
    presence.step(None, 16 * S // 60)
    np.testing.assert_allclose(presence.face.blendshapes, 0.3, atol=1e-6)


def test_the_head_rests_where_it_mostly_was_and_not_where_it_left():
    presence = Presence(CONFIG)
    for i in range(60 * 30):
        presence.step(face(x_m=0.0), i * S // 30)
    presence.step(face(x_m=0.3), 60 * S)
    for i in range(1, 60):
        presence.step(None, 60 * S + i * S // 30)
    assert abs(presence.face.head[4]) < 0.01
    assert presence.face.head[6] == pytest.approx(-0.4, abs=1e-3)


def test_a_quaternion_of_the_other_sign_eases_the_short_way():
    presence, seen = Presence(CONFIG), face()
    seen.head[:4] *= -1
    presence.step(seen, 0)
    presence.step(None, S // 100)
    presence.step(None, int(0.66 * S))
    turn = 2 * np.arccos(min(abs(float(presence.face.head[3])), 1))
    assert 0 < turn < 0.5


def test_a_position_that_is_no_number_does_not_spoil_the_resting_place():
    presence = Presence(CONFIG)
    presence.step(face(x_m=0.1), 0)
    presence.step(face(x_m=np.nan), S // 30)
    presence.step(face(x_m=0.1), 2 * S // 30)
    for i in range(3, 60):
        presence.step(None, i * S // 30)
    assert presence.face.head[4] == pytest.approx(0.1, abs=1e-5)


def test_time_that_goes_back_neither_raises_nor_overshoots():
    presence = Presence(CONFIG)
    presence.step(face(), 10 * S)
    presence.step(None, 9 * S)
    presence.step(None, 5 * S)
    np.testing.assert_allclose(presence.face.blendshapes, 0.8, atol=1e-6)
