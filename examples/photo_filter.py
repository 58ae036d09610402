"""Blurs a photograph on the cluster, finds its edges, and checks every byte against NumPy.

All arithmetic is on integers, so every device must give the same bytes as NumPy does. The second
kernel reads what the first one wrote, which never comes back here in between.
"""

import argparse
import importlib.util
from pathlib import Path

import numpy as np

import vcl as cl

try:
    from PIL import Image, ImageOps
except ModuleNotFoundError:
    raise SystemExit("photo_filter.py needs Pillow: pip install Pillow") from None

BINOMIAL = np.array([1, 6, 15, 20, 15, 6, 1], np.int32)  # close to a Gaussian of sigma 1.22
MASK = np.outer(BINOMIAL, BINOMIAL)  # sums to 4096
LUMINANCE = np.array([77, 150, 29], np.int32)  # Rec. 601 weights in 256ths

SOURCE = """
/* Pictures are rows of pixels of 3 bytes; beyond the edge, the nearest pixel counts. */

kernel void blur(global const uchar *source, global const int *mask, global uchar *blurred,
                 int width, int height) {
    int x = get_global_id(0);
    int y = get_global_id(1);
    for (int channel = 0; channel < 3; ++channel) {
        int sum = 0;
        for (int dy = -3; dy <= 3; ++dy) {
            int row = clamp(y + dy, 0, height - 1);
            for (int dx = -3; dx <= 3; ++dx) {
                int column = clamp(x + dx, 0, width - 1);
                int weight = mask[(dy + 3) * 7 + (dx + 3)];
                sum += weight * source[(row * width + column) * 3 + channel];
            }
        }
        blurred[(y * width + x) * 3 + channel] = (sum + 2048) / 4096;
    }
}

int luminance(global const uchar *picture, int x, int y, int width, int height) {
    int row = clamp(y, 0, height - 1);
    int column = clamp(x, 0, width - 1);
    int pixel = (row * width + column) * 3;
    return (77 * picture[pixel] + 150 * picture[pixel + 1] + 29 * picture[pixel + 2]) / 256;
}

kernel void sobel(global const uchar *picture, global uchar *edges, int width, int height) {
    int x = get_global_id(0);
    int y = get_global_id(1);
    int gx = 0;
    int gy = 0;
    for (int i = -1; i <= 1; ++i) {
        int weight = i == 0 ? 2 : 1;
        gx += weight * luminance(picture, x + 1, y + i, width, height);
        gx -= weight * luminance(picture, x - 1, y + i, width, height);
        gy += weight * luminance(picture, x + i, y + 1, width, height);
        gy -= weight * luminance(picture, x + i, y - 1, width, height);
    }
    /* The whole part of the square root, bit by bit: sqrt() may round differently per device. */
    int square = gx * gx + gy * gy;
    int root = 0;
    for (int bit = 10; bit >= 0; --bit) {
        int candidate = root + (1 << bit);
        if (candidate * candidate <= square) root = candidate;
    }
    edges[y * width + x] = min(root, 255);
}
"""


def astronaut():
    """The path of the photograph of Eileen Collins in scikit-image's wheel, without a download."""
    package = importlib.util.find_spec("skimage")
    if package is None:
        raise SystemExit(
            "no scikit-image to take a photograph from: pip install scikit-image, "
            "or give one of your own with --image FILE"
        )
    return Path(package.origin).parent / "data" / "astronaut.png"


def read_picture(path):
    """A file's picture as uint8 of shape (height, width, 3), turned as its camera was held."""
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except OSError as error:
        raise SystemExit(f"cannot read the picture {path}: {error}") from None


def filter_on_cluster(picture):
    """The blurred picture (height, width, 3), its edges (height, width), and the two events."""
    context = cl.create_some_context(interactive=False)
    queue = cl.CommandQueue(context)
    program = cl.Program(context, SOURCE).build()
    blurred, edges = np.empty_like(picture), np.empty(picture.shape[:2], np.uint8)

    flags = cl.mem_flags
    inputs = flags.READ_ONLY | flags.COPY_HOST_PTR
    source_buffer = cl.Buffer(context, inputs, hostbuf=picture)
    mask_buffer = cl.Buffer(context, inputs, hostbuf=MASK)
    blurred_buffer = cl.Buffer(context, flags.READ_WRITE, blurred.nbytes)
    edges_buffer = cl.Buffer(context, flags.WRITE_ONLY, edges.nbytes)

    height, width = edges.shape
    pixels, sizes = (width, height), (np.int32(width), np.int32(height))
    events = [
        program.blur(queue, pixels, None, source_buffer, mask_buffer, blurred_buffer, *sizes),
        program.sobel(queue, pixels, None, blurred_buffer, edges_buffer, *sizes),
    ]
    cl.enqueue_copy(queue, blurred, blurred_buffer)
    cl.enqueue_copy(queue, edges, edges_buffer)
    return blurred, edges, events


def filter_on_numpy(picture):
    """The same blurred picture and edges, by shifting whole pictures."""
    height, width, _ = picture.shape
    padded = np.pad(picture, ((3, 3), (3, 3), (0, 0)), mode="edge").astype(np.int32)
    total = sum(
        MASK[dy, dx] * padded[dy : dy + height, dx : dx + width]
        for dy in range(7)
        for dx in range(7)
    )
    blurred = ((total + 2048) // 4096).astype(np.uint8)

    grey = np.pad(blurred @ LUMINANCE // 256, 1, mode="edge")
    across = grey[:, 2:] - grey[:, :-2]
    down = grey[2:] - grey[:-2]
    gx = across[:-2] + 2 * across[1:-1] + across[2:]
    gy = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    root = np.floor(np.sqrt((gx * gx + gy * gy).astype(np.float64)))
    return blurred, np.minimum(root, 255).astype(np.uint8)


def write_pictures(directory, before, blurred, edges):
    """Writes the three pictures, and one of all three side by side."""
    directory.mkdir(parents=True, exist_ok=True)
    edges_rgb = np.repeat(edges[..., None], 3, axis=2)
    pictures = {
        "photo_before.png": before,
        "photo_blurred.png": blurred,
        "photo_edges.png": edges,
        "photo_filter.png": np.concatenate([before, blurred, edges_rgb], axis=1),
    }
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(directory / name)
        print(f"wrote {directory / name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, help="a picture of your own")
    parser.add_argument("--output-dir", type=Path, default=Path())
    arguments = parser.parse_args()

    picture = read_picture(arguments.image or astronaut())
    blurred, edges, events = filter_on_cluster(picture)
    for event in events:
        print(cl.launch_report(event))
    write_pictures(arguments.output_dir, picture, blurred, edges)

    expected = filter_on_numpy(picture)
    for name, ours, theirs in zip(("blurred", "edges"), (blurred, edges), expected, strict=True):
        if not np.array_equal(ours, theirs):
            raise SystemExit(f"{name}: {np.count_nonzero(ours != theirs)} bytes differ from NumPy")
        print(f"{name}: all {ours.size:,} bytes equal NumPy's")


if __name__ == "__main__":
    main()
