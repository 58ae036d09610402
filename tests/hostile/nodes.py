"""Agents with a token and executors with a ticket that report what never was.

Owns: these attacks. Must not know: how the master defends itself.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from tests.described import device
from tests.hostile.raw import (
    BUFFER,
    CONTEXT,
    FIRST,
    QUEUE,
    Attacker,
    Hand,
    SessionByHand,
    done,
    during,
    is_a,
    outcome,
    packed,
)
from vcl.transport import ConnectionClosed
from vcl.wire import frame
from vcl.wire.limits import (
    agent_devices_max,
    agent_hello_bytes_max,
    message_bytes_max,
    message_values_max,
)
from vcl.wire.messages import node, part, session

FLOOD_S = 4.0
FAILED = -5
VALUES_OF_KERNEL = 21
"""Arrays, and values in them, of a kernel as `_built` reports it."""


def _fill(event: int) -> bytes:
    return packed(session.Fill(event, QUEUE, [], BUFFER, 0, 64, b"x"))


async def _pair(attacker: Attacker, first: bytes) -> tuple[SessionByHand, Hand]:
    """A session on a hostile node, and the executor that its first message made the master ask
    for."""
    agent, _ = await attacker.agent("hostile")
    client = await attacker.session("hostile")
    await client.send_packed([first])
    start = await agent.read_until(is_a(node.StartExecutor))
    return client, await attacker.executor(start)


async def unknown_operations(attacker: Attacker) -> str:
    """Done for operations that the executor was never given, 2,000 in a message."""
    _, executor = await _pair(attacker, _fill(FIRST))
    rows = [[10**6 + i, 0, 1, 2, None, None] for i in range(2000)]
    await executor.send(*(part.Done(rows) for _ in range(50)))
    return await outcome(executor.connection)


async def done_again_and_again(attacker: Attacker) -> str:
    """Done for one operation that it was given, 100,000 times."""
    _, executor = await _pair(attacker, _fill(FIRST))
    given = await executor.read_until(is_a(part.FillRegion))
    row = [given.operation, 0, 1, 2, None, None]
    await executor.send(*(part.Done([row] * 1000) for _ in range(100)))
    return await outcome(executor.connection)


async def _built(attacker: Attacker, count: int) -> str:
    units = [["kernel void k(global int *x) { x[0] = 1; }", "", [], []]]
    build = session.BuildProgram(FIRST, CONTEXT, FIRST + 1, session.BUILD, units, "")
    client, executor = await _pair(attacker, packed(build))
    asked = await executor.read_until(is_a(part.Build))
    groups = [[asked.devices[0], [1024, [0, 0, 0], 0, 1, 0, ""]]]
    kernels = [[f"k{i}", groups, []] for i in range(count)]
    reading = asyncio.create_task(client.read_until(is_a(session.Built)))
    try:
        await executor.send(part.BuildDone(asked.request, 0, "", [], kernels))
        built = await reading
    except ConnectionClosed as error:
        return str(error)
    finally:
        reading.cancel()
    return f"built with status {built.status}, {len(built.kernels)} kernels"


async def kernels_100_000(attacker: Attacker) -> str:
    """BuildDone with 100,000 kernels, far more values than a message may have."""
    return await _built(attacker, 100_000)


async def kernels_950(attacker: Attacker) -> str:
    """BuildDone with some 1,400 kernels: as many values as a message may have."""
    return await _built(attacker, (message_values_max - 100) // VALUES_OF_KERNEL)


async def long_failures(attacker: Attacker) -> str:
    """Operations that fail with texts of nearly 6 MiB."""
    messages = [_fill(FIRST + i) for i in range(3)]
    client, executor = await _pair(attacker, messages[0])
    await client.send_packed(messages[1:])
    reading = asyncio.create_task(client.read_until(done(FIRST + 2)))
    try:
        for _ in messages:
            given = await executor.read_until(is_a(part.FillRegion))
            text = "x" * (message_bytes_max - 1000)
            await executor.send(part.Done([[given.operation, FAILED, 1, 2, text, None]]))
        await reading
    except ConnectionClosed as error:
        return str(error)
    finally:
        reading.cancel()
    return "the client has the texts"


async def many_devices(attacker: Attacker) -> str:
    """An agent whose Hello has 64 devices and nearly 1 MiB; three clients come meanwhile."""
    text = "x" * ((agent_hello_bytes_max // agent_devices_max - 1000) // 240 - 20)
    answers: dict[str, Any] = {f"ANSWER_{i}": text for i in range(240)}
    await attacker.agent("wide", [device(**answers)] * agent_devices_max)
    for _ in range(3):
        await attacker.session()
    return "let in"


async def coming_and_going(attacker: Attacker) -> str:
    """Agents that connect and drop, each by another name."""
    going = during(FLOOD_S)
    count = 0
    while going():
        agent, _ = await attacker.agent(f"n{count}")
        await agent.connection.close()
        count += 1
    return f"{count} came and went"


async def early_bulk(attacker: Attacker) -> str:
    """Bulk frames of 28 bytes for an executor that never comes."""
    agent, _ = await attacker.agent("absent")
    client = await attacker.session("absent")
    bulk = await attacker.bulk(client)
    await client.send_packed([_fill(FIRST)])
    start = await agent.read_until(is_a(node.StartExecutor))
    going = during(2 * FLOOD_S)
    count = 0
    try:
        while going():
            head = frame.BulkFrame(frame.CHUNK, False, start.node, 0, count, 0, b"")
            await bulk.send(frame.pack_bulk_header(head))
            count += 1
    except ConnectionClosed as error:
        return f"{count} frames, then {error}"
    return f"{count} frames, still connected"


async def malformed_bulk(attacker: Attacker) -> str:
    """Bulk frames of an unknown kind, each on a new session."""
    going = during(FLOOD_S / 2)
    count, became = 0, ""
    while going():
        client = await attacker.session()
        bulk = await attacker.bulk(client)
        await bulk.send(struct.pack("<BBHIIQQ", 9, 0, 0, 1, 0, 1, 0))
        became = await outcome(bulk)
        count += 1
    return f"{became} ({count} times)"
