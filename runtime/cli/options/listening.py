"""What the commands that serve share: where to listen, whom to let in, and how to stop."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facewire.bridge.server.config import ServerConfig

DEFAULT_LISTEN = "127.0.0.1:8787"
POLL_S = 0.05


def add_listen_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of everything that serves."""
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=listen_address,
        default=DEFAULT_LISTEN,
        help=f"where to serve; port 0 picks a free one (default: {DEFAULT_LISTEN})",
    )
    parser.add_argument("--token", help="what clients must present; made and printed if needed and none is given")
    parser.add_argument("--tls-cert", metavar="PEM", type=Path, help="certificate chain, to serve wss:// and https://")
    parser.add_argument("--tls-key", metavar="PEM", type=Path, help="the certificate's private key")
    parser.add_argument(
        "--origin", metavar="URL", action="append", default=[], help="a web page's origin that may connect; repeatable"
    )
    parser.add_argument(
        "--host-name",
        metavar="NAME",
        type=own_name,
        action="append",
        default=[],
        help="a name that this machine is reached by, such as mypc.lan, one of Tailscale's, or a proxy's; repeatable",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def listen_address(text: str) -> tuple[str, int]:
    """``HOST:PORT``, ``HOST``, ``:PORT`` or ``[IPv6]:PORT`` as (host, port); raises ArgumentTypeError."""
    default_host, default_port = DEFAULT_LISTEN.split(":")
    host, port = text, default_port
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, port = text.split(":")
    if not (port.isascii() and port.isdigit() and int(port) < 65536) or " " in host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as {DEFAULT_LISTEN}")
    return host or default_host, int(port)


def own_name(text: str) -> str:
    """Return the plain form of a machine's name, with or without port; raises ArgumentTypeError."""
    from facewire.bridge.server.arrival.names import host_name

    name = host_name(text)
    if name is None or "*" in name:
        raise argparse.ArgumentTypeError(f"{text!r} is not a machine's name, such as mypc.lan")
    return name


def server_config(args: argparse.Namespace) -> ServerConfig:
    """How ``add_listen_options``'s options ask to serve."""
    from facewire.bridge.server.config import ServerConfig

    host, port = args.listen
    return ServerConfig(
        host=host,
        port=port,
        token=args.token,
        certificate=args.tls_cert,
        key=args.tls_key,
        origins=tuple(args.origin),
        host_names=tuple(args.host_name),
    )


def wait_until(done: Callable[[], bool], step_s: float = POLL_S) -> None:
    """Wait on the main thread, which signals interrupt, and look every ``step_s``; ``done`` takes no lock.

    ``Event.wait`` will not do: an interrupt that meets it while it takes its lock leaves that taken, and a thread that
    sets the event, as the shutdown does, then waits forever. ``time.sleep`` holds nothing.
    """
    while not done():
        if _interrupt.came:
            raise KeyboardInterrupt
        time.sleep(step_s)


class _Interrupt:
    """Whether a signal has come that ends the command. A library may swallow the exception, so it is kept."""

    came = False
    number: int | None = None
    """Of the first one that came."""


_interrupt = _Interrupt()

ENDS = ("SIGTERM", "SIGHUP", "SIGBREAK")
"""What ends a command in order beside Ctrl-C: a service manager, a terminal that is closed (or ``nohup`` lets it go on
then), Ctrl-Break on Windows. When a machine shuts down two of them come, one after the other."""


def _on_signal(signum: int, _frame: FrameType | None) -> None:
    """End the command in order at the first signal, and at once at the same one again, or at Ctrl-C."""
    if _interrupt.came:  # another way of saying the same
        signal.signal(signum, signal.SIG_DFL)
        return
    _interrupt.came, _interrupt.number = True, signum
    for each in {signum, signal.SIGINT}:
        signal.signal(each, signal.SIG_DFL)
    raise KeyboardInterrupt


def _watch_for(names: Iterable[str]) -> dict[int, Any]:
    """Have signals end the command in order; return what they did before. One that is ignored, as under ``nohup``,
    stays so."""
    before: dict[int, Any] = {}
    if threading.current_thread() is not threading.main_thread():
        return before
    for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, _on_signal)
    return before


def until_interrupted(serve: Callable[[], int]) -> int:
    """Return what ``serve`` returns, or 0 when a signal ends it: that is the way to stop."""
    _interrupt.came, _interrupt.number = False, None
    _watch_for(("SIGINT", *ENDS))
    try:
        return serve()
    except BaseException:
        # A library that is interrupted while it is imported says ImportError, or whatever else it makes of it.
        if _interrupt.came:
            # If the signal ended an exec of source text, as numba and dataclasses do, `python -m` kills itself with the
            # signal at its exit, whatever was returned. The next exec resets that (CPython, Python/pythonrun.c,
            # run_eval_code_obj).
            exec("")
            return 0
        raise


def ending_in_order(run: Callable[[], int]) -> int:
    """Return what ``run`` returns, or 128 and the signal's number if one has ended it after it has tidied up."""
    _interrupt.came, _interrupt.number = False, None
    before = _watch_for(ENDS)
    try:
        return run()
    except KeyboardInterrupt:
        exec("")  # see until_interrupted
        return 128 + (_interrupt.number or signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
