"""A pickle that is not a FLAME file's runs nothing, reserves nothing, and is refused in one line."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import subprocess
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.flame.files import official_bytes, random_flame, stand_ins

from facewire.models.errors import ModelError
from facewire.models.flame import load_flame, unpickle
from facewire.models.flame.pickled_arrays import to_array
from facewire.models.flame.unpickle import NdArray, Record, read_pickle


class Call:
    """Pickles as a call of ``function``, and as what is set on its result."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.arguments) + (() if self.state is None else (self.state,))


def calls(path: Path) -> list[Any]:
    """Return objects whose pickles would write to ``path`` or reach what could."""
    shell = f"echo run > {path}"
    return [
        Call(os.system, shell),
        Call(subprocess.Popen, ["sh", "-c", shell]),
        Call(builtins.eval, f"open({str(path)!r}, 'w')"),
        Call(builtins.exec, f"open({str(path)!r}, 'w')"),
        Call(builtins.__import__, "os"),
        Call(builtins.open, str(path), "w"),
        Call(np.fromfile, str(path)),
        Call(np.load, str(path)),
        Call(np.savetxt, str(path), [1.0]),
        Call(pickle.loads, pickle.dumps(1)),
        Call(type, "T", (), {}),
    ]


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("which", range(11))
def test_calls_of_anything_are_refused_and_not_made(tmp_path: Path, which: int, protocol: int) -> None:
    written = tmp_path / "written"
    hostile = calls(written)[which]
    path = tmp_path / "m.pkl"
    arrays = random_flame(np.random.default_rng(1), 100, 5, 5)
    path.write_bytes(pickle.dumps({**arrays, "extra": hostile}, protocol))
    with pytest.raises(ModelError, match=r"asks for .*nothing was run"):
        load_flame(path)
    assert not written.exists()


def test_a_dotted_name_reaches_nothing() -> None:
    for name in ("Ch.__init__.__globals__", "__builtins__", "os.system"):
        data = pickle.PROTO + b"\x04" + b"\x8c\x09chumpy.ch" + b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
        assert read_pickle(data) is unpickle.Chumpy
    for module in (b"chumpyx", b"numpy.core.multiarray.x", b"os"):
        with pytest.raises(ModelError, match="asks for"):
            read_pickle(b"c" + module + b"\nsystem\n.")


def test_the_records_cannot_be_changed_from_a_file() -> None:
    """BUILD sets attributes on whatever lies on the stack, classes included."""
    before = {record: dict(vars(record)) for record in {*unpickle.ALLOWED.values(), unpickle.Chumpy, Record}}
    slots = pickle.dumps((None, {"__setstate__": 1, "arguments": 2}), 2)[2:-1]
    plain = pickle.dumps({"__class__": 1, "state": 2, "__dict__": 3}, 2)[2:-1]
    for module, name in [*unpickle.ALLOWED, ("chumpy", "Ch")]:
        for state in (slots, plain):
            with pytest.raises(ModelError, match="damaged"):
                read_pickle(b"\x80\x02c" + f"{module}\n{name}\n".encode() + state + b"b.")  # On the class itself.
            made = read_pickle(b"\x80\x02c" + f"{module}\n{name}\n".encode() + b")R" + state + b"b.")
            assert isinstance(made, Record)
            assert made.arguments == ()
    assert before == {record: dict(vars(record)) for record in before}


def test_memory_is_not_reserved_by_a_number_in_the_file() -> None:
    hostile = {
        "memo": b"\x80\x02N" + b"r" + b"\xff\xff\xff\xfe" + b".",
        "text memo": b"Np4294967294\n.",
        "bytes": b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"abc.",
        "bytearray": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"abc.",
        "string": b"T\xff\xff\xff\x7fabc.",
        "text": b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little") + b"abc.",
        "frame": b"\x80\x04\x95" + (1 << 60).to_bytes(8, "little") + b"N.",
    }
    tracemalloc.start()
    for name, data in hostile.items():
        with pytest.raises(ModelError, match="damaged"):
            read_pickle(data)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000, name
    tracemalloc.stop()
    with pytest.raises(ModelError, match="too many parts"):
        read_pickle(b"(" + b"N" * 300_000 + b"l.")


