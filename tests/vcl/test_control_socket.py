"""The control connection of a program, on real sockets: who reads what, and how it ends.

The master is at the other end of a TCP connection, by hand; the owner's lock and loop are real.

Long because all of it needs both of them.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from vcl import control_socket
from vcl.control_socket import CAN_LEND, ControlSocket
from vcl.errors import RemoteProtocolError
from vcl.numbering import Numbering
from vcl.transport.connection import CLOSE_ABNORMAL, ConnectionClosed, Settings
from vcl.wire import codec, frame
from vcl.wire.messages import session
from vcl.wire.websocket import BINARY, CLOSE, PING, PONG, pack_head, read_head

TIMEOUT_S = 30
lends = pytest.mark.skipif(not CAN_LEND, reason="here the session's thread always reads")


def ends(*events: int) -> session.EventsDone:
    return session.EventsDone([[event, 0, 1, 2, None] for event in events])


OTHER = session.DropStaging([3])
PACKED = frame.Encoder().pack(codec.pack(OTHER))


class Master:
    """The far end: what it says is taken at once, and what it heard is there to be looked at."""

    def __init__(self, own: socket.socket) -> None:
        self.socket = own
        own.settimeout(TIMEOUT_S)
        self._numbering = Numbering()
        self._encoder = frame.Encoder()
        self._data = b""

    def raw(self, kind: int, payload: bytes) -> None:
        self.socket.sendall(pack_head(kind, len(payload), masked=False) + payload)

    def say(self, *messages: Any) -> None:
        packed = [self._encoder.pack(codec.pack(m)) for m in messages]
        for data in self._numbering.pack(packed):
            self.raw(BINARY, data)

    def hear(self) -> tuple[int, bytes]:
        """The next frame, as (kind, payload)."""
        while True:
            head = read_head(memoryview(self._data))
            if head is not None and len(self._data) >= head.length + head.size:
                assert head.key == bytes(4)
                end = head.length + head.size
                payload, self._data = self._data[head.length : end], self._data[end:]
                return head.kind, payload
            more = self.socket.recv(2**16)
            if not more:
                return 0, b""
            self._data += more

    def hears(self) -> list[list[Any]]:
        """The messages in the next frame."""
        kind, payload = self.hear()
        assert kind == BINARY
        return self._numbering.unpack(payload)


class Owner:
    """As the runtime: a lock, a loop on a thread of its own, and what came."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.came: list[tuple[int, Any]] = []  # (event, the thread that took it), 0 for others
        self.takes_ends = True
        self.awaited: Callable[[], Awaitable[None] | None] = lambda: None
        self.reason: BaseException | None = None
        self.over = threading.Event()
        listening = socket.create_server(("127.0.0.1", 0))
        self.master = Master(socket.create_connection(listening.getsockname()))
        self._own, _ = listening.accept()
        listening.close()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.control: ControlSocket = self.on_loop(self._make(settings))
        asyncio.run_coroutine_threadsafe(self._run(), self.loop)
        self.on_loop(asyncio.sleep(0))  # until it runs: tests change what it begins with

    async def _make(self, settings: Settings | None) -> ControlSocket:
        numbering = Numbering(trusted=True)
        return ControlSocket(self._own, session.TO_CLIENT, numbering, self.lock, settings)

    async def _run(self) -> None:
        try:
            await self.control.run(self._take, self._take_ends)
        except Exception as error:
            self.reason = error
            with self.changed:
                self.changed.notify_all()
                self.control.look()
            self.over.set()

    def on_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(TIMEOUT_S)

    def _take(self, messages: list[Any]) -> Awaitable[None] | None:
        assert threading.current_thread() is self.thread
        self._note(messages)
        return self.awaited()

    def _take_ends(self, messages: list[Any]) -> bool:
        if not self.takes_ends or any(type(m) is not session.EventsDone for m in messages):
            return False
        self._note(messages)
        return True

    def _note(self, messages: list[Any]) -> None:
        assert self.control.is_read_here
        with self.changed:
            for m in messages:
                rows = m.events if type(m) is session.EventsDone else [[0]]
                self.came += [(row[0], threading.current_thread()) for row in rows]
            self.changed.notify_all()
            self.control.look()

    def events(self) -> list[int]:
        return [event for event, _ in self.came]

    def wait_for(
        self, *events: int, timeout_s: float | None = TIMEOUT_S,
        flush: Callable[[], None] = lambda: None,
    ) -> bool:  # fmt: skip
        """As a thread of the program waits; answers whether all came."""
        with self.changed:
            def reached() -> bool:
                return self.reason is not None or set(events) <= set(self.events())

            self.control.wait(reached, timeout_s, flush)
            return set(events) <= set(self.events())

    def await_taken(self, event: int) -> None:
        """By whoever reads, without reading."""
        with self.changed:
            assert self.changed.wait_for(lambda: event in self.events(), TIMEOUT_S)

    def end(self) -> None:
        self.master.socket.close()
        self.on_loop(self.control.close(1000, "the test is over"))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@contextmanager
