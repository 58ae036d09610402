"""What launches do on the cluster: split where it is safe, whole where not, equal to one device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vcl as cl
from tests.processes import within

MF = cl.mem_flags

SPLIT = """
__kernel void add(__global const float *a, __global const float *b, __global float *c, int n)
{
    int i = get_global_id(0);
    if (i < n) c[i] = a[i] + b[i] * 1.7f;
}
__kernel void multiply(__global const float *a, __global const float *b, __global float *c,
                       int n, __local float *ta, __local float *tb)
{
    int x = get_global_id(0), y = get_global_id(1), lx = get_local_id(0), ly = get_local_id(1);
    int t = get_local_size(0);
    float sum = 0;
    for (int k = 0; k < n; k += t) {
        ta[ly * t + lx] = a[y * n + k + lx];
        tb[ly * t + lx] = b[(k + ly) * n + x];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int j = 0; j < t; j++) sum += ta[ly * t + j] * tb[j * t + lx];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    c[y * n + x] = sum;
}
__kernel void volume(__global float *out, int w, int h)
{
    int x = get_global_id(0), y = get_global_id(1), z = get_global_id(2);
    out[(z * h + y) * w + x] = sin((float)x) * y + z;
}
__kernel void scatter(__global const int *where, __global int *out)
{
    int i = get_global_id(0);
    out[where[i]] = i;
}
__kernel void conflict(__global int *out)
{
    int i = get_global_id(0);
    out[1 + i] = 2 * i;
    out[0] = i / 32 + 1;
}
__kernel void agree(__global int *out)
{
    out[1 + get_global_id(0)] = get_global_id(0);
    out[0] = 7;
}
__kernel void in_place(__global uchar *a)
{
    int i = get_global_id(0);
    a[i] = a[i] * 5 + 3;
}
__kernel void same_value(__global int *a)
{
    int i = get_global_id(0);
    a[i] = i % 3 ? a[i] : -a[i];
}
"""
SEES = {
    "get_group_id": "get_group_id(0)",
    "get_global_size": "get_global_size(0)",
    "get_num_groups": "get_num_groups(0)",
    "get_global_offset": "get_global_offset(0) + 3",
    "a macro": "WHICH(0)",
    "a helper": "helper(2)",
}
SEEING = """
#define WHICH get_group_id
int helper(int n) { return n * (int)get_group_id(0) + (int)get_global_size(0); }
__kernel void f(__global int *a) { a[get_global_id(0)] = %s; }
"""
WHOLE = {
    "atomic": "__kernel void f(__global int *a) "
    "{ if (atomic_add(a, get_global_id(0)) == -1) a[0] = 5; }",
    "printf": "__kernel void f(__global int *a) "
    '{ a[get_global_id(0)] = 1; if (a[0] == 5) printf("x"); }',
    "volatile": "__kernel void f(volatile __global int *a) { a[0] = 3; }",
}


@pytest.fixture(scope="module")
def both(contexts: dict[str, Any]) -> dict[str, tuple[Any, Any, Any]]:
    """By "cluster" and "remote": context, queue, the built program."""
    return {
        name: (ctx, cl.CommandQueue(ctx), cl.Program(ctx, SPLIT).build())
        for name, ctx in contexts.items()
    }


def buffers(ctx: Any, *values: np.ndarray) -> list[Any]:
    return [cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=v) for v in values]


def launch_both(
    both: dict[str, tuple[Any, Any, Any]],
    name: str,
    size: Any,
    local: Any,
    values: list[np.ndarray],
    *rest: Any,
    offset: Any = None,
) -> tuple[Any, list[bytes]]:
    """Launch on both; checks that all buffers are equal. Answers the cluster's report and bytes."""
    contents = {}
    for where, (ctx, queue, program) in both.items():
        made = buffers(ctx, *values)
        kernel = cl.Kernel(program, name)
        event = kernel(queue, size, local, *made, *rest, global_offset=offset)
        contents[where] = []
        for buffer in made:
            found = np.empty(buffer.size, np.uint8)
            cl.enqueue_copy(queue, found, buffer)
            contents[where].append(found.tobytes())
        if where == "cluster":
            report = cl.launch_report(event)
    assert contents["cluster"] == contents["remote"], "not what one device computes"
    return report, contents["cluster"]


