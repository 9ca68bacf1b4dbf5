"""The Python client against the real server, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.busy import slowness
from support.paths import GOLDEN, ROOT
from support.servers import Serve
from support.waiting import wait_until
from websockets.asyncio.client import ClientConnection

from facewire.bridge.client import client as client_module
from facewire.bridge.client.blocking import connect_blocking
from facewire.bridge.client.client import Client, connect
from facewire.bridge.server.server import LiveServer
from facewire.bridge.shared.errors import BusyError, CommandError, ConnectError, NotReadyError
from facewire.bridge.wire.codec import Encoder, decode_message


async def take(client: Client, count: int) -> list[int]:
    """Return the ``seq`` of the next ``count`` frames."""
    found = []
    for _ in range(count):
        frame = await asyncio.wait_for(client.next_frame(), 60)
        assert frame is not None
        found.append(frame.seq)
    return found


def test_async_for_gives_frames(serve: Serve) -> None:
    async def main(url: str) -> list[int]:
        found = []
        async for frame in connect(url):
            assert frame.blendshapes[51] == 1
            found.append(frame.seq)
            if len(found) == 20:
                break
        return found

    found = asyncio.run(main(serve().url))
    assert found == sorted(set(found))


def test_blocking_iteration_gives_frames_and_leaves_no_thread(serve: Serve) -> None:
    with connect_blocking(serve().url, timeout_s=60) as client:
        frames = [frame for frame, _ in zip(client, range(20), strict=False)]
        assert client.client.state == "open"
        thread = client._thread
    assert [frame.seq for frame in frames] == sorted({frame.seq for frame in frames})
    assert not thread.is_alive()


def test_streams_rate_hello_status_and_latency(serve: Serve) -> None:
    async def main(url: str) -> None:
        async with connect(url, streams=["head", "landmarks"], max_rate=20) as client:
            frame = await client.next_frame()
            while frame is not None and frame.landmarks is None:  # The first may be of the default subscription.
                frame = await client.next_frame()
            assert frame is not None
            assert not frame.blendshapes.any()
            while client.status is None or client.latency_ms is None or client.protocol.missed == 0:
                await client.next_frame()
            assert client.hello is not None
            assert client.hello["streams"] == ["blendshapes", "head", "gaze"]
            assert client.status["rates"] == {"publish": 60}
            # Both ends read the same clock here, so the estimate is wrong by at most half a round trip.
            assert client.protocol.clock.round_trip_ns is not None
            wrong_ns = client.protocol.clock.round_trip_ns // 2 + 1
            assert -wrong_ns * 1e-6 <= client.latency_ms < 20_000
            earlier_ns, server_ns, later_ns = time.monotonic_ns(), client.server_clock_ns(), time.monotonic_ns()
            assert earlier_ns - wrong_ns <= server_ns <= later_ns + wrong_ns

    asyncio.run(main(serve(status=lambda: {"rates": {"publish": 60}}).url))


def test_a_slow_loop_sees_the_newest_frame(serve: Serve) -> None:
    async def main(server: LiveServer) -> None:
        async with connect(server.url) as newest, connect(server.url, buffer=1000) as patient:
            await take(newest, 1)
            await take(patient, 1)
            enough = server.counts.published + 60
            while server.counts.published < enough:
                await asyncio.sleep(0.01)
            published = server.counts.published
            assert (await take(newest, 1))[0] >= published - 20
            assert newest.skipped > 10
            await take(patient, 20)
            assert patient.protocol.missed <= server.counts.overtaken
            assert patient.skipped == 0

    asyncio.run(main(serve()))


def test_commands_return_their_value_or_raise(serve: Serve) -> None:
    def refuse(_: Any) -> None:
        raise CommandError("no face to calibrate on: look at the camera")

    def busy(_: Any) -> None:
        raise BusyError("busy: something else is running")

    def load(_: Any) -> None:
        raise NotReadyError("the networks are still being loaded")

    commands = {"echo": lambda args: {"args": args}, "refuse": refuse, "busy": busy, "load": load}
    server = serve(commands={**commands, "slow": lambda _: time.sleep(0.5)})

    async def main() -> None:
        async with connect(server.url) as client:
            with pytest.raises(CommandError, match="not connected"):
                await client.command("echo")
            await take(client, 1)
            assert await client.command("echo", {"a": 1}) == {"args": {"a": 1}}
            both = await asyncio.gather(client.command("echo", {"n": 1}), client.command("echo", {"n": 2}))
            assert both == [{"args": {"n": 1}}, {"args": {"n": 2}}]
            with pytest.raises(CommandError, match="look at the camera"):
                await client.command("refuse")
            with pytest.raises(BusyError, match="something else is running"):
                await client.command("busy")
            with pytest.raises(NotReadyError, match="still being loaded"):
                await client.command("load")
            with pytest.raises(CommandError, match="unknown command 'dance'"):
                await client.command("dance")
            with pytest.raises(CommandError, match="no answer"):
                await client.command("slow", timeout_s=0.05)

    asyncio.run(main())
    with connect_blocking(server.url) as client:
        client.next_frame(60)
        assert client.command("echo", {"b": 2}) == {"args": {"b": 2}}


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("echo", {"a": object()}, "a command message cannot be sent"),
        ("echo", {"a": 2**70}, "a command message cannot be sent"),
        ("echo", {"a": "\ud800"}, "a command message cannot be sent"),
        ("echo", {"a": {1: 2}}, "not a msgpack message"),
        ("echo", {1: 2}, "not a msgpack message"),
        ("echo", ["a"], "its args must be a map"),
        ("echo", {"a": "x" * 65_536}, "and a message may have 65536"),
        ("", {}, "its name must be a text of 1 to 64 characters"),
        ("x" * 65, {}, "its name must be a text of 1 to 64 characters"),
        (7, {}, "its name must be a text of 1 to 64 characters"),
    ],
)
def test_a_command_that_no_server_could_read_is_refused_here(serve: Serve, name: Any, args: Any, words: str) -> None:
    server = serve(commands={"echo": lambda args: {"args": args}})
    with connect_blocking(server.url, reconnect=False) as client:
        client.next_frame(60)
        with pytest.raises(CommandError, match=f"^cannot send the command .*{words}") as caught:
            client.command(name, args, timeout_s=60)
        assert "\n" not in str(caught.value)
        assert client.command("echo", {"b": 2}, timeout_s=60) == {"args": {"b": 2}}  # the connection is as it was


@pytest.mark.parametrize("nothing", [{}, {"error": None, "code": None}])
def test_a_refusal_without_words_says_so(nothing: dict[str, Any]) -> None:
    async def answer(connection: Any) -> None:
        for name in ("nil_hello", "nil_frame"):
            await connection.send((GOLDEN / f"{name}.msgpack").read_bytes())
        async for data in connection:
            if (message := decode_message(data))["type"] == "command":
                result = {"type": "result", "id": message["id"], "ok": False, **nothing}
                await connection.send(Encoder().message(result))

    async def main() -> None:
        from websockets.asyncio.server import serve as serve_websocket

        async with serve_websocket(answer, "127.0.0.1", 0, subprotocols=["facewire.v1"]) as server:  # type: ignore[list-item]
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}/v1/live", reconnect=False) as client:
                await take(client, 1)
                with pytest.raises(CommandError, match=r"^the server gave no reason$"):
                    await client.command("anything", timeout_s=60)

    asyncio.run(main())


def test_frames_come_again_soon_after_a_restart(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    first = serve()

    async def main() -> float:
        async with connect(first.url) as client:
            await take(client, 5)
            await asyncio.to_thread(first.stop)
            await asyncio.sleep(1.0)
            assert client.state in ("waiting", "connecting")
            hello = client.hello
            serve(port=first.address[1])
            began = time.monotonic()
            while client.hello is hello:
                await take(client, 1)
            return time.monotonic() - began

    assert asyncio.run(main()) < 2.0 * slowness()
    assert len([record for record in caplog.records if "trying again" in record.message]) == 1


def test_a_client_may_come_before_its_server(serve: Serve) -> None:
    gone = serve(rate=0)
    gone.stop()

    async def main() -> None:
        async with connect(gone.url) as client:
            await asyncio.sleep(0.3)
            serve(port=gone.address[1])
            await take(client, 3)

    asyncio.run(main())


def test_without_reconnect_the_iteration_ends_with_the_server(serve: Serve) -> None:
    server = serve()

    async def main() -> int:
        count = 0
        async for _ in connect(server.url, reconnect=False):
            count += 1
            if count == 5:
                await asyncio.to_thread(server.stop)
        return count

    assert asyncio.run(main()) >= 5
    with (
        connect_blocking(server.url, reconnect=False) as client,
        pytest.raises(ConnectError, match=r"cannot reach ws://127\.0\.0\.1"),
    ):
        client.next_frame(60)


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("", {"token": "wrong"}, "refuses \\(401\\)"),
        ("http://127.0.0.1:8787/v1/live", {}, "is not a websocket address"),
        ("ws://127.0.0.1:99999/v1/live", {}, "is not a websocket address"),
        ("ws://a..b/v1/live", {}, "is not a websocket address"),
        ("ws://127.0.0.1:{port}/v2/live", {}, "refuses \\(404\\)"),
        ("ws://127.0.0.1:{port}/", {}, "is a page, not a websocket: Facewire's is at /v1/live"),
    ],
)
def test_a_refusal_is_raised_and_not_tried_again(serve: Serve, url: str, options: Any, message: str) -> None:
    server = serve(host="0.0.0.0")
    port = server.address[1]
    with (
        connect_blocking(url.format(port=port) or f"ws://127.0.0.1:{port}/v1/live", **options) as client,
        pytest.raises(ConnectError, match=message),
    ):
        client.next_frame(60)


def test_what_nobody_expected_ends_the_wait_for_frames(serve: Serve) -> None:
    """A fault in the client's own thread, here the clock's, must not leave the reader waiting."""
    with connect_blocking(serve().url, clock_ns=lambda: 1 // 0) as client:
        with pytest.raises(ConnectError, match="ZeroDivisionError"):
            client.next_frame(60)
        assert client.client.state == "closed"


def test_a_certificate_that_is_not_trusted_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be repaired meanwhile, and it is a ValueError beside an OSError."""

    def distrust(*_: Any, **__: Any) -> None:
        raise ssl.SSLCertVerificationError("self-signed")

    monkeypatch.setattr(client_module, "open_websocket", distrust)
    with connect_blocking("wss://127.0.0.1:1/v1/live") as client:
        with pytest.raises(TimeoutError):
            client.next_frame(0.2)
        assert client.client.state in ("waiting", "connecting")


