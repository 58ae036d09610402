"""Kernels: their arguments, their sizes, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vcl as cl

MF = cl.mem_flags
Read = Callable[..., np.ndarray]

SOURCE = """
typedef struct { int count; float scale; char tag; double wide; } Record;

__kernel void scalars(__global double *out, char c, uchar uc, short s, ushort us, int i, uint ui,
                      long l, ulong ul, float f, double d)
{
    out[0] = c; out[1] = uc; out[2] = s; out[3] = us; out[4] = i; out[5] = ui;
    out[6] = l; out[7] = ul; out[8] = f; out[9] = d;
}
__kernel void vectors(__global float *out, float4 a, int2 b, uchar8 c, float3 d)
{
    out[0] = a.x + a.y * 10 + a.z * 100 + a.w * 1000;
    out[1] = b.s0 * 10 + b.s1;
    out[2] = c.s0 + c.s7;
    out[3] = d.x + d.y + d.z;
}
__kernel void records(__global double *out, Record r, __global const Record *many)
{
    int i = get_global_id(0);
    out[i] = r.count + r.scale + r.tag + r.wide + many[i].count * many[i].wide;
}
__kernel void optional(__global int *out, __global const int *maybe)
{
    int i = get_global_id(0);
    out[i] = maybe ? maybe[i] : -1;
}
__kernel void reversed(__global int *a, __local int *shared, __local int *more)
{
    int l = get_local_id(0), n = get_local_size(0);
    shared[l] = a[get_global_id(0)];
    more[l] = 100;
    barrier(CLK_LOCAL_MEM_FENCE);
    a[get_global_id(0)] = shared[n - 1 - l] + more[n - 1 - l];
}
__kernel void where(__global int *out, int width, int height)
{
    int x = get_global_id(0), y = get_global_id(1), z = get_global_id(2);
    out[(z * height + y) * width + x] = 10000 * z + 100 * y + x;
}
__kernel void sizes(__global int *out)
{
    out[get_global_id(0)] = get_local_size(0);
}
__kernel __attribute__((reqd_work_group_size(4, 2, 1))) void fixed_size(__global int *out)
{
    out[get_global_id(1) * 8 + get_global_id(0)] = get_local_id(1) * 4 + get_local_id(0);
}
__kernel void table(__global int *out, __constant int *values)
{
    out[get_global_id(0)] = values[get_global_id(0) % 4];
}
__kernel void nothing(void) {}
"""
RECORD = np.dtype(
    [("count", np.int32), ("scale", np.float32), ("tag", np.int8), ("wide", np.float64)], align=True
)


@pytest.fixture(scope="module")
def program(ctx: Any) -> Any:
    return cl.Program(ctx, SOURCE).build()


@pytest.fixture
def kernel(program: Any) -> Callable[[str], Any]:
    return lambda name: cl.Kernel(program, name)


def test_scalars_of_every_type(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    values = [
        np.int8(-100), np.uint8(200), np.int16(-30000), np.uint16(60000), np.int32(-2_000_000_000),
        np.uint32(4_000_000_000), np.int64(-(2**50)), np.uint64(2**51), np.float32(0.5),
        np.float64(1e300),
    ]  # fmt: skip
    out = cl.Buffer(ctx, 0, 80)
    kernel("scalars")(queue, (1,), None, out, *values)
    assert read(queue, out, np.float64).tolist() == [float(v) for v in values]


def test_scalars_of_python_with_their_types_set(
    ctx: Any, queue: Any, read: Read, kernel: Any
) -> None:
    out = cl.Buffer(ctx, 0, 80)
    made = kernel("scalars")
    made.set_scalar_arg_dtypes(
        [None, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64,
         np.float32, np.float64]
    )  # fmt: skip
    values = [-1, 2, -3, 4, -5, 6, -7, 8, 0.25, 1e-3]
    made(queue, (1,), None, out, *values)
    assert read(queue, out, np.float64).tolist() == values
    with pytest.raises(Exception, match=r"300|range|-128 <= number <= 127"):
        made(queue, (1,), None, out, 300, *values[1:])


def test_vectors(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    types = cl.cltypes
    out = cl.Buffer(ctx, 0, 16)
    kernel("vectors")(
        queue, (1,), None, out,
        types.make_float4(1, 2, 3, 4), types.make_int2(5, 6),
        types.make_uchar8(1, 0, 0, 0, 0, 0, 0, 7), types.make_float3(1, 2, 4),
    )  # fmt: skip
    assert read(queue, out, np.float32).tolist() == [4321, 56, 8, 7]


def test_structs_by_value_and_in_buffers(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    one = np.zeros((), RECORD)
    one["count"], one["scale"], one["tag"], one["wide"] = 3, 0.5, -2, 1e9
    many = np.zeros(64, RECORD)
    many["count"], many["wide"] = np.arange(64), np.linspace(0, 1, 64)
    out = cl.Buffer(ctx, 0, 64 * 8)
    source = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=many)
    kernel("records")(queue, (64,), (8,), out, one[()], source)
    expected = 3 + 0.5 - 2 + 1e9 + many["count"] * many["wide"]
    np.testing.assert_array_equal(read(queue, out, np.float64), expected)


def test_none_is_a_null_pointer(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    out = cl.Buffer(ctx, 0, 64)
    values = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.arange(16, dtype=np.int32))
    made = kernel("optional")
    made(queue, (16,), (4,), out, None)
    assert read(queue, out).tolist() == [-1] * 16
    made(queue, (16,), (4,), out, values)
    assert read(queue, out).tolist() == list(range(16))


def test_local_memory_and_a_barrier(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    values = np.arange(64, dtype=np.int32)
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=values)
    local = cl.LocalMemory(16 * 4)
    kernel("reversed")(queue, (64,), (16,), buffer, local, cl.LocalMemory(64))
    expected = values.reshape(4, 16)[:, ::-1].ravel() + 100
    np.testing.assert_array_equal(read(queue, buffer), expected)


def test_constant_memory(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    out = cl.Buffer(ctx, 0, 64)
    values = cl.Buffer(ctx, MF.READ_ONLY | MF.COPY_HOST_PTR, hostbuf=np.array([4, 3, 2, 1], "i4"))
    kernel("table")(queue, (16,), (4,), out, values)
    assert read(queue, out).tolist() == [4, 3, 2, 1] * 4


@pytest.mark.parametrize(
    ("size", "local", "offset"),
    [
        ((24,), None, None),
        ((24,), (4,), (8,)),
        ((12, 10), None, None),
        ((12, 10), (3, 5), None),
        ((12, 10), (1, 2), (4, 3)),
        ((6, 5, 4), None, None),
        ((6, 5, 4), (2, 5, 1), (1, 2, 3)),
        ((1, 1, 7), (1, 1, 1), (0, 0, 1)),
        ((7, 1, 1), (7, 1, 1), None),
    ],
)
def test_sizes_and_offsets(
    ctx: Any, queue: Any, read: Read, kernel: Any, size: Any, local: Any, offset: Any
) -> None:
    start = [*(offset or ()), 0, 0, 0][:3]
    extent = [*size, 1, 1][:3]
    width, height, depth = (s + e for s, e in zip(start, extent, strict=True))
    out = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.full(width * height * depth, -1, np.int32))
    kernel("where")(
        queue, size, local, out, np.int32(width), np.int32(height), global_offset=offset
    )
    z, y, x = np.mgrid[:depth, :height, :width]
    inside = (z >= start[2]) & (y >= start[1]) & (x >= start[0])
    expected = np.where(inside, 10000 * z + 100 * y + x, -1)
    np.testing.assert_array_equal(read(queue, out).reshape(expected.shape), expected)


def test_a_local_size_of_none_is_one_size_for_all(
    ctx: Any, queue: Any, read: Read, kernel: Any
) -> None:
    out = cl.Buffer(ctx, 0, 4 * 96)
    kernel("sizes")(queue, (96,), None, out)
    (size,) = set(read(queue, out).tolist())
    assert 96 % size == 0


def test_a_global_size_that_is_prime(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    for count in (1, 2, 3, 101):
        out = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(count + 1, np.int32))
        kernel("where")(queue, (count,), None, out, np.int32(count), np.int32(1))
        assert read(queue, out).tolist() == [*range(count), 0]


def test_a_global_size_given_in_groups(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    out = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.full(40, -1, np.int32))
    kernel("where")(queue, (8,), (4,), out, np.int32(40), np.int32(1), g_times_l=True)
    assert read(queue, out).tolist() == [*range(32)] + [-1] * 8


def test_an_empty_launch_that_is_allowed(ctx: Any, queue: Any, kernel: Any) -> None:
    event = kernel("nothing")(queue, (0,), None, allow_empty_ndrange=True)
    event.wait()


def test_a_kernel_without_arguments(queue: Any, kernel: Any) -> None:
    kernel("nothing")(queue, (16,), (4,)).wait()
    kernel("nothing")(queue, (16,), None).wait()


def test_a_required_local_size(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    out = cl.Buffer(ctx, 0, 4 * 64)
    made = kernel("fixed_size")
    made(queue, (8, 8), (4, 2), out)
    expected = np.fromfunction(lambda y, x: (y % 2) * 4 + x % 4, (8, 8), dtype=int)
    np.testing.assert_array_equal(read(queue, out).reshape(8, 8), expected)
    device = ctx.devices[0]
    info = cl.kernel_work_group_info
    assert made.get_work_group_info(info.COMPILE_WORK_GROUP_SIZE, device) == [4, 2, 1]
    for wrong in ((2, 4), (8, 1)):
        with pytest.raises(cl.LogicError, match=r"\(4, 2, 1\)") as raised:
            made(queue, (8, 8), wrong, out)
        assert raised.value.code == cl.status_code.INVALID_WORK_GROUP_SIZE


def test_arguments_stay_and_are_taken_at_the_launch(
    ctx: Any, queue: Any, read: Read, kernel: Any
) -> None:
    one, two = (cl.Buffer(ctx, 0, 64) for _ in range(2))
    made = kernel("where")
    made.set_args(one, np.int32(16), np.int32(1))
    cl.enqueue_nd_range_kernel(queue, made, (16,), (4,))
    made.set_arg(0, two)  # the launch before keeps what was set then
    cl.enqueue_nd_range_kernel(queue, made, (16,), None, global_work_offset=(0,))
    for buffer in (one, two):
        assert read(queue, buffer).tolist() == list(range(16))


def test_a_clone_has_arguments_of_its_own(ctx: Any, queue: Any, read: Read, kernel: Any) -> None:
    one, two = (cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(4, "i4")) for _ in range(2))
    made = kernel("where")
    made.set_args(one, np.int32(4), np.int32(1))
    clone = made.clone()
    clone.set_arg(0, two)
    cl.enqueue_nd_range_kernel(queue, made, (4,), None)
    assert read(queue, one).tolist() == [0, 1, 2, 3]
    assert read(queue, two).tolist() == [0] * 4
    cl.enqueue_nd_range_kernel(queue, clone, (4,), None)
    assert read(queue, two).tolist() == [0, 1, 2, 3]


def test_the_buffer_of_an_argument_outlives_its_name(ctx: Any, queue: Any, kernel: Any) -> None:
    made = kernel("where")
    made.set_args(cl.Buffer(ctx, 0, 64), np.int32(16), np.int32(1))
    queue.finish()
    for _ in range(2):
        cl.enqueue_nd_range_kernel(queue, made, (16,), (4,)).wait()


def test_kernel_answers(ctx: Any, program: Any, kernel: Any) -> None:
    made = kernel("records")
    assert (made.function_name, made.num_args) == ("records", 3)
    assert made.context == ctx
    assert made.reference_count >= 1
    assert cl.Kernel.from_int_ptr(made.int_ptr) == made
    info = cl.kernel_arg_info
    names = [made.get_arg_info(i, info.NAME) for i in range(3)]
    assert names == ["out", "r", "many"]
    assert made.get_arg_info(0, info.TYPE_NAME) == "double*"
    address = cl.kernel_arg_address_qualifier
    qualifiers = [made.get_arg_info(i, info.ADDRESS_QUALIFIER) for i in range(3)]
    assert qualifiers == [address.GLOBAL, address.PRIVATE, address.GLOBAL]
    assert made.get_arg_info(2, info.TYPE_QUALIFIER) & cl.kernel_arg_type_qualifier.CONST
    group = cl.kernel_work_group_info
    device = ctx.devices[0]
    assert made.get_work_group_info(group.WORK_GROUP_SIZE, device) >= 1
    assert made.get_work_group_info(group.WORK_GROUP_SIZE, device) <= device.max_work_group_size
    assert made.get_work_group_info(group.PREFERRED_WORK_GROUP_SIZE_MULTIPLE, device) >= 1
    assert made.get_work_group_info(group.LOCAL_MEM_SIZE, device) >= 0
    for wrong in (lambda: made.get_info(1), lambda: made.get_arg_info(3, info.NAME)):
        with pytest.raises(cl.LogicError):
            wrong()
