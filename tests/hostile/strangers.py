"""Who reaches the port and has no token.

Owns: these attacks. Must not know: sessions.
"""

from __future__ import annotations

import asyncio
import struct

from tests.hostile.raw import BINARY, PING, TEXT, Attacker, during, outcome, websocket_frame
from vcl.wire import frame
from vcl.wire.limits import PROTOCOL_VERSION, agent_hello_bytes_max

FLOOD_S = 4.0


async def colliding_keys(attacker: Attacker) -> str:
    """A first message of 641 KiB: a map of 65,536 keys that collide."""
    # A dict looks at the low bits first, which are the same in all.
    keys = b"".join(struct.pack("!BQB", 0xCF, i << 44, 0) for i in range(1, 2**16))
    message = b"\xdf" + struct.pack("!I", 2**16 - 1) + keys
    became = ""
    for _ in range(5):
        connection = await attacker.connect()
        await connection.send(message)
        became = await outcome(connection)
    return became


async def long_hello(attacker: Attacker) -> str:
    """Hellos of 1 MiB with a wrong token, of an agent, full of small values."""
    rest = frame.pack_value({"devices": [[]] * (agent_hello_bytes_max - 200)})
    hello = frame.pack_value(["vcl", PROTOCOL_VERSION, "agent", "wrong", None, None, rest])
    became = ""
    for _ in range(20):
        connection = await attacker.connect()
        await connection.send(hello)
        became = await outcome(connection)
    return became


async def silence(attacker: Attacker) -> str:
    """256 connections that say nothing until the master closes them."""
    opened = [await attacker.connect() for _ in range(256)]
    became = await asyncio.gather(*(outcome(each, 15.0) for each in opened))
    return ", ".join(f"{became.count(each)} {each}" for each in sorted(set(became)))


async def texts(attacker: Attacker) -> str:
    """Text frames, on one connection after another."""
    going = during(FLOOD_S)
    count, became = 0, ""
    while going():
        stranger = await attacker.raw()
        await stranger.send(websocket_frame(TEXT, b"x" * 1000) * 10)
        became = await stranger.outcome()
        count += 1
        await stranger.close()
    return f"{became} ({count} times)"


async def _flood(attacker: Attacker, data: bytes) -> str:
    stranger = await attacker.raw()
    sent = 0
    try:
        async with asyncio.timeout(FLOOD_S):
            while True:
                await stranger.send(data)
                sent += len(data)
    except TimeoutError:
        return f"sent {sent / 2**20:.0f} MiB, then " + await stranger.outcome()
    except OSError:
        return f"sent {sent / 2**20:.0f} MiB, then dropped"


async def pings(attacker: Attacker) -> str:
    """Pings of 125 bytes, as fast as they are taken, from one who reads no answer."""
    return await _flood(attacker, websocket_frame(PING, bytes(125)) * 500)


async def fragments(attacker: Attacker) -> str:
    """A message in fragments of nothing, which never ends."""
    first = websocket_frame(BINARY, b"", fin=False)
    stranger = await attacker.raw()
    await stranger.send(first)
    sent = 0
    going = during(FLOOD_S)
    try:
        while going():
            await stranger.send(websocket_frame(0, b"", fin=False) * 5000)
            sent += 5000
    except OSError:
        return f"dropped after {sent} fragments"
    return f"{sent} fragments, then " + await stranger.outcome(8.0)