def owner(settings: Settings | None = None) -> Iterator[Owner]:
    made = Owner(settings)
    try:
        yield made
    finally:
        made.end()


class Printing:
    """Something that the first message has to be awaited for, as text that nobody reads."""

    def __init__(self, one: Owner) -> None:
        self.began = threading.Event()
        self._done = asyncio.Event()
        self._one = one
        one.awaited = self._awaited
        one.master.say(OTHER)
        assert self.began.wait(TIMEOUT_S)

    def _awaited(self) -> Awaitable[Any] | None:
        if self.began.is_set():
            return None
        self.began.set()
        return self._done.wait()

    def end(self) -> None:
        self._one.loop.call_soon_threadsafe(self._done.set)


def test_while_nobody_waits_the_session_s_thread_reads() -> None:
    with owner() as one:
        one.master.say(ends(1), OTHER)
        one.await_taken(0)
        assert one.came == [(1, one.thread), (0, one.thread)]


@lends
def test_who_waits_writes_and_reads() -> None:
    with owner() as one:
        packed = frame.Encoder().pack(codec.pack(session.Release([7])))
        for turn in range(1, 4):
            threading.Timer(0.01, lambda turn=turn: one.master.say(ends(turn))).start()
            assert one.wait_for(turn, flush=lambda: one.control.send_encoded([packed]))
            assert one.master.hears() == [[8, [7]]]
        me = threading.current_thread()
        assert one.came == [(1, me), (2, me), (3, me)]
        one.master.say(ends(4))  # for which nobody waits
        one.await_taken(4)
        assert one.came[3] == (4, one.thread)


@lends
@pytest.mark.parametrize("takes_ends", [True, False])
def test_all_but_ends_is_the_session_s_in_order(takes_ends: bool) -> None:
    with owner() as one:
        one.takes_ends = takes_ends
        threading.Timer(0.02, lambda: one.master.say(ends(1), OTHER, ends(2))).start()
        threading.Timer(0.04, lambda: one.master.say(ends(3))).start()
        assert one.wait_for(3)
        assert one.events() == [1, 0, 2, 3]
        assert {thread for _, thread in one.came[:3]} == {one.thread}


@lends
def test_nothing_is_taken_in_before_what_is_awaited_is_done() -> None:
    with owner() as one:
        printing = Printing(one)
        one.master.say(ends(1))
        assert not one.wait_for(1, timeout_s=0.05)
        printing.end()
        assert one.wait_for(1)


@lends
def test_who_reads_is_told_of_what_others_change() -> None:
    with owner() as one:
        wanted: list[int] = []

        def change() -> None:
            with one.changed:
                wanted.append(1)
                one.changed.notify_all()
                one.control.look()

        threading.Timer(0.02, change).start()
        with one.changed:
            one.control.wait(lambda: bool(wanted), TIMEOUT_S, lambda: None)
        assert wanted and not one.came


@lends
def test_a_wait_is_over_after_its_time_and_loses_nothing() -> None:
    with owner() as one:
        assert not one.wait_for(1, timeout_s=0.02)
        one.master.say(ends(1))
        assert one.wait_for(1)


