"""What is wrong with a live run, in words, with what to do: for people who look at the panel or the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SLOW_CAMERA_HZ = 20.0
SLOW_SHARE = 0.6
"""Frames tracked per picture captured, below which the machine does not keep up."""
UNSEEN_S = 3.0


def find_problems(status: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing that a person should know and can change; ``status`` is the live loop's."""
    problems = []
    for part, device in (status.get("devices") or {}).items():
        if device.get("kind") == "phone" and device.get("state") in ("opening", "lost"):
            problems.append(f"Waiting for {device.get('error') or device.get('name')}.")
        elif device.get("state") == "lost":
            problems.append(f"The {name_of(part)} is lost: {device.get('error')}. It is tried again until it works.")
        elif device.get("state") == "opening":
            problems.append(f"The {name_of(part)} is being opened.")
    rates, running, phone = status.get("rates") or {}, is_running(status), is_phone(status)
    capture_hz = float(rates.get("capture") or 0.0)
    if running and 0 < capture_hz < SLOW_CAMERA_HZ and not phone:
        problems.append(
            f"The camera gives only {capture_hz:.0f} pictures a second: give it more light, or a shorter exposure."
        )
    tracked_hz = float(rates.get("track") or 0.0)
    if running and capture_hz > SLOW_CAMERA_HZ and tracked_hz < SLOW_SHARE * capture_hz:
        problems.append(
            f"Only {tracked_hz:.0f} of {capture_hz:.0f} pictures a second are tracked: close other programs, "
            "or choose the mesh attention."
        )
    face = status.get("face") or {}
    if running and float(face.get("unseen_s") or 0.0) > UNSEEN_S:
        dark, who = bool(face.get("dark")), "phone" if phone else "camera"
        problems.append(
            "The picture is dark: uncover the camera or turn a light on."
            if dark
            else f"No face is seen: sit in front of the {who}, facing it, with light from the front."
        )
    return problems


def is_running(status: Mapping[str, Any]) -> bool:
    """Whether a camera gives pictures, or a phone faces."""
    return ((status.get("devices") or {}).get("video") or {}).get("state") == "running"


def is_phone(status: Mapping[str, Any]) -> bool:
    """Whether a phone or another program takes the camera's place."""
    return ((status.get("devices") or {}).get("video") or {}).get("kind") == "phone"


def name_of(part: str) -> str:
    """Return what people call an input."""
    return {"video": "camera", "audio": "microphone"}.get(part, part)
