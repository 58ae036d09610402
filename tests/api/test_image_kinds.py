"""All kinds of images in kernels, read and written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vcl as cl

MF = cl.mem_flags
FLOAT = cl.ImageFormat(cl.channel_order.R, cl.channel_type.FLOAT)
TYPES = cl.mem_object_type

# kind: (type in OpenCL C, coordinate of pixel i, shape of the descriptor, layers)
KINDS = {
    "IMAGE1D": ("image1d_t", "i", (64,), 0),
    "IMAGE1D_BUFFER": ("image1d_buffer_t", "i", (64,), 0),
    "IMAGE1D_ARRAY": ("image1d_array_t", "(int2)(i % 16, i / 16)", (16,), 4),
    "IMAGE2D": ("image2d_t", "(int2)(i % 8, i / 8)", (8, 8), 0),
    "IMAGE2D_ARRAY": ("image2d_array_t", "(int4)(i % 4, i / 4 % 4, i / 16, 0)", (4, 4), 4),
    "IMAGE3D": ("image3d_t", "(int4)(i % 4, i / 4 % 4, i / 16, 0)", (4, 4, 4), 0),
}


def make(ctx: Any, kind: str, data: Any) -> tuple[Any, Any]:
    """An image of the kind with these 64 pixels, and the buffer that it is of, if it is of one."""
    _, _, shape, layers = KINDS[kind]
    descriptor = cl.ImageDescriptor()
    descriptor.image_type = getattr(TYPES, kind)
    descriptor.shape = (*shape, layers) if layers else shape
    descriptor.array_size = layers
    buffer = None
    if kind == "IMAGE1D_BUFFER":
        buffer = cl.Buffer(ctx, MF.READ_WRITE | MF.COPY_HOST_PTR, hostbuf=data)
        descriptor.buffer = buffer
        return cl.Image(ctx, MF.READ_WRITE, FLOAT, desc=descriptor), buffer
    flags = MF.READ_WRITE | MF.COPY_HOST_PTR
    return cl.Image(ctx, flags, FLOAT, desc=descriptor, hostbuf=data), None


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_reads_it(queue: Any, kind: str) -> None:
    type_name, at = KINDS[kind][:2]
    data = np.arange(64, dtype=np.float32)
    image, _ = make(queue.context, kind, data)
    out = cl.Buffer(queue.context, MF.READ_WRITE, 256)
    kernel = cl.Program(
        queue.context,
        f"__kernel void f(read_only {type_name} m, __global float *o)"
        f" {{ int i = get_global_id(0); o[i] = read_imagef(m, {at}).x + 1; }}",
    ).build().f
    kernel(queue, (64,), None, image, out)
    found = np.empty_like(data)
    cl.enqueue_copy(queue, found, out)
    assert np.array_equal(found, data + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_writes_it(queue: Any, kind: str) -> None:
    if kind == "IMAGE3D" and "cl_khr_3d_image_writes" not in queue.device.extensions:
        pytest.skip("kernels can't write 3D images on this device")
    type_name, at, shape, layers = KINDS[kind]
    image, buffer = make(queue.context, kind, np.zeros(64, np.float32))
    kernel = cl.Program(
        queue.context,
        "#pragma OPENCL EXTENSION cl_khr_3d_image_writes : enable\n"
        f"__kernel void f(write_only {type_name} m)"
        f" {{ int i = get_global_id(0); write_imagef(m, {at}, (float4)(i + 1)); }}",
    ).build().f
    kernel(queue, (64,), None, image)
    found = np.empty(64, np.float32)
    if buffer is not None:
        cl.enqueue_copy(queue, found, buffer)
    else:
        region = (*shape, *([layers] if layers else []))
        origin = (0,) * len(region)
        cl._cl._enqueue_read_image(queue, image, origin, region, found)
    assert np.array_equal(found, np.arange(1, 65))
