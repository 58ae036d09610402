"""What a part of a launch changed in a buffer, and putting the parts together again.

Owns: finding the elements that differ from the pre-image, their packed form, and applying the
packed changes of other parts on the home node, with detection of conflicts (two parts that
changed one element to different values), or by an operator of `reductions`. Must not know: devices,
connections, who the parts are, or what happens after a conflict (the caller restores the buffer and
runs the launch whole).

Buffers are cut into blocks of 64 elements, so that one 64-bit mask says which elements of a
block changed. A block all of whose elements changed needs no mask: runs of such blocks are
listed by start and count. The packed form, little-endian, every table 8-byte aligned:

    header   magic "VCLM", version, buffer bytes, element bytes, number of masks, number of runs
    masks    u64 per partly changed block: bit i is element i
    runs     u32 start, u32 count per run of wholly changed blocks, ascending, disjoint
    ids      u32 per mask: its block, ascending (then padding to 8 bytes)
    payload  the blocks of the runs, then the changed elements of the partly changed blocks

The last block is short when the buffer isn't a multiple of the block: it is the *tail*, always
has a mask, and its last element, if partial, is padded to a whole one with zeros.

Work goes through slabs that fit the processor's cache, never through a Python loop over
elements, blocks or runs. Temporaries are a few slabs (a few blocks, where a block is larger) and
the tables. Arrays that don't start on an 8-byte boundary give the same result more slowly.

Long because finding, packing and applying changes share the layout and its slabs.
"""

import ctypes
import math
import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node_agent.reductions import REDUCED_BYTES, reduced
from vcl.wire.messages.part import How

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Table = NDArray[Any]

ELEMENT_BYTES_MAX = 16 << 20  # so that NumPy can name a block as one item of under 2 GiB
_BLOCK_ELEMENTS = 64
_SLAB_BYTES = 1 << 20  # measured best from 256 KiB to 4 MiB; larger hurts scattered merges
_BLOCKS_MAX = (1 << 32) - 1  # ids, starts and ends of runs are u32
_FOLD_COLUMNS_MAX = 8  # up to here, column by column beats a reduction along short rows
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_MAGIC = b"VCLM"
_VERSION = 1
_HEADER = struct.Struct("<4sIQQQQ")
_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_WORDS = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}


