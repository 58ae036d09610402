"""A client, an agent and an executor by hand: they send what they like and read when they like.

Owns: a WebSocket without a library, control connections that check nothing of what they send, and
one attacker's connections and programs. Must not know: which attacks there are.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tests.described import device
from tests.processes import environment
from vcl import transport
from vcl.links import dial
from vcl.numbering import Numbering
from vcl.transport import Connection, ConnectionClosed
from vcl.wire import codec, frame
from vcl.wire.messages import node, part, session
from vcl.wire.messages.handshake import DeviceDescription, Hello, Welcome

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
CONTEXT, QUEUE, BUFFER = 1, 2, 3
"""Ids of the objects that every session by hand has; others begin at `FIRST`."""
FIRST = 10

Found = Callable[[Any], bool]


@dataclass(frozen=True)
class Target:
    """A master, both tokens, and the name of a node of it that really computes."""

    url: str
    token: str
    agent_token: str
    node_name: str


def websocket_frame(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    """A client's frame (RFC 6455, 5.2), masked with zeros, which leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        length = struct.pack("!B", 0x80 | size)
    elif size < 2**16:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    return bytes([fin << 7 | opcode]) + length + bytes(4) + payload


class RawSocket:
    """A WebSocket that can send any frame. What it doesn't read stays in the kernel's buffers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Self:
        """Dial and upgrade."""
        target = urlsplit(url)
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        writer.write(
            f"GET / HTTP/1.1\r\nHost: {target.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def send(self, data: bytes) -> None:
        """Send frames; waits while the master takes nothing."""
        self._writer.write(data)
        await self._writer.drain()

    async def outcome(self, timeout_s: float = 5.0) -> str:
        """How it ends, whatever still comes before."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    first, size = await self._reader.readexactly(2)
                    if size >= 126:
                        width = 2 if size == 126 else 8
                        size = int.from_bytes(await self._reader.readexactly(width))
                    payload = await self._reader.readexactly(size)
                    if first & 0xF == CLOSE:
                        return f"closed with {int.from_bytes(payload[:2])}"
        except TimeoutError:
            return "still connected"
        except (OSError, asyncio.IncompleteReadError):
            return "dropped"

    async def close(self) -> None:
        """Drop it."""
        self._writer.transport.abort()


class Hand:
    """A control connection whose messages are packed unchecked.

    incoming: what the master may say on it.
    """

    def __init__(self, connection: Connection, incoming: codec.Conversation) -> None:
        self.connection = connection
        self._incoming = incoming
        self._numbering = Numbering()
        self._unread: deque[Any] = deque()

    async def send(self, *messages: Any) -> None:
        """Send messages of the protocol."""
        await self.send_packed([packed(m) for m in messages])

    async def send_packed(self, messages: Sequence[bytes]) -> None:
        """Send any bytes as messages, in frames or pieces; waits while the master takes none."""
        for data in self._numbering.pack(messages):
            await self.connection.send(data)

    async def read_until(self, found: Found) -> Any:
        """The first message that fits; raises ConnectionClosed."""
        while True:
            while self._unread:
                message = self._unread.popleft()
                if found(message):
                    return message
            arrays = self._numbering.unpack(await self.connection.recv())
            if self._numbering.wants_acknowledgement:
                with suppress(ConnectionClosed):
                    self.connection.send_soon(self._numbering.acknowledgement())
            self._unread.extend(self._incoming.unpack(arrays))

    async def send_and_read(self, messages: Sequence[bytes], found: Found) -> Any:
        """Send while reading; answers as `read_until`."""
        reading = asyncio.create_task(self.read_until(found))
        try:
            with suppress(ConnectionClosed):  # the reader tells with what reason
                await self.send_packed(messages)
            return await reading
        finally:
            reading.cancel()


class SessionByHand(Hand):
    """A client's control connection with a context, a queue and a buffer of 64 KiB.

    number: of the session. key: the token of its bulk connection.
    """

    def __init__(self, connection: Connection, welcome: Welcome) -> None:
        super().__init__(connection, session.TO_CLIENT)
        assert welcome.session is not None
        self.number = welcome.session
        self.key = welcome.key


