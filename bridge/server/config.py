"""How a live server listens."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from facewire.bridge.shared.errors import ServeError

DEFAULT_PORT = 8787


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where the server listens, whom it lets in, and how much it takes on."""

    host: str = "127.0.0.1"
    """Address to listen on; anything but loopback needs a token. ``0.0.0.0`` or ``::`` is every address."""
    port: int = DEFAULT_PORT
    """0 picks any free port."""
    token: str | None = None
    """What clients must show. None: none on loopback; elsewhere the server makes one (``LiveServer.token``)."""
    certificate: Path | None = None
    """PEM file with the certificate chain; with ``key`` it turns TLS on."""
    key: Path | None = None
    origins: tuple[str, ...] = ()
    """Origins of web pages that may connect besides the server's own and, on loopback, other loopback pages."""
    host_names: tuple[str, ...] = ()
    """Names that a request may call the server by besides its address, such as a reverse proxy's."""
    max_connections: int = 1024
    stall_timeout_s: float = 10.0
    """A subscriber that reads nothing for this long is dropped."""
    handshake_timeout_s: float = 5.0
    """A connection that has not said what it wants by then is hung up on."""
    keepalive_s: float = 20.0
    """How often a client is pinged, and how long it may take to answer."""

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context, or None without a certificate.

        Raises:
            ServeError: only one of the two files is given, or they cannot be used.
        """
        if self.certificate is None and self.key is None:
            return None
        if self.certificate is None or self.key is None:
            raise ServeError("TLS needs both a certificate and its key: give both files")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ServeError(
                f"cannot use the certificate {self.certificate} with the key {self.key}: {reason}"
            ) from None
        return context
