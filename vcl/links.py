"""Connections with a protocol on them: dialling with a Hello, control links, bulk links.

Owns: the handshake of the side that dials, numbering of control frames on a connection, and
cutting bulk into chunks. Must not know: what messages or bytes mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from vcl import transport
from vcl.errors import ConnectionProblem, HandshakeRefused, NotReached, RemoteProtocolError
from vcl.numbering import Numbering
from vcl.running import Running
from vcl.transfers import GrantCredit, Stream
from vcl.transport import ConnectFailed, Connection, ConnectionClosed
from vcl.transport.failure import may_pass
from vcl.wire import codec, frame
from vcl.wire.frame import Bytes
from vcl.wire.limits import PROTOCOL_VERSION, chunk_bytes_max, handshake_timeout_s
from vcl.wire.messages.handshake import (
    Hello,
    Refused,
    Welcome,
    pack_hello,
    unpack_answer,
)


async def dial(url: str, hello: Hello) -> tuple[Connection, Welcome]:
    """Connect and shake hands.

    Raises ConnectionProblem with a text for the user: what, where, how to mend it; NotReached if
    nobody is there; if the master is and refuses, or its version is another, HandshakeRefused.
    """
    try:
        connection = await transport.connect(url)
    except ConnectFailed as error:
        problem = NotReached if may_pass(error.__cause__) else ConnectionProblem
        raise problem(
            f"can't reach a vcl-master at {url}: {error.why}. Is vcl-master running there, and "
            "is the address right?"
        ) from error
    try:
        await connection.send(pack_hello(hello))
        async with asyncio.timeout(handshake_timeout_s):
            answer = unpack_answer(await connection.recv())
    except TimeoutError as error:
        await connection.close()
        raise ConnectionProblem(
            f"{url} accepted the connection but didn't answer the handshake within "
            f"{handshake_timeout_s:g} s: is it a vcl-master?"
        ) from error
    except ConnectionClosed as error:
        raise ConnectionProblem(f"{url} closed the connection in the handshake: {error}") from error
    except RemoteProtocolError as error:
        await connection.close()
        raise ConnectionProblem(f"{url} isn't a vcl-master of this version: {error}") from error
    if isinstance(answer, Refused):
        await connection.close()
        raise HandshakeRefused(answer.code, f"the vcl-master at {url} refused: {answer.reason}")
    if answer.version != PROTOCOL_VERSION:
        await connection.close()
        raise HandshakeRefused(
            "version",
            f"the vcl-master at {url} speaks version {answer.version} of the protocol, this side "
            f"{PROTOCOL_VERSION}: install the same vcl on both",
        )
    return connection, answer


class ControlLink:
    """A control connection: batches of messages out, checked messages in.

    incoming: the conversation that the peer may speak. numbering: of this end, which may outlive
    the connection: its owner keeps it.
    """

    def __init__(
        self, connection: Connection, incoming: codec.Conversation, numbering: Numbering
    ) -> None:
        self.connection = connection
        self._numbering = numbering
        self._encoder = frame.Encoder()
        self._incoming = incoming

    def send(self, messages: Sequence[Any]) -> None:
        """Send messages; on the loop's thread only.

        Raises ConnectionClosed; ValueError, having sent none, if one of them can't be packed.
        """
        self.send_encoded([self._encoder.pack(codec.pack(m)) for m in messages])

    def send_encoded(self, messages: Sequence[bytes]) -> None:
        """As `send`, of messages that are packed already."""
        for data in self._numbering.pack(messages):
            self.connection.send_soon(data)

    @property
    def unsent_bytes(self) -> int:
        """How much of what was sent hasn't left."""
        return self.connection.unsent_bytes

    async def drained(self) -> None:
        """Wait for room in the write buffer. Raises ConnectionClosed."""
        await self.connection.drained()

    async def close(self, code: int, reason: str) -> None:
        """Close it with the closing handshake, within a while."""
        await self.connection.close(code, reason)

    async def receive(self) -> list[Any]:
        """The next batch; raises ConnectionClosed, or RemoteProtocolError for a bad one."""
        while True:
            messages = self._messages_of(await self.connection.recv())
            if messages:
                return messages

    def _messages_of(self, data: Bytes) -> list[Any]:
        """Of a frame, which may have none."""
        arrays = self._numbering.unpack(data)
        if self._numbering.wants_acknowledgement:
            # If the peer has closed meanwhile, the next recv says so, after what it sent.
            with contextlib.suppress(ConnectionClosed):
                self.connection.send_soon(self._numbering.acknowledgement())
        return self._incoming.unpack(arrays) if arrays else []

    async def run(self, take: Callable[[list[Any]], Awaitable[None] | None]) -> None:
        """Give each batch to `take` as soon as it is there, until the connection ends.

        take: answers what is to be awaited before it is given the next, if anything is; others may
        have to come first. Raises ConnectionClosed, RemoteProtocolError for a bad batch, or what
        `take` raises.
        """

        def arrived(data: Bytes) -> Awaitable[None] | None:
            messages = self._messages_of(data)
            return take(messages) if messages else None

        await deliver(self.connection, arrived)