def test_the_token_goes_by_argument_or_url(serve: Serve) -> None:
    server = serve(host="0.0.0.0")
    plain = f"ws://127.0.0.1:{server.address[1]}/v1/live"
    for url, options in ((server.url, {}), (plain, {"token": server.token})):
        with connect_blocking(url, timeout_s=60, **options) as client:
            assert client.next_frame(60) is not None


def test_a_frame_that_does_not_come_is_a_timeout(serve: Serve) -> None:
    with connect_blocking(serve(rate=0).url, timeout_s=0.3) as client, pytest.raises(TimeoutError, match=r"0\.3 s"):
        next(iter(client))


def test_a_frame_that_meets_its_timeout_is_not_lost(serve: Serve) -> None:
    """Waits that end about when frames come, as a game's do: the next wait gives what this one missed."""
    with connect_blocking(serve(rate=500).url, buffer=10_000) as client:
        taken, missed = 0, 0
        while taken < 500 or missed < 100:
            with contextlib.suppress(TimeoutError):
                missed += 1
                assert client.next_frame(timeout_s=0.002) is not None
                taken, missed = taken + 1, missed - 1
        client.close()
        assert client.client.protocol.received == taken + len(client.client._buffer)


def test_a_wait_of_nothing_takes_the_frame_that_is_there(serve: Serve) -> None:
    with connect_blocking(serve().url) as client:
        assert client.next_frame(timeout_s=20) is not None
        wait_until(lambda: client.client._buffer)
        assert client.next_frame(timeout_s=0) is not None


