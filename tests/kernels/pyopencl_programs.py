"""What pyopencl's Python layer computes: arrays, elementwise kernels, reductions, scans, sorting.

Owns: their data, and NumPy's word on their results. Must not know: what they run on, or how
launches are divided.

How many work-groups pyopencl makes depends on the device's compute units, of which a cluster has
more: sums are of integers, also those of floats, so that their order makes no difference.
"""

from __future__ import annotations

import numpy as np

from tests.kernels.runs import Array, Run  # first vcl, then pyopencl

# isort: split
import pyopencl.algorithm
import pyopencl.array
import pyopencl.clmath
import pyopencl.elementwise
import pyopencl.reduction
import pyopencl.scan


def _integers(n: int, seed: int, dtype: type) -> Array:
    return np.random.default_rng(seed).integers(-9, 10, n).astype(dtype)


def arithmetic(run: Run) -> None:
    """An expression of arrays, and a sum in place."""
    n = 10007 * run.scale
    x, y = np.random.default_rng(1).random((2, n), np.float32)
    a, b = run.array(x), run.array(y)
    sums = run.kept(3 * a + b * b)
    a += b
    np.testing.assert_allclose(sums.get(), 3 * x + y * y, rtol=1e-5)
    np.testing.assert_allclose(a.get(), x + y, rtol=1e-6)


def functions(run: Run) -> None:
    """Slices, functions, choices, counts and gathered elements of arrays."""
    n = 10007 * run.scale
    x, y = np.random.default_rng(2).random((2, n), np.float32)
    places = np.random.default_rng(3).permutation(n)[: n // 2].astype(np.int32)
    a, b = run.array(x), run.array(y)
    quotients = run.kept(a[3:-5] / b[3:-5])
    sines = run.kept(pyopencl.clmath.sin(a))
    greater = run.kept(pyopencl.array.if_positive(a - b, a, b))
    taken = run.kept(pyopencl.array.take(a, run.array(places)))
    numbers = run.kept(pyopencl.array.arange(run.queue, n, dtype=np.int32))
    np.testing.assert_allclose(quotients.get(), x[3:-5] / y[3:-5], rtol=1e-5)
    np.testing.assert_allclose(sines.get(), np.sin(x), rtol=1e-5)
    np.testing.assert_array_equal(greater.get(), np.maximum(x, y))
    np.testing.assert_array_equal(taken.get(), x[places])
    np.testing.assert_array_equal(numbers.get(), np.arange(n))


def elementwise(run: Run) -> None:
    """An `ElementwiseKernel` on all elements, and on a slice."""
    n = 10007 * run.scale
    x, y = np.random.default_rng(3).random((2, n), np.float32)
    a, b, c = run.array(x), run.array(y), run.array(np.zeros_like(x))
    arguments = "float f, float *x, float *y, float *z"
    combine, every_third = (
        pyopencl.elementwise.ElementwiseKernel(
            run.context, arguments, "z[i] += f * x[i] + y[i] * (i % 7)", name
        )
        for name in ("combine", "every_third")
    )
    combine(2.5, a, b, c)
    every_third(2.5, a, b, c, range=slice(5, n - 7, 3))
    once = np.float32(2.5) * x + y * (np.arange(n) % 7)
    expected = once.copy()
    expected[5 : n - 7 : 3] *= 2
    np.testing.assert_allclose(c.get(), expected, rtol=1e-5)


def total(run: Run) -> None:
    """The sum of an array."""
    whole = _integers(100003 * run.scale, 10, np.int32)
    assert run.kept(pyopencl.array.sum(run.array(whole))).get() == whole.sum()


def reductions(run: Run) -> None:
    """A `ReductionKernel`, and sum, dot, max and min of arrays."""
    n = 100003 * run.scale
    x, y = _integers(n, 4, np.float32), _integers(n, 5, np.float32)
    whole = _integers(n, 6, np.int32)
    a, b, c = run.array(x), run.array(y), run.array(whole)
    norm = pyopencl.reduction.ReductionKernel(
        run.context, np.float32, neutral="0", reduce_expr="a + b", map_expr="fabs(x[i] - y[i])",
        arguments="__global const float *x, __global const float *y",
    )  # fmt: skip
    assert run.kept(norm(a, b)).get() == np.abs(x - y).sum()
    assert run.kept(pyopencl.array.sum(c)).get() == whole.sum()
    assert run.kept(pyopencl.array.dot(a, b)).get() == x @ y
    assert run.kept(pyopencl.array.max(c)).get() == 9
    assert run.kept(pyopencl.array.min(a)).get() == -9


def scans(run: Run) -> None:
    """A `GenericScanKernel`: running sums."""
    n = 10007 * run.scale
    x = _integers(n, 7, np.int32)
    a, sums = run.array(x), run.array(np.zeros_like(x))
    scan = pyopencl.scan.GenericScanKernel(
        run.context, np.int32, arguments="__global const int *x, __global int *sums",
        input_expr="x[i]", scan_expr="a + b", neutral="0", output_statement="sums[i] = item;",
    )  # fmt: skip
    scan(a, sums, queue=run.queue)
    np.testing.assert_array_equal(sums.get(), np.cumsum(x))


def selection(run: Run) -> None:
    """What is above a threshold, with `copy_if`."""
    x = _integers(10007 * run.scale, 8, np.int32)
    chosen, count, _ = pyopencl.algorithm.copy_if(
        run.array(x), "ary[i] > least", [("least", np.int32(3))]
    )
    expected = x[x > 3]
    assert run.kept(count).get() == expected.size
    np.testing.assert_array_equal(run.kept(chosen[: expected.size]).get(), expected)


def sorting(run: Run) -> None:
    """A `RadixSort` of keys of 12 bits."""
    x = np.random.default_rng(9).integers(0, 1 << 12, 10007 * run.scale).astype(np.int32)
    sort = pyopencl.algorithm.RadixSort(
        run.context, "int *ary", key_expr="ary[i]", sort_arg_names=["ary"],
        scan_kernel=pyopencl.scan.GenericScanKernel,
    )  # fmt: skip
    (found,), _ = sort(run.array(x), key_bits=12, queue=run.queue)
    np.testing.assert_array_equal(run.kept(found).get(), np.sort(x))