@lends
def test_many_threads_wait_and_each_gets_its_own() -> None:
    with owner() as one:
        count, rounds = 8, 40
        failed: list[int] = []
        ready = threading.Barrier(count + 1)

        def wait(number: int) -> None:
            for turn in range(rounds):
                ready.wait(TIMEOUT_S)
                if not one.wait_for(turn * count + number + 1):
                    failed.append(number)

        threads = [threading.Thread(target=wait, args=(n,)) for n in range(count)]
        for thread in threads:
            thread.start()
        for turn in range(rounds):
            ready.wait(TIMEOUT_S)
            for number in reversed(range(count)):
                one.master.say(ends(turn * count + number + 1), *([OTHER] * (number == 3)))
        for thread in threads:
            thread.join(TIMEOUT_S)
        assert not failed
        assert sorted(e for e in one.events() if e) == list(range(1, count * rounds + 1))


class Came(Exception):
    """A signal's handler was called."""


@contextmanager
def raising() -> Iterator[None]:
    def handler(number: int, _: Any) -> None:
        raise Came(number)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


@lends
def test_a_signal_ends_a_wait_and_nothing_is_lost() -> None:
    with owner() as one, raising():
        threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(Came):
            one.wait_for(1)
        one.master.say(ends(1))
        one.await_taken(1)  # by the session's thread, which reads again
        threading.Timer(0.02, lambda: one.master.say(ends(2))).start()
        assert one.wait_for(2)


@lends
def test_a_signal_ends_a_wait_while_another_thread_reads() -> None:
    """Again and again, at any moment of it, and the lock is as it was."""
    with owner() as one, raising():
        reading = threading.Thread(target=one.wait_for, args=(99,))
        reading.start()
        came = 0
        for turn in range(200):
            timer = threading.Timer(turn / 2e5, lambda: os.kill(os.getpid(), signal.SIGUSR1))
            try:
                timer.start()
                one.wait_for(1, timeout_s=0.1)
            except Came:
                came += 1
            timer.join()
        assert came > 100 and not one.control._waiters
        one.master.say(ends(1), ends(99))
        assert one.wait_for(1)
        reading.join(TIMEOUT_S)
        assert not reading.is_alive()


@lends
def test_a_handler_is_called_without_the_lock_and_the_wait_goes_on() -> None:
    with owner() as one:
        free: list[bool] = []

        def elsewhere() -> None:
            free.append(one.changed.acquire(timeout=TIMEOUT_S))
            one.changed.release()

        def handler(number: int, _: Any) -> None:
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            one.master.say(ends(1))

        before = signal.signal(signal.SIGUSR1, handler)
        try:
            threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
            assert one.wait_for(1) and free == [True]
        finally:
            signal.signal(signal.SIGUSR1, before)


@lends
def test_what_is_taken_in_is_not_cut_by_a_signal() -> None:
    with owner() as one, raising():
        take, whole = one._take_ends, []

        def taken_slowly(messages: list[Any]) -> bool:
            os.kill(os.getpid(), signal.SIGUSR1)
            for _ in range(1000):
                pass
            whole.append(take(messages))
            return True

        one._take_ends = taken_slowly  # type: ignore[method-assign]
        one.control._take_ends = taken_slowly
        threading.Timer(0.02, lambda: one.master.say(ends(1))).start()
        with pytest.raises(Came):
            one.wait_for(1)
        assert whole == [True] and one.events() == [1]


@pytest.mark.parametrize("waits", [True, False])
def test_pings_are_answered_by_whoever_reads(waits: bool) -> None:
    if waits and not CAN_LEND:
        pytest.skip("here the session's thread always reads")
    with owner() as one:
        one.master.raw(PING, b"are you there?")
        if waits:
            threading.Timer(0.02, lambda: one.master.say(ends(1))).start()
            one.wait_for(1)
        assert one.master.hear() == (PONG, b"are you there?")


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda m: m.raw(CLOSE, (1001).to_bytes(2, "big") + b"bye"), "code 1001: bye"),
        (lambda m: m.socket.close(), "no close handshake"),
        (lambda m: m.socket.sendall(b"\x82\x80\0\0\0\0"), "masked by a server"),
        (lambda m: m.raw(BINARY, b"\xc1"), ""),
        (lambda m: m.raw(BINARY, frame.pack_control(9, 0, [PACKED])), "one is missing"),
    ],
)
def test_it_ends_with_the_reason(act: Callable[[Master], None], why: str, waits: bool) -> None:
    if waits and not CAN_LEND:
        pytest.skip("here the session's thread always reads")
    with owner() as one:
        one.master.say(ends(1))
        one.await_taken(1)
        threading.Timer(0.02, lambda: act(one.master)).start()
        if waits:
            assert not one.wait_for(2)
        assert one.over.wait(TIMEOUT_S)
        assert isinstance(one.reason, (ConnectionClosed, RemoteProtocolError))
        assert why in str(one.reason)
        with pytest.raises(ConnectionClosed):
            one.control.send_encoded([b"\x08"])
        assert not one.wait_for(3, timeout_s=0.01)


