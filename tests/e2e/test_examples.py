"""Runs every example as a user would, on an embedded cluster and on a running one.

Each example checks its own results against NumPy and fails if they differ; here we check that it
ended well, left the files it promises, and really ran in parts.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vcl

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN_TIMEOUT_S = 120
PHOTO_SIZE = (512, 512)

# Per example: its arguments, how many launches it reports, and its pictures' (width, height).
EXPECTED: dict[str, tuple[list[str], int, dict[str, tuple[int, int]]]] = {
    "hello.py": ([], 1, {}),
    "mandelbrot.py": (["--size", "509"], 1, {"mandelbrot.png": (509, 509)}),
    "photo_filter.py": (
        [],
        2,
        {
            "photo_before.png": PHOTO_SIZE,
            "photo_blurred.png": PHOTO_SIZE,
            "photo_edges.png": PHOTO_SIZE,
            "photo_filter.png": (3 * PHOTO_SIZE[0], PHOTO_SIZE[1]),
        },
    ),
}


@pytest.fixture(scope="module")
def running_cluster() -> Iterator[dict[str, str]]:
    """The environment variables that name a cluster of two nodes."""
    with vcl.LocalCluster(nodes=2, cores_per_node=1) as cluster:
        yield {"VCL_MASTER": cluster.url, "VCL_TOKEN": cluster.token}


@pytest.fixture(params=["embedded", "running"])
def cluster_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "embedded":
        return {}
    environment: dict[str, str] = request.getfixturevalue("running_cluster")
    return environment


def run(
    arguments: list[str], directory: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs Python in a directory, with no choice of cluster or device but the given one."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VCL_", "PYOPENCL_CTX", "PYOPENCL_TEST"))
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def test_every_example_is_expected() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_only_the_import_differs_from_pyopencl(name: str) -> None:
    source = (EXAMPLES / name).read_text()
    assert source.count("import vcl as cl\n") == 1
    code = source.split('"""', 2)[2]
    ours = re.findall(r"\bvcl\b(?!\[examples\])", code)
    assert ours == ["vcl"], "an example mentions vcl beyond its import"


@pytest.mark.parametrize("name", EXPECTED)
def test_example(name: str, cluster_environment: dict[str, str], tmp_path: Path) -> None:
    arguments, launches, pictures = EXPECTED[name]
    done = run([str(EXAMPLES / name), *arguments], tmp_path, cluster_environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"\b(\d+) parts?\b", done.stdout) == ["2"] * launches, done.stdout
    assert "NumPy's" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == set(pictures)
    for file_name, size in pictures.items():
        pixels = picture(tmp_path / file_name)
        assert pixels.shape[1::-1] == size
        # Neither blank nor a few flat areas: a picture has many shades, in each half of it.
        for half in np.array_split(pixels, 2):
            assert len(np.unique(half)) > 100, file_name


def test_photo_filter_takes_a_picture_of_odd_size(tmp_path: Path) -> None:
    before = np.random.default_rng(5).integers(0, 256, (47, 61, 3), dtype=np.uint8)
    Image.fromarray(before).save(tmp_path / "mine.png")
    script = str(EXAMPLES / "photo_filter.py")
    done = run([script, "--image", "mine.png", "--output-dir", "new/place"], tmp_path, {})

    assert done.returncode == 0, done.stdout + done.stderr
    place = tmp_path / "new" / "place"
    np.testing.assert_array_equal(picture(place / "photo_before.png"), before)
    assert picture(place / "photo_edges.png").shape == (47, 61)
    assert picture(place / "photo_filter.png").shape == (47, 3 * 61, 3)


def test_photo_filter_without_its_picture_says_so_in_one_line(tmp_path: Path) -> None:
    script = str(EXAMPLES / "photo_filter.py")
    done = run([script, "--image", "absent.png"], tmp_path, {})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "absent.png" in done.stderr


def test_photo_filter_without_scikit_image_says_what_to_install(tmp_path: Path) -> None:
    hide_and_run = (
        "import importlib.util, runpy, sys\n"
        "find_spec = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, package=None: (\n"
        "    None if name == 'skimage' else find_spec(name, package))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = run(["-c", hide_and_run, str(EXAMPLES / "photo_filter.py")], tmp_path, {})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install scikit-image" in done.stderr
    assert "--image" in done.stderr
