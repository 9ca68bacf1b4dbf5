"""One declaration for what a command accepts: names, types, ranges, and the words in which it refuses the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from facewire.bridge.shared.errors import CommandError

R = TypeVar("R")

SHOWN = 40
"""Characters of what a client sent that an error repeats."""
NAMED = 3
"""Unknown arguments that an error repeats: a message has room for thousands."""


class Argument(Protocol):
    """What a value may be."""

    @property
    def expects(self) -> str:
        """In words, to follow "must be"."""

    def accepts(self, value: Any) -> bool:
        """Return whether a value, of any type, is one of these."""


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    expects: str = "true or false"

    def accepts(self, value: Any) -> bool:
        """See ``Argument``."""
        return isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a range, its ends included."""

    least: float
    most: float

    @property
    def expects(self) -> str:
        """See ``Argument``."""
        return f"a number from {self.least:g} to {self.most:g}"

    def accepts(self, value: Any) -> bool:
        """See ``Argument``."""
        return type(value) in (int, float) and self.least <= value <= self.most  # an integer may be beyond any float


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not empty, of a form if one is given."""

    expects: str = "a text"
    form: re.Pattern[str] | None = None
    most: int = 500

    def accepts(self, value: Any) -> bool:
        """See ``Argument``."""
        if not isinstance(value, str) or not 0 < len(value) <= self.most:
            return False
        return self.form is None or self.form.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some texts; a registry is read each time, so that what joins it is accepted."""

    choices: Collection[str] | Callable[[], Collection[str]]

    @property
    def names(self) -> list[str]:
        """What there is to choose from now."""
        return list(self.choices() if callable(self.choices) else self.choices)

    @property
    def expects(self) -> str:
        """See ``Argument``."""
        return f"one of {', '.join(self.names)}"

    def accepts(self, value: Any) -> bool:
        """See ``Argument``."""
        return isinstance(value, str) and value in self.names


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map, not empty, of values by some names."""

    of: str
    """What the names are, as in "shape"."""
    names: Collection[str]
    value: Argument

    @property
    def expects(self) -> str:
        """See ``Argument``."""
        shown = f" ({', '.join(self.names)})" if len(self.names) < 12 else ""
        return f"a map by {self.of}{shown}, each {self.value.expects}"

    def accepts(self, value: Any) -> bool:
        """See ``Argument``; a value that is nil is absent, but its name must be right all the same."""
        if not isinstance(value, dict) or not all(isinstance(name, str) and name in self.names for name in value):
            return False
        present = [one for one in value.values() if one is not None]
        return bool(present) and all(map(self.value.accepts, present))


@dataclass(frozen=True, slots=True)
class Either:
    """One kind of value or another."""

    first: Argument
    second: Argument

    @property
    def expects(self) -> str:
        """See ``Argument``."""
        return f"{self.first.expects}, or {self.second.expects}"

    def accepts(self, value: Any) -> bool:
        """See ``Argument``."""
        return self.first.accepts(value) or self.second.accepts(value)


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command's name and what it accepts."""

    name: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    """How many of the arguments it takes at once."""

    def read(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments, checked; one that is nil is absent (wire.md, 2).

        Raises:
            CommandError: one is unknown, missing, or of the wrong kind.
        """
        self.refuse_unknown(args)
        args = {name: value for name, value in args.items() if value is not None}
        if not self.least <= len(args) <= (len(self.arguments) if self.most is None else self.most):
            raise CommandError(f"{self.name} accepts {self._accepts()}")
        for name in self.required:
            if name not in args:
                raise CommandError(f"{self.name} needs {name}: {self.arguments[name].expects}")
        for name, value in args.items():
            if not self.arguments[name].accepts(value):
                raise CommandError(f"{name} must be {self.arguments[name].expects}")
        return {name: _present(value) for name, value in args.items()}

    def refuse_unknown(self, args: Mapping[str, Any]) -> None:
        """Check the names alone.

        Raises:
            CommandError: one is unknown.
        """
        if unknown := sorted(str(name)[:SHOWN] for name in args if name not in self.arguments):
            more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
            named = ", ".join(map(repr, unknown[:NAMED]))
            raise CommandError(f"{self.name} accepts {self._accepts()}, not {named}{more}")

    def handler(self, run: Callable[[dict[str, Any]], R]) -> Callable[[Mapping[str, Any]], R]:
        """Return what the server calls: ``run`` gets the arguments once they are checked."""
        return lambda args: run(self.read(args))

    def _accepts(self) -> str:
        if not self.arguments:
            return "no arguments"
        count = "one of " if self.most == 1 < len(self.arguments) else ""
        return count + ", ".join(self.arguments)


def _present(value: Any) -> Any:
    """Return a value that was accepted; of a map, what is not nil."""
    return {name: one for name, one in value.items() if one is not None} if isinstance(value, dict) else value
