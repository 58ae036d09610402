"""The report of a launch: from its message, and as a table."""

from __future__ import annotations

import pytest

from vcl.report import BufferReport, LaunchReport, PartReport

MESSAGE = [
    "merge",
    "changed bytes are merged",
    [1536, 512, 0, 1024],
    [
        ["left", "cpu", [0, 0], [64, 32], 0.0012345],
        ["right-hand", "cpu", [0, 32], [64, 32], 0.25],
    ],
    [[1, "read", "declared const", [[512, 512, 0], [1024, 512, 0]]]],
]


def test_from_a_message() -> None:
    report = LaunchReport.from_message(MESSAGE)
    assert (report.mode, report.bytes_moved) == ("merge", 1536)
    assert report.bytes_by_way == {"through the master": 512, "shared memory": 1024}
    assert report.parts[1] == PartReport("right-hand", "cpu", (0, 32), (64, 32), 0.25)
    assert report.buffers == (
        BufferReport(1, "read", "declared const", (512, 1024), (512, 512), (0, 0)),
    )


def test_as_a_table() -> None:
    assert str(LaunchReport.from_message(MESSAGE)).splitlines() == [
        "merge, 2 parts, 1.5 KiB moved (512 B through the master, 1.0 KiB shared memory): changed "
        "bytes are merged",
        "  node        device  offset  size          ms",
        "  left        cpu     0 x 0   64 x 32    1.234",
        "  right-hand  cpu     0 x 32  64 x 32  250.000",
        "  argument 1: read, 512 B, 1.0 KiB brought: declared const",
    ]


def test_one_way() -> None:
    report = LaunchReport.from_message(["whole", "why", [64, 0, 64, 0], [], []])
    assert str(report).startswith("whole, 0 parts, 64 B moved (direct): why")


def test_one_part_is_no_plural() -> None:
    part = PartReport("n", "d", (0,), (1,), 0.0)
    assert str(LaunchReport("whole", "why", (part,), 0)).startswith("whole, 1 part, 0 B moved: why")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**20, "5.0 MiB"),
     (2**30, "1.0 GiB"), (3 * 2**40, "3072.0 GiB")],
)  # fmt: skip
def test_bytes_moved(count: int, text: str) -> None:
    assert f", {text} moved" in str(LaunchReport("whole", "", (), count))
