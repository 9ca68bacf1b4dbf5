"""Microphone and camera as one face: who drives the mouth now, and what the rest does meanwhile.

The camera leads the upper face, head and gaze. The mouth follows the source that can be trusted: the camera while its
mouth is seen, else speech; if neither can be, it eases to rest. In this order: trust in speech, who leads (``lead``),
how far the weights move (``weights``), both sources on one time line (``sync``), and the mix of them (``mix``).
"""

from __future__ import annotations

from facewire.bridge.shared.face import FaceState, SpeechTick
from facewire.runtime.fusion.lead import SNR_DB, Lead, SpeechTrust
from facewire.runtime.fusion.mix import Mixer
from facewire.runtime.fusion.modes import Mode
from facewire.runtime.fusion.sync import Aligner
from facewire.runtime.fusion.weights import Wanted, Weights, most_of

STALE_SPEECH_NS = 300_000_000
"""Speech that is older says nothing about now."""
LEAST_SHARE = 0.02
"""A source with less weight does not count as driving."""
MOST_PASSED_S = 0.1


class Fusion:
    """Makes one face of what is seen and what is heard. Delay: none, unless ``sync`` asks for it.

    State: when the last step was, and that of its parts.
    """

    def __init__(self, mode: Mode = "auto", *, sync: bool = False, seed: int = 1) -> None:
        self.mode: Mode = mode
        self.aligner = Aligner(sync)
        self.weights = Weights(camera=mode != "microphone")
        self.speech_trust = SpeechTrust()
        self.face = FaceState()
        """What the last step made."""
        self._lead = Lead()
        self._mixer = Mixer(seed)
        self._last_ns: int | None = None

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves, and nothing will until an input gives something new."""
        return self.weights.speech == self.weights.idle == 0.0

    def step(self, seen: FaceState, speech: SpeechTick | None, now_ns: int) -> FaceState:
        """Return the face of ``now_ns``, from what is seen and the newest speech: this object's own until the next."""
        passed_s = 0.0 if self._last_ns is None else min(max(now_ns - self._last_ns, 0) * 1e-9, MOST_PASSED_S)
        most = 1.0 if self._last_ns is None else most_of(passed_s)
        self._last_ns = now_ns
        camera_trust = seen.mouth_trust if speech is not None else 1.0  # without speech nobody judges it
        if speech is not None and now_ns - speech.capture_ns > STALE_SPEECH_NS:
            speech = None
        self.weights.admit(seen.visibility, camera=self.mode != "microphone", most=most)
        trust = self.speech_trust.step(speech, passed_s)
        is_seen = seen.sources == "video"
        camera_leads = self._lead.step(self.mode, camera_trust if is_seen else 0.0, speech is not None, passed_s)
        is_clear = speech is not None and speech.snr_db >= SNR_DB[0]
        has_speech = self.mode != "camera" and speech is not None
        self.weights.step(seen.visibility, Wanted(camera_leads, has_speech, is_clear, trust), most)
        self.aligner.step(seen, speech, now_ns)
        self.face.copy_from(seen)
        self._mixer.step(self.aligner, self.weights, trust, now_ns, self.face)
        self._describe(seen)
        return self.face

    def _describe(self, seen: FaceState) -> None:
        """Say of the face what drives it, how surely, and since when."""
        face, weights = self.face, self.weights
        watched = weights.camera > 0.0 and seen.sources == "video"
        heard = weights.speech > LEAST_SHARE or (weights.idle > 0.0 and not watched)
        if watched:
            face.sources = "both" if heard else "video"
        else:
            face.sources = "audio" if heard else "held"
            face.confidence = self.speech_trust.value if heard else seen.confidence
        face.camera_weight, face.speech_weight = weights.video, weights.speech
        face.video_ns, face.audio_ns = self.aligner.video_ns, self.aligner.speech_ns
