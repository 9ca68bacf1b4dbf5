"""An ONNX Runtime session with its tensors bound once: write ``input``, call ``run``, read the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from facewire.models.assets.store import asset_path
from facewire.models.sessions import create_session

Device = Literal["auto", "cpu", "cuda"]


class Network:
    """One network with one float32 input and fixed shapes. Buffers are made here; a run makes none of its own."""

    def __init__(
        self, asset: str, input_name: str, output_names: Sequence[str], *, device: Device = "auto", threads: int = 1
    ) -> None:
        """Fetch (if need be) and start the network.

        Raises:
            ModelError: it cannot be fetched or started.
        """
        self._session: Any = create_session(asset_path(asset), device=device, threads=threads)
        shapes = {node.name: node.shape for node in (*self._session.get_inputs(), *self._session.get_outputs())}
        self.input: npt.NDArray[np.float32] = np.zeros(shapes[input_name], np.float32)
        self._outputs = tuple(np.zeros(shapes[name], np.float32) for name in output_names)
        self._binding = self._session.io_binding()
        self._binding.bind_cpu_input(input_name, self.input)
        for name, array in zip(output_names, self._outputs, strict=True):
            self._binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def run(self) -> tuple[npt.NDArray[np.float32], ...]:
        """Run on ``input`` and return the outputs: always the same arrays, overwritten by the next run."""
        self._session.run_with_iobinding(self._binding)
        return self._outputs
