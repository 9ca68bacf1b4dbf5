"""Errors about session files and what is made of them."""

from __future__ import annotations

import struct

from mcap.exceptions import McapError

from facewire.bridge.shared.errors import FacewireError

NO_RECORD = (struct.error, ValueError, IndexError, OverflowError, McapError)
"""What reading raises if bytes are not a record, or are one that claims an impossible place or length."""


class SessionError(FacewireError):
    """A session file, or what was asked of it, cannot be used; the command line exits 2."""

    exit_code = 2


class NewerSessionError(SessionError):
    """The file was written by a newer Facewire, whose format this one does not read; a repair would not help."""


class PathTakenError(SessionError):
    """A file of that name exists already, whole or in the making; ``--force`` replaces it."""


class CutSessionError(SessionError):
    """The file was not finished: its program was killed, or its disk filled up. ``repair`` saves what was written."""


class RecordingError(FacewireError):
    """A recording that cannot start, or had to stop: the disk is full, the folder is gone."""
