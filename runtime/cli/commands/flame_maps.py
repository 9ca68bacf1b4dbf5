"""``facewire flame maps``: how well ARKit's shapes translate to a FLAME model, and back."""

from __future__ import annotations

import argparse
from pathlib import Path

from facewire.runtime.cli.options.usage import Subparsers, command_parser, require_file


def add_parser(actions: Subparsers) -> None:
    """Add the action."""
    parser = command_parser(
        actions,
        "maps",
        "list what ARKit's shapes are on a model, and what is missing",
        "A row for each of ARKit's shapes: how far it moves the face, what expression and jaw leave of that (root\n"
        "mean square and most), how far it turns the jaw, and by how much any shape is off when it alone goes there\n"
        "and back.",
        "facewire flame maps\nfacewire flame maps flame2023.pkl",
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="a FLAME model file (default: the open head)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table.

    Raises:
        UsageError: what was asked for does not exist or does not go together.
        ModelError: a network or its file cannot be used.
    """
    import math

    from facewire.bridge.shared.arkit import BLENDSHAPES
    from facewire.models.flame import load_flame, open_flame
    from facewire.models.flame.maps.arkit_map import there_and_back
    from facewire.models.flame.maps.map_fit import maps_of

    if args.file is not None:
        require_file(args.file)
    model = open_flame() if args.file is None else load_flame(args.file)
    maps = maps_of(model)
    off = there_and_back(model, maps)
    print(f"{'shape':22}{'moves mm':>9}{'rms mm':>8}{'most mm':>9}{'jaw deg':>9}{'back':>8}")
    for number, name in enumerate(BLENDSHAPES):
        moves, rms, most = (1e3 * float(of[number]) for of in (maps.motion_m, maps.residual_m, maps.worst_m))
        if moves == 0:
            print(f"{name:22}  nothing: the model has no such part")
            continue
        turn_deg = math.degrees(math.hypot(*map(float, maps.jaw[number])))
        print(f"{name:22}{moves:9.1f}{rms:8.2f}{most:9.2f}{turn_deg:9.1f}{float(off[number]):8.3f}")
    print(maps.summary())
    return 0
