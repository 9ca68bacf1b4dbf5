"""Camera and microphone as one face: who leads, how the lead changes hands, and what happens when both are gone."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import wave
from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.faces import head_of, seen_face

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX, BLENDSHAPES
from facewire.bridge.shared.face import SpeechTick
from facewire.models.assets.store import asset_path
from facewire.models.face.tracker import FaceTracker
from facewire.models.speech.causal import SpeechDriver
from facewire.models.speech.voice import VoiceDetector
from facewire.runtime.face.presence import Presence
from facewire.runtime.face.trust import MouthTrust, facing
from facewire.runtime.fusion.fuse import Fusion
from facewire.runtime.fusion.idle import IdleEyes
from facewire.runtime.fusion.mix import MOUTH
from facewire.runtime.fusion.modes import MODES
from facewire.runtime.fusion.sync import Aligner, DelayLine
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.sound.blocks import SoundBlock
from facewire.runtime.speech.pipeline import SpeechPipeline

MS = 1_000_000
JAW, BROW = BLENDSHAPE_INDEX["jawOpen"], BLENDSHAPE_INDEX["browInnerUp"]
BLINK = BLENDSHAPE_INDEX["eyeBlinkLeft"]


def shapes(mouth=0.0, upper=0.0):
    values = np.full(len(BLENDSHAPES), upper, np.float32)
    values[MOUTH] = mouth
    return values


def face(mouth=0.6, upper=0.4, turn=0.2):
    return seen_face(0.9, shapes(mouth, upper), head_of(yaw_rad=2 * turn), np.full(4, 0.1, np.float32))


def spoken(now_ns, mouth=0.3, voice=1.0, snr_db=30.0, delay_ns=0):
    heard_ns = now_ns - delay_ns
    return SpeechTick(shapes(mouth), voice, heard_ns, heard_ns, snr_db)


class Scene:
    """A fusion at a frame rate: each step says whether a face is seen, how well its mouth is, and what is heard."""

    def __init__(self, rate=60.0, **options):
        self.rate, self.frame = rate, 0
        self.presence, self.fusion = Presence(), Fusion(**options)
        self.out, self.names = [], []

    def run(self, seconds, seen=None, trust=1.0, heard=None):
        for _ in range(round(seconds * self.rate)):
            now_ns = round(self.frame * 1e9 / self.rate)
            shown = self.presence.step(seen, now_ns)
            shown.mouth_trust = trust if seen is not None else 0.0
            speech = heard(now_ns) if callable(heard) else heard
            made = self.fusion.step(shown, speech, now_ns)
            self.out.append(made.values.copy())
            self.names.append(made.sources)
            self.frame += 1
        return self

    @property
    def steps(self):
        """Largest change of any shape in a frame; the idle eyes' blinks and looks are motion, not a hand-over."""
        moved = np.abs(np.diff(np.array(self.out), axis=0))
        eyes = [i for i, name in enumerate(BLENDSHAPES) if name.startswith("eye")]
        return np.delete(moved[:, :52], eyes, axis=1).max()

    def last(self, shape=JAW):
        return float(self.out[-1][shape])


def test_the_camera_leads_while_its_mouth_is_seen():
    scene = Scene().run(1, face(), heard=spoken)
    np.testing.assert_allclose(scene.fusion.face.blendshapes, face().blendshapes, atol=1e-6)
    np.testing.assert_allclose(scene.fusion.face.head, face().head, atol=1e-6)
    assert set(scene.names) == {"video"}


def test_a_covered_mouth_follows_speech_and_the_rest_follows_the_camera():
    scene = Scene().run(1, face(), heard=spoken).run(1.5, face(), trust=0.0, heard=spoken)
    assert scene.last() == pytest.approx(0.3, abs=0.01)
    assert scene.last(BROW) == pytest.approx(0.4, abs=1e-6)
    assert scene.names[-1] == "both"
    scene.run(2, face(), heard=spoken)
    assert scene.last() == pytest.approx(0.6, abs=1e-6)
    assert scene.names[-1] == "video"


