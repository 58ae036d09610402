"""The direct link between two ends of one host: packets on a Unix socket, bytes in shared memory.

Owns: that link, dialling it, and taking such dials. Must not know: which ends there are, or who may
open a link to whom.

Both ends share a host if one reaches the other's socket, whose name is in Linux's abstract
namespace: it's in no file system, and gone with its process. What is short travels in the packet
itself. What is longer is copied into this end's ring, once, and the receiver uses it there, until
it gives the slot back. Where there is no memory for a ring, everything travels in packets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Sequence

from vcl.direct.ring import PeersRing, Ring
from vcl.errors import RemoteProtocolError
from vcl.transfers import GrantCredit, Stream
from vcl.wire import direct
from vcl.wire.direct import InRing, NewRing, Taken, Way
from vcl.wire.frame import (
    BULK_HEADER_BYTES,
    CHUNK,
    CREDIT,
    BulkFrame,
    Bytes,
    pack_bulk_header,
)
from vcl.wire.limits import chunk_bytes_max, packet_bytes_max

log = logging.getLogger("vcl-link")

SCHEME = "unix:"

whole_packet_bytes_max = 1 + BULK_HEADER_BYTES + packet_bytes_max

packets_per_turn_max = 32
"""Packets that are taken from the socket before the loop does something else."""

unsent_count_max = 64
"""Packets that wait for the socket to take them, past which streams wait."""


class LocalLink:
    """A link to an end on this host.

    connected: a Unix socket on which both have greeted. own, peer: endpoints. take(frames): called
    on the loop for what comes; what it raises is its owner's affair. streamed(transfer): when its
    bytes are copied. lost(reason): once, if the link ends by itself.
    """

    way = Way.SHARED_MEMORY

    def __init__(
        self,
        connected: socket.socket,
        own: int,
        peer: int,
        take: Callable[[Sequence[BulkFrame]], None],
        streamed: Callable[[int], None],
        lost: Callable[[str], None],
    ) -> None:
        self._socket = connected
        self._own, self._peer = own, peer
        self._take, self._streamed, self._lost = take, streamed, lost
        self._ring: Ring | None = None
        self._no_ring = False
        self._peers_ring: PeersRing | None = None
        self._unsent: deque[tuple[tuple[Bytes, ...], Sequence[int]]] = deque()
        self._waiting: list[asyncio.Future[None]] = []
        self._streams: set[asyncio.Task[None]] = set()
        self._over = False
        self.join()

    def join(self) -> None:
        """Serve the link on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)
        if self._unsent:
            self._loop.add_writer(self._socket, self._writable)

    def leave(self) -> None:
        """Serve it on its loop no longer; while nothing is under way."""
        if not self._over:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)

    def close(self) -> None:
        """End the link. What was to be sent counts as sent."""
        if self._over:
            return
        self.leave()
        self._over = True
        self._socket.close()
        if self._ring is not None:
            self._ring.close()
        self._ring = self._peers_ring = None
        self._unsent.clear()
        self._wake()

    # ---- sending

    def grant(self, effect: GrantCredit) -> None:
        """Send credit."""
        credit = BulkFrame(CREDIT, False, self._peer, self._own, effect.transfer, 0, b"")
        self._send(direct.FRAME, pack_bulk_header(credit))

    def stream(self, effect: Stream) -> None:
        """Send a transfer in chunks, taking turns with others."""
        (first, *more) = effect.data
        if not more and len(first) <= packet_bytes_max and not self._unsent:
            self._send_packet(effect.transfer, 0, first, True)
            # Not at once: the owner is in the middle of something.
            self._loop.call_soon(self._streamed, effect.transfer)
            return
        stream = self._loop.create_task(self._stream(effect))
        self._streams.add(stream)
        stream.add_done_callback(self._stream_ended)

    def _stream_ended(self, stream: asyncio.Task[None]) -> None:
        self._streams.discard(stream)
        if not stream.cancelled() and (error := stream.exception()) is not None:
            context = {"message": "a direct stream failed", "exception": error}
            self._loop.call_exception_handler(context)

    async def _stream(self, effect: Stream) -> None:
        ring = self._own_ring() if any(len(d) > packet_bytes_max for d in effect.data) else None
        most = packet_bytes_max if ring is None else chunk_bytes_max
        for offset, chunk, last in effect.chunks(most):
            while not self._over and (
                len(self._unsent) > unsent_count_max
                or (len(chunk) > packet_bytes_max and ring is not None and not ring.free)
            ):
                waiter = self._loop.create_future()
                self._waiting.append(waiter)
                await waiter
            if self._over:
                break  # nobody is there to whom it matters
            if ring is None or len(chunk) <= packet_bytes_max:
                self._send_packet(effect.transfer, offset, chunk, last)
            else:
                header = self._header(effect.transfer, offset, last)
                slot = ring.put(chunk)
                self._send(direct.pack_in_ring(InRing(header, slot, len(chunk))))
            await asyncio.sleep(0)
        self._streamed(effect.transfer)

    def _header(self, transfer: int, offset: int, last: bool) -> BulkFrame:
        return BulkFrame(CHUNK, last, self._peer, self._own, transfer, offset, b"")

    def _send_packet(self, transfer: int, offset: int, data: Bytes, last: bool) -> None:
        header = pack_bulk_header(self._header(transfer, offset, last))
        self._send(direct.FRAME, header, data)

    def _own_ring(self) -> Ring | None:
        """This end's memory, which the peer is told of when it is first used."""
        if self._ring is None and not self._no_ring:
            try:
                self._ring = Ring()
            except OSError as error:
                self._no_ring = True
                log.warning("no shared memory: %s; bytes take the slower way", error)
            else:
                descriptors = [self._ring.descriptor]
                self._send(direct.pack_ring(self._ring.slots), descriptors=descriptors)
        return self._ring

    def _send(self, *parts: Bytes, descriptors: Sequence[int] = ()) -> None:
        if self._over:
            return
        if self._unsent or not self._sent(parts, descriptors):
            if not self._unsent:
                self._loop.add_writer(self._socket, self._writable)
            # A sender may change its bytes once they count as sent.
            whole = (b"".join(parts),)
            self._unsent.append((whole, descriptors))

    def _sent(self, parts: Sequence[Bytes], descriptors: Sequence[int]) -> bool:
        """Whether the socket took a packet; if it is broken, its reader is about to find out."""
        try:
            if descriptors:
                socket.send_fds(self._socket, parts, descriptors)
            else:
                self._socket.sendmsg(parts)
        except BlockingIOError:
            return False
        except OSError as error:
            log.debug("a packet to endpoint %d wasn't sent: %s", self._peer, error)
        return True

    def _writable(self) -> None:
        while self._unsent and self._sent(*self._unsent[0]):
            self._unsent.popleft()
        if not self._unsent:
            self._loop.remove_writer(self._socket)
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    # ---- receiving

    def _readable(self) -> None:
        frames: list[BulkFrame] = []
        reason = None
        try:
            for _ in range(packets_per_turn_max):
                data, descriptors, flags, _ = socket.recv_fds(
                    self._socket, whole_packet_bytes_max, 1
                )
                if not data:
                    reason = "the other end is gone"
                    break
                self._take_packet(data, descriptors, flags, frames)
        except BlockingIOError:
            pass  # that was all for now
        except (OSError, RemoteProtocolError) as error:
            reason = str(error)
        if frames:
            self._take(frames)
        if reason is not None and not self._over:
            self.close()
            self._lost(reason)

    def _take_packet(
        self, data: bytes, descriptors: Sequence[int], flags: int, frames: list[BulkFrame]
    ) -> None:
        try:
            if flags & socket.MSG_TRUNC:
                raise RemoteProtocolError("a packet that is too long")
            packet = direct.unpack_packet(data)
            if isinstance(packet, BulkFrame):
                frames.append(self._checked(packet))
            elif isinstance(packet, InRing):
                frame = self._checked(packet.frame)
                if self._peers_ring is None:
                    raise RemoteProtocolError("a chunk in memory that wasn't shared")
                frames.append(
                    frame._replace(payload=self._peers_ring.take(packet.slot, packet.size))
                )
            elif isinstance(packet, Taken):
                if self._ring is None:
                    raise RemoteProtocolError("a slot of memory that isn't shared")
                self._ring.give_back(packet.slot)
                self._wake()
            else:
                self._new_ring(packet, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _new_ring(self, packet: NewRing, descriptors: Sequence[int]) -> None:
        if self._peers_ring is not None or len(descriptors) != 1:
            raise RemoteProtocolError("memory is shared once, with its descriptor")
        self._peers_ring = PeersRing(descriptors[0], packet.slots, self._returned)

    def _checked(self, frame: BulkFrame) -> BulkFrame:
        if (frame.source, frame.destination) != (self._peer, self._own):
            raise RemoteProtocolError(
                f"a frame from {frame.source} to {frame.destination} between other two ends"
            )
        return frame

    def _returned(self, slot: int) -> None:
        """From any thread: nothing here refers to a slot of the peer's."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the link with it
            self._loop.call_soon_threadsafe(self._send, direct.pack_taken(slot))


async def dial(address: str) -> socket.socket:
    """Connect to an address of a LocalListener; raises OSError."""
    dialled = _socket()
    try:
        await asyncio.get_running_loop().sock_connect(dialled, _name(address))
    except BaseException:
        dialled.close()
        raise
    return dialled


class LocalListener:
    """Takes dials of ends on this host. Raises OSError where there are no such sockets."""

    def __init__(self) -> None:
        self.address = f"{SCHEME}vcl-{secrets.token_hex(16)}"
        """Where to dial."""
        self._socket = _socket()
        try:
            self._socket.bind(_name(self.address))
            self._socket.listen()
        except BaseException:
            self._socket.close()
            raise

    async def accept(self) -> socket.socket:
        """The next that dials."""
        accepted, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        return accepted

    def close(self) -> None:
        """Take no more."""
        self._socket.close()


async def send_greeting(connected: socket.socket, greeting: direct.Greeting) -> None:
    """Send the first packet; raises OSError."""
    packed = direct.pack_greeting(greeting)
    await asyncio.get_running_loop().sock_sendall(connected, packed)


async def receive_greeting(connected: socket.socket) -> direct.Greeting:
    """The peer's first packet; raises OSError, RemoteProtocolError."""
    data = await asyncio.get_running_loop().sock_recv(connected, whole_packet_bytes_max)
    return direct.unpack_greeting(data)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.setblocking(False)
    return made


def _name(address: str) -> str:
    """In the abstract namespace."""
    return "\0" + address.removeprefix(SCHEME)
