"""``facewire flame``: what there is to do with a FLAME model."""

from __future__ import annotations

from facewire.runtime.cli.commands import flame_maps, flame_register, flame_unity
from facewire.runtime.cli.options.usage import Subparsers, command_parser


def add_parser(commands: Subparsers) -> None:
    """Add the command and its actions."""
    parser = command_parser(
        commands,
        "flame",
        "work with a FLAME model: your own, or the open head",
        "FLAME is a model of heads (Li et al. 2017). Its files are under licences of their own; the open head that\n"
        "comes with Facewire is in the public domain (CC0) and in the same format.",
        "facewire flame register flame2023.pkl\nfacewire flame unity -o open.flame.bytes",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    flame_register.add_parser(actions)
    flame_maps.add_parser(actions)
    flame_unity.add_parser(actions)
