"""Where each byte of each buffer is, and which operations still touch it on each device.

Owns: versions and holders per byte range (`Buffer.contents`), and per device the last writer and
the readers of each range (`Buffer.touched`), from which wait lists follow. Must not know: how
bytes travel, or why a command wants them.

Two maps because they answer two questions. `contents` says where the *current* version of a range
is; `touched` says what an operation that reuses a device's memory has to wait for, whether that
memory is current or stale. Both describe the state after everything planned so far has run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple

from vcl.region import RegionMap

NONE: frozenset[int] = frozenset()

readers_max = 64

pieces_max = 256
"""Pieces of a buffer past which commands that cut it gather it, too: else the command that needs it
whole would have them all to gather."""

pieces_by_device = 4
"""As many more for each device that has memory for the buffer, where those are many: each part of a
launch leaves a piece of its own on its device, and others at its ends that neighbours hold, too.
What is noted of such a device in any case takes more memory than these pieces."""

SETTLED = 1
"""The version of what no operation under way gives: whole regions share it, and so are one piece.
Real versions are greater."""


class Contents(NamedTuple):
    """The current version of a range.

    version: 0 for never written (zeros), SETTLED or its own. holders: devices that will hold it.
    staging: the client's copy as (staging id, buffer offset of its first byte). lost: why no holder
    is left.
    """

    version: int
    holders: frozenset[int] = NONE
    staging: tuple[int, int] | None = None
    lost: str | None = None


def _alike(one: Contents, other: Contents) -> bool:
    """Whether they differ in the version only: both written, and held by the same devices."""
    version, _, staging, lost = one
    return one[1:] == other[1:] and staging is None is lost and version != 0 != other.version


class Touched(NamedTuple):
    """What happens to a range of one device's memory.

    writer: the last operation that writes it, 0 for none. readers: those since then. Even two of
    the device's in-order driver queue are both named: one that still waits for a transfer is
    handed to the driver after a later one that doesn't.
    """

    writer: int = 0
    readers: frozenset[int] = NONE


UNTOUCHED = Touched()


class Buffer:
    """One root memory object; sub-buffers are regions of it."""

    def __init__(self, buffer: int, context: int, size: int, shared: bool = False) -> None:
        self.id = buffer
        """The client's id."""
        self.context = context
        """Id of its context."""
        self.size = size
        """Bytes."""
        self.shared = shared
        """Shared virtual memory, or made with USE_HOST_PTR: the host may hold on to it."""
        self.contents: RegionMap[Contents] = RegionMap(size, Contents(0))
        """Versions and holders by range."""
        self.touched: dict[int, RegionMap[Touched]] = {}
        """By device: a device has an entry once it has memory for the buffer."""
        self.nodes: dict[int, int] = {}
        """The node of each device in `touched`."""
        self.held: dict[int, int] = {}
        """By device: how many bytes of the current contents it holds."""
        self._staged: dict[int, int] = {}  # by staging copy: bytes of contents that are in it
        self._emptied: set[int] = set()  # of these, the ones that may have none left
        self._unneeded: list[int] = []
        self._given: dict[int, int] = {}  # by version: operations under way that give it
        self._settle_at = pieces_max
        self.layout = 0
        """Another number whenever its pieces, or where they are, may have changed."""
        self._forget_at: dict[int, int] = {}
        self.users = 0
        """Commands that refer to the buffer and aren't planned yet."""
        self.released = False
        """The client has let go of it."""

    def read_by(
        self, operation: int, device: int, start: int, end: int, live: Set[int], waits: set[int]
    ) -> None:
        """An operation was planned that reads the device's range.

        Adds the unfinished operations that it has to wait for: the writer; and once there are very
        many readers, those: the new one then stands for all.
        """
        alone = frozenset((operation,))
        memory = self.touched[device]
        if len(memory) <= pieces_max and (piece := memory.piece(start, end)) is not None:
            writer, readers = piece
            if len(readers) < readers_max:  # the usual case, as below
                if writer in live:
                    waits.add(writer)
                else:
                    writer = 0
                new = Touched(writer, (readers & live) | alone if readers else alone)
                if memory.swap_piece(start, new):
                    return
        after_all = Touched(0, alone)  # the same for many pieces

        def change(old: Touched) -> Touched:
            # What is done is forgotten, so that pieces that differed in that alone are one again.
            writer, readers = old
            if writer in live:
                waits.add(writer)
            else:
                writer = 0
            if len(readers) >= readers_max:
                waits.update(readers & live)
            elif readers:
                return Touched(writer, (readers & live) | alone)
            return Touched(writer, alone) if writer else after_all

        self._forget_done(device, live)
        memory.update(start, end, change)

    def written_by(
        self, operation: int, device: int, start: int, end: int, live: Set[int], waits: set[int]
    ) -> None:
        """An operation was planned that writes the device's range.

        Adds the unfinished operations that it has to wait for: all that touch it.
        """
        memory, touched = self.touched[device], Touched(operation)
        befores: Sequence[Touched]
        piece = memory.piece(start, end) if len(memory) <= pieces_max else None
        if piece is not None and memory.swap_piece(start, touched):  # the usual case
            befores = (piece,)
        else:
            if len(memory) > pieces_max:
                self._forget_done(device, live)
            befores = memory.swap(start, end, touched)
        for writer, readers in befores:
            if writer in live:
                waits.add(writer)
            if readers:
                waits.update(readers & live)

    def _forget_done(self, device: int, live: Set[int]) -> None:
        """Once there are twice as many pieces as were left the last time, look at each.

        So there are never many more than operations under way make, at a cost that each command
        has a constant share in.
        """
        memory = self.touched[device]
        if len(memory) > self._forget_at.get(device, pieces_max):

            def change(old: Touched) -> Touched:
                writer = old.writer if old.writer in live else 0
                return Touched(writer, old.readers & live) if writer or old.readers else UNTOUCHED

            memory.update(0, self.size, change)
            self._forget_at[device] = max(pieces_max, 2 * len(memory))

    def rewritten_by(
        self, operation: Touched, device: int, start: int, end: int, new: Contents,
        live: Mapping[int, object], waits: set[int],
    ) -> None:
        """`written_by`, `giving` and `supersede` in one, for a version that nobody gives yet.

        operation: as the writer, and no readers. new: held by the device alone.
        """
        self._given[new.version] = 1
        memory, contents = self.touched[device], self.contents
        old = memory.piece(start, end) if len(memory) <= pieces_max else None
        if old is not None and memory.swap_piece(start, operation):
            writer, readers = old
            if writer in live:
                waits.add(writer)
            if readers:
                waits.update(readers & live.keys())
        else:
            self.written_by(operation.writer, device, start, end, live.keys(), waits)
        before = contents.piece(start, end) if len(contents) <= self._settle_at else None
        if before is None or not _alike(before, new) or not contents.swap_piece(start, new):
            self.supersede(start, end, new)

    # ---- contents

    def proved(self, device: int, start: int, end: int, version: int) -> bool:
        """An operation that gives a version ended well: `confirm_holder` and `gave` in one.

        Answers whether there are copies that aren't needed.
        """
        if self._staged:
            self.confirm_holder(device, start, end, version)
        self.gave(version)
        return bool(self._unneeded)

    def giving(self, version: int) -> None:
        """An operation was planned that makes this version, or brings it somewhere."""
        self._given[version] = self._given.get(version, 0) + 1

    def gave(self, version: int) -> None:
        """That operation ended, and what follows from that was noted."""
        given = self._given
        if given[version] == 1:
            del given[version]
        else:
            given[version] -= 1

    @property
    def is_cut_up(self) -> bool:
        """Whether it is in very many pieces."""
        count = len(self.contents)
        return count > pieces_max and count > pieces_by_device * len(self.touched)

    def _settle(self) -> None:
        """Once there are twice as many pieces as were left the last time, join what can be."""

        def change(old: Contents) -> Contents:
            under_way = old.version in self._given or old.staging is not None
            if under_way or not old.holders or old.version == SETTLED:
                return old
            # Zeros, too, once a device has them: they are between what was written.
            return Contents(SETTLED, old.holders)

        self.layout += 1
        self.contents.update(0, self.size, change)  # changes nothing that is counted
        self._settle_at = max(pieces_max, 2 * len(self.contents))

    def unsettle(self, start: int, end: int, version: int) -> None:
        """Settled bytes of one piece are about to travel: they get a version of their own."""
        self.layout += 1
        self.contents.update(start, end, lambda c: c._replace(version=version))

    def supersede(self, start: int, end: int, new: Contents) -> None:
        """A new version of a range was planned."""
        count = len(self.contents)
        piece = self.contents.piece(start, end) if count <= self._settle_at else None
        if piece is not None and _alike(piece, new) and self.contents.swap_piece(start, new):
            return  # the usual case
        if end - start == self.size:
            self.contents.assign(start, end, new)
            self._all_superseded(new)
            return
        pieces = self.contents.values(start, end)
        as_before = len(pieces) == 1 and _alike(pieces[0], new)
        if count > self._settle_at:
            self._settle()
            as_before = False
        for low, high, old in self.contents.segments(start, end):
            self._count(old, low - high)
        self.contents.assign(start, end, new)
        self._count(new, end - start)
        self._drop_emptied()
        # A new version is joined with no neighbour: if no piece was cut, it is where one was.
        if not as_before or len(self.contents) != count:
            self.layout += 1

    def _all_superseded(self, new: Contents) -> None:
        """All contents are `new` now, and were in other pieces or elsewhere."""
        self.layout += 1
        self.held = dict.fromkeys(new.holders, self.size)
        self._unneeded.extend(self._staged)
        self._staged.clear()
        if new.staging is not None:
            self._staged[new.staging[0]] = self.size

    def add_holder(self, device: int, start: int, end: int) -> None:
        """A device will hold the current version of a range as well."""
        self.layout += 1
        # All the others hold what they held: where those are many, each isn't counted anew.
        more = sum(
            high - low
            for low, high, old in self.contents.segments(start, end)
            if device not in old.holders
        )
        self.contents.update(start, end, lambda c: c._replace(holders=c.holders | {device}))
        self.held[device] = self.held.get(device, 0) + more

    def confirm_holder(self, device: int, start: int, end: int, version: int) -> None:
        """A device holds that version now: the client's copy of it is needed no longer."""
        if not self._staged:
            return

        def change(old: Contents) -> Contents:
            if old.version == version and device in old.holders and old.staging is not None:
                return old._replace(staging=None)
            return old

        self._change(start, end, change)

    def drop_holder(
        self, device: int, start: int, end: int, match: Callable[[Contents], bool], reason: str
    ) -> None:
        """A device doesn't hold what it was planned to hold; what nobody holds now is lost."""

        def change(old: Contents) -> Contents:
            if device not in old.holders or not match(old):
                return old
            holders = old.holders - {device}
            # What was never written anybody can make again.
            gone = not holders and old.staging is None and old.version != 0
            lost = reason if gone else None
            return old._replace(holders=holders, lost=lost)

        self._change(start, end, change)

    def lose_version(self, start: int, end: int, version: int, reason: str) -> None:
        """What was to make a version failed: whoever has a copy has a copy of nothing."""

        def change(old: Contents) -> Contents:
            return Contents(version, lost=reason) if old.version == version else old

        self._change(start, end, change)

    @property
    def stagings(self) -> list[int]:
        """Staging copies that some range is in."""
        return sorted(self._staged)

    @property
    def has_unneeded(self) -> bool:
        """Whether there are such."""
        return bool(self._unneeded)

    def at_hand(self, device: int) -> bool:
        """Whether a device has memory for it, the client holds it, and no copy is unneeded."""
        return device in self.touched and not self._unneeded and not self.released

    def unneeded_stagings(self) -> list[int]:
        """Staging copies that no range is in any more; they're forgotten here."""
        unneeded, self._unneeded = self._unneeded, []
        return sorted(unneeded)

    def bytes_on(self, start: int, end: int) -> Mapping[int, int]:
        """How many bytes of a range each device holds in their current version."""
        if (start, end) == (0, self.size):
            return self.held
        held: defaultdict[int, int] = defaultdict(int)
        for low, high, contents in self.contents.segments(start, end):
            for device in contents.holders:
                held[device] += high - low
        return held

    def _change(self, start: int, end: int, change: Callable[[Contents], Contents]) -> None:
        """Change `contents`, and count anew what the range has in each place.

        The counts are what makes a command cost what it touches, and not what the buffer has.
        """
        self.layout += 1
        for low, high, old in self.contents.segments(start, end):
            self._count(old, low - high)
        self.contents.update(start, end, change)
        for low, high, new in self.contents.segments(start, end):
            self._count(new, high - low)
        self._drop_emptied()

    def _drop_emptied(self) -> None:
        for staging in [s for s in self._emptied if not self._staged[s]]:
            del self._staged[staging]
            self._unneeded.append(staging)
        self._emptied.clear()

    def _count(self, contents: Contents, size: int) -> None:
        for device in contents.holders:
            self.held[device] = self.held.get(device, 0) + size
        if contents.staging is not None:
            staging = contents.staging[0]
            self._staged[staging] = staging_bytes = self._staged.get(staging, 0) + size
            if not staging_bytes:
                self._emptied.add(staging)
