"""The landmark smoother beside the same filter in plain numpy."""

from __future__ import annotations

import numpy as np

from facewire.models.face.smoothing import BETA, MIN_CUTOFF_HZ, SPEED_CUTOFF_HZ, LandmarkSmoother


def low_pass(cutoff_hz: np.ndarray | float, step_s: float) -> np.ndarray | float:
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s))


def one_euro(track: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """One-shot over a whole track [frames, points, 3]."""
    smoothed, speed = [track[0].astype(np.float64)], np.zeros_like(track[0], np.float64)
    for i in range(1, len(track)):
        step_s = times_s[i] - times_s[i - 1]
        size = np.ptp(track[i][:, :2], axis=0).sum() / 2
        speed = speed + low_pass(SPEED_CUTOFF_HZ, step_s) * ((track[i] - track[i - 1]) / size / step_s - speed)
        smoothed.append(
            smoothed[-1] + low_pass(MIN_CUTOFF_HZ + BETA * np.abs(speed), step_s) * (track[i] - smoothed[-1])
        )
    return np.stack(smoothed)


def wander(frames: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    face = rng.uniform(100, 300, (40, 3))
    track = face + np.cumsum(rng.normal(0, 2, (frames, 1, 3)), axis=0) + rng.normal(0, 0.3, (frames, 40, 3))
    return track.astype(np.float32), np.cumsum(rng.uniform(0.02, 0.05, frames))


def run(smoother: LandmarkSmoother, track: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    result = np.empty_like(track)
    for raw, time_s, out in zip(track, times_s, result, strict=True):
        smoother.smooth(raw, round(time_s * 1e9), out)
    return result


def test_streaming_is_the_one_shot_filter() -> None:
    track, times_s = wander()
    np.testing.assert_allclose(run(LandmarkSmoother(40), track, times_s), one_euro(track, times_s), atol=2e-3)


def test_a_reset_forgets_everything() -> None:
    track, times_s = wander()
    smoother = LandmarkSmoother(40)
    run(smoother, track[::-1], times_s)
    smoother.reset()
    np.testing.assert_array_equal(run(smoother, track, times_s), run(LandmarkSmoother(40), track, times_s))


def test_landmarks_pass_unchanged_where_time_stands_still_or_runs_back() -> None:
    track, _ = wander(3)
    result = run(LandmarkSmoother(40), track, np.array([1.0, 1.0, 0.5]))
    np.testing.assert_array_equal(result, track)
