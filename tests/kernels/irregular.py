"""Well-known programs whose work-items touch what data says, or what others wrote.

Owns: their kernels, their data, and NumPy's word on their results. Must not know: what they run on,
or how launches are divided.

As in `dense`, a program fails if its results aren't NumPy's.
"""

from __future__ import annotations

import numpy as np

import vcl as cl
from tests.kernels.runs import Run, rounded_up

HISTOGRAM = """
#define BINS 37
kernel void count(global const uchar *data, global int *bins, int n) {
    int i = get_global_id(0);
    if (i < n) atomic_inc(&bins[data[i] % BINS]);
}
/* The same with a histogram for each work-group, in local memory, first. */
kernel void count_locally(global const uchar *data, global int *bins, int n) {
    local int own[BINS];
    for (int b = get_local_id(0); b < BINS; b += get_local_size(0)) own[b] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    int i = get_global_id(0);
    if (i < n) atomic_inc(&own[data[i] % BINS]);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int b = get_local_id(0); b < BINS; b += get_local_size(0))
        atomic_add(&bins[b], own[b]);
}
kernel void count_apart(global const uchar *data, global int *bins, int n) {
    local int own[BINS];
    for (int b = get_local_id(0); b < BINS; b += get_local_size(0)) own[b] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    int i = get_global_id(0);
    if (i < n) atomic_inc(&own[data[i] % BINS]);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int b = get_local_id(0); b < BINS; b += get_local_size(0))
        bins[get_group_id(0) * BINS + b] = own[b];
}
kernel void gather(global const int *apart, global int *bins, int groups) {
    int b = get_global_id(0), sum = 0;
    for (int g = 0; g < groups; g++) sum += apart[g * BINS + b];
    bins[b] = sum;
}
"""
BINS = 37


def histogram(run: Run) -> None:
    """Counted by global atomics, by local ones first, and by a histogram for each work-group."""
    n, group = 3001 * run.scale, 32
    data = np.random.default_rng(1).integers(0, 256, n, dtype=np.uint8)
    expected = np.bincount(data % BINS, minlength=BINS).astype(np.int32)
    given = run.buffer(data)
    (size,) = rounded_up((n,), (group,))
    run.build(HISTOGRAM)
    for kernel in ("count", "count_locally"):
        bins = run.buffer(np.zeros_like(expected))
        for times in (1, 2):
            run.launch(kernel, (size,), (group,), given, bins, n)
            np.testing.assert_array_equal(run.read(bins, expected), times * expected)
    groups = size // group
    apart, bins = run.buffer(groups * expected.nbytes), run.buffer(expected.nbytes)
    run.launch("count_apart", (size,), (group,), given, apart, n)
    run.launch("gather", (BINS,), (1,), apart, bins, groups)
    np.testing.assert_array_equal(run.read(bins, expected), expected)


SPARSE = """
kernel void by_row(global const int *starts, global const int *columns, global const float *values,
                   global const float *x, global float *y, int rows) {
    int row = get_global_id(0);
    if (row >= rows) return;
    float sum = 0;
    for (int k = starts[row]; k < starts[row + 1]; k++) sum += values[k] * x[columns[k]];
    y[row] = sum;
}
kernel void by_group(global const int *starts, global const int *columns,
                     global const float *values, global const float *x, global float *y,
                     int rows, local float *sums) {
    int row = get_group_id(0), own = get_local_id(0), group = get_local_size(0);
    float sum = 0;
    for (int k = starts[row] + own; k < starts[row + 1]; k += group)
        sum += values[k] * x[columns[k]];
    sums[own] = sum;
    for (int half_of = group / 2; half_of > 0; half_of /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (own < half_of) sums[own] += sums[own + half_of];
    }
    if (own == 0) y[row] = sums[0];
}
"""


def sparse(run: Run) -> None:
    """A sparse matrix (compressed rows) times a vector: a row for a work-item, or for a group."""
    rows, columns = 203 * run.scale, 151 * run.scale
    rng = np.random.default_rng(2)
    lengths = rng.integers(0, 19, rows)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    places = rng.integers(0, columns, starts[-1]).astype(np.int32)
    values, x = rng.random(starts[-1], np.float32), rng.random(columns, np.float32)
    expected = np.zeros(rows, np.float32)
    np.add.at(expected, np.repeat(np.arange(rows), lengths), values * x[places])
    given = [run.buffer(a) for a in (starts, places, values, x)]
    run.build(SPARSE)
    for kernel, size, local, rest in (
        ("by_row", rounded_up((rows,), (16,)), (16,), ()),
        ("by_group", (rows * 8,), (8,), (cl.LocalMemory(32),)),
    ):
        y = run.buffer(expected.nbytes)
        run.launch(kernel, size, local, *given, y, rows, *rest)
        np.testing.assert_allclose(run.read(y, expected), expected, rtol=1e-5)