def packed(message: Any) -> bytes:
    """One message of the protocol as bytes."""
    return frame.pack_value(codec.pack(message))


def done(event: int) -> Found:
    """Fits the end of an event."""
    return lambda m: isinstance(m, session.EventsDone) and any(e[0] == event for e in m.events)


def is_a(kind: type) -> Found:
    """Fits messages of a class."""
    return lambda m: isinstance(m, kind)


def during(seconds: float) -> Callable[[], bool]:
    """True for so long."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


async def outcome(connection: Connection, timeout_s: float = 5.0) -> str:
    """How a connection ends, whatever still comes before."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                await connection.recv()
    except TimeoutError:
        return "still connected"
    except ConnectionClosed as error:
        return str(error)


class Attacker:
    """All that one attack opens; `leave` ends it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._opened: list[RawSocket | Connection] = []
        self._programs: list[Process] = []

    async def raw(self) -> RawSocket:
        """A connection that has said nothing yet."""
        opened = await RawSocket.open(self.target.url)
        self._opened.append(opened)
        return opened

    async def connect(self) -> Connection:
        """The same by the project's own transport."""
        opened = await transport.connect(self.target.url)
        self._opened.append(opened)
        return opened

    async def dial(self, role: str, token: str, **fields: Any) -> tuple[Connection, Welcome]:
        """A connection that has shaken hands; raises ConnectionProblem."""
        hello = Hello.model_validate({"software": "9", "role": role, "token": token, **fields})
        connection, welcome = await dial(self.target.url, hello)
        self._opened.append(connection)
        return connection, welcome

    async def session(self, node_name: str = "", properties: int = 0) -> SessionByHand:
        """A session on a node, the target's if none is named."""
        connection, welcome = await self.dial("client", self.target.token)
        name = node_name or self.target.node_name
        number = next(d.device for d in welcome.devices if d.node_name == name)
        opened = SessionByHand(connection, welcome)
        await opened.send(
            session.CreateContext(CONTEXT, [number], False),
            session.CreateQueue(QUEUE, CONTEXT, number, properties),
            session.CreateBuffer(BUFFER, CONTEXT, 2**16),
        )
        return opened

    async def bulk(self, of: SessionByHand) -> Connection:
        """The bulk connection of a session."""
        connection, _ = await self.dial("client-bulk", of.key, session=of.number)
        return connection

    async def agent(
        self, name: str, devices: Sequence[DeviceDescription] | None = None
    ) -> tuple[Hand, int]:
        """A node that computes nothing, and its number."""
        given = [device()] if devices is None else devices
        fields = {"name": name, "incarnation": secrets.token_hex(8), "devices": [*given]}
        connection, welcome = await self.dial("agent", self.target.agent_token, **fields)
        assert welcome.node is not None
        return Hand(connection, node.TO_AGENT), welcome.node

    async def executor(self, start: node.StartExecutor) -> Hand:
        """Both connections of an executor that the master asked an agent for."""
        fields = {"session": start.session, "endpoint": start.node}
        await self.dial("executor-bulk", start.ticket, **fields)
        connection, _ = await self.dial("executor", start.ticket, **fields)
        return Hand(connection, part.TO_EXECUTOR)

    async def program(self, name: str) -> Process:
        """Start a program of `tests.hostile.programs`."""
        variables = environment(VCL_MASTER=self.target.url, VCL_TOKEN=self.target.token)
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.hostile.programs", name, self.target.node_name,
            env=variables, stdin=PIPE, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        self._programs.append(started)
        return started

    async def leave(self) -> None:
        """Drop all connections and end all programs."""
        for program in self._programs:
            with suppress(ProcessLookupError):
                program.kill()
            await program.communicate()
        await asyncio.gather(*(opened.close() for opened in self._opened))


Attack = Callable[[Attacker], Awaitable[str]]
"""An attack: awaited with its attacker, it answers what became of that."""