def test_what_came_before_the_end_is_taken_in() -> None:
    with owner() as one:
        one.master.say(ends(1))
        one.master.raw(CLOSE, b"")
        assert one.over.wait(TIMEOUT_S)
        assert one.events() == [1]
        assert one.master.hear() == (CLOSE, b"")


def test_what_taking_in_raises_ends_it() -> None:
    with owner() as one:

        def fails() -> None:
            raise RemoteProtocolError("what no honest master says")

        one.awaited = fails
        one.master.say(OTHER)
        assert one.over.wait(TIMEOUT_S)
        assert str(one.reason) == "what no honest master says"


def test_a_master_that_says_nothing_for_long_is_gone() -> None:
    settings = Settings(ping_interval_s=0.05, ping_timeout_s=0.05)
    with owner(settings) as one:
        for _ in range(3):
            assert one.master.hear() == (PING, b"")
            one.master.raw(PONG, b"")
        assert one.over.wait(TIMEOUT_S)
        assert isinstance(one.reason, ConnectionClosed)
        assert one.reason.code == CLOSE_ABNORMAL and "no answer to a ping" in one.reason.reason


def test_what_the_socket_does_not_take_leaves_later() -> None:
    """And whoever wants to know waits for that, or for the end."""
    with owner() as one:
        data, count = bytes(2**20), 0
        with one.changed:
            while not one.control.unsent_bytes:
                one.control._write(BINARY, data)
                count += 1
            one.control._write(PONG, b"last")
        waiting = asyncio.run_coroutine_threadsafe(one.control.drained(), one.loop)
        for _ in range(count):
            assert one.master.hear() == (BINARY, data)
        assert one.master.hear() == (PONG, b"last")
        waiting.result(TIMEOUT_S)
        assert one.control.unsent_bytes == 0
        with one.changed:
            while not one.control.unsent_bytes:
                one.control._write(BINARY, data)
        waiting = asyncio.run_coroutine_threadsafe(one.control.drained(), one.loop)
        one.master.socket.close()
        with pytest.raises(ConnectionClosed):
            waiting.result(TIMEOUT_S)


def test_acknowledgements_that_are_due_are_sent() -> None:
    with owner() as one:
        kept = Numbering()
        for number in range(1, 2000):
            one.master.say(ends(number))
            kept.received = number
            if kept.wants_acknowledgement:
                break
        assert frame.unpack_control(one.master.hear()[1])[:2] == (0, number)


@lends
def test_it_is_closed_while_a_thread_waits_and_keeps_nothing() -> None:
    before = psutil.Process().num_fds()
    one = Owner()
    waiting = threading.Thread(target=one.wait_for, args=(1,))
    waiting.start()
    with one.changed:
        while one.control._blocked is None:
            one.changed.wait(0.01)
    closing = asyncio.run_coroutine_threadsafe(one.control.close(1000, "enough"), one.loop)
    assert one.master.hear() == (CLOSE, (1000).to_bytes(2, "big") + b"enough")
    one.master.raw(CLOSE, (1000).to_bytes(2, "big"))
    closing.result(TIMEOUT_S)
    waiting.join(TIMEOUT_S)
    assert not waiting.is_alive()
    one.end()
    assert psutil.Process().num_fds() <= before