def check_parts(report: Any, size: Any, offset: Any = None) -> None:
    """Two parts on two nodes, disjoint along one dimension, that make up the launch."""
    first, second = report.parts
    assert {first.node, second.node} == {"local0", "local1"}
    start = tuple(offset or [0] * len(size))
    assert first.global_offset == start
    differing = [d for d in range(len(size)) if first.global_size[d] != size[d]]
    assert len(differing) == 1
    (cut,) = differing
    assert second.global_offset[cut] == start[cut] + first.global_size[cut]
    assert first.global_size[cut] + second.global_size[cut] == size[cut]
    assert all(part.seconds >= 0 for part in report.parts)


def test_vector_add(both: Any) -> None:
    a, b = np.random.default_rng(0).random((2, 10_000), np.float32)
    c = np.zeros_like(a)
    report, contents = launch_both(both, "add", (10_016,), (32,), [a, b, c], np.int32(10_000))
    assert report.mode == "regions"
    check_parts(report, (10_016,))
    np.testing.assert_allclose(
        np.frombuffer(contents[2], np.float32), a + b * np.float32(1.7), rtol=1e-6
    )
    assert report.bytes_moved == 3 * a.nbytes, "half of each to each"


def test_matrices_with_local_memory_and_barriers(both: Any) -> None:
    n = 64
    a, b = np.random.default_rng(1).random((2, n, n), np.float32)
    c = np.full_like(a, np.nan)
    local = cl.LocalMemory(8 * 8 * 4)
    report, contents = launch_both(
        both, "multiply", (n, n), (8, 8), [a, b, c], np.int32(n), local, local
    )
    assert report.mode == "regions"
    assert report.bytes_moved == 4 * a.nbytes, "all of b to both"
    check_parts(report, (n, n))
    np.testing.assert_allclose(np.frombuffer(contents[2], np.float32).reshape(n, n), a @ b, 1e-5)


@pytest.mark.parametrize("local", [(5, 1, 2), None])
def test_a_volume_with_a_global_offset(both: Any, local: Any) -> None:
    out = np.full((12, 7, 11), -1, np.float32)
    report, contents = launch_both(
        both, "volume", (10, 5, 8), local, [out], np.int32(11), np.int32(7), offset=(1, 2, 3)
    )
    check_parts(report, (10, 5, 8), (1, 2, 3))
    found = np.frombuffer(contents[0], np.float32).reshape(out.shape)
    assert (found[3:11, 2:7, 1:11] != -1).all()
    assert (found != -1).sum() == 400


def test_scatter(both: Any) -> None:
    where = np.random.default_rng(2).permutation(2048).astype(np.int32)
    out = np.full(3000, -5, np.int32)
    report, contents = launch_both(both, "scatter", (2048,), (16,), [where, out])
    assert report.mode == "merge"
    assert "touch the same bytes" in report.reason
    assert "no part reads what another may write" in report.reason
    check_parts(report, (2048,))
    expected = np.full(3000, -5, np.int32)
    expected[where] = np.arange(2048)
    np.testing.assert_array_equal(np.frombuffer(contents[1], np.int32), expected)


def test_parts_that_disagree_make_the_launch_whole(both: Any) -> None:
    """All write out[0]; the value is any of them, but the rest must be as of one device."""
    for where, (ctx, queue, program) in both.items():
        (out,) = buffers(ctx, np.full(513, -1, np.int32))
        event = program.conflict(queue, (512,), (8,), out)
        found = np.empty(513, np.int32)
        cl.enqueue_copy(queue, found, out)
        np.testing.assert_array_equal(found[1:], 2 * np.arange(512))
        assert 1 <= found[0] <= 16
        if where == "cluster":
            report = cl.launch_report(event)
            assert report.mode == "whole"
            assert "different values" in report.reason
            # The buffer is right for whatever comes next, too.
            cl.Kernel(program, "in_place")(queue, (513 * 4,), None, out)
            after = np.empty(513 * 4, np.uint8)
            cl.enqueue_copy(queue, after, out)
            np.testing.assert_array_equal(after, found.view(np.uint8) * np.uint8(5) + np.uint8(3))


def test_parts_that_agree_are_merged(both: Any) -> None:
    report, contents = launch_both(both, "agree", (512,), (8,), [np.zeros(513, np.int32)])
    assert report.mode == "merge"
    assert len(report.parts) == 2
    assert contents[0][:4] == b"\7\0\0\0"


