"""Microphones: a scripted PyAudio; ``test_virtual_microphone.py`` has a real one."""

from __future__ import annotations

import contextlib
import math
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from support.sound.files import write_wav
from support.waiting import wait_until

from facewire.bridge.shared.clock import now_ns
from facewire.bridge.shared.install import install_extra
from facewire.runtime.capture.sound import choose_sound as choose_sound_module
from facewire.runtime.capture.sound import microphone as module
from facewire.runtime.capture.sound import recorder, recorder_process
from facewire.runtime.capture.sound.choose_sound import choose_sound
from facewire.runtime.capture.sound.microphone import Microphone, MicrophoneInfo, find_microphone
from facewire.runtime.capture.sound.recorder import captured_ns
from facewire.runtime.capture.sound.recorder_process import Recorder
from facewire.runtime.capture.sound.sound_file import SoundFile
from facewire.runtime.capture.sound.sound_thread import SoundThread
from facewire.runtime.capture.video.source import CaptureError
from facewire.runtime.sound.blocks import SoundRing
from facewire.runtime.sound.channels import MAX_CHANNELS

MICROPHONES = [
    MicrophoneInfo(0, "Built-in Microphone", 44_100, 2, False),
    MicrophoneInfo(3, "USB Audio: Yeti", 48_000, 1, True),
]


class FakeStream:
    def __init__(self, callback, closes):
        self.callback, self.active, self.closed, self._closes = callback, True, False, closes

    def start_stream(self):
        self.started = True

    def is_active(self):
        return self.active

    def close(self):
        self._closes.wait(100)
        self.closed = True


class RecorderHere:
    """The recorder's program in a thread of this process, on real pipes: what ``subprocess.Popen`` would start."""

    def __init__(self, fake):
        asked, self.stdin = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        self.stdout, told = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        self._ended, self._told = threading.Event(), told
        threading.Thread(target=self._run, args=(fake, asked, told), daemon=True).start()

    def _run(self, fake, asked, told):
        try:
            with contextlib.suppress(OSError, ValueError):
                recorder.record(fake, asked, told)
        finally:
            with contextlib.suppress(OSError):
                told.close()
            self._ended.set()
            asked.close()  # waits until the other end is closed, if a thread still reads it

    def wait(self, timeout=None):
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("recorder", timeout)
        return 0

    def kill(self):
        """Cut off what it tells, as a killed process would: a thread cannot be killed."""
        self._told.close()
        self._ended.set()


class FakePyAudio:
    """The module and its system in one: devices that a test plugs in and out."""

    paContinue, paInputOverflow, paFloat32 = 0, 2, 1  # noqa: N815

    def __init__(self, *devices, refuses=()):
        self.devices, self.refuses, self.closes = list(devices), refuses, threading.Event()
        self.closes.set()
        self.streams, self.started, self.ended = [], 0, 0

    def start(self):
        """Start a recorder that uses it."""
        return Recorder(RecorderHere(self))

    def PyAudio(self):  # noqa: N802
        self.started += 1
        return self

    def terminate(self):
        self.ended += 1

    def get_device_count(self):
        return len(self.devices)

    def get_device_info_by_index(self, index):
        return self.devices[index]

    def get_default_input_device_info(self):
        for info in self.devices:
            if info["maxInputChannels"]:
                return info
        raise OSError("No Default Input Device Available")

    def open(self, **options):
        if options["channels"] in self.refuses:
            raise OSError(-9998, "Invalid number of channels")
        self.options = options
        self.streams.append(FakeStream(options["stream_callback"], self.closes))
        return self.streams[-1]


def device(index, name, rate=48_000.0, channels=1):
    return {"index": index, "name": name, "defaultSampleRate": rate, "maxInputChannels": channels}


def speaker(index):
    return device(index, "Speakers", channels=0)


def deliver(fake, samples, times=None, flags=0):
    return fake.streams[-1].callback(samples.astype(np.float32).tobytes(), len(samples), times or {}, flags)


def test_a_microphone_is_found_by_number_name_or_as_the_default():
    assert find_microphone("auto", MICROPHONES).index == 3
    assert find_microphone("0", MICROPHONES).name == "Built-in Microphone"
    assert find_microphone("yeti", MICROPHONES).index == 3
    for what in ("5", "elgato"):
        with pytest.raises(
            CaptureError, match=rf"no microphone is called '{what}'; .* 0: Built-in .*3: USB Audio: Yeti"
        ):
            find_microphone(what, MICROPHONES)
    with pytest.raises(CaptureError, match="no microphone was found; microphones here: none"):
        find_microphone("auto", [])


