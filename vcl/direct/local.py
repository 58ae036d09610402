"""The direct link between two ends of one host: packets on a Unix socket, bytes in shared memory.

Owns: that link. Must not know: which ends there are, who may open a link to whom, or how
(`dialling`).

What is short travels in the packet itself. What is longer is copied into this end's ring, once, and
the receiver uses it there, until it says that it is done. What is in shared memory already isn't
even copied. Where there is no memory for a ring, everything travels in packets.

Memory that changes, as a device's does, is lent as any other, but a transfer from there counts as
streamed only when the peer has given back all that it was lent, and so has taken its copy. If the
link ends before, the peer may be copying still. So an end keeps its socket open as long as it uses
bytes of its peer's, and to find the other's closed (by the end of its process, say) is as good as
to be given back all. A peer that does neither holds up what is its own session anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import weakref
from collections import Counter, deque
from collections.abc import Callable, Sequence

from vcl.direct.link import Ends, Link
from vcl.direct.shared import PeersMemory, Ring, SharedMemory
from vcl.errors import RemoteProtocolError
from vcl.transfers import Stream
from vcl.wire import direct
from vcl.wire.direct import Forgotten, InMemory, Memory, Taken, Way
from vcl.wire.frame import (
    BULK_HEADER_BYTES,
    BulkFrame,
    Bytes,
    pack_bulk_header,
)
from vcl.wire.limits import (
    chunk_bytes_max,
    packet_bytes_max,
    shared_chunk_bytes_max,
    shared_memories_max,
)

log = logging.getLogger("vcl-link")

whole_packet_bytes_max = 1 + BULK_HEADER_BYTES + packet_bytes_max

packets_per_turn_max = 32
"""Packets that are taken from the socket before the loop does something else."""

unsent_count_max = 64
"""Packets that wait for the socket to take them, past which streams wait."""

_TRUNCATED = int(socket.MSG_TRUNC)  # to compare an enumeration takes as long as the packet

Find = Callable[[memoryview], tuple[SharedMemory, int] | None]


class LocalLink(Link):
    """A link to an end on this host.

    find(bytes): in which memory of this end's they are already, where they don't change as long as
    somebody refers to them, or in `changing` memory as long as their transfer isn't streamed.
    """

    way = Way.SHARED_MEMORY

    def __init__(
        self, connected: socket.socket, ends: Ends, find: Find = lambda data: None
    ) -> None:
        super().__init__(connected, ends)
        self._find = find
        self._ring: Ring | None = None
        self._no_ring = False
        self._told: dict[int, weakref.ref[SharedMemory]] = {}
        """The memories that the peer has been told of, by number."""
        self._loans: dict[int, int | memoryview] = {}
        """What the peer uses: an offset in the ring, or bytes that live as long."""
        self._owing: dict[int, int] = {}
        """The transfers of loans of memory that changes, by loan."""
        self._owed: Counter[int] = Counter()
        """How many such loans there are, by transfer."""
        self._last_loan = 0
        self._in_use: set[int] = set()
        """The peer's loans of which something here, on any thread, uses the bytes."""
        self._peers: dict[int, PeersMemory] = {}
        self._unsent: deque[tuple[tuple[Bytes, ...], Sequence[int]]] = deque()
        self.join()

    def _let_go(self) -> None:
        self._ring = None
        self._told.clear()
        self._loans.clear()
        self._peers.clear()
        self._unsent.clear()

    # ---- sending

    def _send_credit(self, credit: BulkFrame) -> None:
        self._send(direct.FRAME, pack_bulk_header(credit))

    def stream(self, effect: Stream) -> None:
        """As of Link; what is short leaves at once."""
        (first, *more) = effect.data
        if more or len(first) > packet_bytes_max or self._unsent:
            super().stream(effect)
            return
        self._send(direct.FRAME, pack_bulk_header(self._header(effect, 0, True)), first)
        self._streamed(effect.transfer)

    async def _send_transfer(self, effect: Stream) -> None:
        offset = 0
        for index, data in enumerate(effect.data):
            view, final = memoryview(data), index == len(effect.data) - 1
            await self._send_piece(effect, offset, view, final)
            offset += len(view)
        while effect.transfer in self._owed:  # even if the link is over
            await self._changes.wait()

    async def _send_piece(
        self, effect: Stream, base: int, data: memoryview, final: bool
    ) -> None:
        """A piece of a transfer, by the best way for it."""
        ring, where, most = None, None, packet_bytes_max
        if len(data) > packet_bytes_max:
            where = self._place(data)
            if where is not None:
                most = shared_chunk_bytes_max
            elif (ring := self._own_ring()) is not None:
                most = chunk_bytes_max
        for start in range(0, max(1, len(data)), most):
            while not self._over and (
                len(self._unsent) > unsent_count_max or (ring is not None and not ring.has_room)
            ):
                await self._changes.wait()
            if self._over:
                return  # nobody is there to whom it matters
            chunk = data[start : start + most]
            header = self._header(effect, base + start, final and start + most >= len(data))
            if where is not None:
                memory, offset = where
                self._lend(header, memory, offset + start, len(chunk), chunk)
            elif ring is not None:
                offset = ring.put(chunk)
                self._lend(header, ring.memory, offset, len(chunk), offset)
            else:
                self._send(direct.FRAME, pack_bulk_header(header), chunk)
            await asyncio.sleep(0)

    def _place(self, data: memoryview) -> tuple[SharedMemory, int] | None:
        """As `find`, in memory of which the peer has been told or may be."""
        where = self._find(data)
        if where is None or where[0].number in self._told:
            return where
        return where if len(self._told) < shared_memories_max - 1 else None  # but for the ring

    def _lend(
        self, header: BulkFrame, memory: SharedMemory, offset: int, size: int,
        lent: int | memoryview,
    ) -> None:
        """Send a chunk that is in memory. lent: as of `_loans`."""
        if self._told.get(memory.number) is None:
            self._told[memory.number] = weakref.ref(memory, self._forgetter(memory.number))
            packet = direct.pack_packet(Memory(memory.number, memory.size))
            self._send(packet, descriptors=[memory.descriptor])
        self._last_loan += 1
        self._loans[self._last_loan] = lent
        if memory.changing:
            self._owing[self._last_loan] = header.transfer
            self._owed[header.transfer] += 1
        chunk = InMemory(header, self._last_loan, memory.number, offset, size)
        self._send(direct.pack_packet(chunk))

    def _forgetter(self, number: int) -> Callable[[object], None]:
        """From any thread: memory that the peer has been told of is gone."""

        def forget(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the link with it
                self._loop.call_soon_threadsafe(self._forget, number)

        return forget

    def _forget(self, number: int) -> None:
        if self._told.pop(number, None) is not None:
            self._send(direct.pack_packet(Forgotten(number)))

    def _own_ring(self) -> Ring | None:
        """This end's memory, which the peer is told of when it is first used."""
        if self._ring is None and not self._no_ring:
            try:
                self._ring = Ring()
            except OSError as error:
                self._no_ring = True
                log.warning("no shared memory: %s; bytes take the slower way", error)
        return self._ring

    def _send(self, *parts: Bytes, descriptors: Sequence[int] = ()) -> None:
        if self._over:
            return
        if self._unsent or not self._sent(parts, descriptors):
            self._write_later()
            # A sender may change its bytes once they count as sent.
            whole = (b"".join(parts),)
            self._unsent.append((whole, descriptors))

    def _sent(self, parts: Sequence[Bytes], descriptors: Sequence[int]) -> bool:
        """Whether the socket took a packet; if it can't, the readers are about to find out."""
        try:
            if descriptors:
                socket.send_fds(self._socket, parts, descriptors)
            else:
                self._socket.sendmsg(parts)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError) as error:
            log.debug("a packet to endpoint %d wasn't sent: %s", self._peer, error)
        except OSError as error:
            # Else a peer that is still there would wait for it (no buffers, too many descriptors).
            self._loop.call_soon(self._end, f"a packet can't be sent: {error}")
        return True

    def _send_more(self) -> bool:
        while self._unsent and self._sent(*self._unsent[0]):
            self._unsent.popleft()
        return bool(self._unsent)

    # ---- receiving

    def _receive(self, frames: list[BulkFrame]) -> None:
        for _ in range(packets_per_turn_max):
            data, descriptors, flags = self._received()
            self._take_packet(data, descriptors, flags, frames)

    def _received(self) -> tuple[bytes, list[int], int]:
        """A packet; raises EOFError if none comes any more, since nobody is there who reads what
        this end has lent."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(self._socket, whole_packet_bytes_max, 1)
        except ConnectionResetError:  # it left packets unread
            data = b""
        if not data:
            self._owing.clear()
            self._owed.clear()
            raise EOFError
        return data, descriptors, flags

    def _take_packet(
        self, data: bytes, descriptors: Sequence[int], flags: int, frames: list[BulkFrame]
    ) -> None:
        try:
            if flags & _TRUNCATED:
                raise RemoteProtocolError("a packet that is too long")
            packet = direct.unpack_packet(data)
            if isinstance(packet, BulkFrame):
                frames.append(self._checked(packet))
            elif isinstance(packet, InMemory):
                frames.append(self._borrowed(packet))
            elif isinstance(packet, Taken):
                self._given_back(packet.loan)
            elif isinstance(packet, Memory):
                self._map(packet, descriptors)
            elif self._peers.pop(packet.number, None) is None:
                raise RemoteProtocolError(f"memory {packet.number} isn't shared")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _map(self, packet: Memory, descriptors: Sequence[int]) -> None:
        if packet.number in self._peers or len(descriptors) != 1:
            raise RemoteProtocolError("memory is shared once, with its descriptor")
        if len(self._peers) >= shared_memories_max:
            raise RemoteProtocolError(f"more than {shared_memories_max} shared memories")
        self._peers[packet.number] = PeersMemory(descriptors[0], packet.size)

    def _borrowed(self, packet: InMemory) -> BulkFrame:
        frame, memory = self._checked(packet.frame), self._peers.get(packet.memory)
        if memory is None:
            raise RemoteProtocolError("a chunk in memory that isn't shared")
        if packet.loan in self._in_use:
            raise RemoteProtocolError(f"loan {packet.loan} is under way")
        returned = functools.partial(self._returned, packet.loan)
        lent = memory.lend(packet.offset, packet.size, returned)
        self._in_use.add(packet.loan)
        return frame._replace(payload=lent)

    def _given_back(self, loan: int) -> None:
        lent = self._loans.pop(loan, None)
        if lent is None:
            raise RemoteProtocolError(f"loan {loan} isn't under way")
        if isinstance(lent, int):
            assert self._ring is not None
            self._ring.give_back(lent)
            self._changes.tell()
        elif (transfer := self._owing.pop(loan, None)) is not None:
            self._owed[transfer] -= 1
            if not self._owed[transfer]:
                del self._owed[transfer]
                self._changes.tell()

    def _returned(self, loan: int) -> None:
        """From any thread: nothing here refers to bytes of the peer's."""
        self._in_use.discard(loan)
        try:
            self._loop.call_soon_threadsafe(self._give_back, loan)
        except RuntimeError:  # the loop is closed, and the link with it
            self._leave_socket()

    def _give_back(self, loan: int) -> None:
        if self._over:
            self._leave_socket()
        else:
            self._send(direct.pack_packet(Taken(loan)))

    # ---- the end

    def _hang_up(self) -> None:
        if self._owed:
            self._loop.add_reader(self._socket, self._read_to_end)
        self._leave_socket()

    def _leave_socket(self) -> None:
        """Let the peer find that nothing here uses bytes of its, once that is so."""
        if self._in_use:
            return
        # To close it tells nobody as long as a child that the program forked has it, too.
        with contextlib.suppress(OSError):  # it knows
            self._socket.shutdown(socket.SHUT_WR if self._owed else socket.SHUT_RDWR)
        if not self._owed:
            self._socket.close()

    def _read_to_end(self) -> None:
        """The link is over, but the peer may use bytes that it was lent."""
        try:
            while True:
                _, descriptors, _ = self._received()
                for descriptor in descriptors:
                    os.close(descriptor)
        except BlockingIOError:
            return
        except EOFError:
            pass
        self._loop.remove_reader(self._socket)
        self._leave_socket()
        self._changes.tell()
