"""The process in which the guard reads, by its frames and its ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from master.access.reader import LENGTH, MEMORY_STATUS
from tests.master.rigs import ADD
from tests.processes import environment
from vcl.wire.frame import pack_value, unpack_value

TIMEOUT_S = 60


def run(
    *sources: str, time_s: float = 60, memory_bytes: int = 2**30
) -> tuple[int, list[list[object]]]:
    """(status, answers) of a process that is asked about these, and then sees the end."""
    asked = [pack_value(["judge", [[source, "", [], []]]]) for source in sources]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "master.access.reader", str(os.getpid()), str(time_s), "9",
         str(memory_bytes)],
        input=b"".join(LENGTH.pack(len(data)) + data for data in asked),
        env=environment(), stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    answers, rest = [], done.stdout
    while rest:
        (length,) = LENGTH.unpack(rest[: LENGTH.size])
        answers.append(unpack_value(rest[LENGTH.size :][:length]))
        rest = rest[LENGTH.size + length :]
    return done.returncode, answers


def test_it_answers_each_and_ends_with_its_input() -> None:
    status, (good, bad, mixed) = run(ADD, "printf", ADD + "kernel void f() { printf(0); }")
    assert status == 0
    assert good[0][0] is True and good[1:] == [True, {}]  # type: ignore[index]
    reason = "line 1: printf output would lose its order"
    assert bad == [[False, reason], True, {}]
    assert mixed == [[False, reason], True, {"add": "", "f": reason}]


@pytest.mark.parametrize(
    ("limits", "end"),
    [({"time_s": 0.2}, -signal.SIGPROF), ({"memory_bytes": 2**27}, MEMORY_STATUS)],
    ids=["time", "memory"],
)
def test_it_ends_past_a_limit(limits: dict[str, float], end: int) -> None:
    status, answers = run(ADD, "(" * (2**21 - 100), **limits)  # type: ignore[arg-type]
    assert status == end and len(answers) == 1


def test_its_time_is_counted_anew_for_each_program() -> None:
    status, answers = run(*[ADD * 200 + f"int a{i};" for i in range(40)], time_s=1.0)
    assert (status, len(answers)) == (0, 40)
