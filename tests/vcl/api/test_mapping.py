"""What a map reads and writes back."""

from __future__ import annotations

import pytest

from tests.vcl.api.world import refused
from vcl.api.context import Context
from vcl.api.mapping import check_host, check_map, directions
from vcl.api.memory import FLAGS, Memory
from vcl.constants import CLASSES

_MAP = CLASSES["map_flags"]
READ, WRITE, INVALIDATE = _MAP["READ"], _MAP["WRITE"], _MAP["WRITE_INVALIDATE_REGION"]


@pytest.mark.parametrize(
    ("flags", "reads", "writes"),
    [
        (0, False, False),
        (READ, True, False),
        (WRITE, True, True),  # what isn't written is to stay as it is
        (READ | WRITE, True, True),
        (INVALIDATE, False, True),
    ],
)
def test_directions(flags: int, reads: bool, writes: bool) -> None:
    assert directions(flags, "r") == (reads, writes)


@pytest.mark.parametrize("flags", [READ | INVALIDATE, WRITE | INVALIDATE, 8])
def test_flags_that_are_refused(flags: int) -> None:
    with refused("r", "INVALID_VALUE", f"map_flags {flags:#x}"):
        directions(flags, "r")


@pytest.mark.parametrize(
    ("memory", "refusals"),
    [
        ("READ_WRITE", ""),
        ("HOST_WRITE_ONLY", "r"),
        ("HOST_READ_ONLY", "wi"),
        ("HOST_NO_ACCESS", "rwi"),
    ],
)
def test_what_the_host_may_map(context: Context, memory: str, refusals: str) -> None:
    buffer = Memory(context, FLAGS[memory], 8)
    for letter, flags in (("r", READ), ("w", WRITE), ("i", INVALIDATE)):
        if letter in refusals:
            with refused("c", "INVALID_OPERATION"):
                check_host(buffer, flags, "c")
        else:
            check_host(buffer, flags, "c")


def test_regions_that_may_be_mapped(context: Context) -> None:
    buffer = Memory(context, FLAGS["HOST_READ_ONLY"], 8)
    check_map(buffer, READ, 2, 6, "r")
    with refused("r", "INVALID_OPERATION"):
        check_map(buffer, WRITE, 2, 6, "r")
    with refused("r", "INVALID_VALUE", "bytes 2 to 9 are outside"):
        check_map(buffer, READ, 2, 7, "r")
    with refused("r", "INVALID_VALUE", "nothing to map"):
        check_map(buffer, READ, 8, 0, "r")
