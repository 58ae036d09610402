"""Clients with a token that send what no program does.

Owns: these attacks but those by programs' sources (`sources`). Must not know: how the master
defends itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from master.kept_reports import reports_asked_max
from tests.hostile.raw import (
    BUFFER,
    CONTEXT,
    FIRST,
    QUEUE,
    Attacker,
    SessionByHand,
    done,
    during,
    outcome,
    packed,
)
from vcl.transport import ConnectionClosed
from vcl.wire import frame
from vcl.wire.limits import (
    commands_max,
    control_bytes_max,
    message_bytes_max,
    message_values_max,
    objects_max,
    released_max,
    waits_added_max,
    waits_max,
)
from vcl.wire.messages import session

FLOOD_S = 4.0
OUT_OF_ORDER = 1
EMPTY = b"\x90"


def _marker(event: int, waits: Iterable[int] = ()) -> bytes:
    return packed(session.Marker(event, QUEUE, list(waits), False))


async def _carry_out(of: SessionByHand, messages: list[bytes], last: int) -> str:
    """Send all, and a marker behind them; its end is the end of all."""
    try:
        await of.send_and_read([*messages, _marker(last)], done(last))
    except ConnectionClosed as error:
        return str(error)
    return "carried out"


async def tiny_values(attacker: Attacker) -> str:
    """The largest frames, of nothing but empty arrays; a new session for each."""
    array = b"\xdd" + (control_bytes_max - 20).to_bytes(4) + EMPTY * (control_bytes_max - 20)
    message = b"\x92\x08" + array  # Release
    going = during(FLOOD_S)
    count, became = 0, ""
    while going():
        attacking = await attacker.session()
        await attacking.send_packed([message])
        became = await outcome(attacking.connection)
        count += 1
    return f"{became} ({count} times)"


async def arrays_in_pieces(attacker: Attacker) -> str:
    """Messages of nearly 6 MiB in pieces, of as many empty arrays as one may have, and bytes; a new
    session for each."""
    count = message_values_max // 2 - 10  # an empty array is a value, and one in another
    padding = message_bytes_max - count - 100
    objects = b"\xdd" + (count + 1).to_bytes(4) + EMPTY * count
    message = b"\x92\x08" + objects + b"\xc6" + padding.to_bytes(4) + bytes(padding)  # Release
    going = during(FLOOD_S)
    number, became = 0, ""
    while going():
        attacking = await attacker.session()
        became = await _carry_out(attacking, [message], FIRST)
        number += 1
    return f"{became} ({number} times)"


async def release_many(attacker: Attacker) -> str:
    """65,535 user events, then Releases of all, of as many as one may have."""
    ids = range(FIRST, FIRST + commands_max - 1)  # the marker behind them is one, too
    most = released_max
    attacking = await attacker.session()
    made = [packed(session.CreateUserEvent(n, CONTEXT)) for n in ids]
    gone = [packed(session.Release([*ids[at : at + most]])) for at in range(0, len(ids), most)]
    return await _carry_out(attacking, made + gone, ids[-1] + 1)


async def many_segments(attacker: Attacker) -> str:
    """A buffer cut into 20,000 segments by fills, then copied and read over whole, ten times."""
    cuts = [packed(session.Fill(FIRST + i, QUEUE, [], BUFFER, 3 * i, 1, b"x"))
            for i in range(20_000)]  # fmt: skip
    other, after = FIRST + 50_000, FIRST + 50_001
    whole: list[bytes] = [packed(session.CreateBuffer(other, CONTEXT, 2**16))]
    for i in range(10):
        whole.append(packed(session.Copy(after + 2 * i, QUEUE, [], BUFFER, other, 0, 0, 2**16)))
        whole.append(packed(session.Read(after + 2 * i + 1, QUEUE, [], other, 0, 2**16)))
    attacking = await attacker.session()
    return await _carry_out(attacking, cuts + whole, after + 100)


async def many_objects(attacker: Attacker) -> str:
    """As many contexts, queues and buffers as a session may have, a third of each."""
    attacking = await attacker.session()
    each = objects_max // 3 - 1  # of each kind it has one already
    made = [packed(session.CreateContext(FIRST + i, [], False)) for i in range(each)]
    made += [packed(session.CreateQueue(FIRST + each + i, CONTEXT, 0, 0)) for i in range(each)]
    made += [packed(session.CreateBuffer(FIRST + 2 * each + i, CONTEXT, 64))
             for i in range(each)]  # fmt: skip
    return await _carry_out(attacking, made, FIRST + 3 * each)


async def ask_reports(attacker: Attacker) -> str:
    """As many questions for the report of a marker that waits as may be open, and 100,000 for one
    that has ended."""
    attacking = await attacker.session(properties=OUT_OF_ORDER)
    gate, marker, ended = FIRST, FIRST + 1, FIRST + 2
    numbers = range(FIRST + 3, FIRST + 3 + 100_000 + reports_asked_max)
    asks = [packed(session.AskReport(n, ended if i >= reports_asked_max else marker))
            for i, n in enumerate(numbers)]  # fmt: skip
    messages = [packed(session.CreateUserEvent(gate, CONTEXT)), _marker(marker, [gate])]
    # It waits for what doesn't exist, else for all that is in the queue.
    messages += [_marker(ended, [10**9]), *asks]
    messages.append(packed(session.SetUserEvent(gate, 0)))
    return await _carry_out(attacking, messages, FIRST + 200_000)


async def long_kernel_name(attacker: Attacker) -> str:
    """Launches of kernels whose names are of 4 MB."""
    attacking = await attacker.session()
    program, event = FIRST, FIRST + 2
    units = [["kernel void k(global int *x) { x[0] = 1; }", "", [], []]]
    build = session.BuildProgram(program, CONTEXT, FIRST + 1, session.BUILD, units, "")
    await attacking.send_and_read([packed(build)], lambda m: isinstance(m, session.Built))
    region = [1, BUFFER, 0, 64]
    launches = [
        packed(session.Launch(event + i, QUEUE, [], program, "k" * 4_000_000, [0], [1], None,
                              [region]))
        for i in range(5)
    ]  # fmt: skip
    return await _carry_out(attacking, launches, event + 100)


async def never_reads(attacker: Attacker) -> str:
    """Markers and questions whose answers nobody reads."""
    attacking = await attacker.session()
    count = 0
    try:
        async with asyncio.timeout(2 * FLOOD_S):
            while True:
                event = FIRST + 256 * count
                marked = [_marker(event + i) for i in range(128)]
                asks = [packed(session.AskReport(event + 128 + i, event)) for i in range(128)]
                await attacking.send_packed(marked + asks)
                count += 256
    except TimeoutError:
        return f"{count} messages sent, still connected"
    except ConnectionClosed as error:
        return f"{count} messages sent, then {error}"


async def long_wait_lists(attacker: Attacker) -> str:
    """27 markers that wait for as many user events each as may be in a list; then these are set."""
    events = range(FIRST, FIRST + waits_max + waits_added_max)
    attacking = await attacker.session(properties=OUT_OF_ORDER)
    messages = [packed(session.CreateUserEvent(n, CONTEXT)) for n in events]
    messages += [_marker(events[-1] + 1 + i, events) for i in range(27)]
    messages += [packed(session.SetUserEvent(n, 0)) for n in events]
    return await _carry_out(attacking, messages, events[-1] + 100)


async def sequence_gap(attacker: Attacker) -> str:
    """Frames out of order, each on a new session."""
    going = during(FLOOD_S / 2)
    count, became = 0, ""
    while going():
        attacking = await attacker.session()
        await attacking.connection.send(frame.pack_control(9, 0, [_marker(FIRST)]))
        became = await outcome(attacking.connection)
        count += 1
    return f"{became} ({count} times)"
