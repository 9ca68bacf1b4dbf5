"""``facewire models``: which networks there are, where they come from, fetching them, and exporting an encoder."""

from __future__ import annotations

import argparse
from pathlib import Path

from facewire.bridge.shared.errors import FacewireError
from facewire.runtime.cli.options.usage import Subparsers, UsageError, command_parser, positive


def add_parser(commands: Subparsers) -> None:
    """Add the command."""
    parser = command_parser(
        commands,
        "models",
        "list the networks, or fetch them",
        "Lists the files that tracking needs, with their licences and sources. `pull` fetches, verifies and converts "
        "them,\nso that later runs need no network.",
        "facewire models\nfacewire models pull",
    )
    parser.add_argument(
        "--sources",
        action="store_true",
        help="also show where each file comes from, in the order tried, and where it lies",
    )
    parser.set_defaults(run=run_list)
    actions = parser.add_subparsers(metavar="ACTION")
    _add_pull(actions)
    _add_encoder(actions)


def _add_pull(actions: Subparsers) -> None:
    pull = command_parser(
        actions,
        "pull",
        "fetch, verify and convert",
        "Fetches what is not in the cache yet.",
        "facewire models pull\nfacewire models pull attention_mesh",
    )
    pull.add_argument("names", metavar="NAME", nargs="*", help="only these (default: all that a live run may need)")
    pull.add_argument("--quiet", action="store_true", help="show nothing but errors")
    pull.add_argument("--for-tests", action="store_true", help="also what only tests and benchmarks use")
    pull.set_defaults(run=run_pull)


def _add_encoder(actions: Subparsers) -> None:
    encoder = command_parser(
        actions,
        "encoder",
        "export a wav2vec 2.0 for runs without torch",
        "Exports a wav2vec 2.0 for `serve --speech faceformer:...` to ONNX. Needs torch and transformers, once.",
        "facewire models encoder facebook/wav2vec2-base-960h -o encoder.onnx",
    )
    encoder.add_argument("where", metavar="WHERE", help="a folder, a hub name, or a FaceFormer checkpoint with its own")
    encoder.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="the .onnx to write")
    encoder.add_argument(
        "--rate", type=int, choices=(30, 50), default=30, help="features a second: 30 for VOCASET's, 50 for BIWI's"
    )
    encoder.add_argument("--look-ahead", metavar="MS", type=positive, default=200.0, help="(default: 200)")
    encoder.add_argument("--left-context", metavar="S", type=positive, default=2.0, help="(default: 2)")
    encoder.set_defaults(run=run_encoder)


def run_list(args: argparse.Namespace) -> int:
    """Print a row for each file; touch no network."""
    from facewire.models.assets.store import list_assets

    for asset in list_assets():
        state = "ready" if asset.cached else "not fetched"
        print(f"{asset.name:18}{state:13}{asset.bytes / 1e6:4.1f} MB  {asset.licence}")
        if args.sources:
            print("".join(f"    from {source}\n" for source in asset.sources) + f"    kept in {asset.path}")
    return 0


def run_pull(args: argparse.Namespace) -> int:
    """Fetch what is missing.

    Raises:
        UsageError: what was asked for does not exist or does not go together.
        ModelError: a network or its file cannot be used.
    """
    from facewire.models.assets.store import find_asset, list_assets
    from facewire.models.errors import ModelError
    from facewire.runtime.session.networks import fetch, registered_assets

    try:
        for name in args.names:
            find_asset(name)
    except ModelError as error:
        raise UsageError(str(error)) from None
    wanted = registered_assets()
    default = [a.name for a in list_assets() if a.pulled_by_default or args.for_tests or a.name in wanted]
    names = args.names or default
    for name, path in zip(names, fetch(names, quiet=args.quiet), strict=True):
        if not args.quiet:
            print(f"{name}: {path}")
    return 0


def run_encoder(args: argparse.Namespace) -> int:
    """Export one encoder.

    Raises:
        UsageError: what was asked for does not exist or does not go together.
        FacewireError: it cannot be done; the message says why.
        ModelError: a network or its file cannot be used.
    """
    if args.output.suffix != ".onnx":
        raise UsageError(f"{args.output} would be a {args.output.suffix or 'file without a suffix'}: name it .onnx")
    from facewire.models.speech.published import no_torch, own_encoder
    from facewire.models.speech.wav2vec import Window

    try:
        from facewire.models.speech.encoder import export_onnx, load_encoder
    except ImportError:
        raise FacewireError(no_torch()) from None
    window = Window.of_seconds(args.rate, args.left_context, args.look_ahead / 1000.0)
    is_checkpoint = Path(args.where).is_file()
    if is_checkpoint:
        network = own_encoder(Path(args.where), "name the wav2vec 2.0 that it was trained with")
    else:
        network = load_encoder(args.where)
    try:
        export_onnx(network, window, args.output)
    except OSError as error:
        raise FacewireError(f"cannot write {args.output}: {error.strerror or error}") from error
    print(f"{args.output}: {args.rate} features a second, {window.delay_ms:.0f} ms behind the sound")
    return 0
