"""Print the jaw and the head of a running Facewire: `python receive.py [URL]`."""

import sys

from facewire.bridge import BLENDSHAPE_INDEX, connect_blocking

with connect_blocking(*sys.argv[1:2]) as client:
    for frame in client:
        jaw = frame.blendshapes[BLENDSHAPE_INDEX["jawOpen"]]
        print(f"{frame.seq:7} {frame.sources:5} jawOpen {jaw:.2f} head {frame.head.round(2)}", flush=True)
