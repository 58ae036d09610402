"""The process in which the guard reads programs (`python -m master.access.reader`).

Owns: its limits, and the frames on its standard input and output. Must not know: sessions, or who
asks. A source may be written to take any time or memory that the guard gives it; here that costs
nobody else anything.

A frame is its length in four bytes, little-endian, and a msgpack value. One way: ["judge", units],
or "analyse", "rewrite" or "read ahead" and the arguments of `Analyser`'s method. The other: [[may
split, reason], keeps const, reasons by kernel]; a footprint, encoded, or why there is none; a
`programs.Variant` as lists, or why there is none; nothing. Past its time for one of them the
process ends by SIGPROF, past its memory with MEMORY_STATUS. What counts is its own time on a
processor, so a verdict doesn't depend on how busy the host is.
"""

from __future__ import annotations

import gc
import resource
import signal
import struct
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from master.access.encoded import encode
from master.access.programs import judge_program
from vcl.lifeline import die_with_parent
from vcl.wire.frame import pack_value, unpack_value

if TYPE_CHECKING:
    from master.access.analyser.analysis import Analyser

LENGTH = struct.Struct("<I")
MEMORY_STATUS = 3


def _judge(units: list[list[Any]]) -> Any:
    verdict, keeps_const, kernels = judge_program(units)
    return [[verdict.may_split, verdict.reason], keeps_const, dict(kernels)]


def _rewrite(*what: Any) -> Any:
    found = _analyser().rewrite(*what)
    if isinstance(found, str):
        return found
    source, options, hidden, *words = found
    said = [[[v.may_split, v.reason], dict(kernels)] for v, kernels in words]
    return [source, options, dict(hidden), *said]


def _analyse(*what: Any) -> bytes | str:
    found = _analyser().analyse(*what)
    return found if isinstance(found, str) else encode(found)


@cache
def _analyser() -> Analyser:
    # libclang takes time and memory, and many processes only judge.
    from master.access.analyser.analysis import Analyser

    collect_rarely()
    return Analyser()


def collect_rarely() -> None:
    """Look for cycles less often, and not among what is loaded: that was a third of reading.

    Cursors, tokens and trees are many at a time and no cycles.
    """
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)


def _read_ahead(*what: Any) -> None:
    _analyser().read_ahead(*what)


_JOBS: dict[str, Callable[..., Any]] = {
    "judge": _judge, "analyse": _analyse, "rewrite": _rewrite, "read ahead": _read_ahead
}  # fmt: skip


def main() -> None:
    """Arguments: the parent's process id, seconds for judging a program, for analysing a launch,
    bytes of address space."""
    parent, memory_bytes = int(sys.argv[1]), int(sys.argv[4])
    judging_s, analysing_s = float(sys.argv[2]), float(sys.argv[3])
    time_s = {**dict.fromkeys(_JOBS, analysing_s), "judge": judging_s}
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        while head := asked.read(LENGTH.size):
            kind, *what = unpack_value(asked.read(*LENGTH.unpack(head)))
            # The kernel ends the process, also inside of one long regular expression.
            signal.setitimer(signal.ITIMER_PROF, time_s[kind])
            answer = pack_value(_JOBS[kind](*what))
            signal.setitimer(signal.ITIMER_PROF, 0)
            answers.write(LENGTH.pack(len(answer)) + answer)
            answers.flush()
    except MemoryError:
        sys.exit(MEMORY_STATUS)


if __name__ == "__main__":
    main()
