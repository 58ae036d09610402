"""Links of every transport, a relay to freeze or cut, and a client that speaks raw frames."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from vcl import transport
from vcl.transport import Connection, Server, Settings, memory

needs_picows = pytest.mark.skipif(
    importlib.util.find_spec("picows") is None, reason="picows is not installed"
)
LIBRARIES = ["websockets", pytest.param("picows", marks=needs_picows)]

Link = tuple[Connection, Connection]
OpenLink = Callable[..., Awaitable[Link]]


class Relay:
    """A TCP relay to 127.0.0.1:`port` whose links can be frozen or cut."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.server: asyncio.Server

    async def start(self, port: int) -> int:
        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while data := await reader.read(65536):
                    await self.flowing.wait()
                    writer.write(data)
                    await writer.drain()
            except ConnectionError:
                pass
            writer.close()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            self.writers += [writer, far_writer]
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

        self.server = await asyncio.start_server(accept, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()

    def close(self) -> None:
        self.flowing.set()
        self.cut()
        self.server.close()


class RawClient:
    """Speaks HTTP and WebSocket frames by hand, right or wrong."""

    async def get(self, port: int, path: str, *headers: str) -> bytes:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode())
        return await self.reader.readuntil(b"\r\n\r\n")

    async def ask_to_upgrade(self, port: int, *headers: str) -> bytes:
        return await self.get(
            port,
            "/",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            *headers,
        )

    async def upgrade(self, port: int) -> None:
        assert b" 101 " in await self.ask_to_upgrade(port)

    def frame(self, opcode: int, payload: bytes, fin: bool = True) -> None:
        assert len(payload) < 126
        header = bytes([opcode | (0x80 if fin else 0), 0x80 | len(payload)])
        self.writer.write(header + bytes(4) + payload)

    async def next_frame(self) -> tuple[int, bytes]:
        first, second = await self.reader.readexactly(2)
        assert second < 126
        return first & 0xF, await self.reader.readexactly(second)

    async def close_code(self) -> int:
        opcode, payload = await self.next_frame()
        assert opcode == 8
        return int.from_bytes(payload[:2], "big")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as resources:
        yield resources


@pytest.fixture
def serve(stack: AsyncExitStack) -> Callable[..., Awaitable[Server]]:
    """`transport.serve` on a free port of 127.0.0.1, closed after the test."""

    async def start(handler: transport.Handler, **arguments: object) -> Server:
        server = await transport.serve(handler, "127.0.0.1", 0, **arguments)  # type: ignore[arg-type]
        stack.push_async_callback(server.close)
        return server

    return start


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
async def raw(stack: AsyncExitStack) -> AsyncIterator[RawClient]:
    client = RawClient()
    yield client
    client.writer.close()


@pytest.fixture
def open_tcp_link(
    stack: AsyncExitStack, serve: Callable[..., Awaitable[Server]]
) -> Callable[..., Awaitable[Link]]:
    """Opens a link of a library: (client's end, server's end)."""

    async def open_link(
        library: str, settings: Settings | None = None, through: Relay | None = None
    ) -> Link:
        accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        done = asyncio.Event()

        async def handler(connection: Connection, path: str) -> None:
            assert path == "/session?node=1"
            accepted.set_result(connection)
            await done.wait()

        server = await serve(handler, settings=settings, library=library)
        port = server.address[1]
        if through is not None:
            port = await through.start(port)
            stack.callback(through.close)
        url = f"ws://127.0.0.1:{port}/session?node=1"
        client = await transport.connect(url, settings, library=library)
        stack.push_async_callback(client.close)
        stack.callback(done.set)
        return client, await accepted

    return open_link


@pytest.fixture(params=[*LIBRARIES, "memory"])
def open_link(
    request: pytest.FixtureRequest,
    stack: AsyncExitStack,
    open_tcp_link: Callable[..., Awaitable[Link]],
) -> OpenLink:
    """Opens a link of each transport in turn."""

    async def open_it(settings: Settings | None = None) -> Link:
        if request.param != "memory":
            return await open_tcp_link(request.param, settings)
        left, right = memory.pair(settings)
        stack.push_async_callback(left.close)
        return left, right

    return open_it


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    """The name of each WebSocket library in turn."""
    return str(request.param)
