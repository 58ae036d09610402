"""Allocators and memory pools, and pyopencl's own libraries on top of everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vcl as cl
import vcl.array as cl_array
import vcl.clmath as cl_math
import vcl.clrandom as cl_random
import vcl.tools as cl_tools
from vcl.elementwise import ElementwiseKernel
from vcl.reduction import ReductionKernel
from vcl.scan import InclusiveScanKernel


@pytest.fixture
def pool(queue: Any) -> Any:
    return cl_tools.MemoryPool(cl_tools.ImmediateAllocator(queue))


def test_allocators(ctx: Any, queue: Any) -> None:
    for allocator in (cl_tools.DeferredAllocator(ctx), cl_tools.ImmediateAllocator(queue)):
        assert allocator(100).size == 100
        assert allocator(0) is None
    with pytest.raises(cl.LogicError):
        cl_tools.DeferredAllocator(ctx, cl.mem_flags.COPY_HOST_PTR)


def test_a_pool_gives_freed_blocks_again(pool: Any) -> None:
    block = pool.allocate(1000)
    assert (pool.active_blocks, pool.held_blocks) == (1, 0)
    assert block.size >= 1000
    handle = block._block.int_ptr
    block.release()
    assert (pool.active_blocks, pool.held_blocks) == (0, 1)
    again = pool.allocate(999)
    assert again._block.int_ptr == handle
    del again
    assert pool.held_blocks == 1
    pool.free_held()
    assert (pool.held_blocks, pool.managed_bytes) == (0, 0)
    with pytest.raises(cl.LogicError):
        block.release()


def test_a_pool_that_holds_nothing(pool: Any) -> None:
    pool.stop_holding()
    pool.allocate(64).release()
    assert (pool.held_blocks, pool.managed_bytes, pool.active_bytes) == (0, 0, 0)


def test_bins_hold_what_they_are_chosen_for(pool: Any) -> None:
    for size in [*range(1, 3000), 2**20 - 1, 2**20, 2**20 + 1, 2**40 + 12345]:
        number = pool.bin_number(size)
        assert pool.alloc_size(number) >= size
        assert pool.bin_number(pool.alloc_size(number)) == number


def test_a_deferred_allocator_in_a_pool_warns(ctx: Any) -> None:
    with pytest.warns(UserWarning, match="deferred"):
        cl_tools.MemoryPool(cl_tools.DeferredAllocator(ctx))


def test_a_block_is_a_kernel_argument_and_a_copy_s_end(ctx: Any, queue: Any, pool: Any) -> None:
    source = "__kernel void twice(__global int *a) { a[get_global_id(0)] *= 2; }"
    values = np.arange(64, dtype=np.int32)
    block = pool.allocate(values.nbytes)
    cl.enqueue_copy(queue, block, values)
    cl.Program(ctx, source).build().twice(queue, (64,), (8,), block)
    found = np.empty_like(values)
    cl.enqueue_copy(queue, found, block)
    np.testing.assert_array_equal(found, 2 * values)
    block.release()
    with pytest.raises(cl.LogicError):
        cl.enqueue_copy(queue, found, block)


def test_arrays(queue: Any, pool: Any) -> None:
    """The same in NumPy, bit for bit: single operations of float32 are exactly rounded."""
    rng = np.random.default_rng(7)
    x, y = (rng.random(1000, np.float32) for _ in range(2))
    a, b = (cl_array.to_device(queue, v, allocator=pool) for v in (x, y))
    for found, expected in (
        (a + b, x + y),
        (a * b, x * y),
        (a - 2, x - np.float32(2)),
        (3 * a, np.float32(3) * x),
        (-a, -x),
        (abs(a - b), abs(x - y)),
        (a[10:20], x[10:20]),
        (cl_array.maximum(a, b), np.maximum(x, y)),
        (cl_array.if_positive(a - b, a, b), np.where(x > y, x, y)),
        (a.reshape(50, 20).T, x.reshape(50, 20).T),
        (a.astype(np.float64), x.astype(np.float64)),
        (cl_array.concatenate([a, b]), np.concatenate([x, y])),
        (a < b, (x < y).astype(np.int8)),
    ):
        np.testing.assert_array_equal(found.get(), expected)


def test_arrays_in_place_and_by_slices(queue: Any) -> None:
    expected = np.arange(100, dtype=np.int64)
    found = cl_array.to_device(queue, expected)
    found += 5
    found[20:40] = 7
    found[50:60] *= 2
    expected += 5
    expected[20:40] = 7
    expected[50:60] *= 2
    np.testing.assert_array_equal(found.get(), expected)
    np.testing.assert_array_equal(
        cl_array.arange(queue, 0, 9, 2, dtype=np.int32).get(), [0, 2, 4, 6, 8]
    )
    assert cl_array.zeros(queue, (3, 4), np.float32).get().sum() == 0


def test_sums_and_dots(queue: Any) -> None:
    values = np.arange(10_000, dtype=np.int64)
    a = cl_array.to_device(queue, values)
    assert cl_array.sum(a).get() == values.sum()
    assert cl_array.dot(a, a).get() == values @ values
    assert cl_array.max(a).get() == 9999


def test_clmath(queue: Any) -> None:
    values = np.linspace(0.1, 3, 200).astype(np.float32)
    found = cl_math.sin(cl_array.to_device(queue, values)).get()
    np.testing.assert_allclose(found, np.sin(values), rtol=1e-6)


def test_elementwise(ctx: Any, queue: Any) -> None:
    kernel = ElementwiseKernel(
        ctx, "int a, __global const int *x, __global int *z", "z[i] = a * x[i] + i", "combine"
    )
    values = np.arange(5000, dtype=np.int32)
    x = cl_array.to_device(queue, values)
    z = cl_array.empty_like(x)
    kernel(np.int32(3), x, z)
    np.testing.assert_array_equal(z.get(), 4 * values)


def test_reduction_and_scan(ctx: Any, queue: Any) -> None:
    values = np.random.default_rng(3).integers(-100, 100, 20_000).astype(np.int32)
    x = cl_array.to_device(queue, values)
    kernel = ReductionKernel(
        ctx, np.int32, neutral="0", reduce_expr="a+b", map_expr="x[i]*x[i]",
        arguments="__global const int *x",
    )  # fmt: skip
    assert kernel(x).get() == (values.astype(np.int64) ** 2).sum()
    scan = InclusiveScanKernel(ctx, np.int32, "a+b", neutral="0")
    scan(x)
    np.testing.assert_array_equal(x.get(), np.cumsum(values, dtype=np.int32))


def test_random_numbers(ctx: Any, queue: Any) -> None:
    """The same for the cluster as for one device: they are functions of a counter."""
    draws = []
    for _ in range(2):
        generator = cl_random.PhiloxGenerator(ctx, seed=15)
        draws.append(generator.uniform(queue, 10_000, np.float32).get())
    np.testing.assert_array_equal(*draws)
    assert 0 <= draws[0].min() < 0.01 and 0.99 < draws[0].max() <= 1
    assert abs(draws[0].mean() - 0.5) < 0.02
    normal = cl_random.ThreefryGenerator(ctx, seed=15).normal(queue, 10_000, np.float32).get()
    assert abs(normal.mean()) < 0.05 and abs(normal.std() - 1) < 0.05
    assert len(np.unique(cl_random.rand(queue, 1000, np.float64).get())) > 990


def test_random_numbers_are_those_of_one_device(contexts: dict[str, Any]) -> None:
    draws = []
    for ctx in contexts.values():
        generator = cl_random.PhiloxGenerator(ctx, seed=3)
        draws.append(generator.uniform(cl.CommandQueue(ctx), 5000, np.float32).get())
    np.testing.assert_array_equal(*draws)