BITONIC = """
kernel void compare(global int *a, int distance, int length) {
    int i = get_global_id(0), other = i ^ distance;
    if (other <= i) return;
    int x = a[i], y = a[other];
    if ((x > y) == ((i & length) == 0)) {
        a[i] = y;
        a[other] = x;
    }
}
kernel void compare_pairs(global int *a, int distance, int length) {
    int t = get_global_id(0);
    int i = 2 * t - (t & (distance - 1)), other = i + distance;
    int x = a[i], y = a[other];
    bool swap = (x > y) == ((i & length) == 0);
    a[i] = swap ? y : x;
    a[other] = swap ? x : y;
}
"""


def bitonic(run: Run) -> None:
    """Numbers sorted in place, a launch for each distance; a work-item for a number, and for a
    pair. Padded up to a power of two by the greatest number."""
    n = 301 * run.scale
    length = 1 << n.bit_length()
    data = np.full(length, 2**31 - 1, np.int32)
    data[:n] = np.random.default_rng(3).integers(-1000, 1000, n)
    run.build(BITONIC)
    for kernel, size in (("compare", length), ("compare_pairs", length // 2)):
        a = run.buffer(data)
        sorted_length = 2
        while sorted_length <= length:
            distance = sorted_length // 2
            while distance:
                run.launch(kernel, (size,), (16,), a, distance, sorted_length)
                distance //= 2
            sorted_length *= 2
        np.testing.assert_array_equal(run.read(a, data), np.sort(data))


SCAN = """
kernel void scan_groups(global const int *a, global int *sums, global int *totals, int n,
                        local int *own) {
    int i = get_global_id(0), l = get_local_id(0), group = get_local_size(0);
    own[l] = i < n ? a[i] : 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int distance = 1; distance < group; distance *= 2) {
        int more = l >= distance ? own[l - distance] : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        own[l] += more;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (i < n) sums[i] = own[l];
    if (l == group - 1) totals[get_group_id(0)] = own[l];
}
kernel void scan_totals(global int *totals, int groups) {
    for (int g = 1; g < groups; g++) totals[g] += totals[g - 1];
}
kernel void add_totals(global int *sums, global const int *totals, int n) {
    int i = get_global_id(0), group = get_group_id(0);
    if (i < n && group > 0) sums[i] += totals[group - 1];
}
"""


def scan(run: Run) -> None:
    """Running sums: of each work-group, of the groups' totals, and both together."""
    n, group = 1501 * run.scale, 32
    a = np.random.default_rng(4).integers(-50, 50, n, dtype=np.int32)
    (size,) = rounded_up((n,), (group,))
    groups = size // group
    sums, totals = run.buffer(a.nbytes), run.buffer(4 * groups)
    run.build(SCAN)
    own = cl.LocalMemory(4 * group)
    run.launch("scan_groups", (size,), (group,), run.buffer(a), sums, totals, n, own)
    run.launch("scan_totals", (1,), (1,), totals, groups)
    run.launch("add_totals", (size,), (group,), sums, totals, n)
    np.testing.assert_array_equal(run.read(sums, a), np.cumsum(a))


REDUCE = """
float total_of(float sum, local float *own) {
    int l = get_local_id(0);
    own[l] = sum;
    for (int half_of = get_local_size(0) / 2; half_of > 0; half_of /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (l < half_of) own[l] += own[l + half_of];
    }
    return own[0];
}
kernel void reduce(global const float *a, global float *partial, int n, local float *own) {
    float sum = 0;
    for (int i = get_global_id(0); i < n; i += get_global_size(0)) sum += a[i];
    sum = total_of(sum, own);
    if (get_local_id(0) == 0) partial[get_group_id(0)] = sum;
}
kernel void finish(global const float *partial, global float *total, int n, local float *own) {
    float sum = 0;
    for (int i = get_local_id(0); i < n; i += get_local_size(0)) sum += partial[i];
    sum = total_of(sum, own);
    if (get_local_id(0) == 0) *total = sum;
}
"""


def reduction(run: Run) -> None:
    """A sum: of each work-group of 16 a partial one, then of those by one group alone."""
    n, group, groups = 5003 * run.scale, 16, 31
    a = np.random.default_rng(5).random(n, np.float32)
    partial, total = run.buffer(4 * groups), run.buffer(4)
    own = cl.LocalMemory(4 * group)
    run.build(REDUCE)
    run.launch("reduce", (groups * group,), (group,), run.buffer(a), partial, n, own)
    run.launch("finish", (group,), (group,), partial, total, groups, own)
    found = run.read(total, np.zeros(1, np.float32))
    np.testing.assert_allclose(found, [a.sum(dtype=np.float64)], rtol=1e-5)
