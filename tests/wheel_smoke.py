"""Run by `make wheel-test` with the interpreter of an empty environment that holds nothing but the built wheel.

Starts the installed `facewire serve` on the demo input, receives frames with the installed client, and stops it.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import facewire.bridge
from facewire.bridge import BLENDSHAPES, connect_blocking

FRAMES = 30
PATIENCE_S = 300
"""The first start compiles, which takes a busy machine minutes."""


def main() -> None:
    where = Path(facewire.bridge.__file__)
    assert "site-packages" in where.parts, f"this tests the installed wheel, but facewire was imported from {where}"
    program = Path(sys.executable).with_name("facewire")
    subprocess.run([program, "--version"], check=True)
    command = [program, "serve", "--video", "demo", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(found.group() for line in server.stdout if (found := re.search(r"ws://\S+", line)))
        with connect_blocking(url, timeout_s=PATIENCE_S) as frames:
            received = [frames.next_frame(PATIENCE_S) for _ in range(FRAMES)]
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    assert all(frame is not None and len(frame.blendshapes) == len(BLENDSHAPES) for frame in received)
    assert any(frame.confidence > 0.5 for frame in received if frame is not None), "no face in the demo input"
    print(f"the installed wheel streamed {FRAMES} frames")


if __name__ == "__main__":
    main()