@pytest.mark.parametrize("rate", [10.0, 15.0, 30.0, 60.0, 120.0])
@pytest.mark.parametrize("mouths", [(1.0, 0.0), (0.0, 1.0), (0.9, 0.7)])
def test_no_hand_over_steps(rate, mouths):
    def heard(now_ns):
        return spoken(now_ns, mouths[1])

    seen = face(mouths[0], upper=1.0)
    scene = Scene(rate).run(1, seen, heard=heard)
    scene.run(1.5, seen, trust=0.0, heard=heard).run(1.5, seen, heard=heard)  # covered, and free again
    scene.run(2, None, heard=heard).run(2, seen, heard=heard)  # gone, and back
    scene.run(0.2, None, heard=heard).run(1, seen, heard=heard)  # a moment of nothing
    scene.run(1, seen, trust=0.0, heard=heard).run(2, None)  # covered, then all gone at once
    scene.run(1, None, heard=heard).run(1, seen)  # speech first, then the camera without it
    assert scene.steps <= 0.1


@pytest.mark.parametrize("rate", [10.0, 30.0, 60.0])
def test_a_face_that_is_first_seen_while_speech_drives_comes_in_without_a_step(rate):
    scene = Scene(rate).run(2, None, heard=lambda now_ns: spoken(now_ns, 0.9))
    alone = len(scene.out) - 1
    scene.run(3, face(0.2, upper=1.0), heard=lambda now_ns: spoken(now_ns, 0.9))
    del scene.out[:alone]
    assert scene.steps <= 0.1
    np.testing.assert_allclose(scene.fusion.face.blendshapes, face(0.2, upper=1.0).blendshapes, atol=1e-6)


@pytest.mark.parametrize("change", list(itertools.permutations(MODES, 2)))
def test_a_change_of_mode_has_no_step(change):
    seen = face(0.9, upper=0.8)
    scene = Scene(30.0, mode=change[0]).run(1.5, seen, heard=spoken)
    scene.fusion.mode = change[1]
    scene.run(1.5, seen, heard=spoken)
    assert scene.steps <= 0.1


def test_doubtful_trust_does_not_flicker():
    rng = np.random.default_rng(4)
    scene, leads = Scene().run(0.5, face(), heard=spoken), []
    for _ in range(300):
        scene.run(1 / 60, face(), trust=float(rng.uniform(0.1, 0.9)), heard=spoken)
        leads.append(scene.fusion.weights.video)
    reversals = np.count_nonzero(np.diff(np.sign(np.diff(leads))[np.diff(leads) != 0]))
    assert reversals <= 6  # five seconds of noise


def test_noise_over_silence_does_not_move_the_mouth():
    def noise(now_ns):
        return spoken(now_ns, mouth=0.5, voice=0.3, snr_db=1.0)

    scene = Scene().run(1, face(), heard=noise).run(2, face(), trust=0.0, heard=noise)
    assert scene.last() == pytest.approx(0.0, abs=0.02)
    assert scene.steps <= 0.1
    clear = Scene().run(2, None, heard=noise)
    assert np.array(clear.out)[:, MOUTH].max() < 0.05


def test_speech_without_a_face_drives_the_mouth_and_the_eyes_live_a_little():
    scene = Scene().run(20, None, heard=spoken)
    out = np.array(scene.out)
    assert out[-1, JAW] == pytest.approx(0.3, abs=0.01)
    blinks = np.count_nonzero(np.diff((out[:, BLINK] > 0.5).astype(int)) == 1)
    assert 2 <= blinks <= 12
    assert 0.01 < np.abs(out[:, 59:]).max() < 0.25
    assert set(scene.names[5:]) == {"audio"}


def test_with_both_lost_the_face_eases_to_rest():
    scene = Scene().run(1, face(), heard=spoken).run(3, None)
    np.testing.assert_array_equal(scene.fusion.face.blendshapes, 0)
    np.testing.assert_allclose(scene.fusion.face.head[:4], [0, 0, 0, 1], atol=1e-6)
    assert scene.fusion.at_rest
    assert scene.presence.at_rest
    assert scene.names[-1] == "held"


