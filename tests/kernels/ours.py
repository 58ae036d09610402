"""The kernels of our own examples and benchmarks, on data whose sizes don't divide evenly.

Owns: finding their sources, and their launches. Must not know: what they run on, or how launches
are divided. Whether results are right is checked by the examples and benchmarks themselves, where
it isn't plain here.
"""

from __future__ import annotations

import ast

import numpy as np

from benchmarks import mandelbrot, read, roundtrip, stencil, write
from tests.kernels.runs import Run
from tests.processes import ROOT


def _source_of_example(name: str) -> str:
    """What the example calls SOURCE."""
    for node in ast.parse((ROOT / "examples" / name).read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SOURCE":
            return str(ast.literal_eval(node.value))
    raise AssertionError(f"{name} has no SOURCE")


def example_mandelbrot(run: Run) -> None:
    width, height, iterations = 61 * run.scale, 47 * run.scale, 80
    counts, norms = (run.buffer(4 * width * height) for _ in range(2))
    run.build(_source_of_example("mandelbrot.py"))
    view = (-2.0, -1.2, 3.0 / width, 256.0)
    run.launch("mandelbrot", (width, height), None, counts, norms, width, iterations, *view)
    found = run.read(counts, np.empty((height, width), np.int32))
    assert found.min() < 10 and found.max() == iterations


def example_photo_filter(run: Run) -> None:
    width, height = 67 * run.scale, 43 * run.scale
    picture = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = np.full((7, 7), 4096 // 49, np.int32)
    source, blurred = run.buffer(picture), run.buffer(picture.nbytes)
    edges = run.buffer(width * height)
    run.build(_source_of_example("photo_filter.py"))
    run.launch("blur", (width, height), None, source, run.buffer(mask), blurred, width, height)
    run.launch("sobel", (width, height), None, blurred, edges, width, height)
    inner = np.lib.stride_tricks.sliding_window_view(picture.astype(int), (7, 7), (0, 1))
    expected = (inner.sum((-1, -2)) * (4096 // 49) + 2048) // 4096
    np.testing.assert_array_equal(run.read(blurred, picture)[3:-3, 3:-3], expected)


def benchmark_mandelbrot(run: Run) -> None:
    side, iterations = 53 * run.scale, 80
    counts = run.buffer(4 * side * side)
    run.build(mandelbrot.SOURCE)
    run.launch("mandelbrot", (side, side), None, counts, side, iterations)
    found = run.read(counts, np.empty((side, side), np.int32))
    assert found.min() < 10 and found.max() == iterations


def benchmark_stencil(run: Run) -> None:
    width, height = 80 * run.scale, 7 * 16
    plate = np.random.default_rng(2).random((height, width), np.float32)
    now, then = run.buffer(plate), run.buffer(plate.nbytes)
    run.build(stencil.SOURCE)
    for _ in range(6):
        run.launch("spread", (width, height), stencil.GROUP, now, then, width, height)
        now, then = then, now
        sides = plate[1:-1, :-2] + plate[1:-1, 2:] + plate[:-2, 1:-1] + plate[2:, 1:-1]
        plate[1:-1, 1:-1] += (sides - 4 * plate[1:-1, 1:-1]) / 8
    np.testing.assert_allclose(run.read(now, plate), plate, rtol=1e-5)


def benchmark_words(run: Run) -> None:
    """Those that read, write and count: produce, pick, bump."""
    words = np.empty(read.GROUP * 19 * run.scale, np.uint64)
    data, picked = run.buffer(words), run.buffer(8)
    place = run.buffer(np.array([words.size - 3], np.uint64))
    counts = run.buffer(np.zeros(7 * roundtrip.GROUP, np.uint32))
    run.build(read.SOURCE)
    run.launch("produce", words.shape, (read.GROUP,), data, np.uint64(5))
    run.build(write.SOURCE)
    run.launch("pick", (7,), (1,), data, place, picked)
    run.build(roundtrip.SOURCE)
    for _ in range(3):
        run.launch("bump", (7 * roundtrip.GROUP,), (roundtrip.GROUP,), counts)
    found = run.read(data, words)
    assert np.unique(found).size == words.size
    assert run.read(picked, words[:1]) == found[-3]
    assert (run.read(counts, np.empty(7 * roundtrip.GROUP, np.uint32)) == 3).all()
