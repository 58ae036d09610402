"""What a map of memory reads and writes back (OpenCL 3.0 API, 5.2.4, 5.3.4 and 5.6.1).

Owns: the checks of map_flags, and their meaning where memory isn't shared: a map is a read into
host memory, an unmap a write of what the program may have changed. Must not know: whose host memory
that is, or how bytes travel.
"""

from __future__ import annotations

from vcl.api.errors import fail
from vcl.api.memory import Memory, check_host_reads, check_host_writes, region_start
from vcl.constants import CLASSES

_MAP = CLASSES["map_flags"]
_READS = _MAP["READ"] | _MAP["WRITE"]
_WRITES = _MAP["WRITE"] | _MAP["WRITE_INVALIDATE_REGION"]


def directions(flags: int, routine: str) -> tuple[bool, bool]:
    """(whether a map reads the contents, whether its unmap writes them back).

    Raises CallError for flags that aren't any, or contradict each other.
    """
    if flags & ~(_READS | _WRITES) or (flags & _MAP["WRITE_INVALIDATE_REGION"] and flags & _READS):
        fail(routine, "INVALID_VALUE", f"map_flags {flags:#x}")
    return bool(flags & _READS), bool(flags & _WRITES)


def check_map(memory: Memory, flags: int, offset: int, size: int, routine: str) -> None:
    """Raise CallError unless [offset, offset + size) of a buffer may be mapped with flags that
    `directions` lets pass."""
    check_host(memory, flags, routine)
    region_start(memory, offset, size, routine)
    if size == 0:
        fail(routine, "INVALID_VALUE", "nothing to map")


def check_host(memory: Memory, flags: int, routine: str) -> None:
    """Raise CallError if the host may not do with the buffer what the flags say."""
    if flags & _MAP["READ"]:
        check_host_reads(memory, routine)
    if flags & _WRITES:
        check_host_writes(memory, routine)
