"""``facewire models``: which networks there are, where they come from, and fetching them."""

from __future__ import annotations

import argparse

from facewire.runtime.cli.usage import Subparsers, command_parser


def add_parser(commands: Subparsers) -> None:
    """Adds the command."""
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


def run_list(args: argparse.Namespace) -> int:
    """Prints a row for each file; touches no network."""
    from facewire.models.assets import list_assets

    for asset in list_assets():
        state = "ready" if asset.cached else "not fetched"
        print(f"{asset.name:18}{state:13}{asset.bytes / 1e6:4.1f} MB  {asset.licence}")
        if args.sources:
            print("".join(f"    from {source}\n" for source in asset.sources) + f"    kept in {asset.path}")
    return 0


def run_pull(args: argparse.Namespace) -> int:
    """Fetches what is missing. Raises ModelError."""
    from facewire.models.assets import list_assets
    from facewire.runtime.cli.networks import fetch

    names = args.names or [asset.name for asset in list_assets() if asset.pulled_by_default or args.for_tests]
    for name, path in zip(names, fetch(names, quiet=args.quiet), strict=True):
        if not args.quiet:
            print(f"{name}: {path}")
    return 0