@pytest.mark.parametrize(
    ("size", "local"),
    [((1000,), None), ((999,), (37,)), ((997,), (1,)), ((40,), (8,)), ((3,), None)],
)
def test_uneven_sizes(both: Any, size: Any, local: Any) -> None:
    values = np.random.default_rng(4).integers(0, 256, 1001, dtype=np.uint8)
    report, contents = launch_both(both, "in_place", size, local, [values])
    expected = values.copy()
    expected[: size[0]] = values[: size[0]] * np.uint8(5) + np.uint8(3)
    np.testing.assert_array_equal(np.frombuffer(contents[0], np.uint8), expected)
    assert sum(part.global_size[0] for part in report.parts) == size[0]


def test_one_work_group_cannot_be_split(both: Any) -> None:
    report, _ = launch_both(both, "in_place", (16,), (16,), [np.zeros(16, np.uint8)])
    assert len(report.parts) == 1
    assert report.mode == "whole"
    assert report.reason


def test_writing_what_was_there_changes_nothing(both: Any) -> None:
    values = np.arange(1024, dtype=np.int32)
    report, contents = launch_both(both, "same_value", (1024,), (16,), [values])
    expected = np.where(np.arange(1024) % 3, values, -values)
    np.testing.assert_array_equal(np.frombuffer(contents[0], np.int32), expected)
    assert report.mode == "regions"


@pytest.mark.parametrize("name", SEES)
def test_parts_see_the_whole_launch(contexts: dict[str, Any], name: str) -> None:
    seen = {}
    for where, ctx in contexts.items():
        queue = cl.CommandQueue(ctx)
        program = cl.Program(ctx, SEEING % SEES[name]).build()
        (buffer,) = buffers(ctx, np.full(260, -1, np.int32))
        event = program.f(queue, (256,), (8,), buffer, global_offset=(4,))
        found = seen[where] = np.empty(260, np.int32)
        cl.enqueue_copy(queue, found, buffer)
        if where == "cluster":
            report = cl.launch_report(event)
        assert cl.Kernel(program, "f").num_args == 1
    assert report.mode == "regions", report.reason
    check_parts(report, (256,), (4,))
    np.testing.assert_array_equal(seen["cluster"], seen["remote"])


def test_a_chain_of_launches_moves_only_what_is_missing(both: Any) -> None:
    """Launches that depend on each other, whole and split ones mixed."""
    ctx, queue, program = both["cluster"]
    values = np.arange(4096, dtype=np.uint8)
    (buffer,) = buffers(ctx, values)
    kernel = cl.Kernel(program, "in_place")
    expected = values.copy()
    for step in range(12):
        size = (16,) if step % 4 == 3 else (4096,)
        event = kernel(queue, size, (16,), buffer)
        expected[: size[0]] = expected[: size[0]] * np.uint8(5) + np.uint8(3)
    found = np.empty_like(values)
    cl.enqueue_copy(queue, found, buffer)
    np.testing.assert_array_equal(found, expected)
    assert cl.launch_report(event).mode == "whole"


@pytest.mark.parametrize("reason", WHOLE)
def test_what_may_not_be_split_runs_whole(cluster_ctx: Any, reason: str) -> None:
    queue = cl.CommandQueue(cluster_ctx)
    program = cl.Program(cluster_ctx, WHOLE[reason]).build()
    (buffer,) = buffers(cluster_ctx, np.zeros(256, np.int32))
    report = cl.launch_report(program.f(queue, (256,), (8,), buffer))
    assert report.mode == "whole"
    assert reason in report.reason
    (part,) = report.parts
    assert (part.global_offset, part.global_size) == ((0,), (256,))
    found = np.empty(256, np.int32)
    cl.enqueue_copy(queue, found, buffer)
    index = np.arange(256)
    expected: Any = {
        "atomic": np.where(index == 0, index.sum(), 0), "printf": 1,
        "volatile": np.where(index == 0, 3, 0),
    }  # fmt: skip
    np.testing.assert_array_equal(found, np.broadcast_to(expected[reason], 256))


