"""Real images of packed pixels, with real PoCL in a process of its own."""

from __future__ import annotations

import pytest

from tests.processes import run_program

PROGRAM = """
    from node_agent.driver.library import load_pyopencl
    cl = load_pyopencl()
    import numpy as np
    from node_agent.driver.images import LaunchImage

    (device,) = cl.get_platforms()[0].get_devices()[:1]
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    data = np.arange(80, dtype=np.float32)
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    buffer = cl.Buffer(context, flags, hostbuf=data)
    kind = getattr(cl.mem_object_type, "KIND")
    pixels = [3, 1, 64, 256, kind, cl.channel_order.R, cl.channel_type.FLOAT, *EXTENT]
    image = LaunchImage(cl, context, queue, buffer, pixels)
    # Put back what was filled in, over other bytes, at the same place.
    cl.enqueue_fill_buffer(queue, buffer, np.float32(-1), 0, 320)
    image.store().wait()
    found = np.empty_like(data)
    cl.enqueue_copy(queue, found, buffer)
    print((found[16:] == data[16:]).all(), (found[:16] == -1).all())
    """


@pytest.mark.parametrize(
    ("kind", "extent"),
    [
        ("IMAGE1D", (64, 1, 1)),
        ("IMAGE1D_BUFFER", (64, 1, 1)),
        ("IMAGE1D_ARRAY", (16, 4, 1)),
        ("IMAGE2D", (16, 4, 1)),
        ("IMAGE2D_ARRAY", (4, 4, 4)),
        ("IMAGE3D", (4, 4, 4)),
    ],
)
def test_pixels_go_into_an_image_and_back(kind: str, extent: tuple[int, int, int]) -> None:
    done = run_program(PROGRAM.replace("KIND", kind).replace("EXTENT", str(extent)))
    assert (done.stdout, done.returncode) == ("True True\n", 0), done.stderr