def test_speech_that_stops_coming_counts_as_lost():
    frozen = spoken(1_000 * MS)
    scene = Scene().run(1, None, heard=spoken).run(3, None, heard=frozen)
    np.testing.assert_array_equal(scene.fusion.face.blendshapes, 0)
    assert scene.names[-1] == "held"


def test_modes():
    def mouth(mode, **options):
        return Scene(mode=mode).run(2, face(), heard=spoken, **options).fusion.face

    assert mouth("camera", trust=0.0).blendshapes[JAW] == pytest.approx(0.6)
    only = mouth("microphone")
    assert only.blendshapes[JAW] == pytest.approx(0.3, abs=0.01)
    assert only.blendshapes[BROW] < 0.05
    mixed = mouth("mouth")
    assert mixed.blendshapes[JAW] == pytest.approx(0.3, abs=0.01)
    assert mixed.blendshapes[BROW] == pytest.approx(0.4)
    np.testing.assert_allclose(mixed.head, face().head, atol=1e-6)


def test_both_delays_are_measured_and_the_faster_source_waits_only_when_told_to():
    """A jaw that opens at one moment is seen after 40 ms and heard after 110."""

    def run(sync):
        aligner, presence, late = Aligner(sync), Presence(), []
        for i in range(240):
            now_ns = i * 1000 * MS // 60
            video_ns, heard_ns = now_ns - 40 * MS, now_ns - 110 * MS
            seen = presence.step(face(mouth=float(video_ns > 2000 * MS)), video_ns)
            speech = spoken(heard_ns, float(heard_ns > 2000 * MS))
            aligner.step(seen, speech, now_ns)
            late.append((now_ns, float(aligner.video.blendshapes[JAW]), float(aligner.speech[JAW])))
        times = np.array(late)
        opened = [times[np.argmax(times[:, column] > 0.5), 0] / MS - 2000 for column in (1, 2)]
        return opened, aligner.delays_ms

    (video_ms, speech_ms), delays = run(sync=False)
    assert video_ms == pytest.approx(40, abs=20)
    assert speech_ms == pytest.approx(110, abs=20)
    assert delays == {"video": pytest.approx(40, abs=1), "audio": pytest.approx(110, abs=1)}
    (video_ms, speech_ms), _ = run(sync=True)
    assert video_ms == pytest.approx(speech_ms, abs=17)
    assert speech_ms == pytest.approx(110, abs=20)


def test_a_delay_line_interpolates_and_holds_its_ends():
    line, out = DelayLine(2), np.zeros(2, np.float32)
    for i in range(200):
        line.put(np.array([i, -i], np.float32), i * 10)
    line.read(1955, out)
    np.testing.assert_allclose(out, [195.5, -195.5])
    line.read(10**9, out)
    np.testing.assert_allclose(out, [199, -199])
    line.read(0, out)
    np.testing.assert_allclose(out, [136, -136])  # the oldest of 64


