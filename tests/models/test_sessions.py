"""Sessions: quiet, on the device asked for, and clear about what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facewire.models import sessions
from facewire.models.assets.store import asset_path
from facewire.models.errors import ModelError
from facewire.models.sessions import create_session
from facewire.models.tflite.graph import GraphBuilder


@pytest.fixture
def doubler(tmp_path: Path) -> Path:
    """Write a model that doubles three numbers."""
    graph = GraphBuilder()
    graph.add("Mul", ["x", graph.floats(2.0)], "y")
    path = tmp_path / "doubler.onnx"
    path.write_bytes(graph.finish("doubler", {"x": (3,)}, {"y": (3,)}).SerializeToString())
    return path


def failure(path: Path, **options: str) -> str:
    with pytest.raises(ModelError) as raised:
        create_session(path, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_runs_and_says_nothing(doubler: Path, device: str, capfd: pytest.CaptureFixture[str]) -> None:
    session = create_session(doubler, device=device)
    (result,) = session.run(None, {"x": np.array([1, 2, 3], np.float32)})
    np.testing.assert_array_equal(result, [2, 4, 6])
    if device == "cpu":
        assert session.get_providers() == ["CPUExecutionProvider"]
    assert capfd.readouterr() == ("", "")


def test_auto_without_a_gpu_is_silent_in_a_fresh_process(doubler: Path) -> None:
    """The driver and the libraries are looked for once a process: here for the first time."""
    program = f"from facewire.models.sessions import create_session; create_session({str(doubler)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_cuda_in_vain_says_what_to_do(doubler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "cuda_trouble", lambda: "its libraries are not installed; run this")
    assert failure(doubler, device="cuda") == "cannot use CUDA: its libraries are not installed; run this"
    assert create_session(doubler).get_providers() == ["CPUExecutionProvider"]


def test_a_gpu_that_does_not_start_is_left_alone(doubler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "cuda_trouble", lambda: "")
    monkeypatch.setattr(sessions, "_try_cuda", lambda *_: None)
    assert create_session(doubler).get_providers() == ["CPUExecutionProvider"]
    assert "could not start it" in failure(doubler, device="cuda")


@pytest.mark.parametrize(("providers", "gpus", "expected"), [
    (["CPUExecutionProvider"], 1, "this build of ONNX Runtime has no CUDA"),
    (["CUDAExecutionProvider", "CPUExecutionProvider"], 0, "no NVIDIA driver"),
])  # fmt: skip
def test_names_what_cuda_lacks(monkeypatch: pytest.MonkeyPatch, providers: list[str], gpus: int, expected: str) -> None:
    monkeypatch.setattr(sessions.onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(sessions, "_gpu_count", lambda: gpus)
    assert sessions.cuda_trouble.__wrapped__().startswith(expected)


def test_bad_files_and_devices_are_one_line(doubler: Path, tmp_path: Path) -> None:
    assert "there is no device 'tpu'" in failure(doubler, device="tpu")
    assert "run `facewire models pull`" in failure(tmp_path / "missing.onnx")
    for number, data in enumerate((b"", b"garbage", doubler.read_bytes()[:40])):
        path = tmp_path / f"bad{number}.onnx"
        path.write_bytes(data)
        message = failure(path)
        assert str(path) in message
        assert "delete it and run `facewire models pull`" in message


def test_the_block_is_one_that_onnx_runtime_has() -> None:
    assert sessions.channel_block() in (1, 4, 8, 16)


@pytest.mark.models
def test_a_cut_network_is_one_line(tmp_path: Path) -> None:
    whole = asset_path("face_detector").read_bytes()
    for size in (100, len(whole) // 2, len(whole) - 100):
        path = tmp_path / "cut.onnx"
        path.write_bytes(whole[:size])
        assert "cannot load" in failure(path, device="cpu")
