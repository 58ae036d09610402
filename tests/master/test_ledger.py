"""Ids of operations, transfers and versions, and what is remembered of them."""

from __future__ import annotations

from master.commands import Command
from master.ledger import Ledger, Transfer


def test_operations_are_numbered_and_live_until_somebody_removes_them() -> None:
    ledger, command = Ledger(), Command(1, "launch")
    first = ledger.begin(7, command, main=True, part=2)
    second = ledger.begin(8, None)
    assert (first.id, second.id) == (1, 2)
    assert ledger.live == {1: first, 2: second}
    assert (first.node, first.command, first.main, first.part) == (7, command, True, 2)
    assert command.operations == {1}, "its own only"
    assert (second.command, second.gives, second.transfer, second.staging) == (None, (), 0, None)


def test_transfers_know_their_receivers() -> None:
    ledger = Ledger()
    to_client, to_node = ledger.new_transfer(), ledger.new_transfer(3, 7)
    assert to_client != to_node
    assert ledger.transfers == {to_client: Transfer(0, 0), to_node: Transfer(3, 7)}


def test_versions_begin_after_never_written() -> None:
    ledger = Ledger()
    assert [ledger.new_version() for _ in range(3)] == [2, 3, 4], "behind SETTLED"


def test_who_has_a_number_for_bulk() -> None:
    ledger = Ledger()
    assert ledger.endpoint(3) == 3 and ledger.node(3) == 3
    numbers = []
    for _ in range(2):
        ledger.renew_endpoint(3)
        numbers.append(ledger.endpoint(3))
    first, second = numbers
    assert ledger.node(second) == 3 and ledger.node(first) == first, "which no node has"
    assert ledger.node(4) == 4


def test_outboxes_are_empty_and_appear_by_use() -> None:
    ledger = Ledger()
    assert not ledger.for_nodes and not ledger.for_client
    ledger.for_nodes[4].append("message")
    assert dict(ledger.for_nodes) == {4: ["message"]}
