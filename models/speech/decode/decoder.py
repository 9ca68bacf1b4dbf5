"""FaceFormer's decoder, one frame at a time and without end: what a live run computes, without torch.

The published decoder (Fan et al., "FaceFormer", 2022, section 3.3) computes the whole prefix again for each frame.
None of that is needed. Under a causal mask a past frame's key and value never change, so they are kept; attention to
audio is aligned (section 3.3.2), so a frame's own features suffice; and the way of the last motion back in, the motion
encoder after the motion decoder, is one linear map after another, so it folds into one matrix [d, d].

The cache is a ring: the newest ``window`` frames are attended to. While the stream is not longer than the window the
result is the full prefix's; docs/speech.md has what a finite window costs after that.
"""

from __future__ import annotations

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.errors import ModelError
from facewire.models.jit import resolved
from facewire.models.speech.decode.step_kernels import StepState, make_work, step, take_audio
from facewire.models.speech.decode.step_weights import StepWeights

WINDOW = 600
"""As many frames as the published decoder can take: 20 s at 30 a second."""


class StepDecoder:
    """Decodes a stream. Delay: none; a frame's motion needs the frame's own audio and the past.

    ``output`` replaces the motion decoder's [n, d] and [n], for those who want blendshapes or a few vertices instead of
    the whole mesh: any linear map of the motion folds into it.
    """

    def __init__(
        self,
        weights: StepWeights,
        *,
        window: int = WINDOW,
        output: tuple[Float32Array, Float32Array] | None = None,
    ) -> None:
        """Allocates all that steps use, and compiles."""
        if window < 1:
            raise ModelError(f"a window of {window} frames holds nothing: give 1 or more")
        self.weights, self.window = weights, window
        self.width = weights.self_out.shape[0]
        if output is not None:
            motion, bias = (np.ascontiguousarray(array, np.float32) for array in output)
            self.weights = weights._replace(motion=motion, motion_bias=bias)
        self._work = make_work(window, self.weights)
        self._step = resolved(step, 0, self.weights, self.new_state(), self._work)
        self.step(self.new_state(), self.new_state().feature, 0)

    def new_state(self) -> StepState:
        """Return the state before the first frame."""
        w = self.weights
        cache = (self.width, self.window)
        return StepState(
            np.zeros(cache, np.float32),
            np.zeros(cache, np.float32),
            np.zeros(self.width, np.float32),
            np.zeros(1, np.int64),
            np.zeros((w.features_per_frame, w.audio.shape[1]), np.float32),
        )

    def step(self, state: StepState, audio_feature: Float32Array, style: int) -> Float32Array:
        """Return the next frame's motion [n] from its audio [features_per_frame, a] (or [a]), as it leaves wav2vec 2.0.

        Returns this decoder's own array, valid until its next step. Audio that is not a number is taken for what came
        before it.

        Raises:
            ModelError: the checkpoint does not have this style, or the audio is of another shape.
        """
        if not 0 <= style < len(self.weights.styles):
            raise ModelError(missing_style(style, len(self.weights.styles)))
        if audio_feature.size != state.feature.size:
            raise ModelError(f"audio features of shape {audio_feature.shape} do not fit {state.feature.shape}")
        feature = audio_feature.reshape(state.feature.shape)
        take_audio(feature, state.feature)
        self._step(style, self.weights, state, self._work)
        return self._work.motion


def missing_style(style: object, count: int) -> str:
    """Return the message about a style that does not exist."""
    return f"there is no style {style}: this checkpoint has {count}, 0 to {count - 1}"
