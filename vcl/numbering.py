"""One end of a numbered control connection: batches out, batches in, nothing lost or done twice.

Owns: sequence numbers, acknowledgements, and what must be sent again after a reconnection. Must
not know: sockets, clocks, or what the messages mean.

Theory of operation. Every frame that carries messages has the next number, from 1 on; each frame
also acknowledges the highest number received in order. An end keeps what it sent until that is
acknowledged. After a reconnection both ends tell the highest number that they received
(`resume`), and each sends again what the other lacks; a number that was seen already is dropped,
a gap is a protocol error, since the transport keeps order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.wire import frame
from vcl.wire.limits import unacknowledged_batches_max


class Numbering:
    """The state of one end.

    `pack` makes the next frame, `unpack` takes one in; both are pure bookkeeping.
    """

    def __init__(self, trusted: bool = False) -> None:
        """trusted: the peer is the master."""
        self.sent = 0
        """Number of the last frame that was made."""
        self.received = 0
        """Highest number that arrived in order."""
        self.acknowledged = 0
        """Highest number that the peer has confirmed."""
        self._acknowledged_to_peer = 0
        self._kept: deque[tuple[int, bytes]] = deque()
        self._pieces = frame.Pieces(trusted)

    @property
    def kept_count(self) -> int:
        """Frames kept because the peer hasn't confirmed them."""
        return len(self._kept)

    def pack(self, messages: Sequence[bytes]) -> list[bytes]:
        """The next frames, with these messages, which are packed already."""
        frames = []
        for content in frame.cut_into_frames(messages):
            self.sent += 1
            frames.append(frame.pack_control(self.sent, self.received, content))
            self._kept.append((self.sent, frames[-1]))
        self._acknowledged_to_peer = self.received
        return frames

    def acknowledgement(self) -> bytes:
        """A frame that only acknowledges, and has no number of its own."""
        self._acknowledged_to_peer = self.received
        return frame.pack_control(0, self.received, [])

    def unpack(self, data: frame.Bytes) -> list[list[Any]]:
        """The messages of a frame; none if it was seen before, or has part of one only.

        Raises RemoteProtocolError for a gap or an acknowledgement of what was never sent.
        """
        sequence, acknowledged, content = frame.unpack_control(data)
        self._confirm(acknowledged)
        if not content:
            return []
        if sequence == 0:
            raise RemoteProtocolError("messages in a frame without a number")
        if sequence <= self.received:
            return []
        if sequence != self.received + 1:
            raise RemoteProtocolError(
                f"frame {sequence} came after frame {self.received}: one is missing"
            )
        self.received = sequence
        if isinstance(content, frame.Piece):
            message = self._pieces.take(content)
            return [] if message is None else [message]
        if self._pieces.under_way:
            raise RemoteProtocolError("messages between the pieces of another")
        return content

    @property
    def wants_acknowledgement(self) -> bool:
        """Whether so much arrived since the last frame sent that an empty one is due."""
        return self.received - self._acknowledged_to_peer >= unacknowledged_batches_max

    def resume(self, peer_received: int) -> list[bytes]:
        """What to send again on a new connection, given what the peer has."""
        self._confirm(peer_received)
        return [data for _, data in self._kept]

    def _confirm(self, number: int) -> None:
        if number > self.sent:
            raise RemoteProtocolError(f"frame {number} was acknowledged, {self.sent} were sent")
        if number > self.acknowledged:
            self.acknowledged = number
            while self._kept and self._kept[0][0] <= number:
                self._kept.popleft()
