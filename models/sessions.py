"""ONNX Runtime sessions set up for one small network at a time and the shortest delay."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime

from facewire.bridge.shared.install import install_extra
from facewire.models.errors import ModelError

Device = Literal["auto", "cpu", "cuda"]

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_ERRORS_ONLY, _FATAL_ONLY = 3, 4

if hasattr(onnxruntime, "disable_telemetry_events"):
    # Windows has a way of its own to tell, which the variable that `facewire.models` sets does not reach.
    onnxruntime.disable_telemetry_events()


def create_session(
    path: str | os.PathLike[str], *, device: Device = "auto", threads: int = 1
) -> onnxruntime.InferenceSession:
    """Return a session for an ONNX file.

    "auto" uses a CUDA GPU if one is really usable and the CPU otherwise, and says nothing either way; "cuda"
    insists. `threads` counts the calling thread. Threads that wait spin for a tenth of a millisecond at most, so an
    idle session costs nothing.

    Raises:
        ModelError: the file is missing, cut short or no ONNX model, or there is no GPU and "cuda" is asked for.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ModelError(f"there is no device {device!r}: choose auto, cpu or cuda")
    if not Path(path).is_file():
        raise ModelError(f"there is no model file {path}: run `facewire models pull`")
    trouble = cuda_trouble() if device != "cpu" else "not asked for"
    if device == "cuda" and trouble:
        raise ModelError(f"cannot use CUDA: {trouble}")
    if not trouble:
        session = _try_cuda(path, threads)
        if session is not None:
            return session
        if device == "cuda":
            raise ModelError("cannot use CUDA: ONNX Runtime could not start it on this GPU; choose --device cpu")
    return _open(path, [_CPU], threads)


@cache
def cuda_trouble() -> str:
    """Empty where a CUDA GPU can be used, else one phrase: what is missing and what to do.

    Asks the driver and the loader itself, because ONNX Runtime reports a missing library on stderr and goes on.
    """
    if _CUDA not in onnxruntime.get_available_providers():
        return "this build of ONNX Runtime has no CUDA; install onnxruntime-gpu instead of onnxruntime"
    if not _gpu_count():
        return "no NVIDIA driver with a GPU was found"
    if importlib.util.find_spec("nvidia") and hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # It prints what it does not find.
            onnxruntime.preload_dlls()
    folder = Path(onnxruntime.__file__).parent / "capi"
    name = "onnxruntime_providers_{}.dll" if sys.platform == "win32" else "libonnxruntime_providers_{}.so"
    try:
        for part in ("shared", "cuda"):
            ctypes.CDLL(str(folder / name.format(part)), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return f"its libraries are not installed ({str(error)[:80]}); run `{install_extra('cuda')}`"
    return ""


@cache
def channel_block() -> int:
    """How many channels ONNX Runtime handles at once on this processor; 1 where it keeps none together.

    It does not say, but the weights of an optimised convolution are padded to whole blocks.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 8, 8))
    weights = numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "probe", [image], [result], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = _options(threads=1, severity=_FATAL_ONLY)
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "probe.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[_CPU])
        optimised = onnx.load(options.optimized_model_filepath)
    return max(int(weight.dims[0]) for weight in optimised.graph.initializer)


def _gpu_count() -> int:
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        usable = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (OSError, AttributeError):
        return 0
    return count.value if usable else 0


def _try_cuda(path: str | os.PathLike[str], threads: int) -> onnxruntime.InferenceSession | None:
    options = {"cudnn_conv_algo_search": "HEURISTIC"}  # The exhaustive search costs seconds at the first frame.
    try:
        session = _open(path, [(_CUDA, options), _CPU], threads, severity=_FATAL_ONLY)
    except ModelError:  # If it is the file that is bad, the CPU will say so.
        return None
    return session if session.get_providers()[0] == _CUDA else None


def _open(
    path: str | os.PathLike[str], providers: list[Any], threads: int, severity: int = _ERRORS_ONLY
) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(
            str(path), _options(threads, severity), providers=providers, enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no public base class.
        first = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise ModelError(f"cannot load {path} ({first}): delete it and run `facewire models pull`") from error


def _options(threads: int, severity: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = severity
    # These networks are hundreds of steps of some microseconds each: a thread that slept between two of them would wake
    # too late to help, and one that spins for long takes the processor from whatever else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
    options.add_session_config_entry("session.intra_op.spin_duration_us", "100")
    return options
