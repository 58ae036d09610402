"""Well-known programs whose work-items touch what their ids say.

Owns: their kernels, their data, and NumPy's word on their results. Must not know: what they run on,
or how launches are divided.

A program takes a `Run`, and fails if its results aren't NumPy's. Sizes of data are no multiples of
the work-groups' sizes, and numbers of work-groups seldom those of nodes.
"""

from __future__ import annotations

import numpy as np

import vcl as cl
from tests.kernels.runs import Run, rounded_up

VECTOR = """
kernel void add(global const float *a, global const float *b, global float *c, int n) {
    int i = get_global_id(0);
    if (i < n) c[i] = a[i] + b[i];
}
kernel void axpy(float factor, global const float *x, global float *y) {
    size_t i = get_global_id(0);
    y[i] = factor * x[i] + y[i];
}
"""


def vectors(run: Run) -> None:
    """A sum with a guard, and an update in place of exactly as many work-items as elements."""
    n = 1009 * run.scale
    a, b = np.random.default_rng(1).random((2, n), np.float32)
    c = np.empty_like(a)
    buffers = [run.buffer(a), run.buffer(b), run.buffer(c.nbytes)]
    run.build(VECTOR)
    run.launch("add", rounded_up((n,), (48,)), (48,), *buffers, n)
    run.launch("axpy", (n,), None, 3.0, buffers[0], buffers[2])
    found = run.read(buffers[2], c)
    np.testing.assert_allclose(found, 4 * a + b, rtol=1e-6)


MANDELBROT = """
kernel void mandelbrot(global int *counts, int width, int height, int iterations) {
    int column = get_global_id(0), row = get_global_id(1);
    if (column >= width || row >= height) return;
    float2 c = (float2)(-2.0f + 3.0f * column / width, -1.5f + 3.0f * row / height), z = 0.0f;
    int count = 0;
    for (; count < iterations && dot(z, z) <= 4.0f; count++)
        z = (float2)(z.x * z.x - z.y * z.y, 2.0f * z.x * z.y) + c;
    counts[row * width + column] = count;
}
"""


def mandelbrot(run: Run) -> None:
    width, height, iterations = 61 * run.scale, 47 * run.scale, 60
    x, y = np.arange(width), np.arange(height)[:, None]
    c = (-2 + 3 * x / width + 1j * (-1.5 + 3 * y / height)).astype(np.complex64)
    z, expected = np.zeros_like(c), np.zeros(c.shape, np.int32)
    for _ in range(iterations):
        inside = np.abs(z) <= 2
        expected += inside
        z = np.where(inside, z * z + c, z)
    counts = run.buffer(expected.nbytes)
    run.build(MANDELBROT)
    size = rounded_up((width, height), (8, 4))
    run.launch("mandelbrot", size, (8, 4), counts, width, height, iterations)
    # Where rounding decides on which side of the edge a point is, devices may differ.
    assert np.mean(run.read(counts, expected) == expected) > 0.98


MULTIPLY = """
kernel void multiply(global const float *a, global const float *b, global float *c,
                     int rows, int columns, int inner) {
    int column = get_global_id(0), row = get_global_id(1);
    if (row >= rows || column >= columns) return;
    float sum = 0;
    for (int k = 0; k < inner; k++) sum += a[row * inner + k] * b[k * columns + column];
    c[row * columns + column] = sum;
}
#define TILE 8
kernel void multiply_tiled(global const float *a, global const float *b, global float *c,
                           int rows, int columns, int inner) {
    local float of_a[TILE][TILE], of_b[TILE][TILE];
    int x = get_local_id(0), y = get_local_id(1);
    int column = get_group_id(0) * TILE + x, row = get_group_id(1) * TILE + y;
    float sum = 0;
    for (int start = 0; start < inner; start += TILE) {
        of_a[y][x] = row < rows && start + x < inner ? a[row * inner + start + x] : 0;
        of_b[y][x] = column < columns && start + y < inner ? b[(start + y) * columns + column] : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < TILE; k++) sum += of_a[y][k] * of_b[k][x];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (row < rows && column < columns) c[row * columns + column] = sum;
}
"""