@pytest.mark.parametrize("handed", [False, True])
@pytest.mark.parametrize("can_lend", [CAN_LEND, False])
def test_pings_are_answered_while_something_is_awaited(
    monkeypatch: pytest.MonkeyPatch, can_lend: bool, handed: bool
) -> None:
    """And what else comes is taken in afterwards, in order. handed: a waiting thread read it."""
    if handed and not can_lend:
        pytest.skip("here the session's thread always reads")
    monkeypatch.setattr(control_socket, "CAN_LEND", can_lend)
    with owner(Settings(ping_interval_s=0.02, ping_timeout_s=0.02)) as one:
        waiting = threading.Thread(target=one.wait_for, args=(3,))
        if handed:
            waiting.start()
            with one.changed:
                while one.control._blocked is None:
                    one.changed.wait(0.01)
        printing = Printing(one)
        one.master.say(ends(1))
        one.master.raw(PING, b"are you there?")
        heard = []
        while (PONG, b"are you there?") not in heard:
            heard.append(one.master.hear())
            if heard[-1][0] == PING:
                one.master.raw(PONG, b"")
        one.master.say(OTHER, ends(2))
        assert one.events() == [0]
        printing.end()
        one.master.say(ends(3))
        one.await_taken(3)
        if handed:
            waiting.join(TIMEOUT_S)
        assert one.events() == [0, 1, 0, 2, 3]


@pytest.mark.parametrize("can_lend", [CAN_LEND, False])
@pytest.mark.parametrize("resets", [False, True])
def test_the_loop_sleeps_while_nobody_may_read(
    monkeypatch: pytest.MonkeyPatch, can_lend: bool, resets: bool
) -> None:
    """As much has come as is kept, or the connection has ended, while something is awaited; nor
    is the master gone for saying nothing then."""
    monkeypatch.setattr(control_socket, "CAN_LEND", can_lend)
    settings = Settings(ping_interval_s=0.01, ping_timeout_s=0.01, receive_messages_max=1)
    with owner(settings) as one:
        printing = Printing(one)
        if resets:
            own = one.master.socket
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            own.close()
        else:
            one.master.say(ends(1))

        async def shut() -> list[int]:
            while one.control._open:
                await asyncio.sleep(0.001)
            if not resets:
                one.master.say(ends(2))  # for which there is no room
                while not select.select([one.control._socket], [], [], 0)[0]:
                    await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)  # more than after which it would be gone
            selector: Any = one.loop
            return [key.fd for key, _ in selector._selector.select(0)]

        watched = one.control._gate if can_lend else one.control._socket
        assert watched.fileno() not in one.on_loop(shut())
        assert (one.control._ending is not None) is resets
        printing.end()
        if resets:
            assert one.over.wait(TIMEOUT_S)
        else:
            one.await_taken(2)
            assert one.events() == [0, 1, 2]


@lends
def test_what_was_read_for_a_session_that_is_closed_meanwhile_is_dropped() -> None:
    with owner() as one:
        with one.changed:
            one.control._reader = threading.get_ident()
            real = one.control._loop
            one.control._loop = asyncio.new_event_loop()
            one.control._loop.close()
            assert not one.control._hand([OTHER])
            one.control._loop = real
            one.control._give_back()
        one.master.say(ends(1))
        one.await_taken(1)


@lends
def test_once_it_is_kept_the_session_s_thread_alone_reads() -> None:
    with owner() as one:
        waiting = threading.Thread(target=one.wait_for, args=(2,))
        waiting.start()
        with one.changed:
            while one.control._blocked is None:
                one.changed.wait(0.01)
        one.on_loop(one.control.keep())
        one.master.say(ends(1), ends(2))
        assert one.wait_for(2)
        waiting.join(TIMEOUT_S)
        assert not waiting.is_alive() and {thread for _, thread in one.came} == {one.thread}


async def test_one_that_nobody_ran_is_dropped_and_keeps_nothing() -> None:
    before = psutil.Process().num_fds()
    here, there = socket.create_server(("127.0.0.1", 0)), socket.socket()
    there.connect(here.getsockname())
    own, _ = here.accept()
    numbering = Numbering(trusted=True)
    one = ControlSocket(own, session.TO_CLIENT, numbering, threading.RLock())
    one.drop()
    one.drop()
    await one.close(1000, "again")
    assert there.recv(1) == b""
    here.close()
    there.close()
    assert psutil.Process().num_fds() <= before


def test_where_nothing_can_be_lent_the_session_s_thread_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_socket, "CAN_LEND", False)
    with owner() as one:
        one.master.say(ends(1), OTHER)
        one.await_taken(0)
        assert one.events() == [1, 0]
