"""The one exception that this package raises for things a user can put right."""

from __future__ import annotations

from facewire.bridge.shared.errors import FacewireError


class ModelError(FacewireError):
    """A model file, source or device cannot be used; the message is one line that says what to do."""