@pytest.mark.parametrize(
    ("statement", "sum_of"),
    [("if (atomic_add(a, 1) < 0) a[0] = 0;", 256),
     ('if (a[0] == 5) printf("x"); a[0] = 256;', 256)],
    ids=["atomic", "printf"],
)
def test_a_neighbour_of_what_may_not_be_split(
    cluster_ctx: Any, statement: str, sum_of: int
) -> None:
    queue = cl.CommandQueue(cluster_ctx)
    source = "__kernel void count(__global int *a)\n{ " + statement + " }\n"
    source += "int next(int x) { return x + 1; }\n__kernel void innocent(__global int *a)\n"
    source += "{ int i = get_global_id(0); a[i] = next(a[i]); }\n"
    program = cl.Program(cluster_ctx, source).build()
    (buffer,) = buffers(cluster_ctx, np.arange(256, dtype=np.int32))
    split = cl.launch_report(cl.Kernel(program, "innocent")(queue, (256,), (8,), buffer))
    assert split.mode == "regions"
    check_parts(split, (256,))
    found = np.empty(256, np.int32)
    cl.enqueue_copy(queue, found, buffer)
    np.testing.assert_array_equal(found, np.arange(1, 257))
    (total,) = buffers(cluster_ctx, np.zeros(1, np.int32))
    whole = cl.launch_report(cl.Kernel(program, "count")(queue, (256,), (8,), total))
    assert whole.mode == "whole" and whole.reason.startswith("line 2: ")
    assert len(whole.parts) == 1
    cl.enqueue_copy(queue, found[:1], total)
    assert found[0] == sum_of


def test_a_single_device_runs_whole_and_says_so(both: Any) -> None:
    ctx, queue, program = both["remote"]
    (buffer,) = buffers(ctx, np.zeros(256, np.uint8))
    report = cl.launch_report(cl.Kernel(program, "in_place")(queue, (256,), (8,), buffer))
    assert report.mode == "whole"
    assert "one device" in report.reason or "single device" in report.reason
    assert [part.node for part in report.parts] == ["local0"]


def test_a_report_is_a_table(both: Any) -> None:
    ctx, queue, program = both["cluster"]
    (buffer,) = buffers(ctx, np.zeros(256, np.uint8))
    lines = str(
        cl.launch_report(cl.Kernel(program, "in_place")(queue, (256,), (8,), buffer))
    ).splitlines()
    assert lines[0].startswith("regions, 2 parts, ")
    assert lines[1].split() == ["node", "device", "offset", "size", "ms"]
    assert [line.split()[0] for line in lines[2:4]] == ["local0", "local1"]
    # What it holds in zeros is made where it's needed.
    why = "parts write bytes of their own (line 46)"
    assert lines[4:] == [f"  argument 1: regions, 128 B, 128 B brought: {why}"]


def test_a_report_tells_of_each_buffer(both: Any) -> None:
    ctx, queue, program = both["cluster"]
    n = 16
    a, b, c = buffers(ctx, *np.zeros((3, n, n), np.float32))
    local = cl.LocalMemory(4 * 4 * 4)
    kernel = cl.Kernel(program, "multiply")
    event = kernel(queue, (n, n), (4, 4), a, b, c, np.int32(n), local, local)
    first, second, third = cl.launch_report(event).buffers
    assert (first.argument, second.argument, third.argument) == (1, 2, 3)
    assert (first.answer, second.answer, third.answer) == ("read", "read", "regions")
    assert first.reason == "only read (line 14)" and "line 20" in third.reason
    half, whole = 2 * n * n, 4 * n * n
    assert (first.brought, first.read, first.written) == ((half,) * 2, (half,) * 2, (0, 0))
    assert (second.brought, second.read, second.written) == ((whole,) * 2, (whole,) * 2, (0, 0))
    assert (third.brought, third.read, third.written) == ((half,) * 2, (0, 0), (half,) * 2)


def test_no_report_for_other_commands(both: Any) -> None:
    ctx, queue, _ = both["cluster"]
    (buffer,) = buffers(ctx, np.zeros(256, np.uint8))
    fill = cl.enqueue_fill_buffer(queue, buffer, np.uint8(1), 0, 256)
    for wrong in (fill, cl.enqueue_marker(queue), None, 5):
        with pytest.raises(ValueError, match="launch"):
            within(lambda wrong=wrong: cl.launch_report(wrong))


def test_the_report_of_a_launch_that_failed(both: Any) -> None:
    ctx, _, program = both["cluster"]
    (buffer,) = buffers(ctx, np.zeros(256, np.uint8))
    user = cl.UserEvent(ctx)
    event = cl.Kernel(program, "in_place")(
        cl.CommandQueue(ctx), (256,), (8,), buffer, wait_for=[user]
    )
    user.set_status(-1)
    with pytest.raises((ValueError, cl.Error)):
        within(lambda: cl.launch_report(event))
