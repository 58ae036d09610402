"""A program's control connection on a socket of its own, which whoever waits reads.

Owns: that socket after the handshake, who reads it, and whether the master is still there. Must not
know: what messages mean, or what is waited for.

Theory of operation. All of this is done under the lock of its owner, but reading and what follows
from it. Whoever holds the lock may write. One thread reads at a time, the *reader*: the session's,
on its event loop, unless a thread of the program waits. That one then writes what it has said and
reads until it has what it waits for, and neither wakes another thread: to wake the session's, and
be woken by it, takes a quarter of a round trip. The loop doesn't look at the socket meanwhile: it
looks at `_gate`, an epoll of the socket alone, which any thread may close and open.

The program's thread takes in only what `take_ends` takes, and hands all else to the session's,
which reads on until that is done. The program's signal handlers are put off meanwhile.

Where there is no epoll, or no descriptor for events, the session's thread always reads.

Long because who reads, what waits to be written and the end share one lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from vcl.changes import Changes
from vcl.garbage import no_garbage_collection
from vcl.numbering import Numbering
from vcl.signals import PUT_OFF, Signalled
from vcl.sockets import set_up
from vcl.transport.connection import (
    CLOSE_ABNORMAL,
    CLOSE_NO_STATUS,
    CLOSE_REASON_BYTES_MAX,
    ConnectionClosed,
    Settings,
)
from vcl.transport.keep_alive import KeepAlive
from vcl.wire import codec
from vcl.wire.websocket import BINARY, CLOSE, PING, PONG, FromServer, pack_head

CAN_LEND = hasattr(select, "epoll") and hasattr(os, "eventfd")
"""Whether a thread of the program may read, on this system."""

read_bytes_max = 65536

Reached = Callable[[], bool]

Take = Callable[[list[Any]], Awaitable[None] | None]
"""On the session's thread: takes messages in, and answers what is to be awaited before others."""


