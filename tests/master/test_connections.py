"""Tickets are for one executor of one session, and the records share nothing."""

from __future__ import annotations

import pytest

from master.connections import STAGES, Connected, Live, Stage, Turn, ticket
from master.effects import Close
from master.inputs import Broken, Closed, Received
from master.sessions import Session
from tests.master.rigs import MasterRig


def test_a_ticket_is_for_one_start_of_one_node_of_one_session() -> None:
    made = {ticket(key, node, start) for key in "ab" for node in (1, 2) for start in (1, 2)}
    assert len(made) == 8
    assert ticket("a", 1, 2) == ticket("a", 1, 2)
    assert ticket("a", 11, 1) != ticket("a", 1, 11)


def test_no_two_sessions_share_a_container() -> None:
    first, second = (Live(Session(n, lambda devices: []), "key", 1) for n in (1, 2))
    assert first.executors is not second.executors


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("turn", Turn)
def test_what_can_not_happen_to_a_connection_is_a_mistake(stage: Stage, turn: Turn) -> None:
    connected = Connected(7, "client", 1, stage=stage)
    if (stage, turn) in STAGES:
        assert connected.take(turn) == (stage is Stage.OPEN)
        return
    with pytest.raises(AssertionError, match=rf"connection 7 \(client\), {stage.value}: "):
        connected.take(turn)
    assert connected.stage is stage


def test_what_was_on_its_way_from_a_connection_that_was_ended_is_nothing() -> None:
    m = MasterRig()
    client = m.open("client")
    assert [e for e in m.feed(Broken(client, "junk")) if isinstance(e, Close)]
    assert m.feed(Received(client, [])) == [] == m.feed(Broken(client, "more of it"))
    assert m.core.session_of(client) is None
    assert m.feed(Closed(client, "gone")) == []
    assert client not in m.core._connections
