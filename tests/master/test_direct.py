"""Which ends are told of each other, and what follows from what they tell."""

from __future__ import annotations

from typing import Any

import pytest

from master.direct import DirectLinks
from vcl.errors import RemoteProtocolError
from vcl.wire.direct import Way
from vcl.wire.limits import link_address_length_max, link_addresses_max, links_max
from vcl.wire.messages.direct import ExpectLink, Linked, Listening, OpenLink

CLIENT, SHARED = 0, Way.SHARED_MEMORY


class Rig:
    """The links of a session; endpoints are ten times the nodes."""

    def __init__(self, secret: str = "secret") -> None:
        self.said: list[tuple[int, Any]] = []
        self.links = DirectLinks(secret, lambda n: 10 * n, lambda n, m: self.said.append((n, m)))

    def listens(self, *nodes: int) -> None:
        for node in nodes:
            self.links.listens(node, Listening([f"unix:{node}"]))

    def heard(self) -> list[tuple[int, Any]]:
        said, self.said[:] = list(self.said), []
        return said

    def dials(self) -> list[tuple[int, int]]:
        """Who was told to dial whom, of which the other was told first."""
        heard = self.heard()
        found = []
        for (other, expect), (dialler, dial) in zip(heard[::2], heard[1::2], strict=True):
            assert type(expect) is ExpectLink and type(dial) is OpenLink
            assert expect[1:] == dial[1:3], "both know the same secrets"
            assert (expect.endpoint, dial.endpoint) == (10 * dialler, 10 * other)
            assert dial.addresses == [f"unix:{other}"]
            found.append((dialler, other))
        return found


def test_the_client_dials_at_the_first_transfer() -> None:
    rig = Rig()
    rig.listens(1, 2)
    assert rig.heard() == []
    for _ in range(2):
        rig.links.used(CLIENT, 1)
        rig.links.used(1, CLIENT)
    assert rig.dials() == [(CLIENT, 1)]
    assert rig.links.linked(CLIENT, Linked(10, SHARED, "")) is None
    assert rig.links.way(1, CLIENT) is SHARED and rig.links.way(2, CLIENT) is Way.RELAY


def test_an_executor_that_listens_later_is_dialled_then() -> None:
    rig = Rig()
    rig.links.used(2, 1)
    rig.links.used(CLIENT, 1)
    rig.listens(1)
    assert rig.dials() == [(CLIENT, 1)], "the other executor isn't up"
    rig.listens(2)
    assert rig.dials() == [(1, 2)]


def test_if_one_cant_reach_the_other_the_other_tries_once() -> None:
    rig = Rig()
    rig.listens(1, 2)
    rig.links.used(1, 2)
    assert rig.dials() == [(1, 2)]
    assert rig.links.linked(1, Linked(20, Way.RELAY, "no route")) is None
    assert rig.dials() == [(2, 1)]
    assert rig.links.failed == []
    assert rig.links.linked(2, Linked(10, Way.RELAY, "no route")) is None
    assert rig.heard() == []
    assert rig.links.linked(2, Linked(10, Way.RELAY, "no route")) is None
    assert rig.links.failed == [(2, 1, "no route")], "said once"


def test_secrets_are_of_one_link() -> None:
    rig, other = Rig(), Rig("another")
    for each in (rig, other):
        each.listens(1, 2)
        each.links.used(CLIENT, 1)
        each.links.used(CLIENT, 2)
    told = [m for _, m in rig.heard() + other.heard() if type(m) is OpenLink]
    assert len({secret for m in told for secret in (m.ticket, m.answer)}) == 8


@pytest.mark.parametrize(("node", "peer", "lost"), [(1, 2, 2), (2, 1, 1), (1, 0, 1), (0, 1, 1)])
def test_a_link_that_broke_costs_an_executor(node: int, peer: int, lost: int) -> None:
    rig = Rig()
    rig.listens(1, 2)
    rig.links.used(node, peer)
    (dialler, other), = rig.dials()
    rig.links.linked(dialler, Linked(10 * other, SHARED, ""))
    assert rig.links.linked(node, Linked(10 * peer, Way.RELAY, "it broke")) == lost
    assert rig.links.way(node, peer) is Way.RELAY


