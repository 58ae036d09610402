"""Which host writes it pays to tell the contents of, so that nothing is sent that nodes have.

Owns: samples and digests of bytes, and the decision which writes get a digest. Must not know: who
has which bytes, links, or a clock: it is given durations and times, in seconds.

Theory of operation. A digest proves that bytes are the same, so it must be one that nobody can find
two contents for; that costs about as much as several copies. So two things come before it. Bytes
get one only if a sample of them, which costs next to nothing, is that of an earlier write; the
first repetition of some bytes is therefore sent still, the second isn't. And only if it is known
that bytes leave this process slowly: links of which that was never measured, and memory that nodes
on this host read, are never slow. While all is found again nothing is sent that could be measured:
then a digest goes on costing less than a quarter of what sending did cost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from vcl.wire.frame import Bytes

sampled_bytes_min = 2**20
"""Writes from this size on are looked at, and transfers tell how fast bytes leave."""

samples_max = 256
"""Earlier writes that a new one may repeat."""

line_bytes, lines = 64, 64
"""What a sample looks at."""

worth_share = 0.25
"""Of what sending bytes takes, what their digest must take less than."""

doubt_share = 0.99
"""What is held of a digest's measured cost each time that none was made, as a busy moment may have
been measured: so one is made again after many writes."""

measured_bytes = 64 * 2**20
"""Of what left last, by which it is judged how fast bytes leave."""


def sample_of(data: Bytes) -> bytes:
    """Of at least `sampled_bytes_min` bytes: equal ones have the same, others seldom have."""
    whole = np.frombuffer(data, np.uint8)
    stride = len(whole) // lines
    looked = whole[: stride * lines].reshape(lines, stride)[:, :line_bytes].tobytes()
    last = whole[-line_bytes:].tobytes()
    return hashlib.sha256(b"%d:" % len(whole) + looked + last).digest()


def digest_of(data: Bytes) -> bytes:
    """SHA-256 of bytes; the larger part of it is without Python's lock."""
    return hashlib.sha256(data).digest()


class Repeats:
    """Says which writes get a digest."""

    def __init__(self) -> None:
        self._seen: dict[bytes, None] = {}  # samples, the newest last
        self._sent_bytes, self._sent_s = 0.0, 0.0
        self._hashing_byte_s: float | None = None

    def wants(self, sample: bytes) -> bool:
        """Whether the write with this sample shall have a digest. Remembers the sample."""
        seen = sample in self._seen
        if seen:
            del self._seen[sample]
        self._seen[sample] = None
        if len(self._seen) > samples_max:
            del self._seen[next(iter(self._seen))]
        return seen and self._pays()

    def _pays(self) -> bool:
        if not self._sent_bytes:
            return False
        if self._hashing_byte_s is None:
            return True  # once, which tells what it costs here
        if self._hashing_byte_s < worth_share * self._sent_s / self._sent_bytes:
            return True
        self._hashing_byte_s *= doubt_share
        return False

    def hashed(self, size: int, seconds: float) -> None:
        """The digest of so many bytes took so long."""
        byte_s = seconds / size
        known = self._hashing_byte_s
        self._hashing_byte_s = byte_s if known is None else (known + byte_s) / 2

    def sent(self, size: int, seconds: float) -> None:
        """So many bytes left by a link, and nothing else, in so long."""
        if self._sent_bytes > measured_bytes:
            self._sent_bytes, self._sent_s = self._sent_bytes / 2, self._sent_s / 2
        self._sent_bytes += size
        self._sent_s += seconds


class Sending:
    """Finds how long transfers take to leave, some of them at the same time.

    told(size, seconds): as Repeats.sent. The last bytes of a transfer have left when sockets have
    taken them, so that short ones seem fast, and what is seldom sent is seldom told a digest of.
    """

    def __init__(self, told: Callable[[int, float], None]) -> None:
        self._told = told
        self._under_way: dict[int, tuple[int, float]] = {}
        self._last = 0.0

    def began(self, transfer: int, size: int, now: float) -> None:
        """A transfer of so many bytes begins to leave."""
        if size >= sampled_bytes_min:
            self._under_way[transfer] = size, now

    def streamed(self, transfer: int, now: float) -> None:
        """It has left, if it was said to begin. Of its time counts what comes after the last one
        had left: no moment counts twice."""
        size, began = self._under_way.pop(transfer, (0, 0.0))
        if size:
            self._told(size, now - max(began, self._last))
            self._last = now
