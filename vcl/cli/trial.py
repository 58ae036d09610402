"""A kernel on one device, and whether it did what it should.

Owns: that. Must not know: vcl, as it's also run as a script of its own, by a Python that never
loads vcl, on the host's own driver, which may crash or hang: `trial.py PLATFORM DEVICE`, the
indexes at which the driver lists it. It prints JSON: {"seconds": of the launch} or {"problem":
text}.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

ITEMS = 1024

SOURCE = """
kernel void vcl_trial(global uint *numbers) {
    size_t i = get_global_id(0);
    numbers[i] = numbers[i] * 3u + (uint)i;
}
"""


def launch(cl: Any, device: Any) -> float:
    """Build and launch it, and read what it wrote; answers the seconds of the launch.

    Raises pyopencl's exceptions, and ArithmeticError if what it wrote is wrong.
    """
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    numbers = np.arange(ITEMS, dtype=np.uint32)
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    buffer = cl.Buffer(context, flags, hostbuf=numbers)
    kernel = cl.Program(context, SOURCE).build().vcl_trial
    found = np.empty_like(numbers)
    began = time.perf_counter()
    kernel(queue, (ITEMS,), None, buffer)
    queue.finish()
    seconds = time.perf_counter() - began
    cl.enqueue_copy(queue, found, buffer)
    if (found != numbers * 4).any():
        raise ArithmeticError("a kernel ran, and what it wrote is wrong")
    return seconds


def main(platform: int, device: int) -> None:
    """Print what came of it on a device of the host's own driver."""
    import pyopencl as cl

    try:
        told: dict[str, Any] = {
            "seconds": launch(cl, cl.get_platforms()[platform].get_devices()[device])
        }
    except Exception as error:  # drivers raise anything; it's told to the user
        told = {"problem": " ".join(f"{error or type(error).__name__}".split())}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