class BulkLink:
    """A bulk connection of one endpoint: streams in chunks, grants credit.

    streamed: called on the loop with the transfer once its bytes were handed over.
    """

    def __init__(
        self, connection: Connection, endpoint: int, streamed: Callable[[int], None]
    ) -> None:
        self.connection = connection
        self._endpoint = endpoint
        self._streamed = streamed
        self._streams = Running("a bulk stream failed")

    def grant(self, effect: GrantCredit) -> None:
        """Send credit; on the loop's thread only."""
        credit = frame.BulkFrame(
            frame.CREDIT, False, effect.endpoint, self._endpoint, effect.transfer, 0, b""
        )
        self.connection.send_soon(frame.pack_bulk_header(credit))

    def stream(self, effect: Stream) -> None:
        """Send a transfer in chunks, taking turns with others; on the loop's thread only."""
        self._streams.start(self._stream(effect))

    async def _stream(self, effect: Stream) -> None:
        try:
            for offset, chunk, last in effect.chunks(chunk_bytes_max):
                header = frame.BulkFrame(
                    frame.CHUNK, last, effect.endpoint, self._endpoint, effect.transfer, offset, b""
                )
                await self.connection.send(frame.pack_bulk_header(header), chunk)
        except ConnectionClosed:
            return  # whoever reads from the connection learns of it too, and ends the session
        self._streamed(effect.transfer)

    async def receive(self) -> frame.BulkFrame:
        """The next frame; raises ConnectionClosed, or RemoteProtocolError for a bad one."""
        return frame.unpack_bulk(await self.connection.recv())

    async def run(self, take: Callable[[Sequence[frame.BulkFrame]], None]) -> None:
        """Give frames to `take` as soon as they are there. Raises as of ControlLink."""
        await deliver(self.connection, lambda data: take([frame.unpack_bulk(data)]))

    async def end(self) -> None:
        """Close it."""
        await self.connection.close()


async def deliver(
    connection: Connection, take: Callable[[Bytes], Awaitable[None] | None]
) -> None:
    """Give each message of a connection to `take` as soon as it is there, until that ends.

    take: as of ControlLink.run. Raises ConnectionClosed, or what `take` raises.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[Awaitable[None]] = loop.create_future()

    def guarded(data: Bytes) -> None:
        try:
            waiting = take(data)
        except Exception as error:
            connection.deliver(None)
            stopped.set_exception(error)
            return
        if waiting is not None:
            connection.deliver(None)
            stopped.set_result(waiting)

    ended = loop.create_task(connection.wait_closed())
    try:
        while True:
            connection.deliver(guarded)
            either: list[asyncio.Future[Any]] = [stopped, ended]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not stopped.done():
                await connection.recv()  # which says how it ended
            waiting, stopped = stopped.result(), loop.create_future()
            await waiting
    finally:
        connection.deliver(None)
        ended.cancel()
        stopped.cancel()
