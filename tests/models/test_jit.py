"""A kernel that is resolved once does what the kernel does, and looks at no types."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from facewire.bridge.shared.arrays import Float32Array
from facewire.models.jit import kernel, resolved


class Pair(NamedTuple):
    """Two arrays."""

    given: Float32Array
    found: Float32Array


@kernel
def double(factor: float, pair: Pair) -> float:
    """Write twice what is given."""
    for i in range(pair.given.shape[0]):
        pair.found[i] = factor * pair.given[i]
    return float(pair.found[0])


def test_a_resolved_kernel_writes_to_the_arrays_of_its_tuple() -> None:
    pair, other = (Pair(np.arange(1, 4, dtype=np.float32), np.zeros(3, np.float32)) for _ in range(2))
    quick = resolved(double, 1.0, pair)
    assert quick(2.0, pair) == 2.0
    assert double(2.0, other) == 2.0
    np.testing.assert_array_equal(pair.found, [2, 4, 6])
    np.testing.assert_array_equal(other.found, pair.found)
