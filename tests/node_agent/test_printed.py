"""Catching what the driver prints, in a process of its own, since it takes descriptor 1."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from node_agent import printed
from node_agent.inputs import Ended, Printed
from node_agent.printed import CUT, may_print
from tests.node_agent.driver_host import ROOT, DriverHost
from vcl.wire.limits import printed_bytes_max
from vcl.wire.messages import part, session


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (["kernel void f() {}", "", [], []], False),
        (['kernel void f() { printf("x"); }', "", [], []], True),
        (["kernel void f() { P; }", "-DP=printf(1)", [], []], True),
        (["", "", [], [["file", "/a", b"x"], ["file", "/b", b"printf"]]], True),
    ],
)
def test_what_may_print(unit: list[Any], expected: bool) -> None:
    assert may_print(unit) == expected


def caught(code: str) -> tuple[bytes, bytes]:
    """Standard output and error of a process that has a Capture."""
    begin = "import ctypes, os, sys\nfrom node_agent.printed import *\ncapture = Capture()\n"
    begin += "def tell(what): os.write(2, what)\n"
    ended = subprocess.run(
        [sys.executable, "-c", begin + code], cwd=ROOT, capture_output=True, timeout=60, check=True
    )
    return ended.stdout, ended.stderr


def test_what_is_written_in_either_way_is_taken_once() -> None:
    code = """
os.write(1, b"one ")
ctypes.CDLL(None).puts(b"two")
tell(capture.take() + b"|" + capture.take())
print("own words")
os.write(1, b"three")
tell(b"|" + capture.take())
"""
    assert caught(code) == (b"own words\n", b"one two\n||three")


def test_no_writer_waits_and_no_more_is_kept_than_allowed() -> None:
    code = """
for _ in range(64):
    os.write(1, b"x" * 2**18)
text = capture.take()
os.write(1, b"after")
tell(b"%d %s %s" % (len(text), text[-len(CUT) - 1:], capture.take()))
"""
    assert caught(code) == (b"", b"%d x%s after" % (printed_bytes_max, CUT))


class FakeEvent:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.profile = SimpleNamespace(start=1, end=2)

    def wait(self) -> None:
        if self.error is not None:
            raise self.error


class FakeGate:
    def __init__(self, context: str) -> None:
        self.status: int | None = None

    def set_status(self, status: int) -> None:
        self.status = status


@pytest.mark.parametrize("error", [None, RuntimeError("it failed")])
def test_the_next_launch_waits_until_the_text_is_read(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    barriers: list[FakeGate] = []
    cl = SimpleNamespace(
        UserEvent=FakeGate,
        enqueue_barrier=lambda queue, wait_for: barriers.extend(wait_for),
        command_execution_status=SimpleNamespace(COMPLETE=0),
    )
    posted: list[Any] = []
    monkeypatch.setattr(printed, "Capture", lambda: SimpleNamespace(take=lambda: b"text"))
    printer = printed.Printer(cl, posted.extend)
    printer.built(5, [['printf("")', "", [], []]])
    printer.built(6, [["", "", [], []]])
    assert printer.prints(5) and not printer.prints(6)
    printer.wait_for_reading(1, "queue")
    message = part.Run(7, [], 1, 5, "k", [0], [4], [4], [])
    watched = printer.watch(message, FakeEvent(error), "context")
    assert watched.profile.end == 2
    printer.wait_for_reading(2, "queue")
    assert not barriers
    printer.wait_for_reading(1, "queue")
    (gate,) = barriers
    assert gate.status is None
    if error is None:
        watched.wait()
    else:
        with pytest.raises(RuntimeError):
            watched.wait()
    assert posted == [Printed(7, b"text")] and gate.status == 0
    printer.forget(5)
    assert not printer.prints(5)


def test_text_of_launches_with_the_real_driver() -> None:
    host = DriverHost()
    source = 'kernel void f(int n) { printf("%d\\n", n); }'
    quiet = "kernel void g(int n) {}"
    for program, text in ((5, source), (6, quiet)):
        units = [[text, "", [], []]]
        host.start(part.Build(program, program, [1], session.BUILD, units, ""))
        assert host.built().status == 0

    def run(operation: int, program: int, kernel: str) -> part.Run:
        value = operation.to_bytes(4, "little")
        return part.Run(operation, [], 1, program, kernel, [0], [1], [1], [value])

    host.start(*(run(n, 6, "g") if n % 3 == 0 else run(n, 5, "f") for n in range(1, 31)))
    for n in range(1, 31):
        if n % 3:
            assert host.take(n) == Printed(n, b"%d\n" % n)
        ended = host.take(n)
        assert isinstance(ended, Ended) and ended.status == 0
    host.start(part.ForgetProgram(40, [], 5))
    assert isinstance(host.take(40), Ended)
    assert host.close() == []
