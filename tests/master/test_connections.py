"""Tickets are for one executor of one session, and the records share nothing."""

from __future__ import annotations

from master.connections import Live, ticket
from master.sessions import Session


def test_a_ticket_is_for_one_start_of_one_node_of_one_session() -> None:
    made = {ticket(key, node, start) for key in "ab" for node in (1, 2) for start in (1, 2)}
    assert len(made) == 8
    assert ticket("a", 1, 2) == ticket("a", 1, 2)
    assert ticket("a", 11, 1) != ticket("a", 1, 11)


def test_no_two_sessions_share_a_container() -> None:
    first, second = (Live(Session(n, lambda devices: []), "key", 1) for n in (1, 2))
    assert first.executors is not second.executors
