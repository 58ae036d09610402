"""Whether it pays to compress what one end of a link between hosts sends, found by measuring.

Owns: that decision, and how fast a socket drains. Must not know: how bytes are compressed
(`compressed`), sockets, or a clock: it is given durations and times, in seconds.

Theory of operation. Only a socket that is full tells how fast it drains: between two moments at
which it was full it has passed on what was written between them. From that follows what a chunk
costs as it is, and what it would cost compressed: compressing it, then sending what is left. Both
are added though they overlap, and the gain must be clear: the receiver has to decompress. How fast
and how small chunks become is found by a sample now and then, for which a link pays with a small
share of the time that it was busy, and less when samples don't pay. So a socket that is never full
sees no sample.

That a socket is full doesn't say why. If it is the receiver that is slow, fewer bytes don't help
it: where chunks don't pass faster compressed than they did before, compressing is given up. Nor can
a socket that few bytes go through tell that it has become faster: now and then, for a short while,
chunks go as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

compressed_bytes_min = 64 * 2**10
"""Chunks from this size on are considered."""

sample_share = 0.005
"""Of the time that the socket is full, what samples may cost."""

backoff_max = 16
"""How many times rarer samples become while they don't pay."""

measured_bytes = 2 * 2**20
"""Of chunks, after which the drain of a socket is known."""

begins_below, ends_above = 0.75, 0.9
"""What a chunk may cost compressed, of what it costs as it is, to begin and to go on."""

compressing_byte_s = 1 / 250e6
"""What compressing a byte is held to cost before it was tried."""

again_after = 100
"""So many times longer than measuring anew takes is compressed between two measurements."""


class Decision:
    """Whether chunks are compressed, of one direction of one link."""

    def __init__(self) -> None:
        self._on = False
        self._sent_byte_s: float | None = None  # how fast the socket drains
        self._plain_byte_s: float | None = None  # how fast chunks went as they were
        self._compressing_byte_s = compressing_byte_s
        self._left = 1.0  # of a byte, compressed
        self._earned_s = 0.0  # for samples
        self._backoff = 1
        self._spent_s = 0.0  # by compressing, since the last measurement as they are
        self._forget_window()

    @property
    def compresses(self) -> bool:
        """Whether chunks are being compressed, other than as samples."""
        return self._on

    def wants(self, size: int) -> bool:
        """Whether the next chunk, of so many bytes, shall be compressed, if only as a sample."""
        if size < compressed_bytes_min or self._sent_byte_s is None:
            return False
        return self._on or self._earned_s >= size * self._compressing_byte_s

    def compressed(self, plain: int, left: int, seconds: float) -> bool:
        """A chunk of `plain` bytes was compressed to `left`; answers whether to send it so."""
        byte_s, share = seconds / plain, left / plain
        if self._on:
            self._spent_s += seconds
            byte_s = (self._compressing_byte_s + byte_s) / 2
            share = (self._left + share) / 2
        else:
            # What is earned isn't saved for more than one sample; what it cost too much is owed.
            self._earned_s = min(self._earned_s, plain * self._compressing_byte_s) - seconds
        self._compressing_byte_s, self._left = byte_s, share
        if self._sent_byte_s is not None:
            self._judge(byte_s + share * self._sent_byte_s, self._sent_byte_s, seconds)
        return self._on and left < ends_above * plain

    def _judge(self, cost_s: float, plain_s: float, seconds: float) -> None:
        if not self._on and cost_s < begins_below * plain_s:
            self._on = True
            self._spent_s = 0.0
            self._forget_window()
        elif not self._on:
            self._backoff = min(2 * self._backoff, backoff_max)
        elif cost_s >= ends_above * plain_s:
            self._give_up()
            self._earned_s = -seconds
        elif self._spent_s >= again_after * measured_bytes * plain_s:
            self._on = False
            self._sent_byte_s = self._plain_byte_s = None
            self._forget_window()

    def _give_up(self) -> None:
        self._on = False
        self._earned_s = 0.0
        self._backoff = min(2 * self._backoff, backoff_max)
        self._forget_window()

    def drained(self, plain: int, sent: int, seconds: float) -> None:
        """While the socket was full it took `sent` bytes, for `plain` of chunks."""
        if not self._on:
            self._earned_s += seconds * sample_share / self._backoff
        self._window_plain += plain
        self._window_sent += sent
        self._window_s += seconds
        if self._window_plain < measured_bytes:
            return
        plain, sent, seconds = self._window_plain, self._window_sent, self._window_s
        self._forget_window()
        self._sent_byte_s = _mean(self._sent_byte_s, seconds / sent)
        if sent >= ends_above * plain:
            self._plain_byte_s = _mean(self._plain_byte_s, seconds / plain)
        elif self._on and self._plain_byte_s is not None:
            if seconds / plain < self._plain_byte_s:
                self._backoff = 1
            else:
                self._give_up()

    def _forget_window(self) -> None:
        self._window_plain = self._window_sent = 0
        self._window_s = 0.0


class Drain:
    """Finds how fast a socket takes what is written to it.

    told(plain, sent, seconds): as Decision.drained.
    """

    def __init__(self, told: Callable[[int, int, float], None]) -> None:
        self._told = told
        self._queued: deque[tuple[int, float]] = deque()  # bytes; what one of them stands for
        self._full_at: float | None = None
        self._sent, self._plain = 0, 0.0

    def queued(self, size: int, plain: int) -> None:
        """A frame is to be written, of `size` bytes, for `plain` of a chunk."""
        self._queued.append((size, plain / size))

    def wrote(self, count: int) -> None:
        """The socket took so many bytes more."""
        self._sent += count
        while count:
            size, weight = self._queued.popleft()
            taken = min(size, count)
            count -= taken
            self._plain += taken * weight
            if taken < size:
                self._queued.appendleft((size - taken, weight))

    def full(self, now: float) -> None:
        """It takes no more for now."""
        if self._full_at is not None and self._sent:
            self._told(round(self._plain), self._sent, now - self._full_at)
        self._full_at, self._sent, self._plain = now, 0, 0.0

    def idle(self) -> None:
        """All is written: from now on it may run empty."""
        self._full_at = None
        self._queued.clear()


def _mean(before: float | None, now: float) -> float:
    return now if before is None else (before + now) / 2
