"""Read the pickles in which FLAME is published, without chumpy or scipy, and without running anything in them.

A pickle is a program that may call whatever it names (Python's documentation of ``pickle``, "Restricting Globals").
Here every name that it may use is one of the inert records below: they keep what they are given and do nothing, so a
file can at worst describe arrays that do not exist. Any other name ends the reading.

What a pickle has made once it can use again for two bytes, and so describe more than any memory holds. Nothing here
walks through what was read: only what cannot be nested is looked up or compared, and ``pickled_arrays`` counts.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from facewire.models.errors import ModelError

MOST_OPCODES = 200_000
"""A FLAME file has some hundreds. What a short file can ask for, in memory and time, is bounded by this."""
MOST_ARGUMENTS = 16
"""Of one call: numpy's have four at most. Each call copies them."""
MOST_KEY = 1 << 31
BANNED = frozenset(
    ("PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "NEWOBJ_EX", "FROZENSET")
)
OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}


class Record:
    """An object of which only the arguments and the state are kept. Subclasses say what it stands for."""

    __slots__ = ("arguments", "state")

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        # Also keeps pickle's BUILD from setting attributes, of an instance or of the class itself.
        self.state = state


class Chumpy(Record):
    """Any class of chumpy: its state is a dict. ``Ch`` has its values at ``x``."""


class Select(Record):
    """chumpy.reordering.Select: ``a.ravel()[idxs].reshape(preferred_shape)``."""


class Sparse(Record):
    """scipy.sparse matrices by column, by row and by coordinates: data, indices, indptr, row, col, _shape."""


class SparseRows(Sparse):
    """By row."""


class SparseCoordinates(Sparse):
    """By coordinates."""


class Dtype(Record):
    """numpy.dtype: the first argument names it, the state's second entry is the byte order."""


class NdArray(Record):
    """numpy.ndarray: version, shape, dtype, Fortran order, bytes. The class itself is an argument of Reconstruct."""


class Reconstruct(NdArray):
    """numpy's ``_reconstruct(ndarray, shape, kind)``: an empty array whose state follows."""


class FromBuffer(Record):
    """numpy's ``_frombuffer(bytes, dtype, shape, order)``, used from protocol 5 on."""


class Scalar(Record):
    """numpy's ``scalar(dtype, bytes)``."""


class Latin1(Record):
    """``_codecs.encode(text, "latin1")``: how Python 3 writes bytes at protocol 2. Encoded when it is needed."""


class Plain(Record):
    """``object``, an argument of Reconstructor."""


class Reconstructor(Record):
    """``copy_reg._reconstructor(class, object, None)``: how protocols 0 and 1 make an object."""

    __slots__ = ()

    def __new__(cls, *arguments: object) -> Any:
        """Return an empty record of the class that is named, or of this one."""
        made = arguments[0] if arguments else None
        if isinstance(made, type) and issubclass(made, Record) and made is not Reconstructor:
            return made()
        return super().__new__(cls)


ALLOWED: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): NdArray,
    ("numpy", "dtype"): Dtype,
    ("_codecs", "encode"): Latin1,
    ("chumpy.reordering", "Select"): Select,
}
for _module in ("numpy.core", "numpy._core"):
    ALLOWED[(f"{_module}.multiarray", "_reconstruct")] = Reconstruct
    ALLOWED[(f"{_module}.multiarray", "scalar")] = Scalar
    ALLOWED[(f"{_module}.numeric", "_frombuffer")] = FromBuffer
for _module in ("copy_reg", "copyreg"):
    ALLOWED[(_module, "_reconstructor")] = Reconstructor
for _module in ("__builtin__", "builtins"):
    ALLOWED |= {(_module, "object"): Plain, (_module, "set"): Plain}
for _layout, _record in (("csc", Sparse), ("csr", SparseRows), ("coo", SparseCoordinates)):
    for _module in (f"scipy.sparse.{_layout}", f"scipy.sparse._{_layout}"):
        ALLOWED |= {(_module, f"{_layout}_matrix"): _record, (_module, f"{_layout}_array"): _record}


def _check_keys(keys: list[object]) -> None:
    """Refuse keys whose hash takes long, or that can be chosen so that all have the same."""
    for key in keys:
        flat = key if type(key) is tuple and len(key) <= MOST_ARGUMENTS else (key,)
        for part in flat:
            if isinstance(part, (str, bytes, Record, type)) or part is None:
                continue
            if not isinstance(part, int) or not -MOST_KEY < part < MOST_KEY:
                raise ModelError(f"it uses a {type(key).__name__} as a name, which no FLAME file does")


