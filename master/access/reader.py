"""The process in which the guard reads programs (`python -m master.access.reader`).

Owns: its limits, and the frames on its standard input and output. Must not know: sessions, or who
asks. A source may be written to take any time or memory that the guard gives it; here that costs
nobody else anything.

A frame is its length in four bytes, little-endian, and a msgpack value: the units of a program one
way, [may split, reason, keeps const, reasons by kernel] the other. Past its time for one program
the process ends by SIGPROF, past its memory with MEMORY_STATUS. What counts is its own time on a
processor, so a verdict doesn't depend on how busy the host is.
"""

from __future__ import annotations

import resource
import signal
import struct
import sys

from master.access.programs import judge_program
from vcl.lifeline import die_with_parent
from vcl.wire.frame import pack_value, unpack_value

LENGTH = struct.Struct("<I")
MEMORY_STATUS = 3


def main() -> None:
    """Arguments: the parent's process id, seconds for a program, bytes of address space."""
    parent, time_s, memory_bytes = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        while head := asked.read(LENGTH.size):
            # The kernel ends the process, also inside of one long regular expression.
            signal.setitimer(signal.ITIMER_PROF, time_s)
            verdict, *rest = judge_program(unpack_value(asked.read(*LENGTH.unpack(head))))
            answer = pack_value([verdict.may_split, verdict.reason, *rest])
            signal.setitimer(signal.ITIMER_PROF, 0)
            answers.write(LENGTH.pack(len(answer)) + answer)
            answers.flush()
    except MemoryError:
        sys.exit(MEMORY_STATUS)


if __name__ == "__main__":
    main()
