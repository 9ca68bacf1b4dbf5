"""From blocks of sound to ticks and frames: what moves, when it is stamped, and what happens when sound stalls."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from support.sound.files import write_wav
from support.waiting import wait_until

from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.shared.clock import now_ns
from facewire.runtime.bake.speak_bake import speech_frames, speech_ticks
from facewire.runtime.capture.sound.sound_file import SoundFile, SoundReader, in_blocks
from facewire.runtime.capture.sound.sound_source import SoundSource
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.fusion.fuse import Fusion
from facewire.runtime.live import Live
from facewire.runtime.pipeline import FacePipeline
from facewire.runtime.sound.blocks import SoundBlock, SoundRing
from facewire.runtime.sound.gain import LEAST_GAIN, MOST_GAIN, TARGET, Gain
from facewire.runtime.speech import thread as speak_live
from facewire.runtime.speech.pipeline import SPEECH_S, TICK_HZ, Gate, SpeechPipeline
from facewire.runtime.speech.thread import Speak, merged

JAW = BLENDSHAPE_INDEX["jawOpen"]


class LoudnessDriver:
    """Opens the jaw with the loudness of the tick's own samples: shows at once what sound drives which tick."""

    delay_ms, speaking, flame = 40.0, 1.0, None

    def __init__(self):
        self.reset()

    def reset(self):
        self.samples, self.ticks = np.zeros(0, np.float32), 0
        self.first = 0

    def push(self, samples):
        self.samples = np.concatenate([self.samples, samples])

    def step(self):
        count = (self.ticks + 1) * 16_000 // 60 - self.first
        if len(self.samples) < count:
            return None
        own, self.samples = self.samples[:count], self.samples[count:]
        self.ticks += 1
        self.first += count
        shapes = np.full(52, 0.1, np.float32)
        shapes[JAW] = min(1.0, 3 * np.sqrt(np.mean(own**2)))
        return shapes


class DelayedDriver(LoudnessDriver):
    """Shows what it heard 40 ms ago."""

    def reset(self):
        super().reset()
        self.past = [np.zeros(52, np.float32)] * 2

    def step(self):
        shapes = super().step()
        if shapes is None:
            return None
        self.past.append(shapes)
        return self.past.pop(0)


class Voice:
    """Says what it is told to."""

    def __init__(self, probability=1.0):
        self.probability = probability

    def push(self, _samples):
        return self.probability

    def reset(self):
        pass


def tone(seconds, rate=48_000, level=0.3):
    return (level * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def blocks(samples, rate=48_000, start_ns=10**9, size_s=0.01, stream=1, ppm=0.0):
    size = round(rate * size_s)
    for first in range(0, len(samples), size):
        at_ns = start_ns + round(first * 1e9 / rate * (1 + ppm * 1e-6))
        yield SoundBlock(samples[first : first + size], rate, first, at_ns, stream)


def ticks_of(pipeline, stream):
    out = []
    for block in stream:
        pipeline.feed(block)
        while (tick := pipeline.step()) is not None:
            out.append(tick)
    return out


# The pipeline


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 192_000])
def test_sixty_ticks_a_second_of_sound_each_stamped_when_it_was_captured(rate):
    ticks = ticks_of(SpeechPipeline(LoudnessDriver(), Voice()), blocks(tone(2.0, rate), rate))
    assert 118 <= len(ticks) <= 120
    for k, tick in enumerate(ticks, 1):
        assert tick.capture_ns == pytest.approx(10**9 + k * 1e9 / 60, abs=200_000)
        assert tick.sound_ns == tick.capture_ns - 40_000_000
        assert tick.confidence == 1.0


def test_a_sound_shows_in_the_tick_that_is_stamped_with_it():
    samples = np.zeros(48_000, np.float32)
    samples[24_000:28_800] = tone(0.1)
    ticks = ticks_of(SpeechPipeline(LoudnessDriver(), Voice()), blocks(samples))
    loud = [tick.capture_ns for tick in ticks if tick.blendshapes[JAW] > 0.2]
    assert loud[0] == pytest.approx(10**9 + 500_000_000 + 1e9 / 60, abs=1e9 / 60)
    assert loud[-1] == pytest.approx(10**9 + 600_000_000, abs=1e9 / 60 + 3e6)


