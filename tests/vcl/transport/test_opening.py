"""Opening and ending: failures to connect, plain HTTP, TLS, handlers, the choice of the library."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import ssl
from pathlib import Path

import pytest

from tests.certificate import write_certificate
from vcl import transport
from vcl.transport import ConnectFailed, Connection, ConnectionClosed, Settings


async def echo(connection: Connection, path: str) -> None:
    while True:
        await connection.send(await connection.recv())


async def why(url: str, library: str, **arguments: object) -> str:
    settings = Settings(open_timeout_s=0.3)
    with pytest.raises(ConnectFailed) as caught:
        await transport.connect(url, settings, library=library, **arguments)  # type: ignore[arg-type]
    assert caught.value.url == url and url in str(caught.value)
    return caught.value.why


async def answer_with(stack, answer: bytes | None) -> int:
    """Serve TCP on the returned port: give `answer` and close, or never answer when it is None."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await reader.read()
        else:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    stack.callback(server.close)
    return int(server.sockets[0].getsockname()[1])


async def test_refused_port(library) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{unused.getsockname()[1]}"
        assert (await why(url, library)).startswith("refused")


async def test_unknown_name(library, monkeypatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert (await why("ws://no-such-host:1/", library)).startswith("name not known")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP status 200 OK"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404 Not Found"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "HTTP status 302 Found",
        ),
        (b"SSH-2.0-OpenSSH_9.0\r\n\r\n", "not a WebSocket endpoint"),
        (b"", "not a WebSocket endpoint"),
    ],
)
async def test_not_a_websocket_server(library, stack, answer: bytes, expected: str) -> None:
    port = await answer_with(stack, answer)
    assert expected in await why(f"ws://127.0.0.1:{port}/", library)


async def test_port_that_never_answers(library, stack) -> None:
    port = await answer_with(stack, None)
    assert (await why(f"ws://127.0.0.1:{port}/", library)).startswith("timed out")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "ws://", "127.0.0.1:80", "ws://h:port"])
async def test_urls_of_other_kinds(library, url: str) -> None:
    assert "not a WebSocket URL" in await why(url, library)


async def test_plain_get_is_answered(library, serve, raw) -> None:
    def http(path: str) -> tuple[int, str, bytes] | None:
        return (200, "application/json", b'{"ok": true}') if path == "/healthz" else None

    server = await serve(echo, library=library, http=http)
    head = await raw.get(server.address[1], "/healthz")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"application/json" in head
    assert await raw.reader.read() == b'{"ok": true}'
    raw.writer.close()
    assert (await raw.get(server.address[1], "/other")).startswith(b"HTTP/1.1 404 ")
    raw.writer.close()
    url = f"ws://127.0.0.1:{server.address[1]}/healthz"
    connection = await transport.connect(url, library=library)
    await connection.send(b"also here")
    assert bytes(await connection.recv()) == b"also here"
    await connection.close()


async def test_plain_get_without_answers_is_404(library, serve, raw) -> None:
    server = await serve(echo, library=library)
    assert (await raw.get(server.address[1], "/")).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("header", ["Origin: http://127.0.0.1", "origin: null", "ORIGIN:"])
async def test_a_browser_s_page_is_refused(library, serve, raw, header: str) -> None:
    served = []

    async def note(connection: transport.Connection, path: str) -> None:
        served.append(path)

    server = await serve(note, library=library, http=lambda path: (200, "text/plain", b"ok"))
    assert (await raw.ask_to_upgrade(server.address[1], header)).startswith(b"HTTP/1.1 403 ")
    assert b"Origin" in await raw.reader.read()
    raw.writer.close()
    assert served == []
    await raw.upgrade(server.address[1])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a self-signed certificate for 127.0.0.1 and its key."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "certificate.pem")


