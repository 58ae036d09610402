"""Connections with a protocol on them: dialling with a Hello, control links, bulk links.

Owns: the handshake of the side that dials, numbering of control frames on a connection, and
cutting bulk into chunks. Must not know: what messages or bytes mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from vcl import transport
from vcl.errors import ConnectionProblem, HandshakeRefused, RemoteProtocolError
from vcl.numbering import Numbering
from vcl.running import Running
from vcl.transfers import GrantCredit, Stream
from vcl.transport import ConnectFailed, Connection, ConnectionClosed
from vcl.wire import codec, frame
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

    Raises ConnectionProblem with a text for the user: what, where, how to mend it; if the master
    is there and refuses, or its version is another, HandshakeRefused.
    """
    try:
        connection = await transport.connect(url)
    except ConnectFailed as error:
        raise ConnectionProblem(
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

    async def receive(self) -> list[Any]:
        """The next batch; raises ConnectionClosed, or RemoteProtocolError for a bad one."""
        while True:
            arrays = self._numbering.unpack(await self.connection.recv())
            if self._numbering.wants_acknowledgement:
                # If the peer has closed meanwhile, the next recv says so, after what it sent.
                with contextlib.suppress(ConnectionClosed):
                    self.connection.send_soon(self._numbering.acknowledgement())
            if arrays:
                return self._incoming.unpack(arrays)


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
