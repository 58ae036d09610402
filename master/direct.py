"""Between which ends of a session bulk may go straight, and how it does.

Owns: the pairs of ends that have had a transfer, who dials whom, tickets, and what the ends say of
their links. Must not know: transfers, plans, or how a link is made.

A link is asked for at the first transfer between two ends, and until it is up, and wherever none
comes to be, bulk goes through the master. The client dials, as nobody can dial it. Between two
executors either may dial, and if one can't reach the other, the other tries.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.ids import CLIENT
from vcl.wire.direct import Way
from vcl.wire.limits import link_address_length_max, link_addresses_max, links_max
from vcl.wire.messages.direct import ExpectLink, Linked, Listening, OpenLink

ways_asked_max = 1024
"""Questions of a session that wait for links to be opened."""


@dataclass(slots=True)
class _Pair:
    """ends: nodes, the lower first. dialled: those whose executors have been told to expect the
    other. dialler: who dials, or has dialled last. why: there is no link, and none will be;
    None while one is or may be."""

    ends: tuple[int, int]
    way: Way = Way.RELAY
    dialled: set[int] = field(default_factory=set)
    dialler: int = -1
    why: str | None = None


class DirectLinks:
    """The links of one session.

    secret: what nobody else knows. endpoint(node): an end's number on the wire. say(node, message):
    to the executor on a node, or to CLIENT.
    """

    def __init__(
        self, secret: str, endpoint: Callable[[int], int], say: Callable[[int, Any], None]
    ) -> None:
        self._secret = secret.encode()
        self._endpoint = endpoint
        self._say = say
        self._addresses: dict[int, list[str]] = {}  # by node
        self._pairs: defaultdict[int, dict[int, _Pair]] = defaultdict(dict)  # by one, by other
        self._nodes: dict[int, int] = {}  # by endpoint, of those that were told to anybody
        self._last_ticket = 0
        self._asked: list[tuple[int, int, int]] = []  # request, and between which two
        self.failed: list[tuple[int, int, str]] = []
        """Links that didn't come to be: between which two, and why; since the owner took them."""

    def way(self, one: int, other: int) -> Way:
        """How bulk gets from one node to another."""
        pair = self._pairs[one].get(other) if one in self._pairs else None
        return Way.RELAY if pair is None else pair.way

    def ask(self, request: int, one: int, other: int) -> None:
        """By which way bulk goes between two ends, whose executors are up, if any could."""
        self.used(one, other)
        self._asked.append((request, one, other))
        if len(self._asked) > ways_asked_max:
            raise RemoteProtocolError(f"more than {ways_asked_max} ways are asked for")

    def take_answers(self) -> list[tuple[int, Way, str]]:
        """(request, way, why there is no link) of what was asked, unless one is being opened."""
        if not self._asked:
            return []
        found = [(*one, self.way(*one[1:]), self._why_none(*one[1:])) for one in self._asked]
        self._asked = [one[:3] for one in found if one[4] is None]
        return [(request, way, why) for request, _, _, way, why in found if why is not None]

    def _why_none(self, one: int, other: int) -> str | None:
        """Why there is no link between two ends; None while one is being opened, "" if there is."""
        pair = self._pairs[one].get(other) if one in self._pairs else None
        if pair is None:
            return f"an end is gone, or has {links_max} direct links, which is the most"
        if pair.way is not Way.RELAY:
            return ""
        if not pair.dialled:
            return "one of the two takes no direct links"
        return pair.why

    def used(self, one: int, other: int) -> None:
        """A transfer goes between two ends; each is a node, or CLIENT."""
        ours, others = self._pairs[one], self._pairs[other]
        if one == other or other in ours or max(len(ours), len(others)) >= links_max:
            return
        pair = ours[other] = others[one] = _Pair((min(one, other), max(one, other)))
        self._open(pair)

    def listens(self, node: int, m: Listening) -> None:
        """An executor takes dials. Raises RemoteProtocolError if it says so twice, or too much."""
        lengths = [len(address) for address in m.addresses]
        if node in self._addresses or len(lengths) > link_addresses_max:
            raise RemoteProtocolError("addresses for direct links came twice, or are too many")
        if any(length > link_address_length_max for length in lengths):
            raise RemoteProtocolError("an address for direct links is too long")
        self._addresses[node] = m.addresses
        for pair in self._pairs[node].values():
            self._open(pair)

    def linked(self, node: int, m: Linked) -> int | None:
        """An end tells how bulk gets to another.

        Answers the node whose executor is to blame if a link broke that was up: bytes may have been
        lost with it.
        """
        other = self._nodes.get(m.endpoint, node)
        pair = self._pairs[node].get(other)
        if pair is None:
            return None  # that end is gone
        if m.way != Way.RELAY:
            pair.way = Way(m.way)
            return None
        if pair.way is Way.RELAY and pair.dialler == node:
            # It couldn't dial: perhaps the other can.
            if not self._open(pair) and pair.why is None:
                pair.why = m.message
                self.failed.append((node, other, m.message))
            return None
        pair.way, pair.why = Way.RELAY, m.message
        return node if other == CLIENT else other

    def forget(self, node: int) -> None:
        """The executor on a node is gone, and its links with it; before its endpoint is renewed."""
        self._addresses.pop(node, None)
        self._nodes.pop(self._endpoint(node), None)
        for other in self._pairs.pop(node, ()):
            del self._pairs[other][node]

    def _open(self, pair: _Pair) -> bool:
        """Have one end dial the other, if that takes dials and wasn't dialled before; answers
        whether one does."""
        low, high = pair.ends
        for dialler, other in ((low, high), (high, low)):
            addresses = self._addresses.get(other)
            if not addresses or other in pair.dialled:
                continue
            if dialler != CLIENT and dialler not in self._addresses:
                continue  # its executor isn't up
            pair.dialled.add(other)
            pair.dialler = dialler
            ticket, answer = self._tickets(pair)
            here, there = self._endpoint(dialler), self._endpoint(other)
            self._nodes[here], self._nodes[there] = dialler, other
            self._say(other, ExpectLink(here, ticket, answer))
            self._say(dialler, OpenLink(there, ticket, answer, addresses))
            return True
        return False

    def _tickets(self, pair: _Pair) -> Sequence[str]:
        """What proves the one that dials, and the other: known to these two ends only."""
        self._last_ticket += 1
        text = f"link {self._last_ticket} of {pair.ends}"
        return [
            hmac.new(self._secret, f"{text}: {what}".encode(), hashlib.sha256).hexdigest()
            for what in ("ticket", "answer")
        ]
