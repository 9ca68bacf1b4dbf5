"""A session as one page that needs no other file: zoom, read values, choose shapes, and listen along."""

from __future__ import annotations

import base64
import io
import json
from html import escape
from pathlib import Path

import cv2
import numpy as np

from facewire.bridge.export.wav import write_wav
from facewire.bridge.recording.reader import Session
from facewire.runtime.plot.data import PlotData

TEMPLATE = Path(__file__).with_name("plot.html")
MAX_POINTS = 100_000
"""Frames that a page holds; of longer sessions every second, third, ... one."""
MAX_SOUND_BYTES = 24_000_000
"""A page that holds more sound than this (12 minutes at 16 kHz) would be slow to open; it is then left out."""
SHOWN = (
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthSmileLeft",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "browInnerUp",
)


def render_html(data: PlotData, session: Session, part_ns: tuple[int, int]) -> bytes:
    """Return the page.

    Raises:
        SessionError: the session's sound is damaged.
    """
    stride = -(-len(data.times_s) // MAX_POINTS)
    content = {
        "title": data.title,
        "duration": data.duration_s,
        "offset": data.offset_s,
        "names": list(data.names),
        "shown": list(SHOWN),
        "times": _packed(data.times_s[::stride].astype("<f4")),
        "values": _packed(np.round(data.shapes[::stride].T * 255).astype(np.uint8)),
        "sources": [[span.source, round(span.start_s, 4), round(span.end_s, 4)] for span in data.sources],
        "sound": _sound(data, session, part_ns),
    }
    # "</script>" in a name must not end the script; "<" can be written otherwise in JSON.
    text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    page = TEMPLATE.read_text(encoding="utf-8")
    return page.replace("@TITLE@", escape(data.title)).replace("@DATA@", text).encode()


def _sound(data: PlotData, session: Session, part_ns: tuple[int, int]) -> dict[str, object] | None:
    if data.sound is None or session.audio is None:
        return None
    picture = cv2.imencode(".png", 255 - data.sound.spectrogram[::-1])[1].tobytes()
    wave = np.stack([data.sound.low, data.sound.high])
    size = (part_ns[1] - part_ns[0]) / 1e9 * session.audio.rate * session.audio.block_bytes
    buffer = io.BytesIO()
    if size <= MAX_SOUND_BYTES:
        write_wav(session, *part_ns, buffer)
    return {
        "picture": base64.b64encode(picture).decode(),
        "top_hz": data.sound.top_hz,
        "wave": _packed(np.round(wave * 127).astype(np.int8)),
        "wav": base64.b64encode(buffer.getvalue()).decode(),
    }


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
