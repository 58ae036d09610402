"""What the master core does bit by bit, because it may be much."""

from __future__ import annotations

from master.effects import GoOn
from master.inputs import Continue
from tests.master.rigs import MasterRig
from tests.master.test_core import begin, fill
from vcl.wire.limits import batch_count_max
from vcl.wire.messages import part, session


def test_what_waited_for_an_executor_goes_in_portions() -> None:
    m = MasterRig()
    m.goes_on = False
    agent = m.agent("a")
    client = begin(m)
    m.say(client, *(fill(20 + n) for n in range(2 * batch_count_max)))
    executor, _ = m.join(m.asked(agent))
    portions = [m.sent(executor)]
    while GoOn(1) in m.effects:
        m.feed(Continue(1))
        portions.append(m.sent(executor))
    assert [len(p) for p in portions] == [batch_count_max, batch_count_max, 1]
    operations = [f.operation for p in portions for f in p if isinstance(f, part.FillRegion)]
    assert len(operations) == 2 * batch_count_max and operations == sorted(operations)
    m.say(client, fill(9000))
    assert len(m.sent(executor)) == 1, "and nothing again"


def test_what_may_be_long_ends_its_portion() -> None:
    m = MasterRig()
    m.goes_on = False
    agent = m.agent("a")
    client = begin(m)
    builds = [
        session.BuildProgram(30 + n, 1, 30 + n, session.BUILD, [["", "", [], []]], "")
        for n in range(3)
    ]
    m.say(client, fill(20), *builds, fill(21))
    executor, _ = m.join(m.asked(agent))
    portions = [m.sent(executor)]
    while GoOn(1) in m.effects:
        m.feed(Continue(1))
        portions.append(m.sent(executor))
    kinds = [[type(message) for message in portion] for portion in portions]
    build = part.Build
    assert kinds == [[part.Allocate, part.FillRegion, build], [build], [build], [part.FillRegion]]
