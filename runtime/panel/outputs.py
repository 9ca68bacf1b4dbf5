"""Which outputs run: what the command line asked for, what a profile has, and what clients switch on and off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from facewire.bridge.outputs.base import OutputError
from facewire.bridge.outputs.choose import MAX_SPEC_LENGTH, OUTPUTS, check_remote, parse_spec
from facewire.bridge.outputs.runner import Outputs
from facewire.bridge.shared.clock import Clock, now_ns
from facewire.bridge.shared.errors import FacewireError
from facewire.bridge.wire.frame import FaceFrame
from facewire.runtime.settings.profiles import config_folder
from facewire.runtime.tools.arguments import CommandSpec, Text

OUTPUT = {"output": Text("an output, such as vmc:127.0.0.1:39539", most=MAX_SPEC_LENGTH)}
LIST = CommandSpec("outputs")
START = CommandSpec("output_start", OUTPUT, required=("output",))
STOP = CommandSpec("output_stop", OUTPUT, required=("output",))


class OutputSwitches:
    """The outputs of a run. State: which of them the command line started: a profile does not stop those."""

    def __init__(
        self,
        notify: Callable[[str], None],
        clock: Clock = now_ns,
        *,
        check: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        """``notify`` gets one line for each thing that a person should know, from any thread. ``check`` raises
        FacewireError for what must not start in this run."""
        self._outputs = Outputs(clock, notify, config_folder())
        self._notify, self._check = notify, check
        self._given: set[str] = set()

    def start(self, specs: Iterable[str]) -> None:
        """Start what the command line asks for.

        Raises:
            FacewireError: one cannot be started; those before it run.
        """
        for spec in specs:
            self._check([spec])
            self._outputs.add(spec)
            self._given.add(spec)

    def offer(self, frame: FaceFrame) -> None:
        """Hand a frame to each. Never waits."""
        self._outputs.offer(frame)

    def stop(self) -> None:
        """Stop all; safe to call twice."""
        self._outputs.stop()

    @property
    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]:
        """What clients may ask, by name."""
        return {
            LIST.name: LIST.handler(self._list),
            START.name: START.handler(self._start),
            STOP.name: STOP.handler(self._stop),
        }

    def state(self) -> dict[str, Any]:
        """Return the keys that the status message gets."""
        return {"outputs": self._outputs.status()}

    def kept(self) -> tuple[str, ...]:
        """Return what runs and may be kept in a profile."""
        return tuple(spec for spec in self._outputs.specs if _is_remote(spec))

    def use(self, specs: Iterable[str] | None) -> None:
        """Run the outputs of a profile, beside those of the command line; None leaves all as it is. One that
        cannot be started is reported, and the others run."""
        if specs is None:
            return
        wanted, running = list(specs), self._outputs.specs
        for spec in running:
            if not _is_among(spec, wanted) and spec not in self._given:
                with suppress(OutputError):  # somebody else has stopped it meanwhile
                    self._outputs.remove(spec)
        for spec in wanted:
            if not _is_among(spec, running):
                try:
                    self._check([spec])
                    self._outputs.add(check_remote(spec))
                except FacewireError as error:
                    if _is_among(spec, self._outputs.specs):  # somebody else has started it meanwhile
                        continue
                    self._notify(f"an output of the profile was not started: {error}")

    def _list(self, _args: dict[str, Any]) -> dict[str, Any]:
        kinds = [
            {"name": name, "about": kind.about, "target": f"{kind.host}:{kind.port}", "options": _plain(kind.options)}
            for name, kind in OUTPUTS.items()
            if kind.to == "address"
        ]
        return {"kinds": kinds, "outputs": self._outputs.status()}

    def _start(self, args: dict[str, Any]) -> dict[str, Any]:
        spec = args["output"]
        self._check([spec])
        self._outputs.add(check_remote(spec))
        return {"outputs": self._outputs.status()}

    def _stop(self, args: dict[str, Any]) -> dict[str, Any]:
        self._outputs.remove(args["output"])
        return {"outputs": self._outputs.status()}


def writes_to_stdout(specs: Iterable[str]) -> bool:
    """Return whether one of the outputs takes standard output for itself.

    Raises:
        OutputError: one of them is not an output.
    """
    return any(target.path == "-" for _, target in map(parse_spec, specs))


def _is_among(spec: str, others: Iterable[str]) -> bool:
    """Whether one of ``others`` is the same output, however it is written: vmc is vmc:127.0.0.1."""
    return _meaning(spec) in [_meaning(other) for other in others]


def _meaning(spec: str) -> Any:
    try:
        return parse_spec(spec)
    except OutputError:
        return spec


def _is_remote(spec: str) -> bool:
    try:
        check_remote(spec)
    except OutputError:
        return False
    return True


def _plain(options: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {name: list(values) for name, values in options.items()}
