"""Write the golden vectors of docs/wire.md: `python tests/golden/make.py`.

Each NAME.msgpack is one whole message; NAME.json is the same message as text in the json format. `invalid/` holds
messages that a reader must refuse. The numbers are sums of powers of two, so that both formats carry them exactly.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.bridge.shared.arrays import Float32Array
from facewire.bridge.wire.codec import Encoder, Format
from facewire.bridge.wire.frame import LANDMARK_COUNT, FaceFrame, FlameParameters
from facewire.bridge.wire.streams import STREAMS

FOLDER = Path(__file__).parent
STATUS = (
    "devices", "rates", "latencies", "drops", "fanout", "face", "problems", "revision", "flame", "recording", "replay",
    "outputs",
)  # fmt: skip
"""The keys of a status that may be absent, or nil."""
SESSION = "6f1d5b1e-7a52-4c4e-9f0a-2d8c1b3a4e5f"


def ramp(count: int, step: float, start: float = 0.0) -> Float32Array:
    """Return ``start + i * step`` for ``count`` values of ``i``."""
    return (start + step * np.arange(count)).astype(np.float32)


def face(**changes: Any) -> FaceFrame:
    """Return the frame that the vectors are made of."""
    values: dict[str, Any] = {
        "seq": 4242,
        "capture_ns": 1_234_567_890_123,
        "publish_ns": 1_234_575_890_456,
        "sources": "video",
        "confidence": 0.9375,
        "blendshapes": ramp(len(BLENDSHAPES), 1 / 64),
        "head": np.array([0.0, 0.5, 0.0, 0.875, 0.0625, -0.03125, -0.5], np.float32),
        "gaze": np.array([0.125, -0.0625, 0.109375, -0.0625], np.float32),
    }
    return FaceFrame(**{**values, **changes})


def frames() -> dict[str, tuple[FaceFrame, tuple[str, ...]]]:
    """Return the frame vectors: the frame, and the streams that it is sent with."""
    landmarks = ramp(LANDMARK_COUNT * 3, 0.25).reshape(LANDMARK_COUNT, 3)
    flame = FlameParameters(ramp(10, 0.25, -1.0), ramp(3, 0.125), ramp(3, -0.0625), ramp(6, 0.03125))
    first = face(seq=0, capture_ns=0, publish_ns=0, confidence=0.0, sources="held", blendshapes=ramp(52, 0.0))
    last = face(seq=2**63 - 1, capture_ns=2**63 - 1, publish_ns=2**63 - 1, confidence=1.0, sources="both")
    return {
        "frame": (face(), ("blendshapes", "head", "gaze")),
        "frame_first": (first, ("blendshapes", "head", "gaze")),
        "frame_last": (last, ("blendshapes", "head", "gaze")),
        "frame_head": (face(sources="audio"), ("head",)),
        "frame_bare": (face(), ()),
        "frame_landmarks": (face(landmarks=landmarks), ("landmarks",)),
        "frame_flame": (face(flame=flame), ("blendshapes", "flame")),
        "frame_all": (face(landmarks=landmarks, flame=flame), STREAMS),
    }


def messages() -> dict[str, dict[str, Any]]:
    """Return the vectors of every other message."""
    return {
        "hello": {
            "type": "hello",
            "protocol": 1,
            "server": "facewire/0.1.0",
            "session": SESSION,
            "blendshapes": list(BLENDSHAPES),
            "streams": ["blendshapes", "head", "gaze", "landmarks"],
            "clock_ns": 1_234_000_000_000,
            "rate": 60.0,
        },
        "hello_flame": {
            "type": "hello",
            "protocol": 1,
            "server": "facewire/0.1.0",
            "session": SESSION,
            "blendshapes": list(BLENDSHAPES),
            "streams": ["blendshapes", "head", "gaze", "flame"],
            "clock_ns": 1_234_000_000_000,
            "rate": 60.0,
            "flame": {"model": "open_flame", "digest": "0f" * 32, "expressions": 50, "shapes": 80},
        },
        "subscribe": {"type": "subscribe"},
        "subscribe_all": {
            "type": "subscribe",
            "streams": ["blendshapes", "head", "gaze", "landmarks", "flame"],
            "max_rate": 30,
            "format": "json",
        },
        "ping": {"type": "ping", "client_ns": 987_654_321},
        "pong": {"type": "pong", "client_ns": 987_654_321, "server_ns": 1_234_000_500_000},
        "status": {
            "type": "status",
            "devices": {"video": {"name": "demo", "state": "open"}},
            "rates": {"capture": 30.0, "publish": 29.75},
            "latencies": {"track": 4.5, "publish": 8.25},
            "drops": {"capture": 0},
            "subscribers": 2,
        },
        "command": {"type": "command", "id": 7, "name": "set", "args": {"mirror": True}},
        "command_text_id": {"type": "command", "id": "b1946ac9", "name": "calibrate"},
        "result": {"type": "result", "id": 7, "ok": True},
        "result_value": {"type": "result", "id": "b1946ac9", "ok": True, "value": {"path": "take-1.mcap"}},
        "result_error": {"type": "result", "id": 7, "ok": False, "error": "unknown command 'dance'"},
        "error": {"type": "error", "code": "unknown_type", "message": "unknown message type 'wave'"},
        "nil_hello": {
            "type": "hello",
            "protocol": 1,
            "server": "facewire/0.1.0",
            "session": SESSION,
            "blendshapes": list(BLENDSHAPES),
            "streams": ["blendshapes"],
            "clock_ns": 1_234_000_000_000,
            "rate": 60.0,
            "flame": None,
            "extra": None,
        },
        "nil_subscribe": {"type": "subscribe", "streams": None, "max_rate": None, "format": None},
        "nil_frame": {
            "type": "frame",
            "seq": 4242,
            "capture_ns": 1_234_567_890_123,
            "publish_ns": 1_234_575_890_456,
            "sources": "video",
            "confidence": 0.9375,
            **dict.fromkeys(("video_ns", "audio_ns", "blendshapes", "head", "gaze", "landmarks", "raw", "flame")),
        },
        "nil_status": {"type": "status", "subscribers": 2, **dict.fromkeys(STATUS)},
        "nil_command": {"type": "command", "id": 7, "name": "calibrate", "args": None},
        "nil_result": {"type": "result", "id": 7, "ok": True, "error": None, "code": None, "value": None},
        "nil_result_error": {"type": "result", "id": 7, "ok": False, "error": None, "code": None, "value": None},
        "unknown_key": {"type": "ping", "client_ns": 1, "colour": ["any", {"thing": None}]},
        "unknown_type": {"type": "wave", "height": 1.5},
    }


def invalid() -> dict[str, bytes]:
    """Return messages that break the format, by what is wrong with them."""
    good = Encoder().frame(face())
    message = msgpack.unpackb(good)

    def changed(**keys: Any) -> bytes:
        return bytes(msgpack.packb({**message, **keys}, use_single_float=True))

    return {
        "frame_cut": good[: len(good) // 2],
        "frame_trailing_byte": good + b"\x00",
        "frame_51_shapes": changed(blendshapes=b"\x00" * 4 * 51),
        "frame_odd_bytes": changed(head=b"\x00" * 27),
        "frame_nan": changed(gaze=np.full(4, np.nan, "<f4").tobytes()),
        "frame_negative_seq": changed(seq=-1),
        "frame_text_seq": changed(seq="4242"),
        "frame_no_publish_ns": bytes(msgpack.packb({k: v for k, v in message.items() if k != "publish_ns"})),
        "frame_unknown_source": changed(sources="dream"),
        "frame_confidence_2": changed(confidence=2.0),
        "no_type": bytes(msgpack.packb({"seq": 1})),
        "number_type": bytes(msgpack.packb({"type": 1})),
        "number_key": bytes(msgpack.packb({1: 2, "type": "ping"})),
        "not_a_map": bytes(msgpack.packb(["type", "ping"])),
        "bad_utf8": b"\x81\xa4type\xa2\xff\xfe",
        "reserved_byte": b"\xc1",
        "empty": b"",
    }


def vectors() -> dict[str, bytes]:
    """Return every file of this folder by name."""
    encoder = Encoder()
    files: dict[str, bytes] = {}
    forms: tuple[Format, ...] = ("msgpack", "json")
    for form in forms:
        for name, (frame, streams) in frames().items():
            files[f"{name}.{form}"] = encoder.frame(frame, streams, form)
        for name, message in messages().items():
            files[f"{name}.{form}"] = encoder.message(message, form)
    files |= {f"invalid/{name}.msgpack": data for name, data in invalid().items()}
    return files


def main() -> None:
    """Write the files."""
    (FOLDER / "invalid").mkdir(exist_ok=True)
    for name, data in vectors().items():
        (FOLDER / name).write_bytes(data)
    print(json.dumps({"files": len(vectors()), "folder": str(FOLDER)}))


if __name__ == "__main__":
    main()
