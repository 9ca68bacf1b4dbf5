"""What a server says and gives of the FLAME that it streams: hello's part, and the head for the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facewire.bridge.server.pages import Page
    from facewire.bridge.wire.messages import Greeting
    from facewire.runtime.flame.blend import LiveFlame


def with_flame(greeting: Greeting, flame: LiveFlame | None) -> Greeting:
    """Return what hello says, with the FLAME that there is."""
    if flame is None:
        return greeting
    return replace(greeting, streams=(*greeting.streams, "flame"), flame=flame.greeting)


def live_head(flame: LiveFlame | None) -> Mapping[str, Page]:
    """Return the FLAME head for the page, if there is one.

    Raises:
        ModelError: its maps cannot be made.
    """
    if flame is None:
        return {}
    from facewire.runtime.flame.page import flame_pages

    return flame_pages(flame.model, flame.expressions)


def recorded_head(announced: Mapping[str, Any] | None) -> Mapping[str, Page]:
    """Return the FLAME head for a take whose hello announced this, if it is the open head; no other is at hand."""
    if announced is None:
        return {}
    from facewire.models.flame import open_flame
    from facewire.runtime.flame.page import flame_pages

    model, expressions = open_flame(), announced.get("expressions")
    if announced.get("digest") != model.digest or type(expressions) is not int:
        return {}
    return flame_pages(model, min(max(expressions, 1), model.expressions))
