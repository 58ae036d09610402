"""Which bytes that the program wrote are still where they were written, by their digests.

Owns: for each digest the ranges that were written with such bytes, and as which versions, and the
question whether one is unchanged. Must not know: what is done about it, or how bytes travel.

What proves that bytes are unchanged is residency's version alone. A Write gives its range a
version that no other bytes ever have; whatever may write a byte of it (a launch that can't be
proved not to, nor is declared not to, a fill, a copy, another write) gives that byte another one
when it is planned; and bytes that are lost say so. So a range that is all of that version, and of
which nothing is lost, has these bytes, or will have them before anything that is planned from now
on. What was settled has lost its version, and counts as changed. Memory that the host may hold
pointers to isn't remembered.

A client could say a wrong digest. It would deceive itself: what is known is of one session.
"""

from __future__ import annotations

from typing import NamedTuple

from master.plan.residency import Buffer, Contents

digests_max = 1024
"""Digests that a session remembers."""

ranges_max = 4
"""Ranges that are remembered for a digest: a program may upload to two buffers by turns."""


class Written(NamedTuple):
    """Bytes [start, end) of a buffer, which were written as that version."""

    buffer: int
    start: int
    end: int
    version: int


class WrittenContents:
    """What was written in one session, the newest of it."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, list[Written]] = {}  # the newest last

    def note(self, digest: bytes, written: Written) -> None:
        """A Write of bytes with that digest is carried out."""
        same = [w for w in self._by_digest.pop(digest, ()) if w[:3] != written[:3]]
        self._by_digest[digest] = [*same, written][-ranges_max:]
        if len(self._by_digest) > digests_max:
            del self._by_digest[next(iter(self._by_digest))]

    def find(self, digest: bytes) -> list[Written]:
        """Where such bytes were written, the newest first; perhaps nothing of it is left."""
        return self._by_digest.get(digest, [])[::-1]


def unchanged(buffer: Buffer, written: Written) -> list[tuple[int, int, Contents]]:
    """The pieces that a range of the buffer is in, if it is still what was written; else none.

    buffer: the one that has its number now.
    """
    _, start, end, version = written
    if buffer.released or end > buffer.size:
        return []
    pieces = []
    for piece in buffer.contents.segments(start, end):
        if piece[2].version != version or piece[2].lost is not None:
            return []
        pieces.append(piece)
    return pieces
