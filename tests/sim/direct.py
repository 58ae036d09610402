"""Direct links of the simulation: between two ends, without the master.

Owns: what `vcl.direct.ways` does, on virtual time. Must not know: what goes over a link.

Of the dials some fail, some come before what the master says of them, and some links break while
both ends live: then bytes are lost, and the executor that is to blame must be given up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.sim.heap import Connection, Link, Violation
from vcl.wire.direct import Way
from vcl.wire.messages.direct import ExpectLink, Linked, Listening, OpenLink

if TYPE_CHECKING:
    from tests.sim.world import World


class Directs:
    """The links of one end. links: where its bulk finds them. say: to the master."""

    def __init__(
        self,
        world: World,
        key: tuple[int, int],
        links: dict[int, Link],
        receive: Callable[[bytes], None],
        say: Callable[[Any], None],
    ) -> None:
        self._world = world
        self._session, self._own = key
        self._links = links
        self._receive = receive
        self._say = say
        self._expected: dict[int, ExpectLink] = {}
        self._dialled: dict[int, OpenLink] = {}
        self._dead = False
        world.directs[key] = self

    def listen(self) -> None:
        """Tell the master of an address, if this executor has one."""
        if self._world.direct_rng.random() < self._world.direct_ratio:
            self._say(Listening([f"sim {self._own}"]))

    def expect(self, m: ExpectLink) -> None:
        """An end may dial."""
        if m.endpoint in self._expected:
            raise Violation(f"endpoint {m.endpoint} is expected twice")
        self._expected[m.endpoint] = m
        if m.endpoint in self._dialled:
            self._world.marks["a dial before its ticket"] += 1
            self._up(self._dialled.pop(m.endpoint))

    def open(self, m: OpenLink) -> None:
        """Dial an end; after a while it is there, or not."""
        rng = self._world.direct_rng
        self._world.heap.after(rng.choice((1e-5, 1e-3, 0.1)) * rng.random(), self._dial, m)

    def _dial(self, m: OpenLink) -> None:
        if self._dead:
            return
        peer = self._world.directs.get((self._session, m.endpoint))
        if peer is None or peer._dead or self._world.direct_rng.random() < 0.1:
            self._world.marks["a dial that failed"] += 1
            self._say(Linked(m.endpoint, Way.RELAY, "it can't be reached"))
        elif self._own in peer._expected:
            peer._up(m._replace(endpoint=self._own))
        else:
            peer._dialled[self._own] = m._replace(endpoint=self._own)

    def _up(self, m: OpenLink) -> None:
        """Whoever dialled (m.endpoint) is let in."""
        world, expected = self._world, self._expected.pop(m.endpoint)
        if (m.ticket, m.answer) != (expected.ticket, expected.answer):
            raise Violation("the two ends of a link were told different secrets")
        dialler = world.directs[self._session, m.endpoint]
        if dialler._dead:
            return
        connection = Connection(world.heap, world.direct_rng, True)
        for link, sender, receiver in (
            (connection.up, dialler, self), (connection.down, self, dialler),
        ):  # fmt: skip
            link.deliver = receiver._arrived
            link.ended = receiver._ender(sender._own)
            sender._links[receiver._own] = link
        dialler._say(Linked(self._own, Way.SHARED_MEMORY, ""))
        world.marks["a direct link"] += 1
        if world.faulty and world.direct_rng.random() < 0.1:
            world.heap.after(0.1 * world.direct_rng.random(), self._break, m.endpoint)

    def _arrived(self, data: bytes) -> None:
        if not self._dead:
            self._receive(data)

    def _ender(self, peer: int) -> Callable[[str], None]:
        return lambda reason: self._lost(peer, reason)

    def _lost(self, peer: int, reason: str) -> None:
        if not self._dead and self._links.pop(peer, None) is not None:
            self._say(Linked(peer, Way.RELAY, reason))

    def _break(self, peer: int) -> None:
        """The link breaks, and both ends live."""
        other = self._world.directs[self._session, peer]
        if not self._dead and not other._dead:
            self._world.marks["a direct link broke"] += 1
            for end, far in ((self, other), (other, self)):
                end._links[far._own].cut(0.01 * self._world.direct_rng.random(), "it broke")

    def crash(self) -> None:
        """This end is gone."""
        self._dead = True
        for link in self._links.values():
            link.cut(0.01 * self._world.direct_rng.random(), "the other end is gone")