def test_idle_eyes_are_the_same_on_every_run_and_blink_like_people():
    def run(seed):
        eyes, out = IdleEyes(seed), []
        for i in range(60 * 120):
            eyes.step(i * 1000 * MS // 60)
            out.append(np.concatenate([eyes.blendshapes, eyes.gaze]))
        return np.array(out)

    first = run(1)
    np.testing.assert_array_equal(first, run(1))
    assert not np.array_equal(first, run(2))
    shut = first[:, BLINK]
    starts = np.flatnonzero(np.diff((shut > 0.5).astype(int)) == 1) / 60
    assert 15 <= len(starts) <= 60
    assert np.diff(starts).min() > 0.8
    assert shut.max() > 0.95
    np.testing.assert_array_equal(first[:, BLINK], first[:, BLENDSHAPE_INDEX["eyeBlinkRight"]])


# Real material: people on video with a drawn patch over the mouth.


@pytest.fixture(scope="module")
def clip():
    capture, images = cv2.VideoCapture(str(asset_path("talking_face"))), []
    while len(images) < 240:
        images.append(capture.read()[1])
    return images


@pytest.fixture(scope="module")
def tracker():
    return FaceTracker("v2", device="cpu")


def covered(image, landmarks, colour):
    """Return the picture with an ellipse over the mouth, as a microphone or a hand hides it."""
    middle = landmarks[[61, 291, 13, 14], :2].mean(axis=0)
    size = float(np.linalg.norm(landmarks[263, :2] - landmarks[33, :2]))
    image = image.copy()
    axes = (int(0.42 * size), int(0.36 * size))
    cv2.ellipse(image, (int(middle[0]), int(middle[1])), axes, 0, 0, 360, colour, -1)
    return image


@pytest.mark.models
@pytest.mark.parametrize("colour", [(90, 90, 90), (15, 15, 18)])
def test_a_mouth_under_a_patch_is_handed_to_speech_and_back(clip, tracker, colour):
    """Two seconds free, three under the patch, three free, at 30 a second."""
    tracker.reset()
    pipeline, out, trusts, names = FacePipeline(lambda _: tracker), [], [], []
    landmarks = None
    for i, image in enumerate(clip):
        now_ns = round(i * 1e9 / 30)
        picture = covered(image, landmarks, colour) if 60 <= i < 150 else image
        pipeline.take_speech(spoken(now_ns, mouth=0.25))
        pipeline.track(picture, now_ns)
        frame = pipeline.finish(i, now_ns, now_ns, lambda: 0)
        if not 60 <= i < 150:
            landmarks = frame.landmarks
        out.append(frame.blendshapes)
        trusts.append(pipeline.trust.value)
        names.append(frame.sources)
    assert min(trusts[15:60]) > 0.65  # a talking mouth is none that is hidden
    assert max(trusts[66:150]) < 0.35
    assert min(trusts[175:]) > 0.65
    assert names[59] == "video"
    assert names[100] == "both"
    assert names[-1] == "video"
    assert out[120][JAW] == pytest.approx(0.25, abs=0.02)


def blurred(image, eyes_px, _landmarks):
    """Out of focus."""
    return cv2.GaussianBlur(image, (0, 0), 0.15 * eyes_px)


def headset(image, eyes_px, landmarks):
    """Put a box over eyes and cheekbones: the mouth below it is free, but nothing vouches for it."""
    middle, image = landmarks[[33, 263], :2].mean(axis=0), image.copy()
    low, high = middle - eyes_px * np.array([1.0, 0.5]), middle + eyes_px * np.array([1.0, 0.45])
    return cv2.rectangle(image, low.astype(int).tolist(), high.astype(int).tolist(), (40, 40, 40), -1)


def hand(image, eyes_px, landmarks):
    """Put the person's own skin over the mouth: a piece of the forehead."""
    image, size = image.copy(), (int(0.9 * eyes_px), int(0.75 * eyes_px))
    (x, y), half = landmarks[[9, 10, 151], :2].mean(axis=0).astype(int), int(eyes_px / 5)
    skin = cv2.resize(image[max(y - half, 0) : y + half, x - half : x + half], size)
    x, y = landmarks[[61, 291, 13, 14], :2].mean(axis=0).astype(int) - np.array(size) // 2
    image[y : y + size[1], x : x + size[0]] = skin
    return image


@pytest.mark.models
@pytest.mark.parametrize("spoil", [blurred, headset, hand])
def test_a_mouth_that_cannot_be_trusted_is_handed_to_speech_and_back(clip, tracker, spoil):
    tracker.reset()
    pipeline, trusts, names, landmarks = FacePipeline(lambda _: tracker), [], [], None
    for i, image in enumerate(clip[:190]):
        now_ns, bad = round(i * 1e9 / 30), 60 <= i < 120
        if bad:
            image = spoil(image, float(np.linalg.norm(landmarks[263, :2] - landmarks[33, :2])), landmarks)
        pipeline.take_speech(spoken(now_ns))
        pipeline.track(image, now_ns)
        frame = pipeline.finish(i, now_ns, now_ns, lambda: 0)
        landmarks = landmarks if bad else frame.landmarks
        trusts.append(pipeline.trust.value)
        names.append(frame.sources)
    assert min(trusts[15:60]) > 0.65
    assert np.median(trusts[70:120]) < 0.35
    assert min(trusts[150:]) > 0.65
    assert (names[59], names[100], names[-1]) == ("video", "both", "video")


def test_a_head_that_turns_away_loses_trust_and_a_lost_one_all():
    def turned(degrees):
        half = np.deg2rad(degrees) / 2
        return facing(np.array([0, np.sin(half), 0, np.cos(half), 0, 0, -0.5], np.float32))

    assert turned(20) == turned(-20) == 1.0
    assert turned(60) == turned(-60) == 0.0
    assert turned(30) > turned(40) > turned(50)
    trust = MouthTrust()
    for i in range(30):
        trust.follow(i * 33 * MS)
    assert trust.value > 0.95
    for i in range(30, 60):
        trust.lose(i * 33 * MS)
    assert trust.value < 0.01


@pytest.mark.models
def test_a_talking_face_without_speech_is_left_alone(clip, tracker):
    tracker.reset()
    pipeline = FacePipeline(lambda _: tracker)
    for i, image in enumerate(clip[:60]):
        pipeline.track(image, round(i * 1e9 / 30))
        frame = pipeline.finish(i, 0, round(i * 1e9 / 30), lambda: 0)
        assert frame.sources == "video"
        assert frame.audio_ns is None


# Real sound: generated speech, and noise, through the shipped network.


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """Seconds of generated speech, float32 at 16 kHz, with a quiet room around it."""
    flite = shutil.which("flite")
    if flite is None:
        pytest.skip("needs flite: install it to test fusion with speech")
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    text = "Papa bought five pumpkins and a bottle of warm milk. Maybe Mum will make a pie before four."
    subprocess.run([flite, "-voice", "slt", "-t", text, "-o", str(path)], check=True)
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    return samples + np.random.default_rng(1).normal(0, 3e-4, len(samples)).astype(np.float32)


def ticks_of(samples):
    """Return what the shipped network makes of sound that begins at 0."""
    pipeline, ticks, block = SpeechPipeline(SpeechDriver(), VoiceDetector()), [], 160
    for first in range(0, len(samples) - block, block):
        pipeline.feed(SoundBlock(samples[first : first + block], 16_000, first, first * 1_000_000_000 // 16_000, 1))
        while (tick := pipeline.step()) is not None:
            ticks.append(tick)
    return ticks


def played(scene, ticks, seen=None, trust=1.0):
    """Has ``scene`` hear the ticks at their times, from its own now on."""
    start_ns = round(scene.frame * 1e9 / scene.rate)

    def heard(now_ns):
        known = [tick for tick in ticks if tick.capture_ns <= now_ns - start_ns]
        return None if not known else replace(known[-1], capture_ns=known[-1].capture_ns + start_ns)

    return scene.run(len(ticks) / 60, seen, trust=trust, heard=heard)


@pytest.mark.models
def test_real_speech_drives_a_covered_mouth_and_a_face_that_is_gone(speech):
    ticks = ticks_of(speech)
    spoken_jaw = max(float(tick.blendshapes[JAW]) for tick in ticks)
    assert spoken_jaw > 0.3
    covered = played(Scene(), ticks, face(mouth=0.0), trust=0.0)
    alone = played(Scene(), ticks)
    for scene in (covered, alone):
        assert max(frame[JAW] for frame in scene.out) > 0.7 * spoken_jaw
    assert covered.names[-30] == "both"
    assert alone.names[-30] == "audio"
    assert covered.last(BROW) == pytest.approx(0.4)


@pytest.mark.models
def test_real_noise_over_silence_does_not_move_the_mouth():
    noise = np.random.default_rng(2).normal(0, 0.05, 16_000 * 4).astype(np.float32)
    scene = played(Scene(), ticks_of(noise), face(mouth=0.0), trust=0.0)
    assert np.array(scene.out)[:, MOUTH].max() < 0.05
