"""Every error of Facewire is one line that says what went wrong and what to do."""

from __future__ import annotations

from typing import ClassVar


class FacewireError(Exception):
    """Base of all errors that a user may see, of models, bridge and runtime alike."""

    exit_code: ClassVar[int] = 1
    """The command line's exit status after it: 1 where something could not be done, 2 if it was asked wrongly."""
    code: ClassVar[str | None] = None
    """A word for programs that have to tell it from others, if there are any; it goes into a command's result."""


class WireError(FacewireError):
    """Bytes from the other side that break ``docs/wire.md``."""


class ServeError(FacewireError):
    """The live server cannot start: a port that is taken, a certificate that cannot be read."""


class ConnectError(FacewireError):
    """The server refuses this client, and trying again would not help: a wrong token, a foreign origin, another
    protocol."""


class CommandError(FacewireError):
    """A command that the server could not carry out; handlers raise it, and the client raises it again."""


class NotReadyError(CommandError):
    """The command can be carried out in a moment: the server has not finished starting."""

    code = "not_ready"


class BusyError(CommandError):
    """Something else is running or waiting: the command can be asked for again later."""

    code = "busy"


def refusal(code: object, why: str) -> CommandError:
    """Return the error for a command that was refused with this code, or with none."""
    kinds: dict[str | None, type[CommandError]] = {kind.code: kind for kind in (NotReadyError, BusyError)}
    return kinds.get(code if isinstance(code, str) else None, CommandError)(why)
