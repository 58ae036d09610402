"""The contract of `vcl.transport.connection`, for every transport.

Long because every promise has its case here.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from array import array
from collections.abc import Callable

import pytest

from vcl.transport import Connection, ConnectionClosed, Settings, base, connect, memory

MIB = 2**20
SIZES = [0, 1, 125, 126, 8192, 8193, 65535, 65536, MIB, 20 * MIB]
TIGHT = Settings(
    message_bytes_max=MIB,
    write_buffer_bytes=256 * 1024,
    receive_bytes_max=256 * 1024,
    close_timeout_s=1.0,
)


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


async def ended(connection: Connection) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as caught:
        await connection.recv()
    return caught.value


async def test_messages_of_all_sizes_arrive_whole_and_in_order(open_link) -> None:
    left, right = await open_link()
    for sender, receiver in ((left, right), (right, left)):
        sending = asyncio.create_task(send_all(sender, [pattern(size) for size in SIZES]))
        for size in SIZES:
            assert bytes(await receiver.recv()) == pattern(size)
        await sending


async def send_all(connection: Connection, messages: list[bytes]) -> None:
    for message in messages:
        await connection.send(message)


async def test_messages_are_delivered_as_they_arrive(open_link) -> None:
    left, right = await open_link()
    await left.send(b"1")
    assert await right.recv() == b"1"
    for each in (b"2", b"3"):
        await left.send(each)
    given, all_there = [], asyncio.Event()

    def take(message) -> None:
        given.append(bytes(message))
        if message == b"3":
            right.deliver(None)
        if message == b"5":
            all_there.set()

    right.deliver(take)
    await left.send(b"4")
    await left.send(b"5")
    closing = asyncio.create_task(left.close())
    await right.wait_closed()
    assert given == [b"2", b"3"], "what comes when nobody takes it waits"
    right.deliver(take)
    await all_there.wait()
    assert given == [b"2", b"3", b"4", b"5"]
    with pytest.raises(ConnectionClosed):
        await right.recv()
    await closing


async def test_parts_are_joined_whatever_their_type(open_link) -> None:
    left, right = await open_link()
    numbers = array("d", [1.0, 2.0, 3.0])
    for sender, receiver in ((left, right), (right, left)):
        await sender.send(b"ab", bytearray(b"cd"), memoryview(b"ef"), memoryview(numbers))
        assert bytes(await receiver.recv()) == b"abcdef" + numbers.tobytes()
        await sender.send(memoryview(numbers))
        assert bytes(await receiver.recv()) == numbers.tobytes()
        await sender.send()
        assert bytes(await receiver.recv()) == b""
        large = array("d", range(100_000))
        await sender.send(b"header", memoryview(large))
        assert bytes(await receiver.recv()) == b"header" + large.tobytes()


async def test_send_soon_keeps_its_place_between_sends(open_link) -> None:
    left, right = await open_link()
    await left.send(b"1")
    left.send_soon(b"2", b"b")
    await left.send(b"3" * 100_000)
    left.send_soon(b"4")
    assert [bytes(await right.recv())[:2] for _ in range(4)] == [b"1", b"2b", b"33", b"4"]


async def test_who_sends_soon_may_wait_for_room(open_link) -> None:
    left, right = await open_link(TIGHT)
    await asyncio.wait_for(left.drained(), timeout=5.0)
    assert left.unsent_bytes == 0
    count = 0
    while True:
        left.send_soon(bytes(MIB))
        count += 1
        if left.unsent_bytes > TIGHT.write_buffer_bytes:
            break
        await asyncio.sleep(0)
    draining = asyncio.create_task(left.drained())
    for _ in range(count):
        await right.recv()
    await draining
    assert left.unsent_bytes <= TIGHT.write_buffer_bytes
    await left.close()
    with pytest.raises(ConnectionClosed):
        await left.drained()


async def test_concurrent_senders_keep_message_boundaries(open_link) -> None:
    left, right = await open_link(TIGHT)
    sizes = [1, 200, 9_000, 70_000, 300_000]

    async def sender(index: int) -> None:
        for size in sizes:
            await left.send(bytes([index]), memoryview(bytes([index]) * size))

    sending = [asyncio.create_task(sender(index)) for index in range(8)]
    seen: dict[int, list[int]] = {index: [] for index in range(8)}
    for _ in range(8 * len(sizes)):
        message = bytes(await right.recv())
        assert message == message[:1] * len(message)
        seen[message[0]].append(len(message) - 1)
    await asyncio.gather(*sending)
    assert all(order == sizes for order in seen.values())


async def test_parts_may_be_changed_after_sending(open_link) -> None:
    left, right = await open_link()
    for sender, receiver in ((left, right), (right, left)):
        data = [bytearray(pattern(4 * MIB)), bytearray(pattern(MIB)), bytearray(b"small")]
        for each in data:
            sender.send_soon(memoryview(each))
        for each in data:
            each[:] = bytes(len(each))
        for size in (4 * MIB, MIB):
            assert bytes(await receiver.recv()) == pattern(size)
        assert bytes(await receiver.recv()) == b"small"


async def test_receiver_that_does_not_receive_blocks_the_sender(open_link) -> None:
    left, right = await open_link(TIGHT)
    message, count = bytes(64 * 1024), 1024
    for sender, receiver in ((left, right), (right, left)):
        sent = 0

        async def send_many(connection: Connection = sender) -> None:
            nonlocal sent
            for _ in range(count):
                await connection.send(message)
                sent += 1

        sending = asyncio.create_task(send_many())
        await asyncio.wait({sending}, timeout=0.3)
        # The kernel's buffers hold a few MiB besides ours.
        assert not sending.done() and sent * len(message) < 24 * MIB
        for _ in range(count):
            assert len(await receiver.recv()) == len(message)
        await sending


async def test_both_directions_at_once_with_slow_readers(open_link) -> None:
    left, right = await open_link(TIGHT)
    messages = [bytes([index % 256]) * 100_000 for index in range(200)]
    sending = [asyncio.create_task(send_all(end, messages)) for end in (left, right)]
    await asyncio.wait(sending, timeout=0.2)
    assert not any(each.done() for each in sending)
    for message in messages:
        assert bytes(await left.recv()) == message
        assert bytes(await right.recv()) == message
    await asyncio.gather(*sending)


async def test_many_small_messages_fill_the_queue_by_count(open_link) -> None:
    left, right = await open_link(Settings(receive_messages_max=8))
    for number in range(5000):
        left.send_soon(number.to_bytes(4, "big"))
    for number in range(5000):
        assert int.from_bytes(await right.recv(), "big") == number


async def test_sender_that_never_waits_gives_way_to_its_own_receiver(open_link) -> None:
    left, right = await open_link()
    stop = asyncio.Event()

    async def flood() -> None:
        while not stop.is_set():
            await left.send(b"x" * 64)

    async def drain() -> None:
        while True:
            await right.recv()

    flooding, draining = asyncio.create_task(flood()), asyncio.create_task(drain())
    await right.send(b"stop")
    assert bytes(await left.recv()) == b"stop"
    stop.set()
    await flooding
    draining.cancel()


async def test_cancelled_recv_loses_nothing(open_link) -> None:
    left, right = await open_link()
    waiting = asyncio.create_task(right.recv())
    await asyncio.wait({waiting}, timeout=0.01)
    waiting.cancel()
    await asyncio.wait({waiting})
    await left.send(b"kept")
    assert bytes(await right.recv()) == b"kept"


async def test_close_is_told_to_both_ends_and_idempotent(open_link) -> None:
    for closer in (0, 1):
        link = await open_link()
        here, there = link[closer], link[1 - closer]
        await here.send(b"last words")
        closing = asyncio.create_task(here.close(4001, "drained"))
        assert bytes(await there.recv()) == b"last words"
        heard = await ended(there)
        assert (heard.code, heard.reason, heard.sent_by_peer) == (4001, "drained", True)
        await closing
        said = await ended(here)
        assert (said.code, said.reason, said.sent_by_peer) == (4001, "drained", False)
        for end in (here, there):
            await asyncio.gather(end.close(), end.close(1011, "too late"))
            assert (await ended(end)).code == 4001
            with pytest.raises(ConnectionClosed):
                await end.send(b"x")
            with pytest.raises(ConnectionClosed):
                end.send_soon(b"x")


async def test_close_wakes_those_who_wait(open_link) -> None:
    left, right = await open_link(TIGHT)
    receiving = asyncio.create_task(left.recv())
    sending = asyncio.create_task(send_all(left, [bytes(MIB)] * 64))
    await asyncio.wait({sending}, timeout=0.2)
    assert not sending.done() and not receiving.done()
    await asyncio.wait_for(left.close(), timeout=5.0)
    for each in (receiving, sending):
        with pytest.raises(ConnectionClosed) as caught:
            await each
        assert caught.value.code == 1000 and not caught.value.sent_by_peer
    # All of the messages can't have arrived, and what did is not lost.
    received = 0
    with pytest.raises(ConnectionClosed):
        while True:
            received += len(await right.recv())
    assert received < 64 * MIB


async def test_close_with_unread_messages_ends_well(open_link) -> None:
    left, right = await open_link(TIGHT)
    sending = asyncio.create_task(send_all(right, [bytes(100_000)] * 20))
    await asyncio.wait({sending}, timeout=0.1)
    await left.close()
    heard = None
    try:
        await sending
        heard = await ended(right)
    except ConnectionClosed as closed:
        heard = closed
    assert (heard.code, heard.sent_by_peer) == (1000, True)
    assert (await ended(left)).code == 1000


@pytest.mark.parametrize("size", [MIB + 1, 5 * MIB])
async def test_oversize_message_closes_with_1009(open_link, size: int) -> None:
    for sender_index in (0, 1):
        link = await open_link(TIGHT)
        sender, receiver = link[sender_index], link[1 - sender_index]
        await sender.send(bytes(MIB))
        sending = asyncio.create_task(send_all(sender, [bytes(size)]))
        assert len(await receiver.recv()) == MIB
        said = await ended(receiver)
        assert said.code == 1009 and not said.sent_by_peer
        heard = await ended(sender)
        assert heard.code == 1009 and heard.sent_by_peer
        await asyncio.wait({sending})
        assert sending.exception() is None or isinstance(sending.exception(), ConnectionClosed)


async def test_cut_link_is_1006_for_recv_and_send(library, open_tcp_link, relay) -> None:
    left, right = await open_tcp_link(library, TIGHT, through=relay)
    await check_cut(left, right, relay.cut)


async def test_cut_memory_link_is_1006_for_recv_and_send() -> None:
    left, right = memory.pair(TIGHT)
    await check_cut(left, right, left.cut)


async def check_cut(left: Connection, right: Connection, cut: Callable[[], None]) -> None:
    await left.send(b"before")
    assert bytes(await right.recv()) == b"before"
    receiving = asyncio.create_task(left.recv())
    sending = asyncio.create_task(send_all(left, [bytes(MIB)] * 64))
    await asyncio.wait({sending}, timeout=0.2)
    assert not sending.done()
    cut()
    for operation in (receiving, sending):
        with pytest.raises(ConnectionClosed) as caught:
            await operation
        assert caught.value.code == 1006 and not caught.value.sent_by_peer
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await right.recv()
    assert caught.value.code == 1006
    for end in (left, right):
        with pytest.raises(ConnectionClosed):
            await end.send(b"x")
        with pytest.raises(ConnectionClosed):
            end.send_soon(b"x")
        await end.close()


async def test_silent_link_is_broken_by_keep_alive(library, open_tcp_link, relay) -> None:
    settings = Settings(ping_interval_s=0.1, ping_timeout_s=0.2)
    left, right = await open_tcp_link(library, settings, through=relay)
    idle = asyncio.create_task(right.recv())
    await asyncio.wait({idle}, timeout=0.8)
    await left.send(b"still here")
    assert bytes(await idle) == b"still here"
    relay.flowing.clear()
    for end in (left, right):
        closed = await ended(end)
        assert closed.code == 1006 and "ping" in closed.reason


async def test_what_is_over_is_let_go_of_at_once(serve) -> None:
    """By counting references: with thousands of short connections the collector comes late. (What
    websockets keeps for itself only the collector finds.)"""
    kept = []

    async def handler(connection: Connection, path: str) -> None:
        kept.append(weakref.ref(connection))
        await connection.recv()

    server = await serve(handler, library="picows")
    gc.collect()
    gc.disable()
    try:
        client = await connect(f"ws://127.0.0.1:{server.address[1]}/", library="picows")
        kept.append(weakref.ref(client))
        await client.send(b"x")
        await client.wait_closed()
        await client.close()
        del client
        await server.close()
        assert [each() for each in kept] == [None, None]
    finally:
        gc.enable()


async def test_peer_is_an_address(library, open_tcp_link) -> None:
    left, right = await open_tcp_link(library)
    for end in (left, right):
        host, port = end.peer.split(":")
        assert host == "127.0.0.1" and int(port) > 0


async def accept_one(serve, raw, library, settings=None) -> Connection:
    accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    async def handler(connection: Connection, path: str) -> None:
        accepted.set_result(connection)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return

    settings = settings or Settings(close_timeout_s=0.2)
    server = await serve(handler, library=library, settings=settings)
    await raw.upgrade(server.address[1])
    return await accepted


async def test_text_message_closes_with_1003(library, serve, raw) -> None:
    connection = await accept_one(serve, raw, library)
    raw.frame(1, b"text")
    assert (await ended(connection)).code == 1003
    assert await raw.close_code() == 1003


async def test_fragments_are_joined_and_pings_answered_between_them(library, serve, raw) -> None:
    connection = await accept_one(serve, raw, library)
    raw.frame(2, b"one ", fin=False)
    raw.frame(0, b"two ", fin=False)
    raw.frame(9, b"ping")
    raw.frame(0, b"three")
    assert bytes(await connection.recv()) == b"one two three"
    assert await raw.next_frame() == (10, b"ping")
    raw.frame(8, (1000).to_bytes(2, "big") + b"enough")
    closed = await ended(connection)
    assert (closed.code, closed.reason, closed.sent_by_peer) == (1000, "enough", True)
    assert await raw.close_code() == 1000


async def test_fragments_count_together_against_the_limit(library, serve, raw) -> None:
    settings = Settings(message_bytes_max=150, close_timeout_s=0.2)
    connection = await accept_one(serve, raw, library, settings)
    raw.frame(2, bytes(100), fin=False)
    raw.frame(0, bytes(100))
    assert (await ended(connection)).code == 1009
    assert await raw.close_code() == 1009


@pytest.mark.parametrize("frames", [[(0, True)], [(2, False), (2, True)], [(3, True)]])
async def test_malformed_frames_close_with_1002(library, serve, raw, frames) -> None:
    connection = await accept_one(serve, raw, library)
    for opcode, fin in frames:
        raw.frame(opcode, b"x", fin)
    assert (await ended(connection)).code == 1002
    assert await raw.close_code() == 1002


async def test_peer_that_ignores_the_close_frame_is_dropped(library, serve, raw) -> None:
    connection = await accept_one(serve, raw, library)
    await asyncio.wait_for(connection.close(), timeout=2.0)
    assert await raw.close_code() == 1000
    assert await raw.reader.read() == b""


async def test_a_peer_that_reads_nothing_is_dropped(library, open_tcp_link) -> None:
    settings = Settings(write_buffer_bytes=MIB, unread_bytes_max=4 * MIB, receive_bytes_max=MIB)
    left, right = await open_tcp_link(library, settings)
    with pytest.raises(ConnectionClosed) as caught:
        for _ in range(1000):
            left.send_soon(bytes(MIB))
            await asyncio.sleep(0)
    assert caught.value.code == 1008 and "weren't read" in caught.value.reason
    assert left._unsent_bytes() == 0
    while True:
        try:
            await right.recv()
        except ConnectionClosed:
            break


async def test_reading_rests_after_many_frames_in_one_go(library, serve, raw) -> None:
    connection = await accept_one(serve, raw, library)
    for _ in range(3):
        for _ in range(base.TINY_PER_TURN_MAX - 1):
            connection.frame_taken(0)
        assert not connection._link().is_reading()
        await asyncio.sleep(0)
        assert connection._link().is_reading()
    for _ in range(3000):
        raw.frame(2, b"x")
    for _ in range(3000):
        assert await connection.recv() == b"x"
    assert not connection.is_over


async def test_frames_are_counted_anew_in_each_turn_of_the_loop(library, serve, raw) -> None:
    connection = await accept_one(serve, raw, library)
    for _ in range(base.TINY_PER_TURN_MAX // base.PING_WEIGHT):
        connection.frame_taken(0, base.PING_WEIGHT)
        await asyncio.sleep(0)
    connection.frame_taken(0, base.FRAMES_PER_TURN - 1)
    assert connection._link().is_reading()
    assert not connection.is_over


@pytest.mark.parametrize(
    ("payload_bytes", "weight"),
    [(0, 1), (base.TINY_BYTES - 1, 1), (1000, base.FRAGMENT_WEIGHT), (0, base.PING_WEIGHT)],
)
async def test_a_flood_of_frames_in_one_go_drops_the_link(
    library, serve, raw, payload_bytes: int, weight: int
) -> None:
    connection = await accept_one(serve, raw, library)
    raw.frame(2, b"hello")
    await connection.recv()
    await asyncio.sleep(0)
    for _ in range(base.TINY_PER_TURN_MAX // weight):
        connection.frame_taken(payload_bytes, weight)
    closed = await ended(connection)
    assert (closed.code, closed.reason) == (1008, "too many tiny frames at once")
    assert connection.is_over
    assert await raw.reader.read() == b""


async def test_honest_frames_in_one_go_drop_no_link(library, serve, raw) -> None:
    connection = await accept_one(serve, raw, library)
    raw.frame(2, b"hello")
    await connection.recv()
    for _ in range(4 * base.TINY_PER_TURN_MAX):
        connection.frame_taken(base.TINY_BYTES)
    assert not connection._link().is_reading()
    await asyncio.sleep(0)
    raw.frame(2, b"still here")
    assert await connection.recv() == b"still here"


async def test_before_its_first_message_a_peer_may_send_few_frames(library, serve, raw) -> None:
    connection = await accept_one(serve, raw, library)
    for _ in range(base.TINY_PER_TURN_MAX):
        connection.frame_taken(1000)
    assert (await ended(connection)).code == 1008


async def test_a_link_closed_with_1008_is_not_dropped(library, open_tcp_link) -> None:
    for closer in (0, 1):
        link = await open_tcp_link(library, Settings(close_timeout_s=60.0))
        here, there = link[closer], link[1 - closer]
        closing = asyncio.create_task(here.close(1008, "enough"))
        assert (await ended(there)).sent_by_peer
        await asyncio.wait_for(asyncio.gather(closing, there.close()), timeout=10.0)
        assert not here.is_over and not there.is_over


async def test_nothing_is_written_on_a_socket_that_was_taken(library, serve, raw) -> None:
    connection = await accept_one(serve, raw, library)
    connection.frame_taken(0, base.FRAMES_PER_TURN)  # so that reading rests, and would go on
    own = connection.take_socket()
    assert own is not None
    with own:
        # Before the loop comes round: what a server does once its handler is done.
        await connection.close(1000, "the handler is done")
        own.sendall(b"ours")
        assert await raw.reader.readexactly(4) == b"ours"
        raw.writer.write(b"theirs")
        await raw.writer.drain()
        assert await asyncio.get_running_loop().sock_recv(own, 6) == b"theirs"
    assert await raw.reader.read() == b""


async def test_a_link_in_the_middle_of_something_is_not_handed_on(library, serve, raw) -> None:
    settings = Settings(close_timeout_s=0.2, unread_bytes_max=2**30)
    connection = await accept_one(serve, raw, library, settings)
    raw.frame(2, b"whole")
    raw.frame(2, b"part", fin=False)
    assert await connection.recv() == b"whole"
    assert connection.take_socket() is None
    raw.frame(0, b"rest")
    assert await connection.recv() == b"partrest"
    while not connection._unsent_bytes():
        connection.send_soon(bytes(MIB))
    assert connection.take_socket() is None
    assert connection._link().is_reading()
    connection._abort()
