"""What pyopencl says on its own driver: `python -m benchmarks.coverage.natively COMMAND`.

Owns: which texts a compiler takes, and the programs that pyopencl makes of its templates. Must not
know vcl: it runs in a process that doesn't load it.

`builds` takes units as JSON on its input and answers for each "" or what the compiler has against
it; `generated` answers [where, source] of programs that pyopencl made.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyopencl as cl
import pyopencl.algorithm
import pyopencl.array
import pyopencl.bitonic_sort
import pyopencl.clmath
import pyopencl.clrandom
from pyopencl.elementwise import ElementwiseKernel
from pyopencl.reduction import ReductionKernel
from pyopencl.scan import ExclusiveScanKernel, InclusiveScanKernel


def _builds(units: list[list[Any]]) -> list[str]:
    context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
    return [_build(context, *unit) for unit in units]


def _build(
    context: cl.Context, source: str, options: str, folders: list[str], files: list[Any]
) -> str:
    with tempfile.TemporaryDirectory() as root:
        for path, text in files:
            place = Path(root + path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="latin-1")
        include = [f"-I{root}{folder}" for folder in folders]
        try:
            cl.Program(context, source).build([*options.split(), *include], cache_dir=False)
        except cl.Error as error:
            found = re.search(r"error: (?:\S*?:\d+:\d+: )?([^\n]*)", str(error))
            return found[1] if found else str(error)[:200]
    return ""


def _generated() -> list[list[str]]:
    made: dict[str, list[str]] = {}
    where = [""]
    build = cl.Program.build

    def noted(program: cl.Program, *options: Any, **named: Any) -> Any:
        source = program._source
        made.setdefault(source, [where[0], source])
        return build(program, *options, **named)

    cl.Program.build = noted
    context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
    queue = cl.CommandQueue(context)
    for name, use in USES.items():
        where[0] = f"pyopencl's {name}"
        use(queue)
    queue.finish()
    return list(made.values())


def _elementwise(queue: cl.CommandQueue) -> None:
    x, y = (cl.array.zeros(queue, 4096, np.float32) for _ in "xy")
    axpy = ElementwiseKernel(queue.context, "float a, float *x, float *y", "y[i] = a*x[i] + y[i]")
    axpy(np.float32(2), x, y)


def _reduction(queue: cl.CommandQueue) -> None:
    x, y = (cl.array.zeros(queue, 4096, np.float32) for _ in "xy")
    dot = ReductionKernel(
        queue.context, np.float32, neutral="0", reduce_expr="a+b", map_expr="x[i]*y[i]",
        arguments="__global float *x, __global float *y",
    )  # fmt: skip
    dot(x, y)


def _scan(queue: cl.CommandQueue) -> None:
    x = cl.array.zeros(queue, 4096, np.int32)
    InclusiveScanKernel(queue.context, np.int32, "a+b", neutral="0")(x)
    ExclusiveScanKernel(queue.context, np.int32, "a+b", neutral="0")(x)


def _array(queue: cl.CommandQueue) -> None:
    x = cl.array.arange(queue, 4096, dtype=np.float32)
    y = (x + 1) * x - x / (2 + x)
    y[8:64].fill(1)
    cl.array.sum(y * y)
    cl.array.max(y)
    cl.array.minimum(x, y)
    cl.array.if_positive(x, y, x)
    x.astype(np.int32)
    cl.array.take(x, cl.array.arange(queue, 64, dtype=np.int32))
    cl.array.cumsum(x)


def _math(queue: cl.CommandQueue) -> None:
    x = cl.array.arange(queue, 64, dtype=np.float32)
    for function in (cl.clmath.sin, cl.clmath.exp, cl.clmath.floor):
        function(x)
    cl.clmath.fmod(x, x + 1)
    cl.clmath.modf(x)


def _random(queue: cl.CommandQueue) -> None:
    for generator in (cl.clrandom.PhiloxGenerator, cl.clrandom.ThreefryGenerator):
        made = generator(queue.context)
        made.uniform(queue, 4096, np.float32)
        made.normal(queue, 4096, np.float32)


def _sort(queue: cl.CommandQueue) -> None:
    x = cl.array.arange(queue, 4096, dtype=np.int32)
    cl.bitonic_sort.BitonicSort(queue.context)(x)
    sort = cl.algorithm.RadixSort(queue.context, "int *x", key_expr="x[i]", sort_arg_names=["x"])
    sort(x)


def _compaction(queue: cl.CommandQueue) -> None:
    x = cl.array.arange(queue, 4096, dtype=np.int32)
    cl.algorithm.copy_if(x, "ary[i] > 10")
    cl.algorithm.partition(x, "ary[i] > 10")
    cl.algorithm.unique(x)


USES: dict[str, Callable[[cl.CommandQueue], None]] = {
    "ElementwiseKernel": _elementwise,
    "ReductionKernel": _reduction,
    "GenericScanKernel": _scan,
    "array": _array,
    "clmath": _math,
    "clrandom": _random,
    "sorts": _sort,
    "copy_if, partition, unique": _compaction,
}


def main() -> None:
    """Answer the command on the command line, as JSON on the output."""
    warnings.simplefilter("ignore")
    answer = _generated() if sys.argv[1] == "generated" else _builds(json.load(sys.stdin))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
