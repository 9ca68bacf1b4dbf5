"""What Live Link Face, iFacialMocap and VMC protocol lose and cost, from one Facewire's output to another one's input.

The first table sends faces at random through each format's writer and reader: greatest differences, bytes, time. The
second sends them over a real socket on loopback into a live run without smoothing: from before the output's ``send`` to
the published frame. Prints both and one JSON line; about half a minute. Run: python benchmarks/phones.py
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator

import numpy as np

from facewire.bridge.formats.received import FaceReader, ReceivedFace
from facewire.bridge.outputs.base import Output
from facewire.bridge.outputs.choose import make_output
from facewire.bridge.shared.arkit import BLENDSHAPE_INDEX
from facewire.bridge.shared.clock import now_ns
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.capture.remote.choose_phone import APPS, phone_source
from facewire.runtime.face.filter_config import FilterConfig
from facewire.runtime.face.filters import FaceFilter
from facewire.runtime.live import Live
from facewire.runtime.pipeline import FacePipeline

FACES, DELAYS = 3000, 300
SPECS = ("livelink", "ifacialmocap?version=v1", "ifacialmocap?version=v2", "vmc?names=arkit", "vmc?names=camel")


def faces(count: int) -> Iterator[FaceFrame]:
    """Shapes by themselves, heads turned up to 80° each way, eyes up to 40°."""
    rng = np.random.default_rng(11)
    for seq in range(count):
        yaw, pitch, roll = rng.uniform(-1.4, 1.4, 3) / 2
        about_y, about_x = (0, math.sin(yaw), 0, math.cos(yaw)), (math.sin(pitch), 0, 0, math.cos(pitch))
        turn = times(times(about_y, about_x), (0, 0, math.sin(roll), math.cos(roll)))
        head = np.array([*turn, *rng.uniform(-1, 1, 3)], np.float32)
        shapes = rng.random(52, np.float32)
        shapes[BLENDSHAPE_INDEX["mouthClose"]] *= shapes[BLENDSHAPE_INDEX["jawOpen"]]
        yield FaceFrame(seq, 0, 0, "video", 1.0, shapes, head, rng.uniform(-0.7, 0.7, 4).astype(np.float32))


def times(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
    """Return the product of two quaternions xyzw."""
    (x, y, z, w), (i, j, k, r) = a, b
    return (
        w * i + x * r + y * k - z * j,
        w * j - x * k + y * r + z * i,
        w * k + x * j - y * i + z * r,
        (w * r - x * i - y * j - z * k),
    )


class Kept:
    """In a socket's place: keeps what an output sends."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []

    def send(self, data: bytes) -> bool:
        self.datagrams.append(bytes(data))
        return True

    def settle(self) -> None:
        pass

    def close(self) -> None:
        pass


def differences(frame: FaceFrame, face: ReceivedFace) -> list[float]:
    """Of a shape, of the head in degrees, of an eye in degrees, of the place in millimetres."""
    a, b = (turn.astype(float) / np.linalg.norm(turn.astype(float)) for turn in (face.rotation, frame.head[:4]))
    turn = 4 * math.degrees(math.asin(float(min(np.linalg.norm(a - b), np.linalg.norm(a + b))) / 2))
    place = 0.0 if face.position_m is None else 1000 * float(np.abs(face.position_m - frame.head[4:]).max())
    return [
        float(np.abs(face.blendshapes - frame.blendshapes).max()),
        turn,
        math.degrees(float(np.abs(face.gaze - frame.gaze).max())),
        place,
    ]


def there_and_back(spec: str) -> dict[str, float]:
    """Greatest differences, bytes and microseconds."""
    name, _, options = spec.partition("?")
    output, reader, kept = make_output(f"{name}:?{options}"), APPS[name].reader(), Kept()
    output._udp = kept  # type: ignore[attr-defined]
    worst, written_ns, read_ns, sizes = np.zeros(4), [], [], []
    for seq, frame in enumerate(faces(FACES)):
        kept.datagrams.clear()
        start = time.perf_counter_ns()
        output.send(frame, seq * 16_666_667)
        written_ns.append(time.perf_counter_ns() - start)
        read_ns.append(read(reader, kept.datagrams, seq * 16_666_667))
        assert reader.face is not None
        worst = np.maximum(worst, differences(frame, reader.face))
        sizes.append(sum(map(len, kept.datagrams)))
    return {
        **dict(zip(("shape", "head_deg", "gaze_deg", "place_mm"), worst.tolist(), strict=True)),
        "bytes": float(np.mean(sizes)), "datagrams": len(kept.datagrams),
        "write_us": float(np.median(written_ns)) / 1e3, "read_us": float(np.median(read_ns)) / 1e3,
    }  # fmt: skip


def read(reader: FaceReader, datagrams: list[bytes], now: int) -> int:
    start = time.perf_counter_ns()
    for data in datagrams:
        reader.take(memoryview(data), now)
    return time.perf_counter_ns() - start


def delays_ms(spec: str) -> tuple[float, float]:
    """Median and 99th percentile from before ``send`` to the published frame."""
    name, _, options = spec.partition("?")
    source, frames = phone_source(f"{name}:0", print), []
    source.open()
    live = Live(source, frames.append, notify=lambda _: None)
    live.start(lambda: FacePipeline(None, face_filter=FaceFilter(FilterConfig.preset("off"))))
    output: Output = make_output(f"{name}:127.0.0.1:{source.address[1]}?{options}")
    output.open()
    delays = []
    for frame in faces(DELAYS):
        before, start = len(frames), now_ns()
        output.send(frame, start)
        while len(frames) == before and now_ns() - start < 1e9:
            time.sleep(0.0002)
        delays.append((frames[before].publish_ns - start) * 1e-6)
        time.sleep(0.004)
    live.stop()
    output.close()
    return float(np.median(delays)), float(np.percentile(delays, 99))


def main() -> None:
    results = {}
    print("format                   shape     head     eyes     place  bytes  datagrams  write    read")
    for spec in SPECS:
        row = results[spec] = there_and_back(spec)
        print(
            f"{spec:23}{row['shape']:8.6f} {row['head_deg']:7.4f}° {row['gaze_deg']:7.5f}° {row['place_mm']:7.4f} mm"
            f"{row['bytes']:6.0f}{row['datagrams']:10.0f}  {row['write_us']:6.1f} µs {row['read_us']:6.1f} µs"
        )
    print("\nformat                  median     99th percentile, output's send to the published frame")
    for spec in SPECS:
        median, late = delays_ms(spec)
        results[spec] |= {"delay_ms": median, "delay_p99_ms": late}
        print(f"{spec:23}{median:6.2f} ms {late:8.2f} ms")
    print(json.dumps({"benchmark": "phones", **results}))


if __name__ == "__main__":
    main()
