"""Serve synthetic frames until killed: ``python frame_server.py PORT [RATE_HZ]``; prints the port and when it listens.

The jaw swings between 0.2 and 0.8. Frames are stamped with CLOCK_MONOTONIC, so that a client on this machine can tell
the latency exactly.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import numpy as np

from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.server import LiveServer
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.frame import FaceFrame
from facewire.bridge.wire.messages import Greeting


def synthetic_blendshapes(seconds: float) -> Float32Array:
    """Return a face whose jaw swings."""
    shapes = np.zeros(52, np.float32)
    shapes[BLENDSHAPE_INDEX["jawOpen"]] = 0.5 + 0.3 * np.sin(8 * seconds)
    return shapes


def publish_evenly(
    server: LiveServer, rate_hz: float, stop: threading.Event, clock_ns: Callable[[], int] = time.monotonic_ns
) -> None:
    """Publish at an even rate until told to stop; a late tick moves the ones after it: no bursts."""
    head = np.array([0, 0, 0, 1, 0, 0, 0.5], np.float32)
    gaze = np.zeros(4, np.float32)
    due_s = time.monotonic()
    seq = 0
    while not stop.wait(max(0.0, due_s - time.monotonic())):
        now_ns = clock_ns()
        server.publish(FaceFrame(seq, now_ns, now_ns, "video", 1.0, synthetic_blendshapes(now_ns * 1e-9), head, gaze))
        seq += 1
        due_s = max(due_s, time.monotonic() - 0.5 / rate_hz) + 1 / rate_hz


def serve(port: int, rate_hz: float) -> None:
    """Publish forever."""
    server = LiveServer(ServerConfig(port=port), clock_ns=time.monotonic_ns, greeting=Greeting(rate=rate_hz))
    with server:
        print(server.address[1], time.monotonic() * 1e3, flush=True)
        publish_evenly(server, rate_hz, threading.Event())


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 60.0)
