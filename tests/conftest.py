"""What all tests share: in CI nothing is skipped; and takes to test with, the same on every run."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from support.takes import Frames, MakeTake, talking_frames, write_take

import facewire.models  # noqa: F401 - before a test imports ONNX Runtime, which calls home unless this stops it

pytest_plugins = ["support.browser", "support.torch_tests"]
"""``tests/support/browser.py`` and ``torch_tests.py``."""


# By default an example that takes 0.2 s fails: a loaded machine may stop for as long in any of them.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it leaves in the background with interrupts ignored, and so would be every program that a
    # test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test skip on a machine that lacks something, but not in CI, where the set-up has to bring it."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture
def make_take(tmp_path: Path) -> MakeTake:
    """Return a function that writes a session and returns its path."""

    def make(name: str = "take.mcap", **options: Any) -> Path:
        return write_take(tmp_path / name, **options)

    return make


@pytest.fixture
def frames() -> Frames:
    """``talking_frames``."""
    return talking_frames
