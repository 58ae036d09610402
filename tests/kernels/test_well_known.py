"""Well-known kernels, and pyopencl's own, compute on clusters of 1 to 5 nodes what one
device computes.

Each program runs on the cluster device and on one remote device; all bytes of all its buffers are
compared, and how its launches were divided. With three nodes here; with others, and with more
data, with `-m long`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kernels import dense, irregular, ours, pyopencl_programs
from tests.kernels.runs import Run, devices_of

QUICK = 3
LONG = (1, 2, 4, 5)
LARGE = 5

REGIONS = {"regions"}
DIVIDED = {"regions", "merge"}
ATOMIC = {"whole", "merge", "reduce"}
ALONE = {"whole"}

REDUCED = {"reduce_kernel_stage1": REGIONS, "reduce_kernel_stage2": ALONE}
SCANNED = {"scan_lev1": REGIONS, "scan_lev2": ALONE, "scan_final_update": REGIONS}
# Their results go where the scan says.
SCATTERED = SCANNED | {"scan_final_update": DIVIDED}

# Per program: by kernel the modes that its launches may have where there are nodes to divide among.
PROGRAMS: dict[Callable[[Run], None], dict[str, set[str]]] = {
    dense.vectors: {"add": REGIONS, "axpy": REGIONS},
    dense.mandelbrot: {"mandelbrot": REGIONS},
    dense.matrices: {"multiply": REGIONS, "multiply_tiled": REGIONS},
    dense.convolution: {"convolve": REGIONS},
    dense.jacobi: {"jacobi": REGIONS},
    dense.bodies: {"attract": REGIONS},
    dense.transposition: {"transpose": REGIONS, "transpose_tiled": REGIONS},
    dense.pairs_of_rows: {"pairs": REGIONS},
    dense.fourier: {"pass": DIVIDED},
    dense.fourier_of_many: {"pass": REGIONS},
    irregular.histogram: {
        "count": ATOMIC,
        "count_locally": ATOMIC,
        "count_apart": DIVIDED | ATOMIC,
        "gather": REGIONS,
    },
    irregular.sparse: {"by_row": REGIONS, "by_group": REGIONS},
    irregular.bitonic: {"compare": DIVIDED, "compare_pairs": DIVIDED},
    irregular.scan: {"scan_groups": REGIONS, "scan_totals": ALONE, "add_totals": REGIONS},
    irregular.reduction: {"reduce": REGIONS, "finish": ALONE},
    pyopencl_programs.arithmetic: dict.fromkeys(["axpb", "multiply", "axpbyz"], REGIONS),
    pyopencl_programs.elementwise: {"combine": REGIONS, "every_third": DIVIDED},
    pyopencl_programs.total: REDUCED,
    ours.example_mandelbrot: {"mandelbrot": REGIONS},
    ours.example_photo_filter: {"blur": REGIONS, "sobel": REGIONS},
    ours.benchmark_mandelbrot: {"mandelbrot": REGIONS},
    ours.benchmark_stencil: {"spread": REGIONS},
    ours.benchmark_words: {"produce": REGIONS, "pick": DIVIDED, "bump": REGIONS},
}

# PoCL takes seconds to compile each of their kernels.
SLOW: dict[Callable[[Run], None], dict[str, set[str]]] = {
    pyopencl_programs.functions: dict.fromkeys(
        "divide sin_kernel axpbyz if_positive take arange".split(), REGIONS
    ),
    pyopencl_programs.reductions: REDUCED,
    pyopencl_programs.scans: SCANNED,
    pyopencl_programs.selection: SCATTERED,
    pyopencl_programs.sorting: {"get_size_and_offsets": ALONE, **SCATTERED},
}


@pytest.fixture(
    scope="module",
    params=[QUICK, *(pytest.param(nodes, marks=pytest.mark.long) for nodes in LONG)],
    ids=lambda nodes: f"{nodes} nodes",
)
def devices(request: pytest.FixtureRequest) -> Iterator[list[Any]]:
    """The cluster device, then a remote one of each node."""
    with devices_of(request.param) as devices:
        yield devices


def check(program: Callable[[Run], None], devices: list[Any], scale: int) -> None:
    modes = (PROGRAMS | SLOW)[program]
    cluster, one = Run(devices[0], scale), Run(devices[1], scale)
    for run in (cluster, one):
        with run.recorded():
            program(run)
    for number, pair in enumerate(zip(cluster.contents(), one.contents(), strict=True), 1):
        assert pair[0] == pair[1], f"buffer or array {number} isn't what one device computes"
    reports = cluster.reports()
    # pyopencl keeps what it computed once for equal devices.
    assert reports and reports.keys() <= modes.keys()
    for kernel, told in reports.items():
        for report in told:
            nodes = len(devices) - 1
            allowed = modes[kernel] if nodes > 1 else ALONE
            assert report.mode in allowed, f"{kernel}: {report}"
            parts = len(report.parts)
            assert parts == 1 if report.mode == "whole" else 2 <= parts <= nodes, report
            assert len({part.node for part in report.parts}) == parts, report


@pytest.mark.parametrize(
    "program",
    [*PROGRAMS, *(pytest.param(program, marks=pytest.mark.long) for program in SLOW)],
    ids=lambda program: program.__name__,
)
def test_equals_one_device(devices: list[Any], program: Callable[[Run], None]) -> None:
    check(program, devices, 1)


def test_boxes_equal_one_device() -> None:
    with devices_of(4) as devices:
        check(dense.pairs_of_rows, devices, 1)
        run = Run(devices[0], 1)
        with run.recorded():
            dense.pairs_of_rows(run)
        ((report,),) = run.reports().values()
    assert report.reason.endswith("cut along x and y (2 x 2)")


@pytest.mark.long
@pytest.mark.parametrize("program", [*PROGRAMS, *SLOW], ids=lambda program: program.__name__)
def test_equals_one_device_with_more_data(
    devices: list[Any], program: Callable[[Run], None]
) -> None:
    check(program, devices, LARGE)
