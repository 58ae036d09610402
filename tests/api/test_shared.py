"""Launches whose parts share bytes: reductions by atomics, and images, on the cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vcl as cl
from tests.api.test_report import launch_both

SOURCE = """
#define BINS 100
__kernel void histogram(__global const uchar *data, volatile __global uint *bins, int n)
{
    int i = get_global_id(0);
    if (i < n) atomic_inc(&bins[data[i] % BINS]);
}
__kernel void local_histogram(__global const uchar *data, __global uint *bins, __local uint *own)
{
    for (int j = get_local_id(0); j < BINS; j += get_local_size(0)) own[j] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    atomic_inc(own + data[get_global_id(0)] % BINS);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int j = get_local_id(0); j < BINS; j += get_local_size(0)) atomic_add(bins + j, own[j]);
}
__kernel void extremes(__global const int *data, __global int *found, __global uint *bits)
{
    int i = get_global_id(0);
    atomic_min(found, data[i]);
    atomic_max(found + 1, data[i]);
    atomic_or(bits, 1u << (data[i] & 15));
    atomic_and(bits + 1, ~(1u << (data[i] & 15)));
    atomic_xor(bits + 2, (uint)data[i]);
}
__kernel void least(__global const int *data, __global int *found, __global uint *unsigned_found)
{
    int i = get_global_id(0);
    atomic_min(found, data[i]);
    atomic_min(unsigned_found, (uint)data[i]);
}
__kernel void append(__global const int *data, __global int *found, __global int *count)
{
    int i = get_global_id(0);
    if (data[i] > 0) found[atomic_inc(count)] = i;
}
__kernel void blur(read_only image2d_t from, sampler_t s, __global float *to)
{
    int x = get_global_id(0), y = get_global_id(1), w = get_global_size(0);
    float sum = 0;
    for (int d = -1; d <= 1; d++) sum += read_imagef(from, s, (int2)(x + d, y)).x;
    to[y * w + x] = sum;
}
__kernel void paint(__global const float *from, write_only image2d_t to)
{
    int x = get_global_id(0), y = get_global_id(1), w = get_global_size(0);
    write_imagef(to, (int2)(w - 1 - x, y), (float4)(from[y * w + x]));
}
__kernel void paint_and_count(
    __global const float *from, write_only image2d_t to, __global int *count)
{
    int x = get_global_id(0), y = get_global_id(1), w = get_global_size(0);
    write_imagef(to, (int2)(x, y), (float4)(from[y * w + x]));
    atomic_inc(count);
}
"""
COUNT = 1000
RNG = np.random.default_rng(1)


@pytest.fixture(scope="module")
def both(contexts: dict[str, Any]) -> dict[str, tuple[Any, Any, Any]]:
    """By "cluster" and "remote": context, queue, the built program."""
    return {
        name: (ctx, cl.CommandQueue(ctx), cl.Program(ctx, SOURCE).build())
        for name, ctx in contexts.items()
    }


def test_a_histogram(both: Any) -> None:
    data = RNG.integers(0, 256, COUNT, dtype=np.uint8)
    before = RNG.integers(0, 2**32, 120, dtype=np.uint32)
    report, contents = launch_both(
        both, "histogram", (1008,), (16,), [data, before], np.int32(COUNT)
    )
    assert report.mode == "reduce", report.reason
    expected = before.copy()
    expected[:100] += np.bincount(data % 100, minlength=100).astype(np.uint32)
    np.testing.assert_array_equal(np.frombuffer(contents[1], np.uint32), expected)
    assert [b.answer for b in report.buffers] == ["read", "reduce"]
    assert len(report.parts) == 2 and report.buffers[1].reason == "atomic add of all parts (line 6)"


def test_a_histogram_that_counts_in_local_memory_first(both: Any) -> None:
    data = RNG.integers(0, 256, 1008, dtype=np.uint8)
    report, contents = launch_both(
        both, "local_histogram", (1008,), (16,), [data, np.zeros(100, np.uint32)],
        cl.LocalMemory(400),
    )  # fmt: skip
    assert report.mode == "reduce", report.reason
    expected = np.bincount(data % 100, minlength=100)
    np.testing.assert_array_equal(np.frombuffer(contents[1], np.uint32), expected)


def test_several_operations_on_one_buffer_are_not_put_together(both: Any) -> None:
    data = RNG.integers(-(2**31), 2**31, COUNT, dtype=np.int32)
    report, contents = launch_both(
        both, "extremes", (COUNT,), (8,),
        [data, np.zeros(2, np.int32), np.array([0, 0xFFFFFFFF, 7], np.uint32)],
    )  # fmt: skip
    assert report.mode == "whole"
    found = np.frombuffer(contents[1], np.int32).tolist()
    assert found == [min(0, data.min()), max(0, data.max())]


@pytest.mark.parametrize("start", [0, -(2**31), 2**31 - 1])
def test_the_least_of_signed_and_of_unsigned_numbers(both: Any, start: int) -> None:
    data = RNG.integers(-(2**31), 2**31, COUNT, dtype=np.int32)
    before = np.array([start], np.int32)
    report, contents = launch_both(
        both, "least", (COUNT,), (8,), [data, before, before.view(np.uint32)]
    )
    assert report.mode == "reduce", report.reason
    assert np.frombuffer(contents[1], np.int32)[0] == min(start, data.min())
    unsigned = np.concatenate([data, before]).view(np.uint32)
    assert np.frombuffer(contents[2], np.uint32)[0] == unsigned.min()


def test_a_counter_that_is_looked_at_keeps_its_launch_whole(both: Any) -> None:
    data = np.where(np.arange(COUNT) % 3, 0, 1).astype(np.int32)
    report, contents = launch_both(
        both, "append", (COUNT,), (1000,), [data, np.zeros(COUNT, np.int32), np.zeros(1, np.int32)]
    )
    assert report.mode == "whole"
    assert np.frombuffer(contents[2], np.int32)[0] == 334


def image(context: Any, flags: int, pixels: Any) -> Any:
    fmt = cl.ImageFormat(cl.channel_order.R, cl.channel_type.FLOAT)
    shape = pixels.shape[1], pixels.shape[0]
    return cl.Image(context, flags | cl.mem_flags.COPY_HOST_PTR, fmt, shape, hostbuf=pixels)


def test_an_image_that_is_read_is_brought_whole_and_the_rest_divides(both: Any) -> None:
    context, queue, program = both["cluster"]
    pixels = RNG.random((33, 64), dtype=np.float32)
    source = image(context, cl.mem_flags.READ_ONLY, pixels)
    out = cl.Buffer(context, cl.mem_flags.READ_WRITE, pixels.nbytes)
    sampler = cl.Sampler(context, False, cl.addressing_mode.CLAMP_TO_EDGE, cl.filter_mode.NEAREST)
    event = program.blur(queue, (64, 33), (8, 3), source, sampler, out)
    found = np.empty_like(pixels)
    cl.enqueue_copy(queue, found, out)
    report = cl.launch_report(event)
    assert report.mode == "regions", report.reason
    assert [b.answer for b in report.buffers] == ["read", "regions"]
    wide = np.pad(pixels, ((0, 0), (1, 1)), "edge")
    np.testing.assert_array_equal(found, (wide[:, :-2] + wide[:, 1:-1]) + wide[:, 2:])


def test_an_image_that_is_written_is_merged(both: Any) -> None:
    context, queue, program = both["cluster"]
    pixels = RNG.random((33, 64), dtype=np.float32)
    source = cl.Buffer(
        context, cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR, hostbuf=pixels
    )
    target = image(context, cl.mem_flags.WRITE_ONLY, np.zeros((33, 65), np.float32) - 1)
    event = program.paint(queue, (64, 33), (8, 3), source, target)
    found = np.empty((33, 65), np.float32)
    cl.enqueue_copy(queue, found, target, origin=(0, 0), region=(65, 33))
    report = cl.launch_report(event)
    assert report.mode == "merge", report.reason
    np.testing.assert_array_equal(found[:, :64], pixels[:, ::-1])
    assert (found[:, 64] == -1).all()


def test_an_image_beside_a_reduction(both: Any) -> None:
    context, queue, program = both["cluster"]
    pixels = RNG.random((33, 64), dtype=np.float32)
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    source = cl.Buffer(context, flags, hostbuf=pixels)
    count = cl.Buffer(context, flags, hostbuf=np.array([7], np.int32))
    target = image(context, cl.mem_flags.WRITE_ONLY, np.zeros((33, 64), np.float32))
    event = program.paint_and_count(queue, (64, 33), (8, 3), source, target, count)
    found, total = np.empty_like(pixels), np.empty(1, np.int32)
    cl.enqueue_copy(queue, found, target, origin=(0, 0), region=(64, 33))
    cl.enqueue_copy(queue, total, count)
    report = cl.launch_report(event)
    assert report.mode == "merge" and "trusted" not in report.reason
    assert [b.answer for b in report.buffers] == ["read", "merge", "reduce"]
    np.testing.assert_array_equal(found, pixels)
    assert total[0] == 7 + pixels.size
