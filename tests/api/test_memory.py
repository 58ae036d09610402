"""Buffers, sub-buffers and local memory."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vcl as cl
from tests.processes import run_program

MF = cl.mem_flags
Read = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def fill_from(ctx: Any) -> Any:
    """A kernel that writes its own id plus `base` into a[0..n)."""
    source = "__kernel void fill_from(__global int *a, int base) "
    source += "{ a[get_global_id(0)] = base + (int)get_global_id(0); }"
    return cl.Program(ctx, source).build().fill_from


def test_copy_host_ptr(ctx: Any, queue: Any, read: Read) -> None:
    values = np.arange(1000, dtype=np.int32)
    buffer = cl.Buffer(ctx, MF.READ_WRITE | MF.COPY_HOST_PTR, hostbuf=values)
    kept = values.copy()
    values[:] = -1  # the bytes were copied when the buffer was made
    np.testing.assert_array_equal(read(queue, buffer), kept)
    assert buffer.size == 4000
    assert buffer.hostbuf is None


def test_copy_host_ptr_of_part_of_the_host_memory(ctx: Any, queue: Any, read: Read) -> None:
    values = np.arange(100, dtype=np.int32)
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, size=40, hostbuf=values)
    np.testing.assert_array_equal(read(queue, buffer), values[:10])


def test_use_host_ptr_takes_the_contents(ctx: Any, queue: Any, read: Read) -> None:
    values = np.arange(100, dtype=np.int32)
    buffer = cl.Buffer(ctx, MF.USE_HOST_PTR, hostbuf=values)
    assert buffer.hostbuf is values
    np.testing.assert_array_equal(read(queue, buffer), values)
    np.testing.assert_array_equal(buffer.get_host_array((10, 10), np.int32), values.reshape(10, 10))


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "fortran", "scalar", "empty"])
def test_kinds_of_host_memory(ctx: Any, queue: Any, read: Read, kind: str) -> None:
    source: Any = {
        "bytes": b"abcd",
        "bytearray": bytearray(b"abcd"),
        "memoryview": memoryview(b"abcd"),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        "scalar": np.float32(1.5),
        "empty": np.empty(0, np.int32),
    }[kind]
    if kind == "empty":
        with pytest.raises(cl.LogicError) as raised:
            cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=source)
        assert raised.value.code == cl.status_code.INVALID_BUFFER_SIZE
        return
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=source)
    data = source.tobytes("A") if isinstance(source, np.ndarray) else bytes(source)
    assert read(queue, buffer, np.uint8).tobytes() == data


def test_memory_that_is_not_contiguous_is_refused(ctx: Any) -> None:
    with pytest.raises((BufferError, ValueError), match="contiguous"):
        cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.arange(10)[::2])


def test_host_memory_without_a_use_warns_and_is_refused(ctx: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(cl.LogicError) as raised:
            cl.Buffer(ctx, MF.READ_WRITE, hostbuf=np.arange(4))
    assert raised.value.code == cl.status_code.INVALID_HOST_PTR
    assert "hostbuf" in str(caught[0].message)


def test_buffer_answers(ctx: Any) -> None:
    buffer = cl.Buffer(ctx, MF.READ_ONLY, 128)
    assert (buffer.size, buffer.flags, buffer.offset) == (128, MF.READ_ONLY, 0)
    assert cl.Buffer(ctx, 0, 128).flags == MF.READ_WRITE
    assert buffer.type == cl.mem_object_type.BUFFER
    assert buffer.context == ctx
    assert buffer.associated_memobject is None
    assert buffer.map_count == 0
    assert cl.Buffer.from_int_ptr(buffer.int_ptr) == buffer
    with pytest.raises(cl.LogicError):
        buffer.get_info(1)


@pytest.mark.parametrize(
    ("flags", "size", "hostbuf", "code"),
    [
        (MF.READ_ONLY | MF.WRITE_ONLY, 4, None, "INVALID_VALUE"),
        (MF.HOST_READ_ONLY | MF.HOST_NO_ACCESS, 4, None, "INVALID_VALUE"),
        (MF.USE_HOST_PTR | MF.COPY_HOST_PTR, 4, bytearray(4), "INVALID_VALUE"),
        (1 << 40, 4, None, "INVALID_VALUE"),
        (MF.COPY_HOST_PTR, 4, None, "INVALID_HOST_PTR"),
        (MF.COPY_HOST_PTR, 8, bytearray(4), "INVALID_VALUE"),
        (0, 0, None, "INVALID_BUFFER_SIZE"),
    ],
)
def test_buffer_refuses(ctx: Any, flags: int, size: int, hostbuf: Any, code: str) -> None:
    with pytest.raises(cl.LogicError) as raised:
        cl.Buffer(ctx, flags, size, hostbuf)
    assert raised.value.code == getattr(cl.status_code, code)


def test_contents_before_the_first_write_can_be_read(ctx: Any, queue: Any, read: Read) -> None:
    """They're undefined, but it's no error."""
    assert len(read(queue, cl.Buffer(ctx, 0, 4096))) == 1024


def test_sub_buffer_and_root_are_one_memory(
    ctx: Any, queue: Any, read: Read, fill_from: Any
) -> None:
    step = ctx.devices[0].mem_base_addr_align // 8
    root = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.zeros(4 * step, np.uint8))
    count = step // 4
    expected = np.zeros(4 * count, np.int32)
    sub = root.get_sub_region(step, 2 * step)
    assert (sub.size, sub.offset, sub.associated_memobject) == (2 * step, step, root)

    fill_from(queue, (2 * count,), (count,), sub, np.int32(100))  # seen in the root
    expected[count : 3 * count] = np.arange(100, 100 + 2 * count)
    np.testing.assert_array_equal(read(queue, root), expected)

    fill_from(queue, (4 * count,), (count,), root, np.int32(-7))  # and the other way round
    expected[:] = np.arange(-7, 4 * count - 7)
    np.testing.assert_array_equal(read(queue, sub), expected[count : 3 * count])

    other = root[2 * step :]  # overlaps the first
    cl.enqueue_fill_buffer(queue, other, np.int32(5), 0, other.size)
    expected[2 * count :] = 5
    np.testing.assert_array_equal(read(queue, sub), expected[count : 3 * count])
    cl.enqueue_copy(queue, sub, np.full(3, 9, np.int32), dst_offset=8)
    expected[count + 2 : count + 5] = 9
    np.testing.assert_array_equal(read(queue, root), expected)


def test_two_sub_buffers_of_one_root_in_one_launch(ctx: Any, queue: Any, read: Read) -> None:
    step = ctx.devices[0].mem_base_addr_align // 8
    values = np.arange(step // 2, dtype=np.int32)
    root = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=values)
    source = "__kernel void shift(__global const int *a, __global int *b) "
    source += "{ b[get_global_id(0)] = a[get_global_id(0)] + 1; }"
    kernel = cl.Program(ctx, source).build().shift
    kernel(queue, (step // 4,), (8,), root[:step], root[step:])
    expected = np.concatenate([values[: step // 4], values[: step // 4] + 1])
    np.testing.assert_array_equal(read(queue, root), expected)


def test_sub_buffer_outlives_the_name_of_its_root(ctx: Any, queue: Any, read: Read) -> None:
    sub = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.arange(256, dtype=np.int32))[:512]
    gc.collect()
    np.testing.assert_array_equal(read(queue, sub), np.arange(128))


def test_sub_buffer_inherits_flags(ctx: Any) -> None:
    root = cl.Buffer(ctx, MF.READ_ONLY | MF.HOST_WRITE_ONLY, 256)
    assert root.get_sub_region(0, 64).flags == MF.READ_ONLY | MF.HOST_WRITE_ONLY
    assert root.get_sub_region(0, 64, MF.READ_ONLY).flags & MF.READ_ONLY


@pytest.mark.parametrize(
    ("origin", "size", "flags", "code"),
    [
        (0, 0, 0, "INVALID_BUFFER_SIZE"),
        (0, 513, 0, "INVALID_VALUE"),
        (128, 512, 0, "INVALID_VALUE"),
        (1, 64, 0, "MISALIGNED_SUB_BUFFER_OFFSET"),
        (0, 64, MF.COPY_HOST_PTR, "INVALID_VALUE"),
        (0, 64, MF.WRITE_ONLY, "INVALID_VALUE"),
    ],
)
def test_sub_buffer_refuses(ctx: Any, origin: int, size: int, flags: int, code: str) -> None:
    root = cl.Buffer(ctx, MF.READ_ONLY, 512)
    with pytest.raises(cl.Error) as raised:
        root.get_sub_region(origin, size, flags)
    assert raised.value.code == getattr(cl.status_code, code)


def test_sub_buffer_of_a_sub_buffer_is_refused(ctx: Any) -> None:
    sub = cl.Buffer(ctx, 0, 512).get_sub_region(0, 256)
    with pytest.raises(cl.LogicError) as raised:
        sub.get_sub_region(0, 128)
    assert raised.value.code == cl.status_code.INVALID_MEM_OBJECT


def test_slices(ctx: Any) -> None:
    root = cl.Buffer(ctx, 0, 512)
    assert root[128:256].size == 128
    assert root[-128:].offset == 384
    for wrong in (slice(4, 4), slice(0, 64, 2)):
        with pytest.raises(cl.LogicError):
            root[wrong]
    with pytest.raises(cl.LogicError):
        root[3]


def test_release(ctx: Any, queue: Any) -> None:
    buffer = cl.Buffer(ctx, 0, 64)
    event = cl.enqueue_fill_buffer(queue, buffer, np.uint8(1), 0, 64)
    buffer.release()
    event.wait()  # what was enqueued before goes on
    with pytest.raises(cl.LogicError):
        buffer.release()
    with pytest.raises(cl.LogicError):
        _ = buffer.size


def test_root_released_before_its_sub_buffer(variables: dict[str, str]) -> None:
    """OpenCL keeps the root's memory until its sub-buffers are gone (3.0 API, 5.5.1)."""
    done = run_program(
        """
        import numpy as np
        import vcl as cl

        ctx = cl.create_some_context(interactive=False)
        queue = cl.CommandQueue(ctx)
        values = np.arange(256, dtype=np.int32)
        root = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=values)
        sub = root[:512]
        root.release()
        found = np.empty(128, np.int32)
        for _ in range(2):  # the second comes after the release has travelled
            cl.enqueue_copy(queue, found, sub)
            assert (found == values[:128]).all()
        """,
        **variables,
    )
    assert done.returncode == 0, done.stderr


