"""``facewire flame register``: the landmarks and ARKit's shapes on a FLAME model, once for each file, and a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.runtime.cli.options.files import require_suffix
from facewire.runtime.cli.options.usage import Subparsers, UsageError, command_parser, require_file
from facewire.runtime.tools.terminal import notify

if TYPE_CHECKING:
    from facewire.models.flame import FlameModel
    from facewire.models.flame.landmarks import Landmarks
    from facewire.models.flame.registration.correspondence import Correspondence


def add_parser(actions: Subparsers) -> None:
    """Add the action."""
    parser = command_parser(
        actions,
        "register",
        "lay the 478 landmarks onto a model, and draw them",
        "Finds where the 478 landmarks lie on a model and what ARKit's 52 shapes are in its parameters, and keeps\n"
        "both in the cache: this is done once for each file. Draws a picture of it: check that eyes and lips are\n"
        "where they should be. Without FILE it uses the open head, which is ready and only drawn.",
        "facewire flame register flame2023.pkl -o landmarks.png",
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="a FLAME model file (default: the open head)"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="the picture, *.png (default: beside what is kept)"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    parser.add_argument(
        "--compare",
        metavar="LANDMARKS",
        type=Path,
        help="FLAME's mediapipe_landmark_embedding.npz: also say how far its landmarks are from these",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Register again, keep the result, draw it.

    Raises:
        ModelError: a network or its file cannot be used.
        UsageError: what was asked for does not exist or does not go together.
        FacewireError: it cannot be done; the message says why.
    """
    from facewire.bridge.export.output import replacing
    from facewire.models.flame import load_flame, open_flame
    from facewire.models.flame.landmarks import load_landmarks
    from facewire.models.flame.maps.map_fit import maps_of
    from facewire.models.flame.registration.lookup import correspondence_of, correspondence_path
    from facewire.runtime.flame.picture import render_registration, residual_text

    _check_output(args.output, force=args.force)
    for path in filter(None, (args.file, args.compare)):
        require_file(path)
    model = open_flame() if args.file is None else load_flame(args.file)
    theirs = None if args.compare is None else load_landmarks(args.compare, model)
    own = args.file is not None
    if own:
        notify(f"laying the landmarks onto {model.name}: some seconds")
    found = correspondence_of(model, again=own)
    maps = maps_of(model, again=own)
    picture = args.output
    if picture is None:
        picture = correspondence_path(model).with_suffix(".png")
        picture.parent.mkdir(parents=True, exist_ok=True)
    with replacing(picture, force=args.force or args.output is None) as file:
        file.write(render_registration(model, found))
    print(f"landmarks, off the skin: {residual_text(found)}")
    if theirs is not None:
        print(f"landmarks, off {args.compare.name}'s: {_off_text(found, theirs, model)}")
    print(f"shapes, missing: {maps.summary()}")
    print(f"picture: {picture}")
    return 0


def _off_text(found: Correspondence, theirs: Landmarks, model: FlameModel) -> str:
    """Return how far landmarks are from FLAME's own.

    Raises:
        UsageError: these are not numbered as MediaPipe's.
    """
    import numpy as np

    numbers = theirs.mediapipe
    if numbers is None or numbers.min() < 0 or numbers.max() >= len(found.triangle):
        raise UsageError("--compare needs landmarks that say which of MediaPipe's they are")
    places = found.landmarks(model.template)[numbers]
    off_mm = 1e3 * np.linalg.norm(places - theirs.places(model.template), axis=1)
    return f"mean {off_mm.mean():.1f} mm, max {off_mm.max():.1f} mm (landmark {numbers[off_mm.argmax()]})"


def _check_output(path: Path | None, *, force: bool) -> None:
    from facewire.bridge.recording.partfile import check_output

    if path is not None:
        require_suffix(path, ".png")
        check_output(path, force=force)
    elif force:
        raise UsageError("--force replaces OUT: name it with -o")