def test_a_card_that_drifts_stays_in_time():
    """Two minutes at 400 parts in a million come to 48 ms, which the stamps must have."""
    ticks = ticks_of(
        SpeechPipeline(LoudnessDriver(), Voice()), blocks(np.zeros(16_000 * 120, np.float32), 16_000, ppm=400)
    )
    assert len(ticks) == 7200
    assert ticks[-1].capture_ns - 10**9 == pytest.approx(120e9 * (1 + 400e-6), abs=1_000_000)


def test_lost_samples_move_the_stamps_and_a_new_stream_starts_anew():
    pipeline, samples = SpeechPipeline(LoudnessDriver(), Voice()), tone(1.0)
    first = ticks_of(pipeline, blocks(samples))
    gap = [
        SoundBlock(block.samples, block.rate, block.first_sample + 96_000, block.start_ns + 2 * 10**9, 1)
        for block in blocks(samples)
    ]
    after = ticks_of(pipeline, gap)
    assert after[10].capture_ns - first[10].capture_ns == pytest.approx(2e9, abs=20e6)
    again = ticks_of(pipeline, blocks(samples, 44_100, start_ns=50 * 10**9, stream=2))
    assert again[0].capture_ns == pytest.approx(50 * 10**9 + 1e9 / 60, abs=200_000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_number_passes_gracefully(bad):
    samples = tone(1.0)
    samples[10_000:10_200] = bad
    for tick in ticks_of(SpeechPipeline(LoudnessDriver(), Voice()), blocks(samples)):
        assert np.isfinite(tick.blendshapes).all()


def test_silence_eases_the_mouth_shut_and_speech_opens_it_at_once():
    voice = Voice()
    pipeline = SpeechPipeline(LoudnessDriver(), voice)
    stream = list(blocks(tone(4.0)))
    jaw = [tick.blendshapes[JAW] for tick in ticks_of(pipeline, stream[:100])]
    assert jaw[5] > 0.15
    voice.probability = 0.0
    pipeline.driver.speaking = 0.0
    jaw = np.array([tick.blendshapes[JAW] for tick in ticks_of(pipeline, stream[100:300])])
    shut = int(np.argmax(jaw == 0.0))
    assert SPEECH_S * TICK_HZ <= shut <= (SPEECH_S + 0.3) * TICK_HZ
    assert np.all(jaw[shut:] == 0.0)
    assert np.abs(np.diff(jaw)).max() < 0.2  # it eases
    voice.probability = 1.0
    jaw = [tick.blendshapes[JAW] for tick in ticks_of(pipeline, stream[300:])]
    assert jaw[2] > 0.15


def test_flame_parameters_ease_with_the_shapes():
    class WithFlame(LoudnessDriver):
        flame = np.linspace(1, 2, 8, dtype=np.float32)

        def step(self):
            return None if super().step() is None else np.full(52, 0.5, np.float32)

    voice = Voice()
    pipeline, stream = SpeechPipeline(WithFlame(), voice), list(blocks(tone(2.0)))
    ticks = ticks_of(pipeline, stream[:100])
    voice.probability = pipeline.driver.speaking = 0.0
    ticks += ticks_of(pipeline, stream[100:])
    left = np.array([tick.blendshapes[JAW] for tick in ticks]) / 0.5
    assert left.max() == 1.0
    assert left.min() == 0.0
    np.testing.assert_allclose([tick.flame for tick in ticks], left[:, None] * WithFlame.flame, atol=1e-6)
    eased = ticks[50].eased(0.25)
    np.testing.assert_allclose(eased.flame, 0.25 * ticks[50].flame)
    np.testing.assert_allclose(eased.blendshapes, 0.25 * ticks[50].blendshapes)
    plain = ticks_of(SpeechPipeline(LoudnessDriver(), Voice()), stream[:10])
    assert [tick.flame for tick in plain] == [None] * len(plain)
    assert plain[0].eased(0.5).flame is None


def test_the_gate_never_jumps():
    gate, rng, last = Gate(), np.random.default_rng(1), 0.0
    for _ in range(5000):
        share = gate.step(rng.choice([0.0, 1.0], p=[0.98, 0.02]), rng.random())
        assert 0.0 <= share <= 1.0
        assert abs(share - last) < 0.85
        last = share


# Gain


@pytest.mark.parametrize("level", [0.005, 0.05, 0.9])
def test_speech_comes_to_one_level_and_pauses_leave_it_alone(level):
    gain = Gain()
    for _ in range(3000):
        samples = tone(0.01, 16_000, level)
        gain.apply(samples, 0.9)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(TARGET, rel=0.08)
    before = gain.gain
    for _ in range(3000):
        gain.apply(np.random.default_rng(1).normal(0, 0.2, 160).astype(np.float32), 0.1)
    assert gain.gain == before


def test_gain_has_bounds_and_takes_an_offset_away():
    quiet, loud = Gain(), Gain()
    for _ in range(20_000):
        quiet.apply(tone(0.01, 16_000, 1e-4), 1.0)
        loud.apply(np.sign(tone(0.01, 16_000, 1.0)), 1.0)
    assert quiet.gain == pytest.approx(MOST_GAIN, rel=0.01)
    assert loud.gain >= LEAST_GAIN
    gain, samples = Gain(), np.full(16_000, 0.5, np.float32)
    gain.apply(samples, 0.0)
    assert abs(samples[-100:]).max() < 1e-3


# The ring


def test_the_ring_keeps_the_newest_and_counts_what_it_lost():
    ring = SoundRing(blocks=4)
    ring.begin()
    for i in range(6):
        ring.write(np.full(10, i, np.float32), 16_000, i * 1000)
    assert ring.overruns == 2
    assert [int(ring.take(0).samples[0]) for _ in range(4)] == [2, 3, 4, 5]
    assert ring.take(0) is None
    ring.write(np.stack([np.ones(3), np.zeros(3)], axis=1).astype(np.float32), 16_000, 0)
    block = ring.take(0)
    np.testing.assert_array_equal(block.samples, [1.0, 1.0, 1.0])
    assert block.first_sample == 60
    ring.write(np.zeros(10_000, np.float32), 16_000, 5)
    assert [len(ring.take(0).samples) for _ in range(3)] == [4096, 4096, 1808]
    ring.close()
    assert ring.take(1.0) is None
    assert ring.exhausted


# Files


def encode(path, samples, rate, codec, layout="mono", video=False):
    import av

    with av.open(str(path), "w") as container:
        if video:
            pictures = container.add_stream("mpeg4", rate=10)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        stream = container.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate, frame_size=stream.frame_size)
        if video:
            for i in range(10):
                image = np.full((48, 64, 3), 20 * i, np.uint8)
                container.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
            container.mux(pictures.encode(None))
        frame = av.AudioFrame.from_ndarray(
            np.round(samples * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.rate = rate
        for source in (frame, None):
            for piece in resampler.resample(source):
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("a.wav", "pcm_s16le", 8_000, "mono"),
        ("a.wav", "pcm_f32le", 192_000, "5.1"),
        ("a.wav", "pcm_s16le", 48_000, "7.1"),
        ("a.flac", "flac", 44_100, "stereo"),
        ("a.mp3", "mp3", 44_100, "mono"),
        ("a.mp4", "aac", 48_000, "stereo"),
    ],
)
def test_files_of_every_kind_are_read(tmp_path, name, codec, rate, layout):
    path = encode(tmp_path / name, tone(1.0, rate), rate, codec, layout, video=name.endswith("mp4"))
    reader = SoundReader(path)
    samples = np.concatenate([run.copy() for run in reader.blocks()])
    reader.close()
    assert reader.rate == rate
    assert abs(len(samples) - rate) < 0.08 * rate  # lossy ones pad
    middle = samples[len(samples) // 4 : len(samples) // 2]
    assert np.sqrt(np.mean(middle**2)) > 0.02  # in surround, speech is in one of six channels
    crossings = np.sum(np.diff((middle > 0).astype(int)) != 0) / len(middle) * rate
    assert crossings == pytest.approx(600, rel=0.05)


def test_blocks_are_cut_to_size():
    runs = [np.arange(5, dtype=np.float32), np.arange(5, 7, dtype=np.float32), np.arange(7, 18, dtype=np.float32)]
    cut = [block.tolist() for block in in_blocks(iter(runs), 4)]
    assert cut == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15], [16, 17]]