async def test_tls(library, serve, certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await serve(echo, library=library, ssl=context)
    address = f"127.0.0.1:{server.address[1]}"
    trusting = ssl.create_default_context(cafile=str(certificate))
    connection = await transport.connect(f"wss://{address}/", ssl=trusting, library=library)
    for size in (0, 64, 10_000, 3 * 2**20):
        message = bytes(range(256)) * (size // 256)
        await connection.send(b"head", message)
        assert bytes(await connection.recv()) == b"head" + message
    await connection.close()
    assert "certificate is not trusted" in await why(f"wss://{address}/", library)
    assert "not wss" in await why(f"ws://{address}/", library, ssl=trusting)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_tls_to_a_plain_server(library, stack, answer: bytes) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    stack.callback(server.close)
    port = server.sockets[0].getsockname()[1]
    assert (await why(f"wss://127.0.0.1:{port}/", library)).startswith("TLS failed")


@pytest.mark.parametrize(("fails", "code"), [(False, 1000), (True, 1011)])
async def test_end_of_the_handler_closes_the_connection(library, serve, fails, code) -> None:
    async def handler(connection: Connection, path: str) -> None:
        await connection.send(b"hello")
        if fails:
            raise LookupError("a handler that fails")

    server = await serve(handler, library=library)
    connection = await transport.connect(f"ws://127.0.0.1:{server.address[1]}", library=library)
    assert bytes(await connection.recv()) == b"hello"
    with pytest.raises(ConnectionClosed) as caught:
        await connection.recv()
    assert caught.value.code == code and caught.value.sent_by_peer


async def test_closing_the_server_ends_connections_and_handlers(library, serve) -> None:
    ends = []

    async def handler(connection: Connection, path: str) -> None:
        try:
            await echo(connection, path)
        finally:
            ends.append(path)

    async def stubborn(connection: Connection, path: str) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ends.append(path)

    async def either(connection: Connection, path: str) -> None:
        await (stubborn if path == "/stubborn" else handler)(connection, path)

    server = await serve(either, library=library, settings=Settings(close_timeout_s=0.3))
    url = f"ws://127.0.0.1:{server.address[1]}"
    paths = ["/a", "/b", "/stubborn"]
    connections = [await transport.connect(url + path, library=library) for path in paths]
    receiving = [asyncio.create_task(each.recv()) for each in connections]
    await asyncio.wait_for(server.close(), timeout=3.0)
    assert sorted(ends) == paths
    for each in receiving:
        with pytest.raises(ConnectionClosed) as caught:
            await each
        assert caught.value.code == 1001 and caught.value.sent_by_peer
    assert (await why(url, library)).startswith("refused")
    await server.close()


async def test_choice_of_the_library(monkeypatch) -> None:
    monkeypatch.setenv("VCL_TRANSPORT", "carrier-pigeon")
    with pytest.raises(ValueError, match="carrier-pigeon"):
        await transport.connect("ws://127.0.0.1:1/")
    monkeypatch.setenv("VCL_TRANSPORT", "websockets")
    server = await transport.serve(echo, "127.0.0.1", 0)
    assert type(server).__module__ == "vcl.transport.websocket"
    await server.close()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("VCL_TRANSPORT")
    server = await transport.serve(echo, "127.0.0.1", 0)
    assert type(server).__module__ == "vcl.transport.websocket"
    await server.close()
    with pytest.raises(ImportError, match=r"picows is not installed: .*pip install picows"):
        await transport.connect("ws://127.0.0.1:1/", library="picows")


def test_every_library_on_uvloop(library) -> None:
    uvloop = pytest.importorskip("uvloop")
    sizes = [10_000, 20_000, 5, 3 * 2**20, 9_000, 2**20, 0, 70_000]
    messages = [bytes([index]) * size for index, size in enumerate(sizes)] * 4

    async def send_at_once(connection: Connection, path: str) -> None:
        for message in messages:
            connection.send_soon(bytearray(message))
        for message in messages:
            assert bytes(await connection.recv()) == message

    async def exchange() -> None:
        # Both directions through a full write buffer, on an event loop with buffers of its own.
        tight = Settings(write_buffer_bytes=65536, receive_bytes_max=65536, receive_messages_max=2)
        server = await transport.serve(send_at_once, "127.0.0.1", 0, tight, library=library)
        url = f"ws://127.0.0.1:{server.address[1]}"
        connection = await transport.connect(url, tight, library=library)
        await send_at_once(connection, "")
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()
        assert caught.value.code == 1000
        await connection.close()
        await server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(exchange())
