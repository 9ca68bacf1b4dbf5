"""``facewire tail``: a running server in the terminal."""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facewire.bridge.shared.named import has_scheme
from facewire.runtime.cli.options.usage import Subparsers, UsageError, command_parser, positive

if TYPE_CHECKING:
    from facewire.bridge.client.blocking import BlockingClient
    from facewire.bridge.wire.frame import FaceFrame

DEFAULT_URL = "ws://127.0.0.1:8787/v1/live"
SHOWN_FROM = 0.02
"""Shapes that have been above this lately are shown."""
STRONGEST = 6
"""Shapes in a plain line."""
BLOCKS = " ▏▎▍▌▋▊▉█"
NAME_WIDTH, COLUMN_WIDTH = 20, 38


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "tail",
        "watch a running server in the terminal",
        "Shows the frames of a running server: bars in a terminal, plain lines in a pipe.",
        "facewire tail\nfacewire tail 192.168.1.20:8787 --token SECRET | head -n 5",
    )
    parser.add_argument(
        "url", metavar="URL", nargs="?", default=DEFAULT_URL, help=f"the server (default: {DEFAULT_URL})"
    )
    parser.add_argument("--token", help="the server's token, if it asks for one")
    parser.add_argument(
        "--rate", metavar="N", type=positive, default=10.0, help="frames to show a second (default: 10)"
    )
    parser.set_defaults(run=run)


def live_url(text: str) -> str:
    """Return the websocket's address from what a person writes: it, the page's address, or HOST:PORT.

    Raises:
        UsageError: it is not such an address.
    """
    text = text if has_scheme(text) else f"ws://{text}"
    try:
        parts = urlsplit(text)
        good = parts.hostname is not None and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme) if good else ""
    if scheme not in ("ws", "wss"):
        raise UsageError(f"{text!r} is not a server's address, which looks like {DEFAULT_URL}")
    path = "/v1/live" if parts.path in ("", "/") else parts.path
    return parts._replace(scheme=scheme, path=path).geturl()


def run(args: argparse.Namespace) -> int:
    """Show frames until the server is gone for good, or Ctrl-C.

    Raises:
        ConnectError: the server cannot be reached.
    """
    from facewire.bridge.client.blocking import connect_blocking

    logging.getLogger("facewire.bridge").addHandler(logging.NullHandler())
    with connect_blocking(live_url(args.url), token=args.token, max_rate=args.rate) as client:
        try:
            if sys.stdout.isatty():
                _watch(client, args.rate)
            else:
                _print_lines(client)
        except KeyboardInterrupt:
            pass  # the way to stop
    return 0


def _print_lines(client: BlockingClient) -> None:
    while True:
        try:
            frame = client.next_frame(5.0)
        except TimeoutError:
            print(f"facewire: {_waiting(client)}", file=sys.stderr, flush=True)
            continue
        if frame is None:
            return
        print(plain_line(frame, client.client.latency_ms), flush=True)


