"""Connections of every role to a live master, which then send what they like.

Owns: opening what a role needs, honestly, and the mutation of frames. Must not know: what has to
come of it.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from tests.described import device
from tests.hostile.mutations import NUMBERS, OTHERS, places, replaced
from tests.master.rigs import ADD, GLOBAL, kernel
from tests.master.test_server import AGENT_TOKEN, TOKEN, chunk
from tests.vcl.wire.messages.test_golden import SAMPLES
from vcl import transport
from vcl.transport import Connection, ConnectionClosed, memory
from vcl.wire import codec, frame
from vcl.wire.messages import node, part, session
from vcl.wire.messages.handshake import Hello, Refused, pack_hello, unpack_answer

ROLES = ("hello", "client", "client-bulk", "agent", "executor", "executor-bulk")

SAID: dict[str, list[Any]] = {
    "client": [
        session.CreateContext(30, [1, 2], True),
        session.CreateQueue(31, 1, 0, 1),
        session.CreateBuffer(32, 1, 4096),
        session.BuildProgram(33, 1, 33, 0, [[ADD, "", [], []]], ""),
        session.CreateUserEvent(34, 1),
        session.SetUserEvent(20, 0),
        session.Release([10, 20]),
        session.Write(35, 2, [20], 10, 0, 32, 100),
        session.Read(36, 2, [], 10, 0, 64),
        session.Copy(37, 2, [], 10, 10, 0, 32, 16),
        session.Fill(38, 2, [], 10, 0, 64, b"\0\1"),
        session.CopyRect(39, 2, [], 10, 10, 0, 32, 4, 2, 2, 4, 8, 4, 8),
        session.Marker(40, 2, [], True),
        session.AskReport(41, 38),
    ],
    "executor": [
        part.Done([[1, 0, 1, 2, None, None]]),
        part.Done([[1, -5, 0, 0, "full", None]]),
        part.BuildDone(33, 0, "", [[1, 0, "log"]], [kernel("add", (GLOBAL, "float*"))]),
        part.Printed(1, b"one \xff\n"),
    ],
    "agent": [node.Heartbeat(1), node.ExecutorEnded(2, 1, "it crashed")],
}
ANY = [frame.pack_value(codec.pack(m)) for m in SAMPLES]


def flipped(rng: Random, data: bytes) -> bytes:
    """The data with some bits turned over."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def mutated(rng: Random, data: bytes) -> bytes:
    """A frame, or a message, of which something became on the way."""
    at = rng.randrange(len(data))
    choice = rng.randrange(7)
    if choice == 0:
        return data[:at]
    if choice == 1:
        other = rng.choice(ANY)
        return data[:at] + other[rng.randrange(len(other)) :]
    if choice == 2:
        return data[:at] + rng.randbytes(rng.randrange(1, 20)) + data[at:]
    if choice == 3:
        number = rng.choice((0, 1, 127, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, -1))
        return data[:at] + frame.pack_value(number) + data[at + 1 :]
    return data if choice == 4 else flipped(rng, data)


class Attack:
    """A session with all its ends, one of which sends what it likes.

    url: where the master listens. in_memory: control connections needn't be sockets, as bulk must.
    """

    def __init__(self, server: Any, url: str, in_memory: bool, rng: Random) -> None:
        self._server, self._url, self._in_memory, self._rng = server, url, in_memory, rng
        self._opened: list[Connection] = []
        self._handlers: list[asyncio.Task[None]] = []
        self._number = 0
        self._endpoint = 0

    async def _connect(self, role: str) -> Connection:
        if role.endswith("bulk") or not self._in_memory:
            near = await transport.connect(self._url)
        else:
            near, far = memory.pair()
            self._handlers.append(asyncio.create_task(self._server._handle(far, "/")))
        self._opened.append(near)
        return near

    async def _dial(self, role: str, token: str, **fields: Any) -> tuple[Connection, Any]:
        hello = Hello.model_validate({"software": "9", "role": role, "token": token, **fields})
        connection = await self._connect(role)
        await connection.send(pack_hello(hello))
        answer = unpack_answer(await connection.recv())
        assert not isinstance(answer, Refused), answer
        if role.endswith("bulk"):
            connection.ping()
        return connection, answer

    async def _open(self, role: str) -> Connection:
        """The connection of a role, with all that it needs."""
        if role == "hello":
            return await self._connect(role)
        agent, registered = await self._dial("agent", AGENT_TOKEN, devices=[device()])
        if role == "agent":
            return agent
        client, welcome = await self._dial("client", TOKEN)
        bulk, _ = await self._dial("client-bulk", welcome.key, session=welcome.session)
        devices = [d.device for d in welcome.devices if d.node == registered.node]
        messages = [
            session.CreateContext(1, devices, True),
            session.CreateQueue(2, 1, 0, 0),
            session.CreateBuffer(10, 1, 64),
            session.CreateUserEvent(20, 1),
            session.Fill(21, 2, [], 10, 0, 64, b"x"),
        ]
        await client.send(self._control(*(frame.pack_value(codec.pack(m)) for m in messages)))
        if role in ("client", "client-bulk"):
            return client if role == "client" else bulk
        self._number = 0
        content: Any = frame.unpack_control(await agent.recv())[2]
        _, number, self._endpoint, _, ticket, _ = content[0]
        fields = {"token": ticket, "session": number, "endpoint": self._endpoint}
        executor_bulk, _ = await self._dial("executor-bulk", **fields)
        executor, _ = await self._dial("executor", **fields)
        return executor if role == "executor" else executor_bulk

    def _control(self, *messages: bytes) -> bytes:
        self._number += 1
        return frame.pack_control(self._number, 0, messages)

    def _frame(self, role: str) -> bytes:
        """The next frame to send."""
        rng = self._rng
        if role == "hello":
            kind = rng.choice(("client", "agent", "executor", "client-bulk"))
            token = rng.choice((TOKEN, AGENT_TOKEN, "x"))
            fields = {"devices": [device()]} if kind == "agent" else {}
            hello = {"software": "9", "role": kind, "token": token, **fields}
            return mutated(rng, pack_hello(Hello.model_validate(hello)))
        if role.endswith("bulk"):
            payload = rng.randbytes(rng.choice((0, 1, 100)))
            destination = rng.choice((0, 1, self._endpoint))
            return mutated(rng, b"".join(chunk(destination, self._endpoint, payload)))
        message = rng.choice(SAID[role])
        if rng.random() < 0.5:  # what the codec may let pass
            array = list(codec.pack(message))
            place = rng.choice([*places(array)][1:])
            value = rng.choice((*NUMBERS, *NUMBERS, *OTHERS, 10, 20, 21))
            return self._control(frame.pack_value(replaced(array, place, value)))
        said = frame.pack_value(codec.pack(message))
        if rng.random() < 0.7:  # a frame as it should be, around a message that isn't
            return self._control(mutated(rng, said))
        return mutated(rng, self._control(said))

    async def run(self, role: str, frames_max: int) -> int:
        """Send until the connection is closed, or enough; answers how many frames went."""
        connection = await self._open(role)
        sent = 0
        try:
            while sent < frames_max:
                await connection.send(self._frame(role))
                sent += 1
                for _ in range(3):
                    await asyncio.sleep(0)  # lets the master read it
        except ConnectionClosed:
            pass
        return sent

    async def end(self) -> None:
        """Close all, and wait until the master has seen it where that is cheap."""
        for connection in self._opened:
            await connection.close()
        for handler in self._handlers:
            await handler
