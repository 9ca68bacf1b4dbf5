"""Listening: addresses of both families, what is printed of them, and open files."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from support.servers import RawClient, Serve

from facewire.bridge.server.arrival.sockets import listen, room_for_connections, url_host
from facewire.bridge.shared.errors import ServeError


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


IPV6_HOSTS = ("::", "::1", "0:0:0:0:0:0:0:1", "::0") if has_ipv6() else ()
LINUX_HOSTS = ("127.0.0.2", "127.1") if sys.platform == "linux" else ()  # Only Linux has all of 127.0.0.0/8.


def status(url: str, host: str | None = None) -> int:
    """Return the HTTP status of an address."""
    request = urllib.request.Request(url, headers={} if host is None else {"Host": host})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_two_colons_are_both_families_on_one_port(serve: Serve) -> None:
    server = serve(host="::", token="s")
    port = server.address[1]
    assert server.page_url == f"http://127.0.0.1:{port}/?token=s"
    for host in ("127.0.0.1", "localhost", *(["[::1]"] if has_ipv6() else [])):
        assert status(f"http://{host}:{port}/") == 200, host


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "", *LINUX_HOSTS, *IPV6_HOSTS])
def test_the_page_that_is_printed_answers(serve: Serve, host: str) -> None:
    server = serve(host=host)
    assert status(server.page_url) == 200, server.page_url


def test_an_odd_token_is_quoted_in_the_address(serve: Serve) -> None:
    token = "a&b=c#d?e+f%20 ä/"
    server = serve(host="0.0.0.0", token=token)
    assert server.url.endswith("?token=a%26b%3Dc%23d%3Fe%2Bf%2520%20%C3%A4%2F")
    from websockets.sync.client import connect

    with connect(server.url) as client:
        assert isinstance(client.recv(), str)
    head = b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.address[1]), timeout=30) as plain:
        plain.sendall(head)
        assert plain.recv(100).startswith(b"HTTP/1.1 426")  # Past the token, though it is no websocket.


def test_a_token_that_is_no_text_is_quoted_and_read_back(serve: Serve) -> None:
    """A command line may hold any bytes."""
    server = serve(host="0.0.0.0", token=b"a\xff\xe4".decode(errors="surrogateescape"))
    assert server.url.endswith("?token=a%FF%E4")
    from websockets.sync.client import connect

    with connect(server.url) as client:
        assert isinstance(client.recv(), str)


@pytest.mark.parametrize(
    ("host", "addresses", "name"),
    [
        ("127.0.0.1", ["127.0.0.1"], "127.0.0.1"),
        ("0.0.0.0", ["0.0.0.0"], "127.0.0.1"),
        ("::", ["::", "0.0.0.0"], "127.0.0.1"),
        ("::", ["::"], "[::1]"),
        ("2001:DB8::5", ["2001:db8::5"], "[2001:db8::5]"),
        ("fe80::1%eth0", ["fe80::1"], "[fe80::1%25eth0]"),
        ("MyPC.lan", ["192.168.1.5"], "mypc.lan"),
        ("::ffff:127.0.0.1", ["::ffff:127.0.0.1"], "127.0.0.1"),
    ],
)
def test_what_is_printed_for_what_is_listened_on(host: str, addresses: list[str], name: str) -> None:
    assert url_host(host, addresses) == name


def test_a_port_that_another_has_in_one_family_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            listen("::", other.getsockname()[1])


def test_an_address_of_nobody_is_one_line(serve: Serve) -> None:
    with pytest.raises(ServeError, match=r"cannot listen on 192\.0\.2\.7"):
        serve(host="192.0.2.7")


def test_a_reserve_of_files_is_kept() -> None:
    assert room_for_connections(None, 2048) == 2048
    assert room_for_connections(20_000, 2048) == 2048
    assert room_for_connections(1024, 2048) == 768
    assert room_for_connections(200, 2048) == 150


SMALL_SERVER = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
from facewire.bridge.server.config import ServerConfig
from facewire.bridge.server.server import LiveServer
with LiveServer(ServerConfig(port=0), clock_ns=time.monotonic_ns) as server:
    print(server.address[1], resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
    sys.stdin.readline()
    began = time.process_time()
    files = [open("/dev/null") for _ in range(20)]
    sys.stdin.readline()
    print(time.process_time() - began, len(server._endpoint.connections), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of open files")
def test_few_open_files_are_enough_for_the_next_client() -> None:
    """More idle connections than there are files: the server never runs out of them, and lets the next client in."""
    command = [sys.executable, "-c", SMALL_SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        port, soft = map(int, program.stdout.readline().split())
        assert soft == 200
        idle = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(400)]
        program.stdin.write("\n")
        program.stdin.flush()
        with contextlib.closing(RawClient(("127.0.0.1", port))) as client:
            assert " 101 " in client.handshake()
        time.sleep(1)
        program.stdin.write("\n")
        program.stdin.flush()
        busy_s, connections = program.stdout.readline().split()
        for connection in idle:
            connection.close()
        program.wait(30)
    assert int(connections) <= 150
    assert float(busy_s) < 0.9  # It does not spin.
