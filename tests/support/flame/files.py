"""Write files as FLAME's publishers do: Python 2's pickles with chumpy's objects and scipy's sparse matrices."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

Arrays = dict[str, Any]


def random_flame(
    rng: np.random.Generator, vertices: int = 200, shapes: int = 300, expressions: int = 100, *, head: bool = True
) -> Arrays:
    """Return the arrays of a model that is none of a head, in the types of the official files."""
    weights, regressor = rng.random((vertices, 5)), rng.random((5, vertices)) * (rng.random((5, vertices)) < 0.2)
    regressor[:, 0] += 0.1
    return {
        "v_template": rng.normal(0, 0.08, (vertices, 3)),
        "f": rng.integers(0, vertices, (2 * vertices, 3)).astype(np.uint32),
        "shapedirs": rng.normal(0, 1e-3, (vertices, 3, shapes + expressions)),
        "posedirs": rng.normal(0, 1e-3, (vertices, 3, 36)),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], range(5)], np.uint32),
        "weights": weights / weights.sum(1, keepdims=True),
        **({"bs_type": "lrotmin", "bs_style": "lbs"} if head else {}),
    }


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes what Python 2's pickle did: text and bytes alike as strings of bytes, numpy under its older name."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_string(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        if self.proto == 0:  # Python 2's default: text, with escapes.
            self.write(pickle.STRING + repr(data)[1:].encode() + b"\n")
            self.memoize(value)
            return
        short = pickle.SHORT_BINSTRING + bytes([len(data)]) if len(data) < 256 else None
        self.write((short or pickle.BINSTRING + struct.pack("<i", len(data))) + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string

    def save_global(self, value: Any, name: str | None = None) -> None:
        module, name = value.__module__, name or value.__qualname__
        module = {"builtins": "__builtin__", "copyreg": "copy_reg"}.get(module, module)
        self.write(f"c{module.replace('numpy._core', 'numpy.core')}\n{name}\n".encode())
        self.memoize(value)

    dispatch[type] = dispatch[types.FunctionType] = dispatch[types.BuiltinFunctionType] = save_global


@contextmanager
def stand_ins() -> Iterator[dict[str, type]]:
    """Make modules named as chumpy's and the older scipy's, only while a file is written."""
    made, kept = {}, {}
    for module, name in (
        ("chumpy.ch", "Ch"),
        ("chumpy.reordering", "Select"),
        ("scipy.sparse.csc", "csc_matrix"),
        ("scipy.sparse.csr", "csr_matrix"),
        ("scipy.sparse.coo", "coo_matrix"),
    ):
        made[name] = type(name, (), {"__module__": module, "__qualname__": name})
        for part in (module.partition(".")[0], module):  # A module's package has to be there too.
            if part == module or part not in sys.modules:
                kept.setdefault(part, sys.modules.get(part))
                sys.modules[part] = types.ModuleType(part)
        setattr(sys.modules[module], name, made[name])
    try:
        yield made
    finally:
        for module, old in kept.items():
            if old is None:
                del sys.modules[module]
            else:
                sys.modules[module] = old


def with_state(kind: type, **state: Any) -> Any:
    """Return an object that pickles as its class and this state, the way chumpy's and scipy's do."""
    made = kind()
    made.__dict__.update(state)
    return made


def chumpy(kinds: dict[str, type], values: Any) -> Any:
    """Return values as chumpy.ch.Ch: ``x`` and the rest of its state."""
    return with_state(kinds["Ch"], x=np.asarray(values), _dirty_vars=[], _itr=None, _depends_on_deps={})


def sparse(kinds: dict[str, type], dense: np.ndarray, layout: str = "csc") -> Any:
    """Return a dense matrix as scipy's sparse one."""
    by_column = layout == "csc"
    lines = dense.T if by_column else dense
    rows, columns = np.nonzero(lines)
    if layout == "coo":
        row, col = np.nonzero(dense)
        return with_state(kinds["coo_matrix"], _shape=dense.shape, maxprint=50, data=dense[row, col], row=row, col=col)
    ends = np.searchsorted(rows, np.arange(len(lines) + 1)).astype(np.int32)
    state = {"data": lines[rows, columns], "indices": columns.astype(np.int32), "indptr": ends}
    return with_state(kinds[f"{layout}_matrix"], _shape=dense.shape, maxprint=50, **state)


def official_bytes(
    arrays: Arrays,
    *,
    in_chumpy: tuple[str, ...] = ("v_template", "shapedirs", "posedirs", "weights"),
    layout: str = "csc",
    python2: bool = True,
    protocol: int = 2,
) -> bytes:
    """Return an official file's bytes: Python 2's, or rewritten by Python 3 at a protocol."""
    with stand_ins() as kinds:
        content = {key: chumpy(kinds, value) if key in in_chumpy else value for key, value in arrays.items()}
        if isinstance(arrays.get("J_regressor"), np.ndarray):
            content["J_regressor"] = sparse(kinds, arrays["J_regressor"], layout)
        if not python2:
            return pickle.dumps(content, protocol)
        stream = io.BytesIO()
        Python2Pickler(stream, protocol).dump(content)
        return stream.getvalue()


def write_official(path: Path, arrays: Arrays, **options: Any) -> Path:
    """Write an official file and return its path."""
    path.write_bytes(official_bytes(arrays, **options))
    return path
