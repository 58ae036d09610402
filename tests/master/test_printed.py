"""Text that launches printed, on its way through the master."""

from __future__ import annotations

import pytest

from tests.master.rigs import GLOBAL, MasterRig, SessionRig, kernel, place
from vcl.errors import RemoteProtocolError
from vcl.wire.limits import printed_bytes_max, printed_message_bytes_max
from vcl.wire.messages import part, session

SIZE = 4096
LONGEST = b"x" * printed_message_bytes_max


def rig() -> tuple[SessionRig, int]:
    """A session with a launch, of event 20, under way on the first of two nodes; its operation."""
    made = SessionRig(place(1), place(2))
    made.say(session.CreateQueue(3, 1, 1, 0), session.CreateBuffer(10, 1, SIZE))
    made.build(5, kernel("k", (GLOBAL, "int*")))
    made.say(session.Launch(20, 3, [], 5, "k", [0], [64], [4], [[1, 10, 0, SIZE]]))
    (run,) = made.said(part.Run)
    return made, run.operation


def test_it_goes_to_the_client_before_the_end() -> None:
    r, operation = rig()
    r.answer(1, part.Printed(operation, b"one\n"), part.Printed(operation, b"\xff"))
    r.run()
    told = [m for m in r.client if isinstance(m, session.Printed | session.EventsDone)]
    assert told[:2] == [session.Printed(20, "n1", b"one\n"), session.Printed(20, "n1", b"\xff")]
    (ended,) = told[2:]
    assert ended.events[0][0] == 20


def test_as_much_as_is_allowed() -> None:
    r, operation = rig()
    count = printed_bytes_max // printed_message_bytes_max
    r.answer(1, *[part.Printed(operation, LONGEST)] * count)
    assert len(r.told(session.Printed)) == count
    with pytest.raises(RemoteProtocolError, match="printed more than"):
        r.answer(1, part.Printed(operation, b"x"))


@pytest.mark.parametrize(("node", "text"), [(2, b"x"), (1, b""), (1, LONGEST + b"x")])
def test_what_no_executor_sends(node: int, text: bytes) -> None:
    r, operation = rig()
    with pytest.raises(RemoteProtocolError):
        r.answer(node, part.Printed(operation, text))
    assert not r.told(session.Printed)


def test_only_launches_under_way_print() -> None:
    r, _ = rig()
    fills = [fill.operation for fill in r.said(part.FillRegion)]
    for operation in (*fills, 999):
        with pytest.raises(RemoteProtocolError, match="isn't under way"):
            r.answer(1, part.Printed(operation, b"x"))
    r, operation = rig()
    r.run()
    with pytest.raises(RemoteProtocolError, match="isn't under way"):
        r.answer(1, part.Printed(operation, b"x"))


def test_an_executor_that_breaks_the_rules_loses_its_session_only() -> None:
    r = MasterRig()
    agent, client = r.agent("a"), r.open("client")
    device = 1
    r.say(
        client,
        session.CreateContext(1, [device], False),
        session.CreateQueue(2, 1, device, 0),
        session.CreateBuffer(3, 1, 16),
        session.Fill(4, 2, [], 3, 0, 16, b"x"),
    )
    control, _ = r.join(r.asked(agent))
    r.say(control, part.Printed(999, b"x"))
    assert "isn't under way" in r.closed()[control]
    assert agent not in r.closed()