def test_a_closed_client_gives_no_more_frames(serve: Serve) -> None:
    with connect_blocking(serve().url, timeout_s=20) as client:
        assert client.next_frame(timeout_s=20) is not None
    assert list(client) == []
    with pytest.raises(CommandError, match="closed"):
        client.command("pause")
    client.close()


def test_a_message_that_meets_the_close_does_not_keep_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that talks all the time: the cancellation comes just when a message has."""

    class Talking:
        def __init__(self) -> None:
            self.asked: asyncio.Future[bytes] | None = None

        async def recv(self) -> bytes:
            self.asked = asyncio.get_running_loop().create_future()
            return await self.asked

        async def send(self, _message: bytes) -> None:
            pass

    async def main() -> None:
        websocket = Talking()

        @contextlib.asynccontextmanager
        async def opener(_self: Client) -> AsyncIterator[Talking]:
            yield websocket

        monkeypatch.setattr(Client, "_opener", opener)
        async with connect("ws://127.0.0.1:1/v1/live") as client:
            while websocket.asked is None:
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)  # wait_for waits now
            websocket.asked.set_result(Encoder().message({"type": "status"}))
            await asyncio.sleep(0)
            closing = asyncio.create_task(client.close())
            assert await asyncio.wait({closing}, timeout=20) == ({closing}, set())

    asyncio.run(main())


def test_frames_that_were_not_read_do_not_keep_out_the_close(serve: Serve) -> None:
    """websockets stops reading where 16 messages wait, and the server's close comes behind them."""
    server = serve(rate=500)

    async def main() -> int | None:
        async with connect(server.url) as client:
            await take(client, 1)
            websocket = client._websocket
            assert websocket is not None
            enough = server.counts.published + 200
            while server.counts.published < enough:
                time.sleep(0.01)  # Nothing is read meanwhile.
            while not websocket.recv_messages.paused:
                await asyncio.sleep(0)
        return websocket.close_code

    assert asyncio.run(main()) == 1000