def _check_arguments(stack: list[object]) -> None:
    given = stack[-1] if stack else None
    if isinstance(given, tuple) and len(given) > MOST_ARGUMENTS:
        raise ModelError(f"it calls something with {len(given)} arguments, which no FLAME file does")


def _guarded(code: bytes, check: Callable[[list[object]], None]) -> Callable[[Any], None]:
    load = pickle._Unpickler.dispatch[code[0]]

    def guarded(unpickler: Any) -> None:
        check(unpickler.stack)
        load(unpickler)

    return guarded


class _Unpickler(pickle._Unpickler):
    """Python's own in Python: the one in C hashes keys of any depth, in one step that nobody can stop."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.SETITEM[0]: _guarded(pickle.SETITEM, lambda stack: _check_keys(stack[-2:-1])),
        pickle.SETITEMS[0]: _guarded(pickle.SETITEMS, lambda stack: _check_keys(stack[::2])),
        pickle.DICT[0]: _guarded(pickle.DICT, lambda stack: _check_keys(stack[::2])),
        pickle.ADDITEMS[0]: _guarded(pickle.ADDITEMS, _check_keys),
        pickle.REDUCE[0]: _guarded(pickle.REDUCE, _check_arguments),
        pickle.NEWOBJ[0]: _guarded(pickle.NEWOBJ, _check_arguments),
    }

    def find_class(self, module: str, name: str) -> type:
        known = ALLOWED.get((module, name))
        if known is None and (module == "chumpy" or module.startswith("chumpy.")):
            known = Chumpy
        if known is None:
            raise ModelError(f"it asks for {module}.{name}"[:80] + ", which no FLAME file needs: nothing was run")
        return known

    def persistent_load(self, pid: object) -> NoReturn:  # noqa: ARG002
        raise ModelError("it refers to something outside the file")


def read_pickle(data: bytes) -> object:
    """Return what a pickle holds: plain containers and numbers, and records for everything else.

    Strings are latin-1, as Python 2 wrote them.

    Raises:
        ModelError: there is anything that a FLAME file does not need; the message lacks the file's name.
    """
    try:
        _check_program(data)
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except ModelError:
        raise
    except Exception as error:  # Broken pickles raise whatever the opcode that they break in raises.
        raise ModelError(f"it is damaged ({type(error).__name__}: {error})"[:160]) from None


NPY = b"\x93NUMPY"


def read_npy(data: bytes) -> object:
    """Return the one object in a .npy file: some of FLAME's landmarks are a pickled dict in an array of one.

    Raises:
        ModelError: as ``read_pickle``.
    """
    start = data.find(b"\n", 0, 1 << 16) + 1  # The header is one line of text.
    array = read_pickle(data[start:])
    if isinstance(array, NdArray) and isinstance(array.state, tuple) and isinstance(array.state[-1], list):
        return array.state[-1][0] if array.state[-1] else None
    raise ModelError("it holds an array instead of named arrays")


def _check_program(data: bytes) -> None:
    """Refuse opcodes that reach outside of the file, or reserve memory by a number in it, before running any.

    Their arguments' readers refuse lengths that the file does not have.
    """
    stream = io.BytesIO(data)
    for _ in range(MOST_OPCODES):
        code = stream.read(1).decode("latin1")
        if code not in OPCODES:
            raise ModelError("it is damaged (not a pickle, or one that was cut short)")
        opcode = OPCODES[code]
        if opcode.name in BANNED:
            raise ModelError(f"it uses pickle's {opcode.name}, which no FLAME file needs")
        if opcode.name == "STOP":
            return
        if opcode.name == "STRING":
            stream.readline()  # The reader takes ASCII only, and Python 2's protocol 0 writes arrays so.
            continue
        argument = opcode.arg.reader(stream) if opcode.arg is not None else None
        if opcode.name == "FRAME" and int(argument or 0) > len(data) - stream.tell():
            raise ModelError("it is damaged (cut short)")
        # The place in the memo is a number in the file too, and the C unpickler makes room up to it.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > MOST_OPCODES:
            raise ModelError("it is damaged (an impossible place in the memo)")
    raise ModelError("it has too many parts for a FLAME file")