class _Layout:
    """How a buffer is cut into blocks. Raises ValueError where it can't be."""

    def __init__(self, buffer_bytes: int, element_bytes: int) -> None:
        if element_bytes < 1:
            raise ValueError(f"element of {element_bytes} bytes")
        self.buffer_bytes = buffer_bytes
        # As compared and packed: what is larger than the buffer is one partial element.
        self.item_bytes = min(element_bytes, max(1, buffer_bytes))
        if self.item_bytes > ELEMENT_BYTES_MAX:
            raise ValueError(f"element of {element_bytes} bytes, at most {ELEMENT_BYTES_MAX}")
        self.block_bytes = self.item_bytes * _BLOCK_ELEMENTS
        self.slab_blocks = max(1, _SLAB_BYTES // self.block_bytes)
        self.body_blocks, self.tail_bytes = divmod(buffer_bytes, self.block_bytes)
        self.body_bytes = buffer_bytes - self.tail_bytes
        self.tail_elements = -(-self.tail_bytes // self.item_bytes)
        if self.body_blocks >= _BLOCKS_MAX:
            raise ValueError(f"{self.body_blocks} blocks, fewer than {_BLOCKS_MAX} are possible")

    def pick(self, buffer: Bytes, ids: Ints) -> Bytes:
        """The bytes of the blocks `ids` (ascending, not empty): a view where they adjoin.

        The tail comes alone, as a copy padded with zeros to whole elements.
        """
        first, end = int(ids[0]), int(ids[-1]) + 1
        if first == self.body_blocks:  # the tail
            padded = np.zeros(self.tail_elements * self.item_bytes, np.uint8)
            padded[: self.tail_bytes] = buffer[self.body_bytes :]
            return padded
        if end - first == ids.size:
            return buffer[first * self.block_bytes : end * self.block_bytes]
        blocks = _items(buffer[: self.body_bytes], self.block_bytes)
        return blocks.take(ids, mode="clip").view(np.uint8)

    def put(self, buffer: Bytes, ids: Ints, values: Bytes) -> None:
        """Set the blocks that `pick` gives."""
        first, end = int(ids[0]), int(ids[-1]) + 1
        if first == self.body_blocks:
            buffer[self.body_bytes :] = values[: self.tail_bytes]
        elif end - first == ids.size:
            buffer[first * self.block_bytes : end * self.block_bytes] = values
        else:
            blocks = _items(buffer[: self.body_bytes], self.block_bytes)
            blocks[ids] = _items(values, self.block_bytes)


class Changes:
    """The changes of one part to one buffer: a validated view of their packed form.

    The bytes given are viewed, not copied, and mustn't change while this is in use.

    Attributes:
        buffer_bytes: size of the buffer that the changes are to.
        element_bytes: size of an element, as the part that made the changes was told.
        packed_bytes: size of the packed form.

    Raises:
        ValueError: the bytes aren't a packed form that is right in every size, count, id and
            bit. Whether they fit the buffer at hand is checked by `merge`.
    """

    def __init__(self, packed: bytes | bytearray | memoryview) -> None:
        raw = np.frombuffer(packed, np.uint8) if len(packed) else np.empty(0, np.uint8)
        if raw.size < _HEADER.size:
            raise ValueError(f"changes of {raw.size} bytes, the header alone has {_HEADER.size}")
        header = _HEADER.unpack(raw[: _HEADER.size].tobytes())
        magic, version, self.buffer_bytes, self.element_bytes, masks, runs = header
        if magic != _MAGIC or version != _VERSION:
            raise ValueError(f"not changes of version {_VERSION}: {magic!r}, version {version}")
        self._layout = _Layout(self.buffer_bytes, self.element_bytes)
        tables_bytes = _tables_bytes(masks, runs)
        if raw.size < tables_bytes:
            raise ValueError(f"{masks} masks and {runs} runs don't fit in {raw.size} bytes")
        self.packed_bytes = raw.size
        at_runs, at_ids = _HEADER.size + masks * 8, _HEADER.size + (masks + runs) * 8
        self._masks: NDArray[np.uint64] = raw[_HEADER.size : at_runs].view("<u8")
        self._runs: NDArray[np.uint32] = raw[at_runs:at_ids].view("<u4").reshape(-1, 2)
        self._ids: NDArray[np.uint32] = raw[at_ids : at_ids + masks * 4].view("<u4")
        self._payload = raw[tables_bytes:]
        self._validate_masks()
        self._validate_runs()
        elements = _count_bits(self._masks)
        elements += int(self._runs[:, 1].sum(dtype=np.int64)) * _BLOCK_ELEMENTS
        if self._payload.size != elements * self._layout.item_bytes:
            raise ValueError(f"{self._payload.size} bytes of payload for {elements} elements")

    @property
    def _has_tail(self) -> bool:
        return bool(self._ids.size) and int(self._ids[-1]) == self._layout.body_blocks

    def _validate_masks(self) -> None:
        layout, ids = self._layout, self._ids
        blocks = layout.body_blocks + (layout.tail_elements > 0)
        if ids.size and int(ids[-1]) >= blocks:
            raise ValueError(f"block {ids[-1]} of {blocks}")
        if (ids[1:] <= ids[:-1]).any():
            raise ValueError("the ids of blocks don't ascend")
        if not self._masks.all():
            raise ValueError("a mask without a changed element")
        if self._has_tail and int(self._masks[-1]) >> layout.tail_elements:
            raise ValueError(f"the tail has {layout.tail_elements} elements, its mask has more")

    def _validate_runs(self) -> None:
        starts, body_blocks = self._runs[:, 0], self._layout.body_blocks
        ends = starts + self._runs[:, 1]
        if (ends <= starts).any():
            raise ValueError("a run of no blocks, or of too many")
        if ends.size and int(ends[-1]) > body_blocks:
            raise ValueError(f"a run ends at block {ends[-1]} of {body_blocks}")
        if (starts[1:] < ends[:-1]).any():
            raise ValueError("the runs of blocks overlap or don't ascend")
        if (np.searchsorted(self._ids, starts) != np.searchsorted(self._ids, ends)).any():
            raise ValueError("a block is both in a run and has a mask")

    def _batches(self) -> Iterator[tuple[Ints, NDArray[np.intp] | None, Bytes]]:
        """Go through what changed, a slab at a time, the tail by itself and last.

        Yields the ids of the blocks, ascending; the indices of the changed elements, counted
        from the first block's through the blocks in turn, or None for all; and their payload.
        """
        step, at = self._layout.slab_blocks, 0
        for ids in _expand(self._runs, step):
            end = at + ids.size * self._layout.block_bytes
            yield ids, None, self._payload[at:end]
            at = end
        body = self._ids.size - self._has_tail
        edges = [*range(0, body, step), body]
        if self._has_tail:
            edges.append(self._ids.size)
        for low, high in pairwise(edges):
            bits = np.unpackbits(self._masks[low:high].view(np.uint8), bitorder="little")
            changed = np.flatnonzero(bits.view(np.bool_))
            end = at + changed.size * self._layout.item_bytes
            yield self._ids[low:high].astype(np.int64), changed, self._payload[at:end]
            at = end


def packed_bytes(changes: Changes) -> int:
    """Size of the packed form, tables included: what goes over a link."""
    return changes.packed_bytes


def pack_changes(before: Bytes, after: Bytes, element_bytes: int) -> memoryview:
    """Pack the elements of `after` that differ from `before`, for `Changes` to read.

    Args:
        before: the buffer before the launch; shape (n,), C-contiguous, n >= 0.
        after: the buffer after the part ran; same shape.
        element_bytes: size of the elements that count as changed when any of their bytes is; the
            buffer needn't be a multiple of it.

    Returns:
        A contiguous view of fresh memory, format "B". Where nothing changed, the header only.

    Raises:
        ValueError: element_bytes is out of range, or the buffer has 2**32 blocks or more.
    """
    _assert_same_shape(before, after)
    layout = _Layout(before.size, element_bytes)
    masks, runs, ids, elements = _scan(before, after, layout)
    counts = sum(map(len, masks)), sum(map(len, runs))
    packed = np.empty(_tables_bytes(*counts) + elements * layout.item_bytes, np.uint8)
    header = _HEADER.pack(_MAGIC, _VERSION, before.size, element_bytes, *counts)
    tables = [np.frombuffer(header, np.uint8), *masks, *runs, *ids, np.zeros(counts[0] % 2, "<u4")]
    flat = [table.reshape(-1).view(np.uint8) for table in tables]
    np.concatenate(flat, out=packed[: _tables_bytes(*counts)])
    # A second pass over what changed costs less than pieces that must be joined: their memory
    # would be touched for the first time twice over.
    changes = Changes(packed.data)
    for block_ids, changed, payload in changes._batches():
        _gather(layout.pick(after, block_ids), changed, payload, layout)
    return packed.data


def merge(
    before: Bytes, target: Bytes, changes: Sequence[Changes], how: int = How.CHANGED
) -> int | None:
    """Apply the changes of other parts to the home's copy, in place.

    The home is a part too: it changed what differs between `before` and `target`. Parts that
    changed an element to equal values agree; to different ones, they conflict.

    Args:
        before: the buffer before the launch; shape (n,), C-contiguous; only read.
        target: the buffer after the home's own part ran; same shape, doesn't overlap `before`.
        changes: those of the other parts, in any order.
        how: an element is taken in (`How`); but for CHANGED there are no conflicts.

    Returns:
        None, or the byte offset of an element in conflict: the content of `target` is then
        unspecified, and the caller restores it from `before`.

    Raises:
        ValueError: sizes of buffer or elements don't agree, or can't be reduced; `target` is then
            untouched.
    """
    _assert_same_shape(before, target)
    for part in changes:
        if part.buffer_bytes != target.size:
            raise ValueError(f"changes to {part.buffer_bytes} bytes of a buffer of {target.size}")
        if part.element_bytes != changes[0].element_bytes:
            raise ValueError("the changes of two parts differ in the size of elements")
        element = part.element_bytes
        if how != How.CHANGED and (element not in REDUCED_BYTES or target.size % element):
            raise ValueError(f"elements of {element} bytes in {target.size} can't be reduced")
    for part in changes:
        if how != How.CHANGED:
            _reduce_part(before, target, part, how)
            continue
        offset = _merge_part(before, target, part)
        if offset is not None:
            return offset
    return None


def _merge_part(before: Bytes, target: Bytes, part: Changes) -> int | None:
    layout = part._layout
    for ids, changed, payload in part._batches():
        current = layout.pick(target, ids)
        values = _overlay(current, changed, payload, layout)
        clash = _clash(layout.pick(before, ids), current, values, layout)
        if clash is not None:
            block, element = divmod(clash, _BLOCK_ELEMENTS)
            return int(ids[block]) * layout.block_bytes + element * layout.item_bytes
        layout.put(target, ids, values)
    return None


def _reduce_part(before: Bytes, target: Bytes, part: Changes, how: int) -> None:
    layout = part._layout
    for ids, changed, payload in part._batches():
        values, old, after = (
            _items(array, layout.item_bytes)
            for array in (layout.pick(target, ids).copy(), layout.pick(before, ids), payload)
        )
        if changed is None:
            values = reduced(how, old, values, after)
        else:
            values[changed] = reduced(how, old[changed], values[changed], after)
        layout.put(target, ids, values.view(np.uint8))


def _scan(
    before: Bytes, after: Bytes, layout: _Layout
) -> tuple[list[Table], list[Table], list[Table], int]:
    """Find what changed: the tables (masks, runs, ids) in pieces, and the number of elements."""
    masks: list[Table] = []
    runs: list[Table] = []
    ids: list[Table] = []
    step, elements, dirty = layout.slab_blocks, 0, 0
    for block in range(0, layout.body_blocks, step):
        end = min(block + step, layout.body_blocks)
        here = slice(block * layout.block_bytes, end * layout.block_bytes)
        old, new = before[here], after[here]
        # Words compare faster than elements, but after a dirty slab another one is likely.
        if not dirty and _equal(old, new):
            continue
        changed = _changed(old, new, layout.item_bytes)
        dirty = int(np.count_nonzero(changed))
        if not dirty:
            continue
        elements += dirty
        mask = np.packbits(changed, bitorder="little").view("<u8")
        whole = mask == _ALL
        partly = np.flatnonzero((mask != 0) & ~whole)
        masks.append(mask[partly])
        ids.append((partly + block).astype("<u4"))
        edges = np.flatnonzero(np.diff(whole, prepend=False, append=False)).reshape(-1, 2)
        edges[:, 1] -= edges[:, 0]
        edges[:, 0] += block
        runs.append(edges.astype("<u4"))
    if layout.tail_elements:
        tail = np.array([layout.body_blocks])
        changed = np.zeros(_BLOCK_ELEMENTS, np.bool_)
        changed[: layout.tail_elements] = _changed(
            layout.pick(before, tail), layout.pick(after, tail), layout.item_bytes
        )
        if changed.any():
            masks.append(np.packbits(changed, bitorder="little").view("<u8"))
            ids.append(tail.astype("<u4"))
            elements += int(np.count_nonzero(changed))
    return masks, runs, ids, elements


def _equal(a: Bytes, b: Bytes) -> bool:
    # NumPy would write down the outcome of each comparison, and read that.
    assert a.size == b.size and a.flags.c_contiguous and b.flags.c_contiguous
    equal: bool = _memcmp(a.ctypes.data, b.ctypes.data, a.size) == 0
    return equal


def _changed(a: Bytes, b: Bytes, item_bytes: int) -> NDArray[np.bool_]:
    """Compare element by element: True where any byte of one differs."""
    word = math.gcd(item_bytes, 8)
    differs: NDArray[np.bool_] = _items(a, word) != _items(b, word)
    words_per_item = item_bytes // word
    if words_per_item == 1:
        return differs
    lane = math.gcd(words_per_item, 8)
    columns = _items(differs, lane).reshape(-1, words_per_item // lane)
    if columns.shape[1] > _FOLD_COLUMNS_MAX:
        folded = np.bitwise_or.reduce(columns, axis=1)
    else:
        folded = columns[:, 0]
        for column in columns.T[1:]:
            folded = folded | column
    changed: NDArray[np.bool_] = folded != 0
    return changed


def _clash(before: Bytes, current: Bytes, values: Bytes, layout: _Layout) -> int | None:
    """The first element that is changed already, to something else than its value; or None."""
    if _equal(before, current):
        return None
    clash = _changed(before, current, layout.item_bytes)
    clash &= _changed(current, values, layout.item_bytes)
    first = int(clash.argmax())
    return first if clash[first] else None


def _gather(source: Bytes, changed: NDArray[np.intp] | None, out: Bytes, layout: _Layout) -> None:
    """Copy the changed elements of `source` (all where None) to `out`."""
    if changed is None:
        out[:] = source
    elif changed.size:
        # Any mode but "raise" lets NumPy write to `out` directly; the indices are in range.
        item_bytes = layout.item_bytes
        _items(source, item_bytes).take(changed, mode="clip", out=_items(out, item_bytes))


def _overlay(
    current: Bytes, changed: NDArray[np.intp] | None, payload: Bytes, layout: _Layout
) -> Bytes:
    """`current` with its changed elements (all where None) taken from `payload`."""
    if changed is None:
        return payload
    values = current.copy()
    # Indices beat a boolean mask four times over where the changes are scattered.
    _items(values, layout.item_bytes)[changed] = _items(payload, layout.item_bytes)
    return values


def _expand(runs: NDArray[np.uint32], step: int) -> Iterator[NDArray[np.int64]]:
    """The ids of the blocks in the runs, `step` at a time (the last time fewer)."""
    for at in range(0, len(runs), step):
        starts, counts = runs[at : at + step].T.astype(np.int64)
        ends = np.cumsum(counts)  # counted in blocks of these runs, as begins, low and high
        begins = ends - counts
        for low in range(0, int(ends[-1]), step):
            high = min(low + step, int(ends[-1]))
            first, last = np.searchsorted(ends, (low, high - 1), "right")
            here = slice(first, last + 1)
            lengths = np.minimum(ends[here], high) - np.maximum(begins[here], low)
            yield np.arange(low, high) + np.repeat((starts - begins)[here], lengths)


def _items(array: NDArray[Any], item_bytes: int) -> NDArray[Any]:
    """A view with items of `item_bytes`: integers where there are such, else opaque bytes."""
    return array.view(_WORDS.get(item_bytes) or np.dtype((np.void, item_bytes)))


def _tables_bytes(masks: int, runs: int) -> int:
    """Size of the header and the tables, padding included."""
    return _HEADER.size + masks * 8 + runs * 8 + -(-masks // 2) * 8


def _count_bits(masks: NDArray[np.uint64]) -> int:
    step = _SLAB_BYTES // _BLOCK_ELEMENTS
    slabs = (masks[at : at + step].view(np.uint8) for at in range(0, masks.size, step))
    return sum(int(np.count_nonzero(np.unpackbits(slab).view(np.bool_))) for slab in slabs)


def _assert_same_shape(a: Bytes, b: Bytes) -> None:
    assert a.dtype == b.dtype == np.uint8 and a.ndim == 1 and a.shape == b.shape
    assert a.flags.c_contiguous and b.flags.c_contiguous