@pytest.mark.parametrize("content", [b"", b"la la la" * 400, b"RIFF\x00\x00\x00\x00WAVEfmt "])
def test_a_file_that_is_no_audio_is_one_line(tmp_path, content):
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=r"song\.wav") as caught:
        list(SoundReader(path).blocks())
    assert "\n" not in str(caught.value)
    with pytest.raises(CaptureError, match="does not exist"):
        SoundReader(tmp_path / "no.wav")


# Baking


def sound_with_a_gap(path):
    samples = np.zeros(48_000, np.float32)
    samples[16_000:32_000] = tone(1.0, 16_000)
    return write_wav(path, np.round(samples * 32767))


@pytest.mark.parametrize(("as_live", "shift_s"), [(False, 0.0), (True, 0.04)])
def test_baked_values_lie_on_their_sound_or_where_a_listener_had_them(tmp_path, as_live, shift_s):
    path = sound_with_a_gap(tmp_path / "a.wav")
    ticks = list(speech_ticks(path, SpeechPipeline(DelayedDriver(), Voice()), as_live=as_live))
    times = [baked.time_ns for baked in ticks]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] == pytest.approx(3e9 + shift_s * 1e9, abs=25e6)
    loud = [baked.time_ns * 1e-9 for baked in ticks if baked.tick.blendshapes[JAW] > 0.1]
    assert loud[0] == pytest.approx(1.0 + shift_s, abs=0.03)
    assert loud[-1] == pytest.approx(2.0 + shift_s, abs=0.03)


