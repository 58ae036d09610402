"""Draws the Mandelbrot set on the cluster and checks a sample of it against NumPy.

The kernel keeps to single-precision additions and multiplications, which OpenCL rounds
correctly, and forbids their contraction into fused ones. So NumPy, doing the same operations in
the same order, must arrive at the same bits, and the check needs no tolerance.
"""

import argparse
import time

import numpy as np

import vcl as cl

try:
    from PIL import Image
except ModuleNotFoundError:
    raise SystemExit("mandelbrot.py writes PNG with Pillow: pip install Pillow") from None

LEFT, TOP, SIDE = np.float32(-2.25), np.float32(-1.5), np.float32(3.0)
# Far beyond the radius 2 that decides the escape: it makes the colour bands' seams invisible.
ESCAPE_NORM = np.float32(65536.0)
SAMPLE_STRIDE = 7

SOURCE = """
#pragma OPENCL FP_CONTRACT OFF

/* counts: iterations until |z|^2 passed escape_norm, or `iterations` if it never did.
   norms: the |z|^2 that passed it. */
kernel void mandelbrot(global int *counts, global float *norms, int width, int iterations,
                       float left, float top, float step, float escape_norm) {
    int column = get_global_id(0);
    int row = get_global_id(1);
    float c_re = left + (float)column * step;
    float c_im = top + (float)row * step;
    float re = 0.0f, im = 0.0f, norm = 0.0f;
    int count = 0;
    while (count < iterations && norm <= escape_norm) {
        float re_squared = re * re;
        float im_squared = im * im;
        float product = re * im;
        re = (re_squared - im_squared) + c_re;
        im = (product + product) + c_im;
        norm = re * re + im * im;
        count += 1;
    }
    counts[row * width + column] = norm <= escape_norm ? iterations : count;
    norms[row * width + column] = norm;
}
"""


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a positive number")
    return value


def run_on_cluster(size, iterations):
    """Counts (int32) and norms (float32) of size x size pixels, the event, and the seconds."""
    context = cl.create_some_context(interactive=False)
    queue = cl.CommandQueue(context)
    program = cl.Program(context, SOURCE).build()
    counts = np.empty((size, size), np.int32)
    norms = np.empty((size, size), np.float32)
    outputs = [
        cl.Buffer(context, cl.mem_flags.WRITE_ONLY, array.nbytes) for array in (counts, norms)
    ]
    step = SIDE / np.float32(size)
    scalars = (np.int32(size), np.int32(iterations), LEFT, TOP, step, ESCAPE_NORM)

    started = time.perf_counter()
    event = program.mandelbrot(queue, (size, size), None, *outputs, *scalars)
    cl.enqueue_copy(queue, counts, outputs[0])
    cl.enqueue_copy(queue, norms, outputs[1])
    return counts, norms, event, time.perf_counter() - started


def run_on_numpy(size, iterations, stride):
    """The same counts and norms for every stride-th pixel of every stride-th row."""
    step = SIDE / np.float32(size)
    offsets = np.arange(0, size, stride).astype(np.float32) * step
    c_re, c_im = (axis.ravel() for axis in np.meshgrid(LEFT + offsets, TOP + offsets))
    counts = np.full(c_re.shape, iterations, np.int32)
    norms = np.zeros_like(c_re)
    alive = np.arange(c_re.size)
    re, im = np.zeros_like(c_re), np.zeros_like(c_re)
    for count in range(1, iterations + 1):
        product = re * im
        re, im = (re * re - im * im) + c_re[alive], (product + product) + c_im[alive]
        norm = re * re + im * im
        escaped = norm > ESCAPE_NORM
        counts[alive[escaped]] = count
        norms[alive] = norm
        alive, re, im = alive[~escaped], re[~escaped], im[~escaped]
    shape = (len(offsets), len(offsets))
    return counts.reshape(shape), norms.reshape(shape)


def colours(counts, norms, iterations):
    """RGB bytes: a cyclic palette over the fractional escape time, black inside the set."""
    escaped = norms > ESCAPE_NORM
    # The fraction by which z overshot turns the whole-numbered count into a continuous one.
    overshoot = np.log2(np.log(np.where(escaped, norms, 2 * ESCAPE_NORM)) / np.log(ESCAPE_NORM))
    phase = 1.9 * np.sqrt(np.maximum(counts - overshoot, 0.0))
    channels = [0.5 - 0.5 * np.cos(phase + shift) for shift in (2.2, 2.8, 3.6)]
    rgb = np.stack(channels, axis=-1) * 255.0
    return np.where(escaped[..., None], rgb, 0.0).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=positive, default=1024, help="pixels a side")
    parser.add_argument("--iterations", type=positive, default=200)
    parser.add_argument("--output", default="mandelbrot.png")
    arguments = parser.parse_args()

    size, iterations = arguments.size, arguments.iterations
    counts, norms, event, seconds = run_on_cluster(size, iterations)
    print(cl.launch_report(event))
    print(f"{size} x {size} pixels, {counts.sum(dtype=np.int64):,} iterations in {seconds:.3f} s")

    Image.fromarray(colours(counts, norms, iterations)).save(arguments.output)
    print(f"wrote {arguments.output}")

    sample = np.s_[::SAMPLE_STRIDE, ::SAMPLE_STRIDE]
    expected_counts, expected_norms = run_on_numpy(size, iterations, SAMPLE_STRIDE)
    # Inside the set norms may be denormal, which devices are free to flush to zero.
    escaped = expected_norms > ESCAPE_NORM
    differ = (counts[sample] != expected_counts) | (escaped & (norms[sample] != expected_norms))
    if differ.any():
        raise SystemExit(f"{differ.sum()} of {differ.size:,} sampled pixels differ from NumPy's")
    print(f"{differ.size:,} sampled pixels equal NumPy's bit for bit")


if __name__ == "__main__":
    main()
