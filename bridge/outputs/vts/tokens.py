"""Where VTube Studio's tokens are kept between runs."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from facewire.bridge.outputs.vts.api import VtsError, check_token
from facewire.bridge.shared.regular_file import read_regular
from facewire.bridge.shared.whole_file import PRIVATE, write_whole

TOKEN_FILE = "vts.json"
MAX_TOKEN_BYTES = 20_000


class Tokens:
    """Tokens by address in one file that only its owner can read."""

    def __init__(self, folder: Path | None, where: str) -> None:
        self._path = None if folder is None else folder / TOKEN_FILE
        self._where = where
        self._known: str | None = None

    def load(self) -> str | None:
        """Return the token for this address, if one is kept."""
        with suppress(OSError, VtsError):
            self._known = check_token(self._read().get(self._where))
        return self._known

    def save(self, token: str | None) -> None:
        """Keep ``token``, or forget the one that counts no longer.

        Raises:
            OSError: it cannot be written.
        """
        if token == self._known:
            return
        self._known = token
        if self._path is None:
            return
        content = self._read()
        content.pop(self._where, None)
        self._write(content if token is None else {**content, self._where: token})

    def _read(self) -> dict[str, object]:
        if self._path is None:
            return {}
        with suppress(OSError, ValueError, RecursionError):  # a broken file is written again
            content = json.loads(read_regular(self._path, MAX_TOKEN_BYTES, within=self._path.parent))
            return content if isinstance(content, dict) else {}
        return {}

    def _write(self, content: dict[str, object]) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, json.dumps(content).encode(), mode=PRIVATE)
