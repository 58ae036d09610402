"""A merge's own work on bytes: packing what a part changed, and taking it in at the home.

Owns: that measure. Must not know: vcl at import time.

A part changed a quarter of the region, all of it together or every fourth element; the home's own
part changed nothing. No cluster takes part: this is what nodes' processors do between the end of
the parts and that of the merge.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.common import Figure, Row, Sample, Settings

if TYPE_CHECKING:
    from vcl import LocalCluster

MIB = 2**20
ELEMENT_BYTES = 4


def _sample(size: int, together: bool) -> Sample:
    """GB of the region a second, of a merge and of NumPy's copy of the region."""
    from node_agent.merge import Changes, merge, pack_changes

    before = np.random.default_rng(1).integers(0, 256, size, np.uint8)
    after, target, copied = before.copy(), before.copy(), before.copy()
    words = after.view(np.uint32)
    changed = slice(words.size // 4, words.size // 2) if together else slice(0, None, 4)
    words[changed] ^= 0x55AA55AA

    began = time.perf_counter()
    np.copyto(copied, before)
    copy_s = time.perf_counter() - began

    began = time.perf_counter()
    packed = pack_changes(before, after, ELEMENT_BYTES)
    conflict = merge(before, target, [Changes(packed)])
    merge_s = time.perf_counter() - began
    assert conflict is None and np.array_equal(target, after)
    return {"merge": size / merge_s / 1e9, "copy": size / copy_s / 1e9}


def measure(cluster: LocalCluster, settings: Settings) -> list[Row]:
    """One row for each way to change a quarter, beside NumPy's copy in the same samples."""
    del cluster  # nothing travels
    rows = []
    for what, together in (("together", True), ("every fourth element", False)):
        size = settings.merge_mib * MIB
        samples = [_sample(size, together) for _ in range(1 + settings.samples)][1:]
        ours, copy = (Figure(tuple(s[name] for s in samples)) for name in ("merge", "copy"))
        name = f"merge {settings.merge_mib} MiB, a quarter changed, {what}"
        rows.append(Row(name, "GB/s", "higher", ours, {"copy": copy}))
    return rows