def matrices(run: Run) -> None:
    """A product, plain and with tiles in local memory."""
    rows, columns, inner = 53 * run.scale, 37 * run.scale, 45 * run.scale
    rng = np.random.default_rng(2)
    a, b = rng.random((rows, inner), np.float32), rng.random((inner, columns), np.float32)
    c = np.empty((rows, columns), np.float32)
    given = [run.buffer(a), run.buffer(b)]
    run.build(MULTIPLY)
    for kernel in ("multiply", "multiply_tiled"):
        product = run.buffer(c.nbytes)
        size = rounded_up((columns, rows), (8, 8))
        run.launch(kernel, size, (8, 8), *given, product, rows, columns, inner)
        np.testing.assert_allclose(run.read(product, c), a @ b, rtol=1e-5)


CONVOLVE = """
#define REACH 2
kernel void convolve(global const float *picture, constant float *mask, global float *result,
                     int width, int height) {
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height) return;
    float sum = 0;
    for (int dy = -REACH; dy <= REACH; dy++)
        for (int dx = -REACH; dx <= REACH; dx++) {
            int row = clamp(y + dy, 0, height - 1), column = clamp(x + dx, 0, width - 1);
            sum += mask[(dy + REACH) * (2 * REACH + 1) + dx + REACH]
                   * picture[row * width + column];
        }
    result[y * width + x] = sum;
}
"""


