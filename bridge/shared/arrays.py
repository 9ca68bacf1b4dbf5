"""The arrays that every stage receives and returns, by name."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Float32Array: TypeAlias = npt.NDArray[np.float32]
Float64Array: TypeAlias = npt.NDArray[np.float64]
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
"""Of either kind, for kernels that take both."""
Image: TypeAlias = npt.NDArray[np.uint8]
"""[height, width, 3]; BGR, as OpenCV has it, if nothing else is said."""
