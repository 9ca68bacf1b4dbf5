"""From a microphone's sample to the published frame: clicks through a PulseAudio null sink, and frames' own stamps.

A PulseAudio server of its own plays a click twice a second into a null sink; the live stage listens to the sink's
monitor as its microphone and publishes frames. Needs pulseaudio and PyAudio. Prints a table and one JSON line.

Run: python benchmarks/microphone.py [--seconds 30] [--look-ahead 40]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.sound.pulse import Player, VirtualMicrophone

RATE = 48_000
BLOCK_MS = 5
CLICK_EVERY = 97
"""Blocks between two clicks: 485 ms, so that they fall at every phase of a tick."""


def play(clicks_ns: list[int], stopping: threading.Event) -> None:
    player, rng, count = Player(RATE), np.random.default_rng(1), 0
    size = RATE * BLOCK_MS // 1000
    while not stopping.is_set():
        # Between the clicks soft noise, as a room has it, so that nothing takes the stream for idle.
        block = rng.normal(0, 60, size)
        if count % CLICK_EVERY == CLICK_EVERY - 1:
            block[:24] = 30_000 * np.sign(np.sin(np.arange(24)))
        heard_ns = player.write(block)
        if count % CLICK_EVERY == CLICK_EVERY - 1:
            clicks_ns.append(heard_ns)
        count += 1


def measure(seconds: float, look_ahead_ms: int, driver_name: str) -> dict[str, object]:
    """Listen, and time each frame and each click."""
    from facewire.models.speech.voice import VoiceDetector
    from facewire.runtime.capture.sound.microphone import Microphone
    from facewire.runtime.fusion.fuse import Fusion
    from facewire.runtime.live import Live
    from facewire.runtime.pipeline import FacePipeline
    from facewire.runtime.speech.pipeline import SpeechPipeline
    from facewire.runtime.speech.thread import Speak

    if driver_name == "causal":
        from facewire.models.speech.causal import SpeechDriver

        driver = SpeechDriver(look_ahead_ms)
    else:
        driver = Clock(look_ahead_ms)
    stamps: list[tuple[int, int]] = []
    live = Live(None, lambda frame: stamps.append((frame.capture_ns, frame.publish_ns)))
    live.start(lambda: FacePipeline(None, fusion=Fusion("microphone")))
    speak = Speak(Microphone(), live.publish_speech, notify=lambda line: print(line, file=sys.stderr))
    clicks_ns, heard_ns, stopping = [], [], threading.Event()
    write = speak.ring.write

    def watch(samples, rate, start_ns):
        loud = np.flatnonzero(np.abs(samples.reshape(len(samples), -1)[:, 0]) > 0.3)
        if len(loud) and (not heard_ns or start_ns - heard_ns[-1] > 10**8):
            heard_ns.append(start_ns + int(loud[0]) * 1_000_000_000 // rate)
        write(samples, rate, start_ns)

    speak.ring.write = watch
    threading.Thread(target=play, args=(clicks_ns, stopping), daemon=True).start()
    speak.start(lambda: SpeechPipeline(driver, VoiceDetector()))
    time.sleep(seconds + 3.0)
    stopping.set()
    speak.stop()
    live.stop()
    if not stamps:
        raise SystemExit("no sound came from the microphone: is PyAudio installed (pip install facewire[mic])?")
    stamps_ns = np.array(stamps, np.int64)
    stamps_ns = stamps_ns[stamps_ns[:, 1] > stamps_ns[0, 1] + 3 * 10**9]
    return results(stamps_ns, np.array(clicks_ns), np.array(heard_ns), look_ahead_ms, speak.status())


def results(stamps_ns, clicks_ns, heard_ns, look_ahead_ms, status) -> dict[str, object]:
    look_ahead_ns = look_ahead_ms * 1_000_000
    frames_ms = (stamps_ns[:, 1] - stamps_ns[:, 0] + look_ahead_ns) * 1e-6
    clicks_ns = clicks_ns[(clicks_ns > stamps_ns[0, 0]) & (clicks_ns < stamps_ns[-1, 0] - look_ahead_ns - 10**8)]
    # The frame that shows a click is the first whose sound is not before it.
    shown = np.searchsorted(stamps_ns[:, 0] - look_ahead_ns, clicks_ns)
    samples_ms = (stamps_ns[shown, 1] - clicks_ns) * 1e-6
    stamp_ms = [(heard_ns[np.argmin(np.abs(heard_ns - click))] - click) * 1e-6 for click in clicks_ns]
    percentiles = lambda values: {p: round(float(np.percentile(values, p)), 2) for p in (5, 50, 99)}  # noqa: E731
    return {
        "look_ahead_ms": look_ahead_ms,
        "frames": len(frames_ms),
        "frame_ms": percentiles(frames_ms),
        "clicks": len(clicks_ns),
        "click_ms": percentiles(samples_ms),
        "stamp_error_ms": percentiles(stamp_ms),
        "drops": status["drops"],
        "load": round(os.getloadavg()[0], 1),
    }


class Clock:
    """A driver that does no work: what is measured is the way to it and from it."""

    speaking = 1.0

    def __init__(self, look_ahead_ms: int) -> None:
        self.delay_ms, self.out = float(look_ahead_ms), np.zeros(52, np.float32)
        self.reset()

    def reset(self) -> None:
        self.pushed = self.ticks = 0

    def push(self, samples: np.ndarray) -> None:
        self.pushed += len(samples)

    def step(self) -> np.ndarray | None:
        if (self.ticks + 1) * 16_000 > self.pushed * 60:
            return None
        self.ticks += 1
        return self.out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--look-ahead", type=int, default=40)
    parser.add_argument("--driver", choices=("causal", "none"), default="causal")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = VirtualMicrophone(Path(folder), RATE)
        os.environ.update(server.environment)
        server.start()
        try:
            found = measure(args.seconds, args.look_ahead, args.driver)
        finally:
            server.kill()
    print("look-ahead {look_ahead_ms} ms, {frames} frames, {clicks} clicks, load {load}".format(**found))
    print(f"{'ms':34}{'5 %':>8}{'median':>8}{'99 %':>8}")
    for name, what in (
        ("frame_ms", "a frame's sound to publication"),
        ("click_ms", "a sample to the frame that shows it"),
        ("stamp_error_ms", "the microphone's stamp, late by"),
    ):
        print(f"{what:34}" + "".join(f"{value:8.1f}" for value in found[name].values()))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
