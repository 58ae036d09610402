"""The line that assigns an executor: see also test_executor.py, which has one read it."""

from __future__ import annotations

import json
from dataclasses import asdict

from node_agent.assignment import Assignment


def test_it_is_one_line_that_makes_it_again() -> None:
    given = Assignment("ws://h:1", 4, 1, "ticket", [[1, 0]], 'a "quoted"\nname')
    line = given.to_line()
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert Assignment(**json.loads(line)) == given and json.loads(line) == asdict(given)