def test_baking_speech_makes_frames_and_is_the_same_each_time(tmp_path):
    path = sound_with_a_gap(tmp_path / "a.wav")

    def bake():
        speech, face = SpeechPipeline(DelayedDriver(), Voice()), FacePipeline(None, fusion=Fusion("microphone"))
        return list(speech_frames(path, speech, face, as_live=False, start_ns=10**9))

    frames, again = bake(), bake()
    assert [frame.seq for frame, _ in frames] == list(range(len(frames)))
    assert 178 <= len(frames) <= 181
    for (frame, time_ns), (other, _) in zip(frames, again, strict=True):
        assert frame.publish_ns == 10**9 + time_ns
        np.testing.assert_array_equal(frame.blendshapes, other.blendshapes)
    jaw = np.array([frame.blendshapes[JAW] for frame, _ in frames])
    assert jaw[75:110].min() > 0.1
    assert jaw[:55].max() < 0.05


# The live stage


class Script(SoundSource):
    """Plays steps: an array is written as 10 ms blocks at their time, a condition is waited for, an error is raised."""

    name, kind = "script", "microphone"

    def __init__(self, *steps, returns=False, rate=16_000):
        super().__init__()
        self.steps, self.returns, self.rate = list(steps), returns, rate
        self.opened = 0

    def open(self, ring):
        self.ring = ring
        self.opened += 1

    def pump(self):
        if not self.steps or self._interrupted.is_set():
            return False
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        if callable(step):
            while not step() and not self._interrupted.wait(0.005):
                pass
            return not self._interrupted.is_set()
        for block in np.split(step, range(160, len(step), 160)):
            self.ring.write(block, self.rate, now_ns() - 10_000_000)
            if self._interrupted.wait(0.01):
                return False
        return True

    def close(self):
        pass


