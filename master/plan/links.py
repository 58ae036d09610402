"""How long bytes take from one end to another, as transfers have told.

Owns: the figures, and what a transfer takes by them. Must not know: how bytes travel, which
transfers there are, or what is decided by that.

A rate is known where a transfer was long enough to tell; before, it is a guess. Plans that are kept
have been decided by rates, so a rate counts as changed only when it is another by much.
"""

from __future__ import annotations

CLIENT = 0
"""The end that isn't a node."""

byte_ns_guess = 4.0
"""What a byte costs where no transfer has told: relayed by the master, on one host."""

told_bytes_min = 2**22
"""Transfers of fewer bytes tell nothing: they are over before their chunks are under way."""

besides_ns = 300_000
"""What a transfer takes besides its bytes, where another waits for it: from the event of what made
them, over both ends' threads, to the start of what needs them (benchmarks/NOTES.md)."""

byte_ns_max = 1000.0
"""A transfer that took longer stood still, or its clock did."""

share = 0.25
"""Of the last transfer in what is known."""

changed_ratio = 1.25
"""A rate that differs by less from the one that counts doesn't count."""


class Links:
    """By where bytes come from and go to: a node's id, or CLIENT."""

    def __init__(self) -> None:
        self._learned: dict[tuple[int, int], float] = {}
        self._counts: dict[tuple[int, int], float] = {}

    def learn(self, source: int, to: int, size: int, ns: int) -> bool:
        """So many bytes took so long; answers whether `byte_ns` is another now."""
        if size < told_bytes_min or ns <= 0:
            return False
        each = min(ns / size, byte_ns_max)
        link = source, to
        before = self._learned.get(link)
        now = self._learned[link] = each if before is None else before + (each - before) * share
        counted = self.byte_ns(source, to)
        if counted / changed_ratio <= now <= counted * changed_ratio:
            return False
        self._counts[link] = now
        return True

    def forget(self, node: int) -> None:
        """It is gone; if it comes back, then as another."""
        for rates in (self._learned, self._counts):
            for link in [link for link in rates if node in link]:
                del rates[link]

    def byte_ns(self, source: int, to: int) -> float:
        """Nanoseconds that a byte takes."""
        return self._counts.get((source, to), byte_ns_guess)

    def transfer_ns(self, source: int, to: int, size: int) -> float:
        """Nanoseconds that a transfer of so many bytes takes."""
        return besides_ns + size * self._counts.get((source, to), byte_ns_guess)