class ControlSocket:
    """connected: on which the handshake is done. incoming: what the master may say. numbering: of
    this end. lock: the owner's, an RLock.
    """

    def __init__(
        self,
        connected: socket.socket,
        incoming: codec.Conversation,
        numbering: Numbering,
        lock: Any,
        settings: Settings | None = None,
    ) -> None:
        set_up(connected)
        self._socket = connected
        self._incoming = incoming
        self._numbering = numbering
        self._lock = lock
        # As conditions do: however often this thread holds it.
        self._release: Callable[[], Any] = lock._release_save
        self._acquire: Callable[[Any], None] = lock._acquire_restore
        self._settings = settings or Settings()
        self._frames = FromServer(self._settings.message_bytes_max)
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._writing = False
        self._changes = Changes()  # of what those on the loop wait for
        self._reader: int | None = None  # the thread that reads; 0: what it read is handed over
        self._keeps = False  # no other thread than the session's may read
        self._open = True  # the loop looks at the socket
        self._blocked: Reached | None = None  # what the reader waits for, while it waits
        # What each thread waits for that doesn't read, and what wakes it.
        self._waiters: list[tuple[Reached, threading.Lock]] = []
        self._ending: Exception | None = None
        self._ended: asyncio.Future[None] | None = None  # of `run`
        self._let_go = False
        self._keep_alive = KeepAlive(self, self._loop, self._settings)
        self._awaiting: asyncio.Task[None] | None = None
        self._late: list[Any] = []  # what has come while something is awaited
        if CAN_LEND:
            self._gate = select.epoll()
            self._gate.register(connected, select.EPOLLIN)
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._poll = select.poll()
            self._poll.register(connected, select.POLLIN)
            self._poll.register(self._wake, select.POLLIN)

    # ---- the session's thread

    async def run(self, take: Take, take_ends: Callable[[list[Any]], bool]) -> None:
        """Read until it ends, and raise why: ConnectionClosed, RemoteProtocolError, or what these
        raise.

        take_ends: on the thread that waits, takes messages in if it may; answers whether it did.
        """
        self._take, self._take_ends = take, take_ends
        if self._ending is not None:
            raise self._ending
        self._ended = self._loop.create_future()
        watched = self._gate if CAN_LEND else self._socket
        self._loop.add_reader(watched.fileno(), self._readable)
        self._keep_alive.start()
        try:
            await self._ended
        finally:
            self._loop.remove_reader(watched.fileno())
            self._keep_alive.stop()

    def _readable(self) -> None:
        with self._lock:
            if self._ending is not None or (self._reader is not None and self._awaiting is None):
                return  # it was lent meanwhile
            self._reader = threading.get_ident()
        if self._awaiting is None:
            self._take_in(self._receive)
            return
        # What comes must wait, but pings are answered.
        try:
            self._late += self._receive()
        except Exception as error:
            self._end(error)
        if len(self._late) >= self._settings.receive_messages_max:
            self._shut()

    def _take_in(self, receive: Callable[[], list[Any]]) -> None:
        """Take in what was read, and read on, once what that has to be awaited for is done."""
        awaited = None
        try:
            if messages := receive():
                awaited = self._take(messages)
        except Exception as error:
            self._end(error)
        if awaited is None:
            self._give_back()
            return
        self._awaiting = self._loop.create_task(self._await(awaited))
        with self._lock:
            self._reopen()

    async def _await(self, awaited: Awaitable[None]) -> None:
        try:
            await awaited
        except Exception as error:
            self._end(error)
        self._awaiting = None
        late, self._late = self._late, []
        self._take_in(lambda: late)

    def _take_handed(self, messages: list[Any]) -> None:
        """What a thread of the program has read, and is the session's to take in."""
        with self._lock:
            self._reader = threading.get_ident()
        self._take_in(lambda: messages)

    # ---- who reads

    def _shut(self) -> None:
        """The loop mustn't look; where nothing is lent, on the loop."""
        with self._lock:
            if not self._open or self._let_go:
                return
            self._open = False
            if CAN_LEND:
                self._gate.unregister(self._socket)  # of none at all an end would still be told
            else:
                self._loop.remove_reader(self._socket)

    def _reopen(self) -> None:
        """The loop looks again; with the lock, and where nothing is lent, on the loop."""
        if self._open or self._let_go or self._ending is not None:
            return
        self._open = True
        if CAN_LEND:
            self._gate.register(self._socket, select.EPOLLIN)
        else:
            self._loop.add_reader(self._socket, self._readable)

    def _give_back(self) -> None:
        """Nobody reads: whoever is first may."""
        with self._lock:
            self._reader = None
            for _, waiter in self._waiters:
                waiter.release()  # it may read
            self._waiters.clear()
            if self._keeps:
                self._loop.call_soon_threadsafe(self._changes.tell)
            if self._ending is not None:
                self._tell_soon()
            if self._let_go:
                self._close_all()
            else:
                self._reopen()

    async def keep(self) -> None:
        """From now on nobody but who runs the loop reads."""
        with self._lock:
            self._keeps = True
            self._wake_reader()
        while self._reader is not None:
            await self._changes.wait()

    @property
    def is_read_here(self) -> bool:
        """Whether this thread reads: then nothing it does may wait for the master."""
        return self._reader == threading.get_ident()

    def look(self) -> None:
        """Something has changed, with the lock held: who waits for just that is woken. To wake
        others costs a read of many chunks a tenth."""
        blocked = self._blocked  # the reader says without the lock that it isn't any more
        if blocked is not None and blocked():
            self._wake_reader()
        left = []
        for each in self._waiters:
            if each[0]():
                each[1].release()
            else:
                left.append(each)
        self._waiters = left

    def _wake_reader(self) -> None:
        if self._blocked is not None:
            os.eventfd_write(self._wake, 1)

    def wait(
        self,
        reached: Reached,
        timeout_s: float | None,
        flush: Callable[[], None],
    ) -> None:
        """On a thread of the program, with the lock held: `flush`, then wait until it is as wanted,
        or the time is over, and read meanwhile if nobody else does. Where `CAN_LEND`.

        reached: is called on whatever thread, with the lock; changes nothing.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        flushed = False
        while not flushed or not (reached() or _is_over(end)):
            held = None
            try:
                with PUT_OFF:
                    if not flushed:
                        flush()
                        flushed = True
                    if self._reader is None and self._ending is None and not self._keeps:
                        self._read_until(reached, end)
                    elif not reached():
                        self._await_change(reached, end)
                    if PUT_OFF.noted:
                        held = self._release()  # handlers are called without
            finally:
                if held is not None:
                    self._acquire(held)

    def _await_change(self, reached: Reached, end: float | None) -> None:
        """Until it is so, nobody reads, or a signal's handler is to be called. Not by a condition:
        its `wait` may lose the lock where a signal ends it."""
        waiter = threading.Lock()
        waiter.acquire()
        self._waiters.append((reached, waiter))
        left = _left(end)
        held = self._release()
        try:
            PUT_OFF.ended_by_one(lambda: waiter.acquire(timeout=-1 if left is None else left))
        except Signalled:
            pass  # that it is noted ends the wait
        finally:
            self._acquire(held)
            self._waiters = [each for each in self._waiters if each[1] is not waiter]

    def _read_until(self, reached: Reached, end: float | None) -> None:
        """Or until a signal's handler is to be called, or what came is the session's."""
        self._reader = threading.get_ident()
        self._shut()
        handed: list[Any] | None = None
        try:
            while not (handed or reached() or _is_over(end) or self._may_not_read()):
                handed = self._read_once(reached, end)
        finally:
            if not (handed and self._hand(handed)):
                self._give_back()

    def _may_not_read(self) -> bool:
        return self._keeps or self._ending is not None or PUT_OFF.noted

    def _hand(self, messages: list[Any]) -> bool:
        """To the session's thread; False if that is over."""
        self._reader = 0
        try:
            self._loop.call_soon_threadsafe(self._take_handed, messages)
        except RuntimeError:  # another thread has closed the session, and its loop
            return False
        return True

    def _read_once(self, reached: Reached, end: float | None) -> list[Any] | None:
        """Wait for something, without the lock, and take it in; answers what is the session's."""
        left = _left(end)
        wait_ms = None if left is None else max(0.0, 1000 * left)
        self._blocked = reached
        held = self._release()
        try:
            try:
                ready = PUT_OFF.ended_by_one(lambda: self._poll.poll(wait_ms))
            except Signalled:
                return None
            finally:
                self._blocked = None
            if any(descriptor == self._wake for descriptor, _ in ready):
                os.eventfd_read(self._wake)
            with no_garbage_collection():
                try:
                    messages = self._receive()
                    if messages and not self._take_ends(messages):
                        return messages
                except Exception as error:
                    self._end(error)
            return None
        finally:
            self._acquire(held)

    def _receive(self) -> list[Any]:
        """The messages that are whole with what has come; by the reader."""
        try:
            data = self._socket.recv(read_bytes_max)
        except BlockingIOError:
            return []
        except OSError as error:
            raise ConnectionClosed(CLOSE_ABNORMAL, str(error)) from error
        if not data:
            raise ConnectionClosed(CLOSE_ABNORMAL, "no close handshake")
        self._keep_alive.heard = True
        messages: list[Any] = []
        for kind, payload in self._frames.take(data):
            if kind == BINARY:
                messages += self._incoming.unpack(self._unpack(payload))
            elif kind == PING:
                with self._lock:
                    self._write(PONG, payload)
            elif kind == CLOSE:
                self._peer_closed(payload)
                break
        return messages

    def _unpack(self, payload: bytes) -> list[list[Any]]:
        with self._lock:
            arrays = self._numbering.unpack(payload)
            if self._numbering.wants_acknowledgement:
                self._write(BINARY, self._numbering.acknowledgement())
        return arrays

    # ---- writing, with the lock

    def send_encoded(self, messages: list[bytes]) -> None:
        """Send messages that are packed already. Raises ConnectionClosed."""
        with self._lock:
            if self._ending is not None:
                raise self._closed()
            for data in self._numbering.pack(messages):
                self._write(BINARY, data)

    def _write(self, kind: int, payload: bytes) -> None:
        frame = pack_head(kind, len(payload), masked=True) + payload
        if not self._unsent:
            sent = self._push(frame)
            if sent == len(frame):
                return
            frame = frame[sent:]
        self._unsent.append(frame)
        self._unsent_bytes += len(frame)
        if not self._writing:
            self._writing = True
            self._loop.call_soon_threadsafe(self._begin_writing)

    def _push(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # whoever reads learns why, and ends it

    def _begin_writing(self) -> None:
        with self._lock:
            if not self._let_go:
                self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        with self._lock:
            while self._unsent:
                first = self._unsent.popleft()
                sent = self._push(first)
                self._unsent_bytes -= sent
                if sent < len(first):
                    self._unsent.appendleft(first[sent:])
                    return
            self._writing = False
            self._loop.remove_writer(self._socket)
            self._changes.tell()

    @property
    def unsent_bytes(self) -> int:
        """How much of what was sent hasn't left."""
        return self._unsent_bytes

    async def drained(self) -> None:
        """Wait until all has left. Raises ConnectionClosed."""
        while self._unsent and self._ending is None:
            await self._changes.wait()
        if self._ending is not None:
            raise self._closed()

    def _closed(self) -> ConnectionClosed:
        ending = self._ending
        if isinstance(ending, ConnectionClosed):
            return ending
        return ConnectionClosed(CLOSE_ABNORMAL, str(ending))

    # ---- whether the master is there (what the keep-alive asks)

    @property
    def is_deaf(self) -> bool:
        """Whether nobody reads for now."""
        return self._awaiting is not None and not self._open

    def ping(self) -> None:
        """Ask the master for a sign of life."""
        with self._lock:
            self._write(PING, b"")

    def silent(self, reason: str) -> None:
        """There was none for long."""
        self._end(ConnectionClosed(CLOSE_ABNORMAL, reason))

    # ---- its end

    def _peer_closed(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if payload else CLOSE_NO_STATUS
        with self._lock:
            if self._ending is None:
                self._write(CLOSE, payload[:2])
        self._end(ConnectionClosed(code, payload[2:].decode(errors="replace"), True))

    def _end(self, reason: Exception) -> None:
        """It is over; on any thread, and once."""
        with self._lock:
            if self._ending is not None:
                return
            self._ending = reason
            self._shut()
            self._wake_reader()
            if self._reader is None:  # else once what it has read is taken in
                self._tell_soon()

    def _tell_soon(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
            self._loop.call_soon_threadsafe(self._tell_ended)

    def _tell_ended(self) -> None:
        assert self._ending is not None
        self._changes.tell()
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(self._ending)

    async def close(self, code: int, reason: str) -> None:
        """End it with the closing handshake, within a while. Idempotent."""
        if self._let_go:
            return
        with self._lock:
            if self._ending is None:
                clipped = reason.encode()[:CLOSE_REASON_BYTES_MAX]
                self._write(CLOSE, code.to_bytes(2, "big") + clipped)
        if self._ended is not None:
            await asyncio.wait([self._ended], timeout=self._settings.close_timeout_s)
        self._end(ConnectionClosed(code, reason))
        self.drop()

    def drop(self) -> None:
        """End it as it is, and keep nothing; on the loop."""
        self._end(ConnectionClosed(CLOSE_ABNORMAL, "it was dropped"))
        with self._lock:
            if self._let_go:
                return
            self._let_go = True
            if self._writing:
                self._loop.remove_writer(self._socket)
            if self._reader is None:
                self._close_all()

    def _close_all(self) -> None:
        self._socket.close()
        if CAN_LEND:
            self._gate.close()
            os.close(self._wake)


def _left(end: float | None) -> float | None:
    return None if end is None else max(0.0, end - time.monotonic())


def _is_over(end: float | None) -> bool:
    return end is not None and time.monotonic() >= end
