"""Every error of Facewire is one line that says what went wrong and what to do."""

from __future__ import annotations


class FacewireError(Exception):
    """Base of all errors that a user may see; the command line prints its message and exits 1."""


class WireError(FacewireError):
    """Bytes from the other side that break ``docs/wire.md``."""


class ServeError(FacewireError):
    """The live server cannot start: a port that is taken, a certificate that cannot be read."""


class ConnectError(FacewireError):
    """The server refuses this client, and trying again would not help: a wrong token, a foreign origin, another
    protocol."""


class CommandError(FacewireError):
    """A command that the server could not carry out; handlers raise it, and the client raises it again."""
