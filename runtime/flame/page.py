"""The FLAME head as the control panel fetches it: once, and only if somebody switches it on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facewire.bridge.server.pages import Page
from facewire.models.flame.packed import pack

if TYPE_CHECKING:
    from facewire.models.flame import FlameModel

FLAME_PAGE = "/flame.bin"
MOST_EXPRESSIONS = 50
"""More are not drawn: they move less than a pixel, and the file would only grow."""


def flame_pages(model: FlameModel, expressions: int) -> dict[str, Page]:
    """Return the page's FLAME head by its path, with the components that are streamed, at most ``MOST_EXPRESSIONS``.

    A user's FLAME file is theirs: a client that may not have the stream may not have the head either.

    Raises:
        ModelError: the model is too large.
    """
    body = pack(model, min(expressions, MOST_EXPRESSIONS))
    return {FLAME_PAGE: Page("application/octet-stream", body, needs_token=True)}
