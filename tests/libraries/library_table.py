"""The libraries whose tests run on the cluster, and which of their tests.

Owns: pinned versions, where the tests are, what is left out and why, how each library chooses its
device, and the differences that are expected. Must not know: how they are run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.api.suite_outcomes import DEVICES, PROCESS, Expected, Outcome, Outcomes

PYOPENCL = "pyopencl==2026.1.4"


@dataclass(frozen=True)
class Library:
    """One library: name and version on PyPI.

    tests: folder of the tests, below site-packages (in_wheel) or the unpacked source; None if PyPI
    has none. files: patterns below it; left_out: files that they match and that don't run, with
    the reason. together: all files below the folder run in one process. options: of pytest.
    requires: what pip installs besides. variables: of the environment. chosen: Python that ends
    with the device in `d`. rule: how it is chosen, in words.
    """

    name: str
    version: str
    tests: str | None
    chosen: str
    rule: str
    in_wheel: bool = False
    files: tuple[str, ...] = ("**/test_*.py",)
    left_out: tuple[tuple[str, str], ...] = ()
    together: bool = False
    options: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    expected: tuple[Expected, ...] = ()


SOME_CONTEXT = "pyopencl.create_some_context: the first device, unless PYOPENCL_CTX names one"

LIBRARIES: tuple[Library, ...] = (
    Library(
        "pyclesperanto-prototype",
        "0.24.6",
        None,
        "import pyclesperanto_prototype as cle; d = cle.get_device().device",
        "sorted by type (GPU first) and global memory, the last",
        together=True,
        # 129 of 697 tests; all of them take more than 160 s natively and weren't waited for.
        options=(
            "-k",
            "images or gaussian or statistics or connected or voronoi or z_projection or otsu"
            " or operators or affine or rotate",
        ),
    ),
    Library(
        "reikna",
        "0.9.0",
        "test",
        "from reikna import cluda; d = cluda.ocl_api().Thread.create()._device",
        "the first device of the first platform that isn't left out by its arguments",
        # The rest takes minutes natively: matrix products, Fourier transforms, scans.
        files=(
            "test_algorithms/test_pureparallel.py",
            "test_algorithms/test_reduce.py",
            "test_cluda/test_[bms]*.py",
            "test_core/test_*.py",
            "test_linalg/test_norm.py",
            "test_transformations.py",
        ),
        options=("--api=ocl", "-m", "not perf"),
        requires=("mako",),
    ),
    Library(
        "gputools",
        "0.3.1",
        "tests",
        "import gputools; d = gputools.get_device().device",
        "a GPU before a CPU, then the most global memory, the first of equals",
        # The rest takes more than 4 minutes natively.
        files=("core/test_*.py", "convolve/test_convolve_sep.py", "noise/test_perlin.py"),
        left_out=(("core/test_resample.py", "PoCL refuses its image natively"),),
        requires=("scikit-image",),
    ),
    Library(
        "loopy",
        "2025.2",
        "test",
        "import pyopencl; d = pyopencl.create_some_context().devices[0]",
        SOME_CONTEXT,
        # All files take far more than a few minutes natively.
        files=("test_nbody.py", "test_diff.py", "test_sem_reagan.py", "test_apps.py"),
        options=("-k", "not wave and not rob"),
        # A newer islpy has no Aff.is_equal, which this loopy calls.
        requires=("islpy==2025.2.5", "mako", "scipy"),
    ),
    Library(
        "nengo-ocl",
        "3.0.0",
        "nengo_ocl/tests",
        "import pyopencl; d = pyopencl.create_some_context().devices[0]",
        SOME_CONTEXT,
        # The simulator includes pyopencl-ranluxcl.cl, which pyopencl has dropped, so what uses it
        # fails natively; test_ast_conversion takes minutes. test_clra_* haven't been tried.
        files=("test_clraggedarray.py",),
        requires=(
            *("nengo<4", "numpy<2", "pytest<9", "scipy", "matplotlib", "setuptools<81"),
            *("pytest-rng", "pytest-allclose", "pytest-plt"),
        ),
    ),
    Library(
        "silx",
        "3.1.3",
        "silx",
        "from silx.opencl.common import ocl; d = ocl.create_context().devices[0]",
        "the most estimated flops (units x MHz), the first of equals",
        in_wheel=True,
        files=("opencl/**/test_*.py",),
        left_out=(
            ("opencl/codec/test/test_bitshuffle_lz4.py", "skips without the package bitshuffle"),
            ("opencl/sift/test/test_image_functions.py", "has no tests, only what they share"),
            *(
                (f"opencl/{name}.py", "its images are downloaded")
                for name in (
                    *("test/test_backprojection", "test/test_convolution", "test/test_image"),
                    *("test/test_linalg", "test/test_medfilt", "test/test_projection"),
                    *("sift/test/test_align", "sift/test/test_convol", "sift/test/test_image"),
                    *("sift/test/test_image_setup", "sift/test/test_keypoints"),
                    *("sift/test/test_matching", "sift/test/test_preproc"),
                    "sift/test/test_transform",
                )
            ),
        ),
        requires=("mako", "scipy"),
    ),
    Library(
        "pyFAI",
        "2026.9.0",
        "pyFAI",
        "from silx.opencl.common import ocl; d = ocl.create_context().devices[0]",
        "the most estimated flops (units x MHz), the first of equals",
        in_wheel=True,
        # The others take minutes natively, haven't been tried, or download their images.
        files=("opencl/test/test_addition.py",),
        requires=("mako",),
    ),
)


def files_of(library: Library, folder: Path) -> list[str]:
    """The test files that run, or `.` for all, relative to the folder of tests, in order."""
    if library.together:
        return ["."]
    without = {name for name, _ in library.left_out}
    found = {
        path.relative_to(folder).as_posix()
        for pattern in library.files
        for path in folder.glob(pattern)
    }
    return sorted(found - without)


def full_names(file: str, outcomes: Outcomes) -> dict[str, Outcome]:
    """Outcomes by names that are unique in a library: with the file's folder."""
    folder = file.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    return {name if name == PROCESS else prefix + name: one for name, one in outcomes.items()}


def passed_of(native: Iterable[Outcomes], found: Iterable[Outcomes]) -> tuple[int, int, int]:
    """How many tests there are, pass natively, and of these pass in `found` (file by file)."""
    tests = passing = both = 0
    for here, there in zip(native, found, strict=True):
        names = [name for name in here if name != PROCESS]
        good = [name for name in names if here[name].outcome == "passed"]
        tests += len(names)
        passing += len(good)
        both += sum(name in there and there[name].outcome == "passed" for name in good)
    return tests, passing, both


__all__ = ["DEVICES", "LIBRARIES", "PYOPENCL", "Library", "files_of", "full_names", "passed_of"]
