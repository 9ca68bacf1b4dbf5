"""``facewire flame unity``: a FLAME head as the file that the Unity component shows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.bridge.shared.errors import FacewireError
from facewire.runtime.cli.options.files import add_output_options, require_suffix, size_text
from facewire.runtime.cli.options.usage import Subparsers, UsageError, command_parser, require_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def add_parser(actions: Subparsers) -> None:
    """Add the action."""
    parser = command_parser(
        actions,
        "unity",
        "write a head for Unity's Facewire Flame component",
        "Writes a FLAME head as a .flame.bytes file: drag it onto a Facewire Flame component in Unity. Without FILE\n"
        "it writes the open head. What is made of your own FLAME file stays under that file's licence.",
        "facewire flame unity -o open.flame.bytes\n"
        "facewire flame unity flame2023.pkl -o me.flame.bytes --identity take.npz",
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="a FLAME model file (default: the open head)"
    )
    add_output_options(parser, "the .bytes file to write")
    parser.add_argument(
        "--expressions",
        metavar="N",
        type=int,
        default=50,
        help="how many expression components it has; more than are streamed are of no use (default: 50, 0: all)",
    )
    parser.add_argument(
        "--identity",
        metavar="NPZ",
        type=Path,
        help="whose head: the `shape` of a baked take (default: the mean)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file, whole or not at all.

    Raises:
        ModelError: a network or its file cannot be used.
        UsageError: what was asked for does not exist or does not go together.
        FacewireError: it cannot be done; the message says why.
    """
    from facewire.bridge.export.output import replacing
    from facewire.models.flame import load_flame, open_flame
    from facewire.models.flame.packed import pack

    require_suffix(args.output, ".bytes")
    for path in filter(None, (args.file, args.identity)):
        require_file(path)
    if args.expressions < 0:
        raise UsageError("--expressions is a number of components, or 0 for all")
    with replacing(args.output, force=args.force) as file:
        model = open_flame() if args.file is None else load_flame(args.file)
        identity = None if args.identity is None else read_identity(args.identity, model.digest)
        data = pack(model, args.expressions or None, identity)
        file.write(data)
    expressions = min(args.expressions or model.expressions, model.expressions)
    what = f"{model.name}, {len(model.template)} vertices, {expressions} expressions"
    print(f"{args.output}: {what}, {size_text(len(data))}")
    return 0


def read_identity(path: Path, digest: str) -> NDArray[np.float32]:
    """Return the identity coefficients [n] in an .npz, as its ``shape``, for the model of this digest.

    Raises:
        FacewireError: there are none, or it says that they are another model's, of which they mean nothing here.
    """
    import numpy as np

    from facewire.bridge.shared.regular_file import read_regular
    from facewire.models.errors import ModelError
    from facewire.models.flame.files import LARGEST_BYTES, named_arrays

    try:
        read = named_arrays(read_regular(path, LARGEST_BYTES))
        found, whose, name = (read(key) for key in ("shape", "flame_digest", "flame_model"))
        shape = np.asarray(0.0 if found is None else found, np.float32)
    except (OSError, ModelError, ValueError, TypeError) as error:
        raise FacewireError(f"{path} has no `shape` to take an identity from ({type(error).__name__})") from None
    if found is None:
        raise FacewireError(f"{path} has no `shape` to take an identity from")
    if whose is not None and str(whose) != digest:
        raise FacewireError(
            f"the identity in {path} is one of {str(name)[:80]!r}: give the FLAME file that it was baked with"
        )
    if not shape.size or not np.isfinite(shape).all():
        raise FacewireError(f"{path} has a `shape` that is not made of numbers")
    # A take has one identity for each frame or one for all; the last is the most settled.
    return shape.reshape(-1, shape.shape[-1])[-1] if shape.ndim else shape.reshape(1)