class Taken:
    """Ticks as a live stage hands them on, with what drives them and when."""

    def __init__(self):
        self.ticks, self.sources, self.published_ns = [], [], []

    def take(self, tick, sources):
        self.ticks.append(tick)
        self.sources.append(sources)
        self.published_ns.append(now_ns())
        return self.published_ns[-1]

    @property
    def late_ns(self):
        return [then - tick.capture_ns for then, tick in zip(self.published_ns, self.ticks, strict=True)]

    @property
    def jaw(self):
        return [float(tick.blendshapes[JAW]) for tick in self.ticks]


class Run:
    """A live stage that keeps what it handed on and said."""

    def __init__(self, *steps, returns=False, driver=None):
        self.taken = Taken()
        self.reports: list[str] = []
        self.tapped = []
        self.speak = Speak(
            Script(*steps, returns=returns),
            self.taken.take,
            tap=lambda *tapped: self.tapped.append(tapped),
            notify=self.reports.append,
        )
        self.speak.start(lambda: SpeechPipeline(driver or LoudnessDriver(), Voice()))

    def wait(self, timeout_s=60):
        assert self.speak.ended.wait(timeout_s)
        self.speak.stop()
        return self.taken


@pytest.fixture
def patient(monkeypatch):
    """Nothing counts as a stall: on a busy machine the script may be late."""
    monkeypatch.setattr(speak_live, "STALE_NS", 10**12)


@pytest.mark.usefixtures("patient")
def test_speech_is_handed_on_in_time_and_tapped_as_it_came():
    run = Run(tone(1.0, 16_000))
    taken = run.wait()
    assert taken.sources == ["audio"] * 60
    assert taken.jaw[30] > 0.3
    assert min(taken.late_ns) > 0
    assert np.median(taken.late_ns) < 0.5e9
    assert taken.ticks[0].blendshapes is not taken.ticks[1].blendshapes
    data = b"".join(block.samples for block, _ in run.tapped)
    np.testing.assert_allclose(np.frombuffer(data, "<i2") / 32767, tone(1.0, 16_000), atol=1e-4)
    assert [block.first_sample for block, _ in run.tapped] == list(range(0, 16_000, 160))
    status = run.speak.status()
    assert status["devices"]["audio"]["delay_ms"] == 40.0
    assert status["drops"] == {"sound": 0, "bad_blocks": 0}


@pytest.mark.usefixtures("patient")
def test_speech_alone_makes_frames():
    frames = []
    live = Live(None, frames.append)
    live.start(lambda: FacePipeline(None, fusion=Fusion("microphone")))
    speak = Speak(
        Script(np.concatenate([np.zeros(3200, np.float32), tone(0.8, 16_000)])),
        live.publish_speech,
        notify=lambda _: None,
    )
    speak.start(lambda: SpeechPipeline(LoudnessDriver(), Voice()))
    assert speak.ended.wait(60)
    speak.stop()
    live.stop()
    assert [frame.seq for frame in frames] == list(range(60))
    assert {frame.sources for frame in frames[10:]} == {"audio"}
    assert frames[40].blendshapes[JAW] > 0.3


def test_a_stall_shuts_the_mouth_and_does_not_stall_the_stream():
    shut = threading.Event()
    run = Run(tone(0.5, 16_000), shut.is_set, tone(0.3, 16_000))
    wait_until(lambda: run.taken.sources[-1:] == ["held"] and run.taken.jaw[-1] == 0.0)
    held = [i for i, sources in enumerate(run.taken.sources) if sources == "held"][-20:]
    shut.set()
    taken = run.wait()
    jaw = [taken.jaw[i] for i in held]
    assert len(held) > 10
    assert jaw == sorted(jaw, reverse=True)
    assert jaw[0] > jaw[-1] == 0.0
    assert taken.ticks[held[-1]].confidence == 0.0
    assert "audio" in taken.sources[held[-1] :]


