"""The numba filters against plain numpy twins, and what they promise about bad input, time and memory."""

from __future__ import annotations

import gc
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.turns import matrix_of

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.face import FaceState
from facewire.runtime.face import filters
from facewire.runtime.face.filter_config import PASS_THROUGH, SMOOTHING_LEVELS, FilterConfig, OneEuro
from facewire.runtime.face.filters import MIN_STEP_S, FaceFilter

FRAME_NS = 16_666_667
REST_HEAD = np.array([0, 0, 0, 1, 0, 0, -0.5], np.float32)
JAW, CLOSE = BLENDSHAPE_INDEX["jawOpen"], BLENDSHAPE_INDEX["mouthClose"]


# Plain twins, written from the paper with other means than the kernels: whole arrays, matrices and scipy-free slerp.


def twin_weight(cutoff_hz: float, step_s: float) -> float:
    if math.isinf(cutoff_hz):
        return 1.0
    time_constant_s = 1 / (2 * math.pi * cutoff_hz)
    return step_s / (step_s + time_constant_s)


class TwinOneEuro:
    """Algorithm 1 of the paper on a vector, with one speed for the whole vector or one for each element."""

    def __init__(self, parameters: OneEuro, *, joint: bool) -> None:
        self.parameters, self.joint = parameters, joint
        self.value: np.ndarray | None = None

    def step(self, raw: np.ndarray, step_s: float) -> np.ndarray:
        raw = np.asarray(raw, np.float64)
        if self.value is None:
            self.value, self.speed, self.noise, self.last = raw, np.zeros_like(raw), np.full(raw.shape, 0.15), raw
            return raw
        p = self.parameters
        change = np.where(np.abs(raw - self.last) / step_s > self.noise, 0.25, -1.0) * 2.4 * min(step_s, 0.1)
        self.noise, self.last = np.clip(self.noise * (1 + change), 0.002, 1.5), raw
        self.speed = self.speed + twin_weight(self.parameters.speed_cutoff_hz, step_s) * (
            (raw - self.value) / step_s - self.speed
        )
        speeds = [np.linalg.norm(self.speed)] * len(raw) if self.joint else np.abs(self.speed)
        quiet = np.zeros_like(raw) if self.joint else p.quiet + p.noise * self.noise
        pull_hz = np.zeros_like(raw) if self.joint else p.pull_hz * ((raw - self.value) / 0.1) ** 4
        cutoffs_hz = [
            p.min_cutoff_hz + p.beta * max(s - q, 0) + h for s, q, h in zip(speeds, quiet, pull_hz, strict=True)
        ]
        weights = [twin_weight(cutoff_hz, step_s) for cutoff_hz in cutoffs_hz]
        self.value = self.value + np.array(weights) * (raw - self.value)
        return self.value


def slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Shoemake 1985; also right for unit vectors in space."""
    angle = math.acos(float(np.clip(a @ b, -1, 1)))
    if angle < 1e-9:
        return a
    return (math.sin((1 - t) * angle) * a + math.sin(t * angle) * b) / math.sin(angle)


def rotation_vector(m: np.ndarray) -> np.ndarray:
    axis = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    sine = np.linalg.norm(axis) / 2
    angle = math.atan2(sine, (np.trace(m) - 1) / 2)
    return axis / 2 if sine < 1e-9 else axis / (2 * sine) * angle


class TwinSphere:
    """One-Euro on a sphere: the speed is an angular velocity, the step is a slerp."""

    def __init__(self, parameters: OneEuro, turn_of) -> None:
        self.parameters, self.turn_of = parameters, turn_of
        self.value: np.ndarray | None = None

    def step(self, raw: np.ndarray, step_s: float) -> np.ndarray:
        raw = np.asarray(raw, np.float64) / np.linalg.norm(raw)
        if self.value is None:
            self.value, self.speed = raw, np.zeros(3)
            return raw
        if len(raw) == 4 and self.value @ raw < 0:
            raw = -raw
        turn = self.turn_of(self.value, raw)
        self.speed = self.speed + twin_weight(self.parameters.speed_cutoff_hz, step_s) * (turn / step_s - self.speed)
        cutoff_hz = self.parameters.min_cutoff_hz + self.parameters.beta * float(np.linalg.norm(self.speed))
        self.value = slerp(self.value, raw, twin_weight(cutoff_hz, step_s))
        self.value = self.value / np.linalg.norm(self.value)
        return self.value


def turn_of_quaternions(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return rotation_vector(matrix_of(a).T @ matrix_of(b))


def turn_of_directions(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis)
    return axis if sine < 1e-12 else axis / sine * math.atan2(sine, a @ b)


def direction(yaw: float, pitch: float) -> np.ndarray:
    return np.array([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])


class TwinFace:
    def __init__(self, config: FilterConfig) -> None:
        regions = {"eye": config.eyes, "brow": config.brows, "cheek": config.cheeks, "nose": config.cheeks}
        self.shapes = [
            TwinOneEuro(next((p for key, p in regions.items() if name.startswith(key)), config.mouth), joint=False)
            for name in BLENDSHAPES
        ]
        self.turn = TwinSphere(config.head_turn, turn_of_quaternions)
        self.place = TwinOneEuro(config.head_move, joint=True)
        self.eyes = [TwinSphere(config.gaze, turn_of_directions) for _ in range(2)]
        self.last_ns: int | None = None

    def step(self, shapes, head, gaze, now_ns):
        step_s = 1.0 if self.last_ns is None else max((now_ns - self.last_ns) * 1e-9, MIN_STEP_S)
        self.last_ns = now_ns
        out = np.array([f.step(np.clip([v], 0, 1), step_s)[0] for f, v in zip(self.shapes, shapes, strict=True)])
        out[CLOSE] = min(out[CLOSE], out[JAW])
        eyes = [f.step(direction(*gaze[2 * i : 2 * i + 2]), step_s) for i, f in enumerate(self.eyes)]
        angles = [v for e in eyes for v in (math.atan2(e[0], e[2]), math.asin(e[1]))]
        return (
            out,
            np.concatenate([self.turn.step(head[:4], step_s), self.place.step(head[4:], step_s)]),
            np.array(angles),
        )


def step(face, shapes, head, gaze, now_ns):
    """Filter a face that is given in parts, and return copies of its parts."""
    out = face.step(FaceState.of(shapes, head, gaze), now_ns)
    return out.blendshapes.copy(), out.head.copy(), out.gaze.copy()


def motion(frames: int, seed: int = 3):
    """Yield a lively face with noise and irregular times, as (shapes, head, gaze, now_ns)."""
    rng = np.random.default_rng(seed)
    now_ns = 0
    for _ in range(frames):
        now_ns += int(rng.integers(4_000_000, 60_000_000))
        t = now_ns * 1e-9
        shapes = 0.5 + 0.6 * np.sin(t * np.linspace(1, 30, 52)) + rng.normal(0, 0.02, 52)
        axis_turn = np.array([0.4 * math.sin(3 * t), 0.6 * math.sin(2 * t), 0.2 * math.sin(5 * t)]) + rng.normal(
            0, 0.01, 3
        )
        angle = np.linalg.norm(axis_turn)
        head = np.concatenate(
            [axis_turn / angle * math.sin(angle / 2), [math.cos(angle / 2)], [0.1 * math.sin(t), 0, -0.5]]
        )
        gaze = 0.4 * np.sin(t * np.array([4, 5, 4, 5])) + rng.normal(0, 0.01, 4)
        yield shapes.astype(np.float32), head.astype(np.float32), gaze.astype(np.float32), now_ns


@pytest.mark.parametrize("level", SMOOTHING_LEVELS)
def test_streaming_matches_the_numpy_twins(level):
    config = FilterConfig.preset(level)
    face, twin = FaceFilter(config), TwinFace(config)
    for shapes, head, gaze, now_ns in motion(200):
        for got, want in zip(
            step(face, shapes, head, gaze, now_ns), twin.step(shapes, head, gaze, now_ns), strict=True
        ):
            np.testing.assert_allclose(got, want, atol=2e-6)


def test_head_keeps_its_sign_when_the_tracker_flips_it():
    face, flipped = FaceFilter(), FaceFilter()
    last = None
    for i, (shapes, head, gaze, now_ns) in enumerate(motion(100)):
        sign = np.array([-1] * 4 + [1] * 3, np.float32) if i % 3 == 1 else np.float32(1)
        want = step(face, shapes, head, gaze, now_ns)[1]
        got = step(flipped, shapes, head * sign, gaze, now_ns)[1]
        np.testing.assert_allclose(got, want, atol=1e-6)
        assert abs(np.linalg.norm(got[:4]) - 1) < 1e-6
        if last is not None:
            assert got[:4] @ last > 0
        last = got[:4]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_bad_numbers_keep_the_last_value_of_their_own_part_only(bad):
    face = FaceFilter()
    for shapes, head, gaze, now_ns in motion(50):
        before = step(face, shapes, head, gaze, now_ns)
    spoilt_shapes, spoilt_head, spoilt_gaze = shapes.copy(), head.copy(), gaze.copy()
    spoilt_shapes[[JAW, 0]] = np.nan if bad == 1e30 else bad
    spoilt_head[1], spoilt_gaze[3] = bad, bad
    shapes_out, head_out, gaze_out = step(face, spoilt_shapes, spoilt_head, spoilt_gaze, now_ns + FRAME_NS)
    assert shapes_out[0] == before[0][0]
    assert shapes_out[JAW] == before[0][JAW]
    np.testing.assert_array_equal(head_out[:4], before[1][:4])
    np.testing.assert_array_equal(gaze_out[2:], before[2][2:])
    assert not np.array_equal(head_out[4:], before[1][4:])
    assert not np.array_equal(gaze_out[:2], before[2][:2])
    spoilt_head[4:] = bad
    assert np.isfinite(step(face, spoilt_shapes, spoilt_head, spoilt_gaze, now_ns + 2 * FRAME_NS)[1]).all()


def test_bad_numbers_in_the_first_frame_give_the_rest_face():
    face = FaceFilter()
    nothing = np.full(52, np.nan, np.float32), np.full(7, np.nan, np.float32), np.full(4, np.nan, np.float32)
    shapes, head, gaze = step(face, *nothing, 0)
    assert not shapes.any()
    np.testing.assert_array_equal(head, [0, 0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(gaze, 0)


@given(
    st.lists(
        st.tuples(st.floats(width=32, allow_nan=True, allow_infinity=True), st.integers(-(10**12), 10**12)),
        min_size=1,
        max_size=20,
    )
)
@settings(deadline=None, max_examples=60)
def test_any_numbers_at_any_times_stay_finite_and_in_range(inputs):
    face = FaceFilter()
    for value, now_ns in inputs:
        shapes, head, gaze = step(
            face, np.full(52, value, np.float32), np.full(7, value, np.float32), np.full(4, value, np.float32), now_ns
        )
        assert ((shapes >= 0) & (shapes <= 1)).all()
        assert shapes[CLOSE] <= shapes[JAW]
        assert np.isfinite(head).all()
        assert abs(np.linalg.norm(head[:4]) - 1) < 1e-5
        assert np.isfinite(gaze).all()


@pytest.mark.parametrize("step_ns", [0, -5_000_000_000])
def test_time_that_stands_still_or_goes_back_neither_freezes_nor_jumps(step_ns):
    face = FaceFilter()
    step(face, np.zeros(52, np.float32), REST_HEAD, np.zeros(4, np.float32), 10**10)
    now_ns = 10**10 + step_ns
    first = step(face, np.ones(52, np.float32), REST_HEAD, np.zeros(4, np.float32), now_ns)[0][JAW]
    assert first < 1
    for i in range(1, 60):
        last = step(face, np.ones(52, np.float32), REST_HEAD, np.zeros(4, np.float32), now_ns + i * FRAME_NS)[0][JAW]
    assert last > 0.99


def test_mouth_close_never_exceeds_jaw_open():
    face = FaceFilter(FilterConfig.preset("off"))
    shapes = np.zeros(52, np.float32)
    shapes[CLOSE], shapes[JAW] = 0.9, 0.2
    out = step(face, shapes, REST_HEAD, np.zeros(4, np.float32), 0)[0]
    assert out[CLOSE] == out[JAW] == np.float32(0.2)


def test_a_gaze_that_no_eye_can_have_is_ignored():
    face = FaceFilter()
    step(face, np.zeros(52, np.float32), REST_HEAD, np.zeros(4, np.float32), 0)
    gaze = step(face, np.zeros(52, np.float32), REST_HEAD, np.array([math.pi, 0, 0.3, 0], np.float32), FRAME_NS)[2]
    assert gaze[0] == 0
    assert gaze[2] > 0.1


def test_new_settings_take_hold_without_a_jump():
    face = FaceFilter(FilterConfig.preset("high"))
    for shapes, head, gaze, now_ns in motion(30):
        before = step(face, shapes, head, gaze, now_ns)[0]
    face.configure(FilterConfig.preset("high").scaled(1e-6))
    after = step(face, 1 - shapes, head, gaze, now_ns + FRAME_NS)[0]
    np.testing.assert_allclose(after, before, atol=1e-2)
    face.configure(FilterConfig(*[PASS_THROUGH] * 7))
    assert step(face, shapes, head, gaze, now_ns + 2 * FRAME_NS)[0][JAW] == np.clip(shapes[JAW], 0, 1)


def test_unknown_level_says_which_there_are():
    with pytest.raises(ValueError, match="off, low, medium, high"):
        FilterConfig.preset("extreme")  # type: ignore[arg-type]


def test_kernels_are_cached_on_disk():
    FaceFilter().warm_up()
    stats = filters.smooth_face.stats
    assert sum(stats.cache_hits.values()) + sum(stats.cache_misses.values()) >= 1
    assert stats.cache_path is not None


def test_a_step_leaves_no_garbage():
    face = FaceFilter()
    inputs = [(FaceState.of(*parts), now_ns) for *parts, now_ns in motion(50)]

    def run():
        for _ in range(200):
            for args in inputs:
                face.step(*args)

    gc.collect()
    tracemalloc.start()
    held = []
    try:
        for _ in range(4):  # the first fills what Python and numba keep for the next call
            run()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert min(np.diff(held)) < 1000, "garbage grows each time; what others leave beside it does not"