def _watch(client: BlockingClient, rate: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, screen = Console(), Screen()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            try:
                frame = client.next_frame(1.0)
                if frame is None:
                    return
                screen.take(frame, time.monotonic())
                lines = screen.lines(console.width, console.height - 1, _facts(client, screen))
            except TimeoutError:
                lines = [_waiting(client)]
            live.update(Text("\n".join(lines), no_wrap=True, overflow="crop"), refresh=True)
            time.sleep(0.2 / rate)  # a server that ignores max_rate must not make the terminal the bottleneck


def _waiting(client: BlockingClient) -> str:
    if client.client.state == "open":
        return f"{client.client.url}: connected, but no frames arrive: is its input there?"
    return f"{client.client.url}: no server there yet, trying again (start it with: facewire serve)"


def _facts(client: BlockingClient, screen: Screen) -> list[str]:
    """Return what stands above the bars: from where, how fast, how late."""
    inner, status = client.client, client.client.status or {}
    latency_ms = inner.latency_ms
    latency = "–" if latency_ms is None else f"{latency_ms:.1f} ms"
    rate = (status.get("rates") or {}).get("publish")
    total = (status.get("latencies") or {}).get("total")
    devices = [device for device in (status.get("devices") or {}).values() if isinstance(device, dict)]
    return [
        *(f"{device.get('name')} {device.get('state')}" for device in devices),
        f"server {rate:.1f} fps" if isinstance(rate, (int, float)) else f"shown {screen.rate():.1f} fps",
        f"camera to sent {total:.1f} ms" if isinstance(total, (int, float)) else "",
        f"sent to here {latency}",
        f"{status['subscribers']} subscribed" if "subscribers" in status else "",
    ]


def plain_line(frame: FaceFrame, latency_ms: float | None) -> str:
    """One frame in one line, for pipes: key=value, then the strongest shapes."""
    from facewire.bridge.shared.arkit import BLENDSHAPES
    from facewire.bridge.wire.angles import head_angles

    yaw, pitch, roll = (math.degrees(angle) for angle in head_angles(frame.head))
    strongest = sorted(range(len(BLENDSHAPES)), key=lambda i: -frame.blendshapes[i])[:STRONGEST]
    shapes = " ".join(f"{BLENDSHAPES[i]}={frame.blendshapes[i]:.2f}" for i in strongest)
    latency = "" if latency_ms is None else f" latency_ms={latency_ms:.1f}"
    return (
        f"seq={frame.seq} t={frame.capture_ns * 1e-9:.3f} from={frame.sources} confidence={frame.confidence:.2f}"
        f"{latency} yaw={yaw:.0f} pitch={pitch:.0f} roll={roll:.0f} {shapes}"
    )


class Screen:
    """Turns frames into lines for a terminal of any size. State: each shape's recent peak and the last times."""

    def __init__(self) -> None:
        self._frame: FaceFrame | None = None
        self._peaks = [0.0] * 52
        self._times_s: deque[float] = deque(maxlen=30)

    def take(self, frame: FaceFrame, now_s: float) -> None:
        """Note a frame that came at ``now_s``."""
        self._frame = frame
        self._times_s.append(now_s)
        values = frame.blendshapes.tolist()
        self._peaks = [max(value, 0.97 * peak) for value, peak in zip(values, self._peaks, strict=True)]

    def rate(self) -> float:
        """Frames a second lately."""
        passed_s = self._times_s[-1] - self._times_s[0] if self._times_s else 0.0
        return (len(self._times_s) - 1) / passed_s if passed_s > 0 else 0.0

    def lines(self, width: int, height: int, facts: list[str]) -> list[str]:
        """At most ``height`` lines of at most ``width`` characters: facts, head and gaze, then bars in columns."""
        frame = self._frame
        if frame is None:
            return []
        top = [*_flow(facts, width), *_flow(_pose(frame), width)]
        columns = max(1, width // COLUMN_WIDTH)
        room = max(height - len(top), 1) * columns
        active = [i for i, peak in enumerate(self._peaks) if peak >= SHOWN_FROM]
        if len(active) > room:
            active = sorted(sorted(active, key=lambda i: -self._peaks[i])[:room])
        bars = [_bar(i, float(frame.blendshapes[i]), min(width // columns, COLUMN_WIDTH)) for i in active]
        rows = -(-len(bars) // columns)
        body = ["".join(bars[row::rows]) for row in range(rows)]
        return [line[:width] for line in top + body][:height]


def _flow(parts: list[str], width: int) -> list[str]:
    """Return the parts that are not empty, in as few lines as hold them."""
    lines: list[str] = []
    for part in filter(None, parts):
        if lines and len(lines[-1]) + 3 + len(part) <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines


def _pose(frame: FaceFrame) -> list[str]:
    from facewire.bridge.wire.angles import head_angles

    yaw, pitch, roll = (math.degrees(angle) for angle in head_angles(frame.head))
    x, y, z = (100 * float(v) for v in frame.head[4:])
    left_yaw, left_pitch, right_yaw, right_pitch = (math.degrees(float(v)) for v in frame.gaze)
    return [
        f"face {frame.sources} {100 * frame.confidence:.0f} %",
        f"head {yaw:+.0f}° {pitch:+.0f}° {roll:+.0f}° at {x:+.0f} {y:+.0f} {z:+.0f} cm",
        f"eyes {left_yaw:+.0f}° {left_pitch:+.0f}° | {right_yaw:+.0f}° {right_pitch:+.0f}°",
    ]


def _bar(index: int, value: float, width: int) -> str:
    """``jawOpen ████▌ 0.45`` in ``width`` characters, with eighths of a block."""
    from facewire.bridge.shared.arkit import BLENDSHAPES

    room = max(width - NAME_WIDTH - 6, 4)
    eighths = round(min(max(value, 0.0), 1.0) * room * 8)
    bar = "█" * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")
    return f"{BLENDSHAPES[index]:<{NAME_WIDTH}}{bar:<{room}} {value:4.2f} "
