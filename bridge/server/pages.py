"""The static files of the page at ``/``, read once into memory: nothing in a request ever becomes a path on disk."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
    "bin": "application/octet-stream",
}

HEADERS = {
    # The page's own files only, and the websocket; no frame around it, so no click can be stolen.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # The address may hold the token.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One file that the server gives out."""

    content_type: str
    body: bytes
    needs_token: bool = False
    """Whether it is only for clients that may have the stream: what is the user's own, not the program's."""


def load_pages() -> dict[str, Page]:
    """Return the files of ``bridge/page`` by request path; ``index.html`` is ``/``."""
    pages: dict[str, Page] = {}
    for file in (resources.files("facewire.bridge") / "page").iterdir():
        content_type = CONTENT_TYPES.get(file.name.rpartition(".")[2])
        if content_type is not None:
            pages[f"/{file.name}"] = Page(content_type, file.read_bytes())
    if "/index.html" in pages:
        pages["/"] = pages["/index.html"]
    return pages