@pytest.mark.parametrize("said", [tone(0.5, 16_000), np.zeros(8_000, np.float32)], ids=["speech", "silence"])
def test_a_stall_brings_the_whole_face_to_rest_once(said):
    frames, stop = [], threading.Event()
    live = Live(None, frames.append)
    live.start(lambda: FacePipeline(None))
    speak = Speak(Script(said, stop.is_set), live.publish_speech, notify=lambda _: None)
    speak.start(lambda: SpeechPipeline(LoudnessDriver(), Voice(float(said.any()))))
    wait_until(lambda: frames and frames[-1].sources == "held")
    assert "audio" in {frame.sources for frame in frames}
    wait_until(lambda: speak.at_rest)
    stop.set()
    assert speak.ended.wait(60)
    live.stop()
    assert frames[-1].sources == "held"
    assert not frames[-1].blendshapes.any()
    assert not frames[-1].gaze.any()
    assert len(frames) < 30 + 3 * speak_live.EASE_STEPS


def test_a_microphone_that_vanishes_is_reported_once_and_comes_back():
    lost = CaptureError("the microphone gives no sound")
    run = Run(tone(0.2, 16_000), lost, lost, tone(0.2, 16_000), returns=True)
    taken = run.wait()
    assert run.reports == ["the microphone gives no sound; it is tried again until it works", "script is back"]
    assert run.speak.capture.losses == 1
    assert taken.sources.count("audio") >= 22
    numbers = [block.first_sample for block, _ in run.tapped]
    assert numbers == sorted(numbers)


def test_a_file_that_fails_ends_the_run_and_keeps_the_reason(tmp_path):
    (tmp_path / "song.wav").write_text("la la")
    speak = Speak(SoundFile(tmp_path / "song.wav"), lambda *_: 0, notify=lambda _: None)
    speak.start(lambda: SpeechPipeline(LoudnessDriver(), Voice()))
    assert speak.ended.wait(60)
    assert "song.wav" in str(speak.capture.error)
    speak.stop()


@pytest.mark.usefixtures("patient")
def test_a_file_is_paced_as_live(tmp_path):
    path, taken = write_wav(tmp_path / "a.wav", np.round(tone(0.6, 16_000) * 32767)), Taken()
    started_ns = now_ns()
    speak = Speak(SoundFile(path), taken.take, notify=lambda _: None)
    speak.start(lambda: SpeechPipeline(LoudnessDriver(), Voice()))
    assert speak.ended.wait(60)
    speak.stop()
    assert len(taken.ticks) == 36
    assert taken.published_ns[-1] - started_ns >= 0.59e9
    assert 0 <= np.median(taken.late_ns) < 400e6


def test_a_driver_that_fails_is_said_once_and_does_not_end_the_stream():
    class Failing(LoudnessDriver):
        def step(self):
            shapes = super().step()
            if shapes is not None and self.ticks % 2:
                raise ValueError("a bad\nday")
            return shapes

    run = Run(tone(0.5, 16_000), driver=Failing())
    taken = run.wait()
    assert len(taken.ticks) > 5
    assert run.reports == ["some sound could not be used (ValueError: a bad); the stream goes on"]
    assert run.speak.status()["drops"]["bad_blocks"] > 2


@pytest.mark.usefixtures("patient")
def test_what_was_said_while_the_networks_loaded_is_dropped():
    taken, ready = Taken(), threading.Event()
    source = Script(tone(0.9, 16_000), ready.is_set, tone(0.4, 16_000), returns=True)
    speak = Speak(source, taken.take, notify=lambda _: None)

    def slow():
        wait_until(lambda: speak.ring.waiting == 90)
        return SpeechPipeline(LoudnessDriver(), Voice())

    speak.start(slow)
    ready.set()
    assert speak.ended.wait(60)
    speak.stop()
    assert 20 <= len(taken.ticks) <= 25  # 0.4 s, and the newest block of what was said before


def test_without_a_driver_the_sound_is_only_tapped():
    tapped = []
    speak = Speak(Script(tone(0.2, 16_000)), None, tap=lambda block, _: tapped.append(block), notify=lambda _: None)
    speak.start(None)
    assert speak.ended.wait(60)
    speak.stop()
    assert len(tapped) == 20


def test_two_statuses_become_one():
    assert merged({"devices": {"video": 1}, "x": 1}, {"devices": {"audio": 2}, "y": 2}) == {
        "devices": {"video": 1, "audio": 2},
        "x": 1,
        "y": 2,
    }