def test_released_memory_is_given_back(ctx: Any, queue: Any) -> None:
    """More than the device has, one after the other."""
    most = ctx.devices[0].max_mem_alloc_size
    size = min(most, 64 << 20)
    for _ in range(12):
        buffer = cl.Buffer(ctx, 0, size)
        cl.enqueue_fill_buffer(queue, buffer, np.uint8(1), 0, 4096)
        queue.finish()
        del buffer


def test_local_memory() -> None:
    assert cl.LocalMemory(64).size == 64
    assert cl.LocalMemory(np.int64(8)).size == 8
    with pytest.raises(TypeError):
        cl.LocalMemory("64")  # type: ignore[arg-type]


def test_mapping_to_read_and_to_write(ctx: Any, queue: Any, read: Read) -> None:
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.arange(64, dtype=np.int32))
    both = cl.map_flags.READ | cl.map_flags.WRITE
    array, event = cl.enqueue_map_buffer(queue, buffer, both, 64, (4, 4), np.int32)
    event.wait()
    np.testing.assert_array_equal(array, np.arange(16, 32).reshape(4, 4))
    array[1] = -1
    array.base.release(queue).wait()
    expected = np.arange(64)
    expected[20:24] = -1
    np.testing.assert_array_equal(read(queue, buffer), expected)
    with pytest.raises(cl.LogicError):
        array.base.release(queue)

    with cl.enqueue_map_buffer(queue, buffer, cl.map_flags.READ, 0, 64, np.int32)[0].base:
        pass
    array, _ = cl.enqueue_map_buffer(
        queue, buffer, cl.map_flags.WRITE_INVALIDATE_REGION, 0, 64, np.int32
    )
    array[:] = 5
    del array  # unmapped when the last name of it is gone
    assert read(queue, buffer).tolist() == [5] * 64


