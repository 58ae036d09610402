"""A master made by hand, for the programs of a node: it welcomes everybody and decides nothing.

Owns: the far end of the connections of an agent and of executors. Must not know: how a real master
chooses what to say.
"""

from __future__ import annotations

import asyncio
from typing import Any

from vcl import transport
from vcl.errors import RemoteProtocolError
from vcl.links import BulkLink, ControlLink
from vcl.numbering import Numbering
from vcl.transport import Connection, ConnectionClosed
from vcl.wire.messages import node, part
from vcl.wire.messages.handshake import (
    Hello,
    Refused,
    Welcome,
    pack_answer,
    unpack_hello,
    unpack_knock,
)

CONVERSATIONS = {"agent": node.FROM_AGENT, "executor": part.FROM_EXECUTOR}


class FakeMaster:
    """`async with` it; refuse: a reason to refuse everybody with, while it is set; code: of that.

    refused: counts them.
    """

    def __init__(
        self, refuse: str | None = None, code: str = "session", port: int = 0
    ) -> None:
        self.url = ""
        self._port = port
        self.refuse = refuse
        self.code = code
        self.refused = asyncio.Semaphore(0)
        self._arrived: dict[str, asyncio.Queue[tuple[Hello, Any]]] = {}
        self._over = asyncio.Event()

    async def __aenter__(self) -> FakeMaster:
        self._server = await transport.serve(self._handle, "127.0.0.1", self._port)
        host, port = self._server.address
        self.url = f"ws://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._server.close()

    async def _handle(self, connection: Connection, path: str) -> None:
        try:
            hello = unpack_hello(unpack_knock(await connection.recv()))
        except (ConnectionClosed, RemoteProtocolError):
            return
        if self.refuse is not None:
            refused = {"software": "9", "code": self.code, "reason": self.refuse}
            await connection.send(pack_answer(Refused.model_validate(refused)))
            self.refused.release()
            return
        await connection.send(pack_answer(Welcome(software="9", node=1)))
        link: Any
        if hello.role in CONVERSATIONS:
            link = ControlLink(connection, CONVERSATIONS[hello.role], Numbering())
        else:
            link = BulkLink(connection, 0, lambda transfer: None)
        self._queue(hello.role).put_nowait((hello, link))
        await self._over.wait()

    def _queue(self, role: str) -> asyncio.Queue[tuple[Hello, Any]]:
        return self._arrived.setdefault(role, asyncio.Queue())

    async def arrival(self, role: str) -> tuple[Hello, Any]:
        """The Hello and the link of the next connection of a role."""
        return await self._queue(role).get()

    def waiting(self, role: str) -> int:
        """Connections of a role that arrived and weren't asked for yet."""
        return self._queue(role).qsize()
