"""A program that plays into the virtual microphone and hears it through PortAudio; test_virtual_microphone.py runs it.

Every sample that it plays says its own place, so that a listener knows which it was and when it was played.
Prints "hears" for each stream that has sound, and the microphone's reports.

usage: virtual_listener.py MICROPHONE STREAMS SECONDS OUT.npz: ends when it has heard SECONDS of the last of STREAMS.
"""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
from support.sound.pulse import Player

from facewire.bridge.shared.clock import now_ns
from facewire.runtime.capture.sound.microphone import Microphone
from facewire.runtime.capture.sound.sound_thread import SoundThread
from facewire.runtime.sound.blocks import SoundRing

RATE = 44_100
"""What PortAudio takes for ALSA's default device: with the sink at the same rate nothing is resampled on the way."""
CODE, PLACES = 40_503, 65_536
"""Sample n is n × 40503 in sixteen bits: each value comes once in 65,536 samples, and sounds like noise."""
BLOCK, BUFFER_MS = 441, 100
LONGEST_S = 90.0


def code_of(places: np.ndarray) -> np.ndarray:
    """Return the samples -32768..32767 at places in the stream."""
    return (places * CODE) % PLACES - 32_768


def places_of(samples: np.ndarray) -> np.ndarray:
    """Return the places 0..65535 of samples -1..1: the inverse of ``code_of``."""
    return (np.round(samples * 32_768).astype(np.int64) + 32_768) * pow(CODE, -1, PLACES) % PLACES


def play(played: list[tuple[int, int]], stopping: threading.Event) -> None:
    """Plays forever, whatever becomes of the server, and notes the place and the session clock of each block."""
    place = 0
    while not stopping.is_set():
        try:
            player = Player(RATE, BUFFER_MS)
        except OSError:
            stopping.wait(0.1)
            continue
        try:
            while not stopping.is_set():
                played.append((place, player.write(code_of(np.arange(place, place + BLOCK)))))
                place += BLOCK
        except OSError:
            pass
        finally:
            player.close()


def listen(ring: SoundRing, streams: int, seconds: float) -> tuple[list[np.ndarray], list[tuple[int, int, int, int]]]:
    """Each stream's blocks from its first sound on: samples, and the stream, first sample, stamp and when it came."""
    samples, blocks, audible = [], [], []
    end, last_s = time.monotonic() + LONGEST_S, 0.0
    while last_s < seconds and time.monotonic() < end:
        block = ring.take(0.1)
        if block is None or not (block.stream in audible or block.samples.any()):
            continue
        if block.stream not in audible:
            audible.append(block.stream)
            print("hears", flush=True)
        samples.append(block.samples.copy())
        blocks.append((block.stream, block.first_sample, block.start_ns, now_ns()))
        if len(audible) >= streams:
            last_s += len(block.samples) / block.rate
    return samples, blocks


def main() -> None:
    what, streams, seconds, out = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    ring, played, stopping = SoundRing(), [], threading.Event()
    thread = SoundThread(Microphone(what), ring, lambda line: print(line, flush=True))
    player = threading.Thread(target=play, args=(played, stopping), daemon=True)
    player.start()
    thread.start()
    samples, blocks = listen(ring, streams, seconds)
    thread.stop(5.0)
    stopping.set()
    player.join(5.0)
    lengths = [len(part) for part in samples]
    np.savez(out, samples=np.concatenate(samples), lengths=lengths, blocks=blocks, played=played, losses=thread.losses,
             overruns=ring.overruns, rate=thread.source.rate, name=thread.source.name)  # fmt: skip


if __name__ == "__main__":
    main()