def test_a_map_that_does_not_block(ctx: Any, queue: Any) -> None:
    buffer = cl.Buffer(ctx, MF.COPY_HOST_PTR, hostbuf=np.arange(64, dtype=np.int32))
    array, event = cl.enqueue_map_buffer(
        queue, buffer, cl.map_flags.READ, 0, 64, np.int32, is_blocking=False
    )
    event.wait()
    np.testing.assert_array_equal(array, np.arange(64))


@pytest.mark.parametrize(
    ("flags", "offset", "count"),
    [("READ", 0, 65), ("READ", 252, 2), ("READ", 0, 0), (1 << 9, 0, 1)],
)
def test_maps_out_of_bounds(ctx: Any, queue: Any, flags: Any, offset: int, count: int) -> None:
    flags = getattr(cl.map_flags, flags) if isinstance(flags, str) else flags
    with pytest.raises(cl.LogicError) as raised:
        cl.enqueue_map_buffer(queue, cl.Buffer(ctx, 0, 256), flags, offset, count, np.int32)
    assert raised.value.code == cl.status_code.INVALID_VALUE


@pytest.mark.parametrize("flag", ["HOST_NO_ACCESS", "HOST_READ_ONLY", "HOST_WRITE_ONLY"])
def test_what_the_host_may_do(ctx: Any, queue: Any, flag: str) -> None:
    """Reads, writes and maps follow the buffer's flags (OpenCL 3.0 API, 5.2.1)."""
    buffer = cl.Buffer(ctx, getattr(MF, flag), 64)
    host = np.zeros(64, np.uint8)
    maps = cl.map_flags
    ways = {
        "read": lambda: cl.enqueue_copy(queue, host, buffer),
        "write": lambda: cl.enqueue_copy(queue, buffer, host),
        "map to read": lambda: cl.enqueue_map_buffer(queue, buffer, maps.READ, 0, 64, "u1"),
        "map to write": lambda: cl.enqueue_map_buffer(queue, buffer, maps.WRITE, 0, 64, "u1"),
    }
    allowed = {
        "HOST_NO_ACCESS": [],
        "HOST_READ_ONLY": ["read", "map to read"],
        "HOST_WRITE_ONLY": ["write", "map to write"],
    }[flag]
    for name, way in ways.items():
        if name in allowed:
            way()
            continue
        with pytest.raises(cl.LogicError) as raised:
            way()
        assert raised.value.code == cl.status_code.INVALID_OPERATION, name


def test_an_image_there_and_back(ctx: Any, queue: Any) -> None:
    pixels = np.random.default_rng(5).random((6, 9), np.float32)
    image = cl.image_from_array(ctx, pixels, 1)
    assert image.shape == (9, 6)
    found = np.zeros_like(pixels)
    cl.enqueue_copy(queue, found, image, origin=(0, 0), region=image.shape)
    np.testing.assert_array_equal(found, pixels)


def test_shared_virtual_memory(ctx: Any, queue: Any, fill_from: Any) -> None:
    shared = cl.SVM(cl.csvm_empty(ctx, 64, np.int32))
    fill_from(queue, (64,), (8,), shared, np.int32(5))
    with shared.map_rw(queue) as values:
        np.testing.assert_array_equal(values, np.arange(5, 69))
        values[:] = -1
    fill_from(queue, (32,), (8,), shared, np.int32(0))
    with shared.map_ro(queue) as values:
        np.testing.assert_array_equal(values, [*range(32), *[-1] * 32])