def test_blocks_of_ten_milliseconds_come_as_one_channel():
    fake, ring = FakePyAudio(speaker(0), device(1, "Mic", 44_100.0, 2)), SoundRing()
    microphone = Microphone("auto", start=fake.start)
    ring.begin()
    microphone.open(ring)
    assert (microphone.rate, microphone.name) == (44_100, "microphone 1 (Mic)")
    assert (fake.options["frames_per_buffer"], fake.options["channels"]) == (441, 2)
    before_ns = now_ns()
    assert deliver(fake, np.stack([np.ones(441), np.zeros(441)], axis=1)) == (None, 0)
    block = ring.take(100)
    np.testing.assert_array_equal(block.samples, np.ones(441))  # the channel that has sound, not half of it
    assert before_ns <= block.start_ns + 10_000_000 <= now_ns()
    deliver(fake, np.zeros((441, 2)), flags=fake.paInputOverflow)
    wait_until(lambda: ring.device_overruns == 1)
    microphone.close()
    microphone.close()
    wait_until(lambda: fake.started == fake.ended == 1)
    assert fake.streams[0].closed


def test_a_number_of_channels_that_is_refused_is_not_the_end():
    fake, ring = FakePyAudio(device(0, "Mic", channels=2), refuses=(2,)), SoundRing()
    with contextlib.closing(Microphone("0", start=fake.start)) as microphone:
        microphone.open(ring)
    assert fake.options["channels"] == 1
    fake.refuses = (1, 2)
    refused = pytest.raises(CaptureError, match=r"Invalid number of channels.*is it free")
    with contextlib.closing(microphone), refused:
        microphone.open(ring)


@pytest.mark.parametrize(("offered", "asked"), [(10, 10), (18, 18), (32, 32), (128, MAX_CHANNELS)])
def test_a_device_is_asked_for_all_of_its_channels_within_a_bound(offered, asked):
    """One alone of a mixer's ten is not the voice; and a sound server that is asked for one mixes all itself."""
    fake, ring = FakePyAudio(device(0, "pulse", channels=offered)), SoundRing()
    microphone = Microphone("auto", start=fake.start)
    microphone.open(ring)
    assert fake.options["channels"] == asked
    voice = np.zeros((480, asked), np.float32)
    voice[:, -1] = np.sin(np.arange(480))
    deliver(fake, voice)
    deliver(fake, voice)
    ring.take(100)
    np.testing.assert_array_equal(ring.take(100).samples, voice[:, -1])
    microphone.close()


def test_a_device_that_refuses_all_of_its_channels_is_asked_for_fewer():
    fake = FakePyAudio(device(0, "Mixer", channels=40), refuses=(40, 32))
    with contextlib.closing(Microphone("auto", start=fake.start)) as microphone:
        microphone.open(SoundRing())
    assert fake.options["channels"] == 16


@pytest.mark.parametrize(
    ("times", "age_ms"),
    [
        ({"current_time": 10.0, "input_buffer_adc_time": 9.975}, 25.0),
        ({}, 10.0),
        ({"current_time": 10.0, "input_buffer_adc_time": 0.0}, 10.0),
        ({"current_time": 10.0, "input_buffer_adc_time": 11.0}, 10.0),
        ({"current_time": 10.0, "input_buffer_adc_time": 5.0}, 10.0),
        ({"current_time": math.nan, "input_buffer_adc_time": 5.0}, 10.0),
    ],
)
def test_the_drivers_word_is_taken_where_it_makes_sense(times, age_ms):
    assert captured_ns(10**12, 480, 48_000, times) == pytest.approx(10**12 - age_ms * 1e6, abs=10)


def test_a_microphone_that_vanishes_and_returns_under_another_number(monkeypatch):
    monkeypatch.setattr(module, "SILENT_S", 0.2)
    fake, ring, reports = FakePyAudio(device(0, "USB Yeti")), SoundRing(), []
    thread = SoundThread(Microphone("yeti", start=fake.start), ring, reports.append)
    thread.start()
    wait_until(lambda: fake.streams)
    fake.devices = [speaker(0)]  # gone, before the silence is noticed
    deliver(fake, np.zeros((480, 1)))
    wait_until(lambda: reports)
    assert thread.state == "lost"
    assert "gives no sound: is it unplugged" in reports[0]
    monkeypatch.setattr(module, "SILENT_S", 60.0)  # it stays now, however slow the machine is
    monkeypatch.setattr(module, "FIRST_S", 60.0)
    fake.devices = [speaker(0), device(1, "USB Yeti", 44_100.0)]
    wait_until(lambda: len(fake.streams) > 1)
    deliver(fake, np.zeros((441, 1)))
    wait_until(lambda: len(reports) == 2)
    assert reports[1] == "microphone 1 (USB Yeti) is back"
    assert thread.losses == 1
    blocks = [ring.take(1.0), ring.take(1.0)]
    assert blocks[1].stream > blocks[0].stream
    assert blocks[1].rate == 44_100
    thread.stop(10.0)
    assert thread.state == "ended"
    assert fake.started == fake.ended


