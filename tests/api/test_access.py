"""Declared access on a cluster of two nodes: what it splits, and how a wrong one is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vcl as cl
from vcl.errors import AccessError

SOURCE = """
__kernel void permute(__global const int *from, __global const int *where, __global int *to)
{
    int i = get_global_id(0);
    to[where[i]] = 3 * from[where[i]];
}
__kernel void blur(__global const int *where, __global const float *a, __global float *b,
                   int w, int h)
{
    int x = where[get_global_id(0)], y = get_global_id(1);
    float sum = 0;
    for (int v = max(y - 1, 0); v <= min(y + 1, h - 1); v++)
        for (int u = max(x - 1, 0); u <= min(x + 1, w - 1); u++) sum += a[v * w + u];
    b[y * w + x] = sum;
}
__kernel void same(__global int *a, __global const int *b)
{
    a[get_global_id(0)] = b[0] == 7 ? 7 : 8;
}
"""
SEEING = """
__kernel void half_of(__global int *a, __global const int *where)
{
    int i = get_global_id(0);
    if (i < get_global_size(0) / 2) a[where[i]] = where[i];
}
"""
COUNT = 1024
MF = cl.mem_flags


@pytest.fixture(scope="module")
def program(cluster_ctx: Any) -> Any:
    return cl.Program(cluster_ctx, SOURCE).build()


def buffers(ctx: Any, *values: np.ndarray) -> list[Any]:
    return [cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=v) for v in values]


def numbers(count: int = COUNT) -> np.ndarray:
    return np.arange(count, dtype=np.int32)


def in_halves(kernel: Any, **more: Any) -> Any:
    for name in ("from", "to"):
        way = {"writes" if name == "to" else "reads": cl.one_to_one()}
        cl.access(kernel, name, shape=COUNT, dtype=np.int32, **way, **more)
    return kernel


def test_indices_from_memory_are_split_once_declared(
    program: Any, cluster_ctx: Any, cluster_queue: Any, read: Any
) -> None:
    where = numbers()
    made = buffers(cluster_ctx, numbers() + 5, where, np.zeros(COUNT, np.int32))
    event = cl.Kernel(program, "permute")(cluster_queue, (COUNT,), (16,), *made)
    assert cl.launch_report(event).mode == "merge", "the analysis can't know"
    kernel = in_halves(cl.Kernel(program, "permute"))
    event = kernel(cluster_queue, (COUNT,), (16,), *made)
    report = cl.launch_report(event)
    assert report.mode == "regions" and len(report.parts) == 2
    reasons = [b.reason for b in report.buffers]
    assert reasons[0] == "only read (declared by vcl.access)"
    assert reasons[1] == "only read (declared const)"
    assert reasons[2] == "parts write bytes of their own (declared by vcl.access)"
    assert report.buffers[2].written == (2048, 2048)
    assert np.array_equal(read(cluster_queue, made[2]), 3 * (numbers() + 5))
    again = kernel.clone()(cluster_queue, (COUNT,), (16,), *made)
    assert cl.launch_report(again).mode == "regions", "a copy has the same declarations"


def blurring(program: Any, **more: Any) -> Any:
    kernel = cl.Kernel(program, "blur")
    shape = {"shape": (64, 32), "dtype": np.float32}
    cl.access(kernel, 1, reads=cl.neighborhood(1, 1), **shape, **more)
    cl.access(kernel, "b", writes=cl.one_to_one(), **shape, **more)
    return kernel


@pytest.mark.parametrize("check", [False, True])
def test_an_iterated_stencil_moves_its_halo_only(
    program: Any, cluster_ctx: Any, cluster_queue: Any, read: Any, check: bool
) -> None:
    a = np.random.default_rng(1).random((64, 32), np.float32)
    where, first, second = buffers(cluster_ctx, numbers(32), a, np.zeros_like(a))
    kernel, sizes = blurring(program, check=check), (np.int32(32), np.int32(64))
    kernel(cluster_queue, (32, 64), (8, 8), where, first, second, *sizes)
    event = kernel(cluster_queue, (32, 64), (8, 8), where, second, first, *sizes)
    report = cl.launch_report(event)
    assert report.mode == "regions" and report.parts[1].global_offset == (0, 32)
    if not check:  # which has read all of it
        assert report.bytes_moved == 2 * 32 * 4, "a row to each"

    def blurred(a: np.ndarray) -> np.ndarray:
        wide = np.pad(a, 1)
        return sum(wide[v : v + 64, u : u + 32] for v in range(3) for u in range(3))

    found = read(cluster_queue, first, np.float32).reshape(64, 32)
    np.testing.assert_allclose(found, blurred(blurred(a)), rtol=1e-5)


def test_a_write_outside_of_the_declaration_is_found(
    program: Any, cluster_ctx: Any, cluster_queue: Any, read: Any
) -> None:
    where = numbers()
    where[[700, 3]] = where[[3, 700]]
    made = buffers(cluster_ctx, numbers() + 5, where, np.zeros(COUNT, np.int32))
    kernel = in_halves(cl.Kernel(program, "permute"), check=True)
    with pytest.raises(AccessError) as raised:
        kernel(cluster_queue, (COUNT,), (16,), *made)
    assert str(raised.value) == (
        "work-items [0] up to [512] of kernel 'permute' write element [700] of argument 'to', "
        "and vcl.access doesn't declare that"
    )
    assert not read(cluster_queue, made[2]).any(), "it was tried on copies"
    # Of few work-groups it's found which one wrote.
    cl.access(kernel, "to", writes=cl.one_to_one(), shape=COUNT, dtype=np.int32)
    with pytest.raises(AccessError, match=r"work-items \[0\] up to \[128\] .* element \[700\]"):
        kernel(cluster_queue, (COUNT,), (128,), *made)


def test_a_read_outside_of_the_declaration_is_found(
    program: Any, cluster_ctx: Any, cluster_queue: Any
) -> None:
    a = np.random.default_rng(1).random((64, 32), np.float32)
    made = buffers(cluster_ctx, numbers(32), a, np.zeros_like(a))
    kernel = blurring(program, check=True)
    cl.access(kernel, "a", reads=cl.one_to_one(), shape=(64, 32), dtype=np.float32)
    with pytest.raises(AccessError) as raised:
        kernel(cluster_queue, (32, 64), (8, 8), *made, np.int32(32), np.int32(64))
    assert "[0, 0] up to [16, 64] of kernel 'blur' read element [0, 16] of argument 'a'" in str(
        raised.value
    )


def test_a_write_of_what_was_there_is_found(ctx: Any, queue: Any) -> None:
    made = buffers(ctx, np.full(64, 7, np.int32), np.full(64, 7, np.int32))
    kernel = cl.Kernel(cl.Program(ctx, SOURCE).build(), "same")
    cl.access(kernel, "a", writes=cl.one_to_one(), shape=32, dtype=np.int32, check=True)
    cl.access(kernel, "b", reads=cl.all(), shape=64, dtype=np.int32)
    kernel(queue, (32,), (8,), *made)
    with pytest.raises(AccessError, match=r"write byte 128 of argument 'a'"):
        kernel(queue, (64,), (8,), *made)
    cl.access(kernel, "b", reads=cl.none(), shape=64, dtype=np.int32)
    with pytest.raises(AccessError, match=r"read element \[0\] of argument 'b'"):
        kernel(queue, (32,), (8,), *made)


def test_a_kernel_that_sees_its_launch_is_tried_in_one_piece(
    cluster_ctx: Any, cluster_queue: Any, read: Any
) -> None:
    kernel = cl.Kernel(cl.Program(cluster_ctx, SEEING).build(), "half_of")
    cl.access(kernel, 0, writes=cl.one_to_one(), shape=64, dtype=np.int32, check=True)
    made = buffers(cluster_ctx, np.zeros(64, np.int32), numbers(64))
    kernel(cluster_queue, (64,), (8,), *made)
    assert np.array_equal(read(cluster_queue, made[0])[:40], [*range(32), *[0] * 8])


def test_one_buffer_for_two_arguments(
    program: Any, cluster_ctx: Any, cluster_queue: Any, read: Any
) -> None:
    (where,) = buffers(cluster_ctx, numbers())
    whole = cl.Buffer(cluster_ctx, MF.READ_WRITE, 4 * 4 * COUNT)
    first, last = whole[: 4 * COUNT], whole[3 * 4 * COUNT :]
    cl.enqueue_copy(cluster_queue, first, numbers() + 5)
    kernel = in_halves(cl.Kernel(program, "permute"), check=True)
    event = kernel(cluster_queue, (COUNT,), (16,), first, where, last)
    assert cl.launch_report(event).mode == "regions"
    assert np.array_equal(read(cluster_queue, last), 3 * (numbers() + 5))
    cl.access(kernel, "to", writes=cl.one_to_one(), shape=COUNT // 2, dtype=np.int32)
    with pytest.raises(AccessError, match=r"\[512\] up to \[1024\] .* byte 2048 of argument 'to'"):
        kernel(cluster_queue, (COUNT,), (16,), first, where, last)


def test_a_launch_that_can_not_begin_fails_as_ever(
    program: Any, cluster_ctx: Any, cluster_queue: Any
) -> None:
    kernel = in_halves(cl.Kernel(program, "permute"), check=True)
    made = buffers(cluster_ctx, numbers(), numbers(), numbers())
    broken = cl.UserEvent(cluster_ctx)
    broken.set_status(-5)
    event = kernel(cluster_queue, (COUNT,), (16,), *made, wait_for=[broken])
    with pytest.raises(cl.Error):
        event.wait()


def test_all_launches_are_checked_by_the_environment(
    program: Any, cluster_ctx: Any, cluster_queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCL_CHECK_ACCESS", "1")
    made = buffers(cluster_ctx, numbers(), numbers()[::-1].copy(), numbers())
    with pytest.raises(AccessError):
        in_halves(cl.Kernel(program, "permute"))(cluster_queue, (COUNT,), (16,), *made)
    in_halves(cl.Kernel(program, "permute"), check=False)(cluster_queue, (COUNT,), (16,), *made)


def test_what_is_no_declaration(program: Any, cluster_ctx: Any, cluster_queue: Any) -> None:
    kernel = cl.Kernel(program, "blur")
    good: dict[str, Any] = {"arg": 2, "shape": (4, 8), "dtype": np.float32}
    for wrong, text in [
        ({"shape": ()}, "one to three axes"),
        ({"shape": (4, 0)}, "one to three axes"),
        ({"shape": (2,) * 4}, "one to three axes"),
        ({"dtype": object}, "isn't the type of an element"),
        ({"ids": (0, 0)}, "each once"),
        ({"ids": (0, 3)}, "0, 1 or 2"),
        ({"ids": 0}, "one for each axis"),
        ({"reads": cl.neighborhood(1)}, "1 axes, the shape 2"),
        ({"writes": cl.slice(2)}, "doesn't have"),
        ({"shape": (2**40, 2**40)}, "larger than any buffer"),
    ]:
        with pytest.raises(ValueError, match=text):
            cl.access(kernel, **{**good, **wrong})
    with pytest.raises(TypeError):
        cl.access(kernel, **{**good, "shape": 1.5})
    with pytest.raises(TypeError):
        cl.access(kernel, **good, reads=(1, 1))
    with pytest.raises(TypeError):
        cl.access("blur", **good)
    for arg, text in [("c", "no argument 'c'"), (-1, "no argument -1"), (3, "isn't a buffer")]:
        with pytest.raises(cl.LogicError, match=text):
            cl.access(kernel, **{**good, "arg": arg})
    for function, number in [(cl.neighborhood, -1), (cl.slice, -1)]:
        with pytest.raises(ValueError):
            function(number)
    cl.access(kernel, **good)
    small = buffers(cluster_ctx, *[np.zeros(31, np.float32)] * 3)
    with pytest.raises(cl.LogicError, match="124 bytes, and 128 were declared"):
        kernel(cluster_queue, (8, 4), None, *small, np.int32(8), np.int32(4))