def test_what_reaches_outside_of_the_file_is_refused() -> None:
    for data, told in (
        (b"Pname\n.", "PERSID"),
        (b"NQ.", "BINPERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
    ):
        with pytest.raises(ModelError, match=told):
            read_pickle(data)


def array_record(shape: Any, dtype: str, data: Any) -> NdArray:
    made = NdArray()
    kind = unpickle.Dtype(dtype, False, True)
    made.__setstate__((1, shape, kind, False, data))
    return made


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (array_record((1 << 40, 3), "f8", b"\0" * 24), "damaged"),
        (array_record((-1, 3), "f8", b"\0" * 24), "negative"),
        (array_record((3,), "O8", [1, 2, 3]), "not made of numbers"),
        (array_record((1,), "V8", b"\0" * 8), "not numbers"),
        (array_record((1,), "f8,O", b"\0" * 8), "not numbers"),
        (array_record("(3,)", "f8", b"\0" * 24), "not made of numbers"),
        (array_record((1,), "f8", b"\0" * 7), "damaged"),
        (Record(), "is a Record"),
        ("text", "is a str"),
    ],
)
def test_arrays_that_cannot_be(record: object, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        to_array(record)


def test_matrices_and_chumpy_that_cannot_be() -> None:
    def state_of(kind: type[Record], state: object) -> Record:
        made = kind()
        made.__setstate__(state)
        return made

    ones = np.ones(3)
    wide = {"_shape": (1 << 30, 1 << 30), "data": ones, "indices": [0, 1, 2], "indptr": [0, 3]}
    outside = {"_shape": (2, 2), "data": ones, "indices": np.array([0, 1, 9]), "indptr": np.array([0, 1, 3])}
    before = {**outside, "indices": np.array([0, 1, -1])}
    for state, told in (
        (wide, "impossible size"),
        ({**wide, "_shape": (5, 10_000_000)}, "impossible size"),
        (outside, "damaged"),
        (before, "impossible places"),
        ({}, "damaged"),
    ):
        with pytest.raises(ModelError, match=told):
            to_array(state_of(unpickle.Sparse, state))
    itself = unpickle.Chumpy()
    itself.__setstate__({"x": itself})
    with pytest.raises(ModelError, match="nested too deeply"):
        to_array(itself)
    with pytest.raises(ModelError, match="damaged"):
        to_array(state_of(unpickle.Chumpy, {"a": 1}))


SMALL = official_bytes(random_flame(np.random.default_rng(4), 2, 2, 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
def test_damaged_files_give_a_model_error_or_arrays(changes: list[tuple[int, int]], cut: bool) -> None:
    data = bytearray(SMALL)
    for place, value in changes:
        data[place] = value
    with suppress(ModelError):  # Anything else is a failure.
        content = read_pickle(bytes(data[: changes[0][0]] if cut else data))
        if isinstance(content, dict):
            for value in content.values():
                assert to_array(value).dtype.kind in "fiub"


def test_strings_that_are_encoded_again_and_again_cost_nothing() -> None:
    """_codecs.encode of one long text, as often as the file likes."""
    text = "x" * 1_000_000
    stream = io.BytesIO()
    stream.write(b"\x80\x02X" + len(text).to_bytes(4, "little") + text.encode() + b"q\x000(")
    for _ in range(1000):
        stream.write(b"c_codecs\nencode\nh\0X\x06\0\0\0latin1\x86R")
    stream.write(b"l.")
    tracemalloc.start()
    assert len(read_pickle(stream.getvalue())) == 1000  # type: ignore[arg-type]
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_the_writers_stand_ins_are_gone_again() -> None:
    import sys

    with stand_ins():
        assert "chumpy.ch" in sys.modules
    assert "chumpy" not in sys.modules
    assert "chumpy.ch" not in sys.modules
