"""Small files that ask for hours or for gigabytes get a refusal, from every reader of ours, within a fixed budget.

Each runs in a process of its own that may use a gigabyte of address space above what it has after its imports, and is
killed after a minute: far above what a refusal takes, far below what these files ask for.
"""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")

READER = """
import resource, sys
from pathlib import Path
from facewire.bridge.shared.errors import FacewireError
from facewire.models.flame import load_flame
from facewire.models.flame.kept import read_kept
from facewire.models.speech.causal import load_weights
from facewire.models.speech.decode.step_weights import StepWeights
from facewire.models.tflite.reader import read_network
readers = {
    "flame": load_flame,
    "kept": lambda path: read_kept(path, "0"),
    "speech": lambda path: load_weights(0, 0, path),
    "step": StepWeights.read,
    "tflite": lambda path: read_network(path.read_bytes()),
}
used = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmSize" in line)
resource.setrlimit(resource.RLIMIT_AS, (used * 1024 + (1 << 30),) * 2)
for name in sys.argv[2:]:
    try:
        readers[name](Path(sys.argv[1]))
        print(name, "read")
    except FacewireError as error:
        print(name, "refused", str(error).count("\\n"), len(str(error)))
"""


def read(path: Path, *readers: str) -> list[str]:
    """Return what each reader said of a file; fails if one raises what it should not, or takes too much."""
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path), *readers], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def named(value: bytes) -> bytes:
    """Return a pickle of a FLAME file whose template is what ``value`` leaves on the stack."""
    return b"\x80\x02}(" + text("v_template") + value + b"u."


def lists_of_lists(levels: int, width: int) -> bytes:
    """Return a kilobyte in which each list holds the one before it ``width`` times."""
    made = b"]q\x00(" + (b"G" + struct.pack(">d", 0.5)) * width + b"e0"
    for level in range(1, levels):
        made += b"]q" + bytes([level]) + b"(" + (b"h" + bytes([level - 1])) * width + b"e0"
    return b"\x80\x02" + made + b"}(" + text("v_template") + b"h" + bytes([levels - 1]) + b"u."


def doubled_tuples(levels: int) -> bytes:
    return b")" + b"2\x86" * levels


def sparse(shape: tuple[int, int], ends: list[int], module: str = "scipy.sparse.csc") -> bytes:
    layout = module[-3:]
    arrays = b"".join(
        text(name) + pickle.dumps(value, 2)[2:-1]
        for name, value in (
            ("_shape", shape),
            ("data", np.ones(2)),
            ("indices", np.array([0, 1])),
            ("indptr", np.array(ends, np.int64)),
        )
    )
    return b"c" + f"{module}\n{layout}_matrix\n".encode() + b")\x81}(" + arrays + b"ub"


def nested_matrices(depth: int) -> bytes:
    """Return a matrix that has for its numbers, places and ends the one below it."""
    made = sparse((1000, 1000), [0, 2]) + b"q\xf00"
    for _ in range(depth):
        fields = b"".join(text(name) + b"h\xf0" for name in ("data", "indices", "indptr"))
        made += b"cscipy.sparse.csc\ncsc_matrix\n)\x81}(" + text("_shape") + b"M\xe8\x03M\xe8\x03\x86" + fields
        made += b"ubq\xf00"
    return made + b"h\xf0"


LAUGHING_NAME = (
    b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01\x85cnumpy\ndtype\n"
    + doubled_tuples(40)
    + b"K\x00K\x01\x87R\x89U\x08\0\0\0\0\0\0\0\0tb"
)
SAME_HASH = b"".join(b"\x8a\x0a" + (k * ((1 << 61) - 1)).to_bytes(10, "little") + b"N" for k in range(1, 60_000))
PICKLES: dict[str, Callable[[], bytes]] = {
    "lists": lambda: lists_of_lists(9, 50),
    "few lists": lambda: lists_of_lists(5, 60),
    "hash of tuples": lambda: named(b"}" + doubled_tuples(45) + b"Ns"),
    "hash in a set": lambda: b"\x80\x04\x8f(" + doubled_tuples(45) + b"\x90.",
    "frozen set": lambda: b"\x80\x04(" + doubled_tuples(45) + b"\x91.",
    "hash of a deep tuple": lambda: named(b"}" + b")" + b"\x85" * 150_000 + b"Ns"),
    "one hash for all": lambda: named(b"}(" + SAME_HASH + b"u"),
    "many arguments": lambda: b"\x80\x02(" + b"N" * 90_000 + b"tq\0" + b"cnumpy\nndarray\nh\0R" * 30_000 + b"l.",
    "name of a type": lambda: named(LAUGHING_NAME),
    "ends of 2e9": lambda: named(sparse((5, 5), [0, 2_000_000_000])),
    "ends of 1e12": lambda: named(sparse((5, 5), [0, 10**12])),
    "ends before 0": lambda: named(sparse((1, 1), [0, -5], "scipy.sparse.csr")),
    "ends that fall": lambda: named(sparse((5, 5), [0, 1 << 40, 2, 2, 2, 2])),
    "matrices in matrices": lambda: named(nested_matrices(9)),
    "deep lists": lambda: b"\x80\x02" + b"]" * 90_000 + b"a" * 89_999 + b".",
    "a number of a million digits": lambda: b"L" + b"9" * 1_000_000 + b"L\n.",
}


