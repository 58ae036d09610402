"""What the executor's core makes of text that launches printed."""

from __future__ import annotations

from node_agent.core import ExecutorCore
from node_agent.effects import Report
from node_agent.inputs import Ended, FromMaster, Printed
from vcl.wire.limits import printed_message_bytes_max
from vcl.wire.messages import part

NOW = 99


def core_that_runs(operation: int) -> ExecutorCore:
    core = ExecutorCore()
    core.handle([FromMaster([part.Run(operation, [], 1, 5, "k", [0], [4], [4], [])])], NOW)
    return core


def done(operation: int) -> Report:
    return Report([part.Done([[operation, 0, 5, 6, None, None]])])


def test_text_comes_before_the_end() -> None:
    core = core_that_runs(2)
    assert core.handle([Printed(2, b"text"), Ended(2, 0, 5, 6)], NOW) == [
        Report([part.Printed(2, b"text")]),
        done(2),
    ]


def test_text_after_the_end_is_dropped() -> None:
    core = core_that_runs(2)
    assert core.handle([Ended(2, 0, 5, 6), Printed(2, b"late")], NOW) == [done(2)]


def test_long_text_comes_in_pieces() -> None:
    core = core_that_runs(2)
    text = b"x" * printed_message_bytes_max
    assert core.handle([Printed(2, text + b"yz")], NOW) == [
        Report([part.Printed(2, text)]),
        Report([part.Printed(2, b"yz")]),
    ]