def test_who_is_cancelled_while_it_closes_hears_of_it(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    close = ClientConnection.close

    async def close_slowly(websocket: ClientConnection, *_: Any) -> None:
        await close(websocket)
        closing.set()
        await asyncio.sleep(60)

    async def hold() -> None:
        async with connect(serve().url) as client:
            await take(client, 1)

    async def main() -> None:
        holding = asyncio.create_task(hold())
        await closing.wait()
        holding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holding

    closing = asyncio.Event()
    monkeypatch.setattr(ClientConnection, "close", close_slowly)
    asyncio.run(main())


def test_a_server_that_falls_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SILENCE_TIMEOUT_S", 0.2)
    visits = 0

    async def say_hello_and_hang(connection: Any) -> None:
        nonlocal visits
        visits += 1
        await connection.send((GOLDEN / "hello.msgpack").read_bytes())
        await connection.wait_closed()

    async def main() -> None:
        from websockets.asyncio.server import serve as serve_websocket

        async with serve_websocket(say_hello_and_hang, "127.0.0.1", 0, subprotocols=["facewire.v1"]) as server:  # type: ignore[list-item]
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}/v1/live"):
                deadline = time.monotonic() + 60
                while visits < 3:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.02)

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"\xc1", b"\x82\xa4type\xa5hello\xa8protocol\x02", "not json"])
def test_a_server_that_talks_nonsense_ends_in_an_error(answer: bytes | str) -> None:
    async def talk(connection: Any) -> None:
        await connection.send(answer)
        await connection.wait_closed()

    async def main() -> None:
        from websockets.asyncio.server import serve as serve_websocket

        async with serve_websocket(talk, "127.0.0.1", 0, subprotocols=["facewire.v1"]) as server:  # type: ignore[list-item]
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}/v1/live", reconnect=False) as client:
                await client.next_frame()

    with pytest.raises(ConnectError):
        asyncio.run(main())


@pytest.mark.parametrize(("code", "again"), [(1002, False), (1007, False), (1009, False), (1008, True), (1011, True)])
def test_what_would_happen_again_is_not_tried_again(code: int, again: bool) -> None:
    visits = 0

    async def shut(connection: Any) -> None:
        nonlocal visits
        visits += 1
        if visits == 1:
            await connection.close(code, "as a test")
            return
        for name in ("hello", "frame"):
            await connection.send((GOLDEN / f"{name}.msgpack").read_bytes())
        await connection.wait_closed()

    async def main() -> None:
        from websockets.asyncio.server import serve as serve_websocket

        async with serve_websocket(shut, "127.0.0.1", 0, subprotocols=["facewire.v1"]) as server:  # type: ignore[list-item]
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}/v1/live") as client:
                await take(client, 1)

    if again:
        asyncio.run(main())
    else:
        with pytest.raises(ConnectError, match=f"do not understand each other: closed with {code}"):
            asyncio.run(main())
        assert visits == 1


def test_the_documented_example_prints_frames(serve: Serve) -> None:
    script = ROOT / "docs" / "examples" / "receive.py"
    command = [sys.executable, str(script), serve().url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        process.terminate()
    assert all("video jawOpen 0.33 head [ 0.   0.   0.   1.   0.   0.  -0.5]" in line for line in lines), lines


def test_importing_and_using_the_bridge_is_light() -> None:
    code = (
        "import sys, facewire.bridge as bridge\n"
        "light = set(sys.modules)\n"
        "[getattr(bridge, name) for name in bridge.__all__]\n"
        "heavy = {'numba', 'cv2', 'onnxruntime', 'torch', 'facewire.models', 'facewire.runtime'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert not {'numpy', 'websockets', 'msgpack', 'asyncio'} & light\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_every_public_name_can_be_imported() -> None:
    import facewire.bridge as bridge

    for name in bridge.__all__:
        assert getattr(bridge, name) is not None
    with pytest.raises(AttributeError):
        _ = bridge.no_such_name