@pytest.mark.parametrize("kind", PICKLES)
def test_pickles(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(PICKLES[kind]())
    (said,) = read(path, "flame")
    name, verdict, lines, length = said.split()
    assert (name, verdict, lines) == ("flame", "refused", "0")
    assert int(length) < 600


def npy(shape: object, descr: str = "<f4", data: bytes = b"") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (64 - (11 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


KEYS = ("v_template", "digest", "about", "format")
NPYS: dict[str, tuple[bytes, int]] = {
    "huge shape": (npy((10**13,)), zipfile.ZIP_DEFLATED),
    "32 GB": (npy((8 * 10**9,)), zipfile.ZIP_DEFLATED),
    "negative": (npy((-1, 3)), zipfile.ZIP_STORED),
    "overflow": (npy((1 << 62, 4)), zipfile.ZIP_STORED),
    "objects": (npy((1,), "|O", pickle.dumps(print)), zipfile.ZIP_STORED),
    "nothing, wide": (npy((0, 10**18)), zipfile.ZIP_STORED),
    "nested header": (npy("(" * 4000 + ")" * 4000), zipfile.ZIP_STORED),
    "many axes": (npy("(" + "1," * 900 + ")", data=b"\0" * 4), zipfile.ZIP_STORED),
    "texts": (npy((1,), "<U400000000"), zipfile.ZIP_STORED),
    "bomb": (npy((65 << 20,), data=bytes(260 << 20)), zipfile.ZIP_DEFLATED),
    "lzma": (npy((4,), data=bytes(16)), zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("kind", NPYS)
def test_arrays(tmp_path: Path, kind: str) -> None:
    content, packing = NPYS[kind]
    path = tmp_path / "m.npz"
    with zipfile.ZipFile(path, "w", packing, compresslevel=1) as archive:
        for key in KEYS:
            archive.writestr(f"{key}.npy", content)
    said = read(path, "flame", "speech", "step", "kept")
    assert [line.split()[1] for line in said] == ["refused", "refused", "refused", "read"]  # kept: None


@pytest.mark.parametrize("place", ["front", "directory"])
def test_archives_that_lie(tmp_path: Path, place: str) -> None:
    stream = io.BytesIO()
    np.savez(stream, v_template=np.zeros((4, 3)), digest="x", about="{}", format=1)
    data = bytearray(stream.getvalue())
    at = data.find(b"PK\x01\x02") if place == "directory" else 0
    rng = np.random.default_rng(3)
    for number in range(20):
        hostile = bytearray(data)
        for offset in rng.integers(at + 4, min(at + 60, len(data)), 3):
            hostile[offset] = int(rng.integers(0, 256))
        (tmp_path / f"{number}.npz").write_bytes(hostile)
        if number % 10 == 0:
            assert len(read(tmp_path / f"{number}.npz", "flame", "speech", "step", "kept")) == 4


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zero.npz").symlink_to("/dev/zero")
    for path in (tmp_path / "zero.npz", tmp_path):
        said = read(path, "flame", "speech", "step", "kept")
        assert [line.split()[1] for line in said] == ["refused", "refused", "refused", "read"]


def test_a_network_whose_lists_name_one_table_again_and_again(tmp_path: Path) -> None:
    """A TensorFlow Lite file of 8 MB whose two million operator codes are one, with a name of a megabyte."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    name = builder.CreateString("n" * 1_000_000)
    builder.StartObject(4)
    builder.PrependInt8Slot(0, 32, 0)
    builder.PrependUOffsetTRelativeSlot(1, name, 0)
    code = builder.EndObject()
    builder.StartVector(4, 2_000_000, 4)
    for _ in range(2_000_000):
        builder.PrependUOffsetTRelative(code)
    codes = builder.EndVector()
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(1, codes, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(builder.Output()))
    (said,) = read(path, "tflite")
    assert said.split()[:2] == ["tflite", "refused"]