def convolution(run: Run) -> None:
    width, height = 61 * run.scale, 47 * run.scale
    rng = np.random.default_rng(3)
    picture, mask = rng.random((height, width), np.float32), rng.random((5, 5), np.float32)
    result = run.buffer(picture.nbytes)
    run.build(CONVOLVE)
    size = rounded_up((width, height), (16, 4))
    buffers = run.buffer(picture), run.buffer(mask), result
    run.launch("convolve", size, (16, 4), *buffers, width, height)
    padded = np.pad(picture, 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    expected = np.einsum("yxij,ij->yx", windows, mask)
    np.testing.assert_allclose(run.read(result, picture), expected, rtol=1e-5)


JACOBI = """
kernel void jacobi(global const float *now, global float *next, int width, int height) {
    int x = get_global_id(0), y = get_global_id(1), i = y * width + x;
    if (x >= width || y >= height) return;
    if (x == 0 || y == 0 || x == width - 1 || y == height - 1)
        next[i] = now[i];
    else
        next[i] = 0.25f * (now[i - 1] + now[i + 1] + now[i - width] + now[i + width]);
}
"""


def jacobi(run: Run) -> None:
    """Two buffers that change places each step."""
    width, height = 53 * run.scale, 41 * run.scale
    plate = np.random.default_rng(4).random((height, width), np.float32)
    now, then = run.buffer(plate), run.buffer(plate.nbytes)
    run.build(JACOBI)
    for _ in range(9):
        run.launch("jacobi", rounded_up((width, height), (8, 4)), (8, 4), now, then, width, height)
        now, then = then, now
        inner = plate[1:-1, :-2] + plate[1:-1, 2:] + plate[:-2, 1:-1] + plate[2:, 1:-1]
        plate[1:-1, 1:-1] = inner / 4
    np.testing.assert_allclose(run.read(now, plate), plate, rtol=1e-5)


BODIES = """
kernel void attract(global const float4 *place, global const float4 *speed,
                    global float4 *next_place, global float4 *next_speed, int n, float step,
                    local float4 *near) {
    int i = get_global_id(0), own = get_local_id(0), group = get_local_size(0);
    float4 here = place[min(i, n - 1)], pull = 0;
    for (int start = 0; start < n; start += group) {
        near[own] = start + own < n ? place[start + own] : (float4)(0);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < group; k++) {
            float4 way = near[k] - here;
            way.w = 0;
            float inverse = rsqrt(dot(way, way) + 0.01f);
            pull += way * (near[k].w * inverse * inverse * inverse);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (i >= n) return;
    float4 faster = speed[i] + pull * step;
    next_speed[i] = faster;
    next_place[i] = here + faster * step;
}
"""


def bodies(run: Run) -> None:
    """Bodies that attract each other, by tiles of bodies in local memory; w is the mass."""
    n, group, step = 301 * run.scale, 16, 0.01
    place, speed = np.random.default_rng(5).random((2, n, 4), np.float32)
    speed[:, 3] = 0
    now = [run.buffer(place), run.buffer(speed)]
    then = [run.buffer(place.nbytes), run.buffer(speed.nbytes)]
    near = cl.LocalMemory(group * 16)
    run.build(BODIES)
    for _ in range(3):
        run.launch("attract", rounded_up((n,), (group,)), (group,), *now, *then, n, step, near)
        now, then = then, now
        way = place[None, :, :3] - place[:, None, :3]
        inverse = ((way**2).sum(-1) + 0.01) ** -1.5
        speed[:, :3] += step * (way * (place[:, 3] * inverse)[..., None]).sum(1)
        place[:, :3] += step * speed[:, :3]
    np.testing.assert_allclose(run.read(now[0], place), place, rtol=1e-4, atol=1e-5)


TRANSPOSE = """
kernel void transpose(global const int *a, global int *b, int width, int height) {
    int x = get_global_id(0), y = get_global_id(1);
    if (x < width && y < height) b[x * height + y] = a[y * width + x];
}
#define TILE 8
kernel void transpose_tiled(global const int *a, global int *b, int width, int height) {
    local int tile[TILE][TILE + 1];
    int x = get_group_id(0) * TILE + get_local_id(0), y = get_group_id(1) * TILE + get_local_id(1);
    if (x < width && y < height) tile[get_local_id(1)][get_local_id(0)] = a[y * width + x];
    barrier(CLK_LOCAL_MEM_FENCE);
    x = get_group_id(1) * TILE + get_local_id(0);
    y = get_group_id(0) * TILE + get_local_id(1);
    if (x < height && y < width) b[y * height + x] = tile[get_local_id(0)][get_local_id(1)];
}
"""


def transposition(run: Run) -> None:
    """A matrix turned over, plainly and by tiles in local memory."""
    width, height = 61 * run.scale, 43 * run.scale
    a = np.arange(width * height, dtype=np.int32).reshape(height, width)
    given, size = run.buffer(a), rounded_up((width, height), (8, 8))
    run.build(TRANSPOSE)
    for kernel in ("transpose", "transpose_tiled"):
        turned = run.buffer(a.nbytes)
        run.launch(kernel, size, (8, 8), given, turned, width, height)
        found = run.read(turned, np.ascontiguousarray(a.T))
        np.testing.assert_array_equal(found, a.T)


PAIRS = """
kernel void pairs(global const int *rows, global int *sums, int length, int stride) {
    int x = get_global_id(0), y = get_global_id(1), width = get_global_size(0), sum = 0;
    for (int k = 0; k < length; k += stride)
        sum += rows[y * length + k] * rows[(width + x) * length + k];
    sums[y * width + x] = sum;
}
"""


def pairs_of_rows(run: Run) -> None:
    """A sum for each pair of few long rows: what is read is very much more than what is written."""
    side, length, stride = 8, 2**17, 512
    rows = np.arange(2 * side * length, dtype=np.int32).reshape(2 * side, length) % 1009
    sums = np.empty((side, side), np.int32)
    given, made = run.buffer(rows), run.buffer(sums.nbytes)
    run.build(PAIRS)
    run.launch("pairs", (side, side), (2, 2), given, made, length, stride)
    some = rows[:, ::stride]
    np.testing.assert_array_equal(run.read(made, sums), some[:side] @ some[side:].T)


FOURIER = """
kernel void pass(global const float2 *x, global float2 *y, int half_length, int p) {
    int i = get_global_id(0), signal = get_global_id(1) * 2 * half_length;
    int k = i & (p - 1), j = ((i - k) << 1) + k;
    float angle = -M_PI_F * k / p;
    float2 turn = (float2)(cos(angle), sin(angle));
    float2 u = x[signal + i], v = x[signal + i + half_length];
    v = (float2)(v.x * turn.x - v.y * turn.y, v.x * turn.y + v.y * turn.x);
    y[signal + j] = u + v;
    y[signal + j + p] = u - v;
}
"""


def _fourier(run: Run, signals: int, length: int, local: tuple[int, int]) -> None:
    rng = np.random.default_rng(6)
    x = rng.random((signals, length, 2), np.float32)
    now, then = run.buffer(x), run.buffer(x.nbytes)
    run.build(FOURIER)
    p = 1
    while p < length:
        run.launch("pass", (length // 2, signals), local, now, then, length // 2, p)
        now, then = then, now
        p *= 2
    found = run.read(now, x)
    expected = np.fft.fft(x[..., 0] + 1j * x[..., 1])
    np.testing.assert_allclose(found[..., 0] + 1j * found[..., 1], expected, atol=1e-2, rtol=1e-4)


def fourier(run: Run) -> None:
    """A Fourier transform of one signal, a launch for each pass of radix 2."""
    _fourier(run, 1, 512 if run.scale == 1 else 4096, (16, 1))


def fourier_of_many(run: Run) -> None:
    """The same of several signals at once."""
    _fourier(run, 7 * run.scale, 128, (16, 1))