def test_a_driver_that_hangs_when_it_is_closed_is_left_behind_and_the_microphone_comes_back(monkeypatch):
    monkeypatch.setattr(module, "SILENT_S", 0.2)
    fake, reports = FakePyAudio(device(0, "Mic")), []
    fake.closes.clear()
    thread = SoundThread(Microphone(start=fake.start), SoundRing(), reports.append)
    thread.start()
    try:
        wait_until(lambda: fake.streams)
        deliver(fake, np.zeros((480, 1)))
        wait_until(lambda: len(fake.streams) > 1)
        assert (thread.losses, len(reports)) == (1, 1)
        monkeypatch.setattr(module, "SILENT_S", 60.0)
        deliver(fake, np.zeros((480, 1)))
        wait_until(lambda: thread.state == "running")
    finally:
        fake.closes.set()
        thread.stop(10.0)


def test_a_stream_that_stops_by_itself_is_lost_at_once(monkeypatch):
    fake, ring = FakePyAudio(device(0, "Mic")), SoundRing()
    microphone = Microphone(start=fake.start)
    microphone.open(ring)
    fake.streams[-1].active = False
    monkeypatch.setattr(module, "FIRST_S", math.inf)  # it is not the silence that is noticed
    with pytest.raises(CaptureError, match="gives no sound"), contextlib.closing(microphone):
        list(iter(microphone.pump, False))


def test_a_sound_system_that_hangs_or_crashes_is_one_line(monkeypatch):
    monkeypatch.setattr(recorder_process, "ANSWER_S", 0.2)
    for program, says in (("input()", "not answered for 0.2 s"), ("raise SystemExit(1)", "fails when it is asked")):
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if "input" not in program:
            monkeypatch.setattr(recorder_process, "ANSWER_S", 100.0)
        microphone = Microphone(start=lambda process=process: Recorder(process))
        with pytest.raises(CaptureError, match=says):
            microphone.open(SoundRing())
        microphone.close()
        assert process.poll() is not None


def test_a_program_that_is_no_python_says_what_to_do(monkeypatch):
    pytest.importorskip("pyaudio")
    monkeypatch.setattr(sys, "executable", "/opt/blender/blender")
    with pytest.raises(CaptureError, match="start facewire with python"):
        Microphone().open(SoundRing())


def test_a_recorder_ends_with_the_run_that_started_it():
    """Even if that was killed: its end of the pipe is closed then."""
    fake = FakePyAudio(device(0, "Mic"))
    process = RecorderHere(fake)
    started = Recorder(process)
    assert started.told()[0]["name"] == "Mic"
    process.stdin.close()
    assert process.wait(100) == 0
    wait_until(lambda: started.ended)
    assert fake.started == fake.ended == 1
    started.close()


def test_without_pyaudio_it_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyaudio", None)
    with pytest.raises(CaptureError, match=re.escape(install_extra("mic"))):
        Microphone().open(SoundRing())
    assert choose_sound("auto", loop=False, demo_speech=Path) is None
    with pytest.raises(CaptureError, match="needs PyAudio"):
        choose_sound("3", loop=False, demo_speech=Path)
    assert choose_sound("none", loop=False, demo_speech=Path) is None


def test_a_name_that_looks_like_a_file_is_one(tmp_path):
    with pytest.raises(CaptureError, match=r"no\.wav does not exist"):
        choose_sound(str(tmp_path / "no.wav"), loop=False, demo_speech=Path)
    sound = write_wav(tmp_path / "yes.wav", np.zeros(1600))
    assert isinstance(choose_sound(str(sound), loop=False, demo_speech=Path), SoundFile)


def test_a_microphone_s_name_may_look_like_a_file_s(tmp_path, monkeypatch):
    microphones = [MicrophoneInfo(4, "USB 2.0 Camera: Audio", 48_000, 1, True)]
    monkeypatch.setattr(choose_sound_module, "list_microphones", lambda: microphones)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "usb").mkdir()
    for what in ("USB 2.0 Camera", "usb"):
        assert choose_sound(what, loop=False, demo_speech=Path).name == f"microphone {what}"
    neither = r"'2\.1' is not a file here, and no microphone is called '2\.1'; microphones here: 4: USB 2\.0 Camera"
    with pytest.raises(CaptureError, match=neither):
        choose_sound("2.1", loop=False, demo_speech=Path)