def test_who_was_dialled_had_a_link_whatever_the_dialler_says() -> None:
    rig = Rig()
    rig.listens(1, 2)
    rig.links.used(1, 2)
    assert rig.links.linked(2, Linked(10, Way.RELAY, "it broke")) == 1


def test_a_successor_is_linked_anew() -> None:
    rig = Rig()
    rig.listens(1, 2)
    rig.links.used(CLIENT, 1)
    rig.links.used(1, 2)
    rig.heard()
    rig.links.linked(CLIENT, Linked(10, SHARED, ""))
    rig.links.forget(1)
    assert rig.links.way(CLIENT, 1) is Way.RELAY
    assert rig.links.linked(CLIENT, Linked(10, Way.RELAY, "it broke")) is None, "it is known"
    rig.links.used(CLIENT, 1)
    assert rig.heard() == []
    rig.listens(1)
    assert rig.dials() == [(CLIENT, 1)]


def test_an_end_has_so_many_links_and_no_more() -> None:
    rig = Rig()
    nodes = range(1, links_max + 3)
    rig.listens(*nodes)
    for node in nodes:
        rig.links.used(CLIENT, node)
    assert len(rig.dials()) == links_max
    rig.links.used(links_max + 1, links_max + 2)
    assert len(rig.dials()) == 1, "others have theirs"
    rig.links.forget(1)
    rig.links.used(CLIENT, links_max + 1)
    assert rig.dials() == [(CLIENT, links_max + 1)]


@pytest.mark.parametrize("addresses", [["unix:a"] * (link_addresses_max + 1),
                                       ["u" * (link_address_length_max + 1)]])  # fmt: skip
def test_too_much_is_refused(addresses: list[str]) -> None:
    with pytest.raises(RemoteProtocolError, match="address"):
        Rig().links.listens(1, Listening(addresses))


def test_addresses_come_once() -> None:
    rig = Rig()
    rig.listens(1)
    with pytest.raises(RemoteProtocolError, match="twice"):
        rig.listens(1)


def test_devices_of_one_executor_need_no_link() -> None:
    rig = Rig()
    rig.listens(1)
    rig.links.used(1, 1)
    assert rig.heard() == []


def test_what_nobody_was_told_of_is_no_link() -> None:
    assert Rig().links.linked(1, Linked(30, SHARED, "")) is None


def test_a_way_that_is_asked_for_is_told_once_it_is_known() -> None:
    rig = Rig()
    answers = rig.links.take_answers
    rig.links.ask(50, CLIENT, 1)
    assert answers() == [(50, Way.RELAY, "one of the two takes no direct links")]
    rig.listens(1, 2)
    rig.links.ask(51, CLIENT, 1)
    rig.links.ask(52, 2, 1)
    assert answers() == []
    rig.links.linked(CLIENT, Linked(10, Way.RELAY, "refused"))
    assert answers() == [(51, Way.RELAY, "refused")] and answers() == []
    rig.links.linked(1, Linked(20, Way.RELAY, "1 can't"))
    assert answers() == [], "the other tries"
    rig.links.linked(2, Linked(10, SHARED, ""))
    assert answers() == [(52, SHARED, "")]
    rig.links.linked(2, Linked(10, Way.RELAY, "it broke"))
    rig.links.ask(53, 1, 2)
    assert answers() == [(53, Way.RELAY, "it broke")]


def test_a_way_that_is_asked_for_while_an_end_goes() -> None:
    rig = Rig()
    rig.listens(1)
    rig.links.ask(50, CLIENT, 1)
    assert rig.links.take_answers() == []
    rig.links.forget(1)
    ((request, way, why),) = rig.links.take_answers()
    assert (request, way) == (50, Way.RELAY) and "an end is gone" in why


def test_why_there_is_no_link_beyond_the_limit() -> None:
    rig = Rig()
    for node in range(1, links_max + 2):
        rig.links.used(CLIENT, node)
    rig.links.ask(50, CLIENT, links_max + 1)
    ((_, _, why),) = rig.links.take_answers()
    assert "64 direct links" in why
