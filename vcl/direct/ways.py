"""Which way bulk goes from one end of a session to each of the others.

Owns: the direct links of this end, opening them as the master says, and the choice between a link
and the master's relay. Must not know: what the bytes are, or which links there should be.

Until a link is up, and for ends to which there is none, everything goes through the master. A
transfer that has begun one way goes on that way. Frames of different transfers have no order, so it
is no matter that those of one come by a link and those of another through the master.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence

from vcl.direct import dialling
from vcl.direct.compressed import HAS_LZ4
from vcl.direct.data_listen import DataListen
from vcl.direct.itself import ToItself
from vcl.direct.link import Ends, Link
from vcl.direct.pool import Pool
from vcl.direct.relayed import RelayLink
from vcl.direct.stream import Place, StreamLink, nowhere
from vcl.errors import RemoteProtocolError
from vcl.links import BulkLink
from vcl.running import Running
from vcl.transfers import GrantCredit, Stream
from vcl.wire.direct import Greeting, Way
from vcl.wire.frame import BulkFrame
from vcl.wire.limits import handshake_timeout_s
from vcl.wire.messages.direct import ExpectLink, Linked, OpenLink

log = logging.getLogger("vcl-link")

leave_timeout_s = 1.0
"""What a dial under way may put off the end of a program."""

accept_pause_s = 1.0
"""How long no dial is taken after one couldn't be."""

# Unix sockets that pass descriptors, and memory without a name, are Linux's.
HAS_LOCAL = hasattr(os, "memfd_create")
if HAS_LOCAL:
    from vcl.direct import local


class Ways:
    """The ways from one end; on one loop.

    own: its endpoint. take, streamed, pool, place: as of links. say(Linked): to the master.
    encrypted: whether links to other hosts must be, as the way to the master is.
    """

    def __init__(
        self,
        relay: RelayLink | BulkLink,
        own: int,
        take: Callable[[Sequence[BulkFrame]], None],
        streamed: Callable[[int], None],
        say: Callable[[Linked], None],
        pool: Pool,
        encrypted: bool,
        place: Place = nowhere,
    ) -> None:
        self._relay, self._own, self._encrypted = relay, own, encrypted
        self._take, self._streamed, self._say, self._pool = take, streamed, say, pool
        self._place = place
        self._itself = ToItself(own, take, streamed, pool)
        self._links: dict[int, Link] = {}
        self._expected: dict[int, asyncio.Future[ExpectLink]] = {}
        self._provers: Counter[int] = Counter()  # dials that wait for what is expected
        self._running = Running("opening a direct link failed")
        self._strangers = 0
        # How far an encrypted chunk can be compressed would tell of what it is.
        self._lz4 = HAS_LZ4 and not encrypted
        self._closed = False
        self._local: dialling.LocalListener | None = None
        self._stream: dialling.StreamListener | None = None

    def stream(self, effect: Stream) -> None:
        """Send a transfer."""
        self._to(effect.endpoint).stream(effect)

    def grant(self, effect: GrantCredit) -> None:
        """Send credit."""
        self._to(effect.endpoint).grant(effect)

    def way(self, endpoint: int) -> Way:
        """Which way a transfer to an end would go if it began now; within this process, by shared
        memory."""
        to = self._to(endpoint)
        if to is self._itself:
            return Way.SHARED_MEMORY
        return to.way if isinstance(to, Link) else Way.RELAY

    def _to(self, endpoint: int) -> Link | BulkLink | ToItself:
        if endpoint == self._own:
            return self._itself
        return self._links.get(endpoint) or self._relay

    # ---- opening

    async def listen(self, on_host: bool, where: DataListen | None) -> list[str]:
        """Take dials from now on; the addresses at which this is, the best first.

        on_host: from ends on this host, by shared memory. where: from other hosts, if at all.
        """
        addresses = []
        if on_host and HAS_LOCAL:
            try:
                self._local = dialling.LocalListener()
            except OSError as error:
                log.warning("no direct links on this host: %s", error)
            else:
                self._running.start(self._accept(self._local))
                addresses.append(self._local.address)
        if where is not None:
            self._stream = dialling.StreamListener(
                self._prove, self._stream_in, self._encrypted
            )
            try:
                addresses.append(await self._stream.listen(where))
            except OSError as error:
                log.warning("no direct links from other hosts, at %s: %s", where.host, error)
        return addresses

    def expect(self, m: ExpectLink) -> None:
        """An end may dial with this ticket, once, within a while."""
        expected = self._expecting(m.endpoint)
        if not expected.done():
            expected.set_result(m)
            loop = asyncio.get_running_loop()
            loop.call_later(handshake_timeout_s, self._expected.pop, m.endpoint, None)

    def open(self, m: OpenLink) -> None:
        """Dial an end."""
        self._running.start(self._dial(m))

    def _expecting(self, endpoint: int) -> asyncio.Future[ExpectLink]:
        """What the master says of an end, which may come after its dial."""
        if endpoint not in self._expected:
            self._expected[endpoint] = asyncio.get_running_loop().create_future()
        return self._expected[endpoint]

    async def _dial(self, m: OpenLink) -> None:
        reasons = []
        for address in m.addresses:
            try:
                async with asyncio.timeout(handshake_timeout_s):
                    link = await self._dialled(address, m)
            except (OSError, RemoteProtocolError) as error:  # a TimeoutError is an OSError
                where = address.partition("#")[0]  # the fingerprint tells nobody anything
                reasons.append(f"{where}: {str(error) or 'no answer'}")
                continue
            self._links[m.endpoint] = link
            self._say(Linked(m.endpoint, link.way, ""))
            return
        self._say(Linked(m.endpoint, Way.RELAY, "; ".join(reasons)))

    async def _dialled(self, address: str, m: OpenLink) -> Link:
        greeting = Greeting(self._own, m.ticket, self._lz4)
        if address.startswith("ws:") and self._encrypted:
            raise OSError("it isn't encrypted, as the way to the master is")
        if address.startswith(("ws:", "wss:")):
            answers = []

            def check(answer: Greeting) -> None:
                _check(answer, m.endpoint, m.answer)
                answers.append(answer)

            taken = await dialling.dial_stream(address, greeting, check)
            return self._stream_link(taken, answers[0], dialled=True)
        if not HAS_LOCAL or not address.startswith(dialling.SCHEME):
            raise OSError("this end can't dial there")
        dialled = await dialling.dial(address)
        try:
            await dialling.send_greeting(dialled, greeting)
            answer = await dialling.receive_greeting(dialled)
            _check(answer, m.endpoint, m.answer)
        except BaseException:
            dialled.close()
            raise
        return self._local_link(dialled, m.endpoint)

    async def _accept(self, listener: dialling.LocalListener) -> None:
        while True:
            try:
                accepted = await listener.accept()
            except OSError as error:  # too many descriptors, say: the master relays meanwhile
                log.warning("a direct link wasn't let in: %s", error)
                await asyncio.sleep(accept_pause_s)
                continue
            if self._strangers < dialling.strangers_max:
                self._strangers += 1
                self._running.start(self._accepted(accepted))
            else:
                accepted.close()

    async def _accepted(self, accepted: socket.socket) -> None:
        try:
            async with asyncio.timeout(handshake_timeout_s):
                greeting = await dialling.receive_greeting(accepted)
                answer = await self._prove(greeting)
                await dialling.send_greeting(accepted, answer)
        except (OSError, RemoteProtocolError) as error:
            log.warning("a direct link wasn't let in: %s", str(error) or "no greeting in time")
            accepted.close()
            return
        except BaseException:  # it's the end of this one's listening
            accepted.close()
            raise
        finally:
            self._strangers -= 1
        self._links[greeting.endpoint] = self._local_link(accepted, greeting.endpoint)

    async def _prove(self, greeting: Greeting) -> Greeting:
        """The answer to who dials; raises RemoteProtocolError if it isn't who may."""
        endpoint = greeting.endpoint
        expected = self._expecting(endpoint)
        self._provers[endpoint] += 1
        try:
            m = await asyncio.shield(expected)
        finally:
            self._provers[endpoint] -= 1
            if not self._provers[endpoint]:
                del self._provers[endpoint]
                if not expected.done():  # nobody was told of that end, nor waits to be
                    self._expected.pop(endpoint, None)
        _check(greeting, m.endpoint, m.ticket)
        if self._expected.pop(m.endpoint, None) is None:
            raise RemoteProtocolError("the ticket was used already")
        return Greeting(self._own, m.answer, self._lz4)

    def _stream_in(self, greeting: Greeting, taken: socket.socket) -> None:
        if self._closed:
            taken.close()
            return
        self._links[greeting.endpoint] = self._stream_link(taken, greeting, dialled=False)

    def _stream_link(self, connected: socket.socket, peer: Greeting, dialled: bool) -> Link:
        ends = self._ends(peer.endpoint)
        lz4 = self._lz4 and peer.lz4
        return StreamLink(connected, ends, self._pool, dialled, lz4, self._place)

    def _local_link(self, connected: socket.socket, endpoint: int) -> Link:
        return local.LocalLink(connected, self._ends(endpoint), self._pool.find)

    def _ends(self, endpoint: int) -> Ends:
        def lost(reason: str) -> None:
            self._lost(endpoint, reason)

        return Ends(self._own, endpoint, self._take, self._streamed, lost)

    # ---- ends

    def _lost(self, endpoint: int, reason: str) -> None:
        self._links.pop(endpoint, None)
        log.debug("the direct link to endpoint %d broke: %s", endpoint, reason)
        self._say(Linked(endpoint, Way.RELAY, f"the direct link broke: {reason}"))

    async def leave(self) -> None:
        """Serve the links on their loop no longer; while nothing is under way, and of an end that
        doesn't listen."""
        # Else an end would think a link up that isn't; but where nobody answers, a program's end
        # would wait for it.
        await self._running.end(leave_timeout_s)
        for link in self._links.values():
            link.leave()

    def join(self) -> None:
        """Serve them on the running loop."""
        for link in self._links.values():
            link.join()

    def close(self) -> None:
        """End all links."""
        self._closed = True
        self._running.cancel()
        if self._local is not None:
            self._local.close()
        if self._stream is not None:
            self._running.start(self._stream.close())
        links, self._links = self._links, {}
        for link in links.values():
            link.close()


def _check(greeting: Greeting, endpoint: int, secret: str) -> None:
    """Raises RemoteProtocolError unless it is who the master said, with what the master gave."""
    same = hmac.compare_digest(greeting.secret.encode(), secret.encode())
    if greeting.endpoint != endpoint or not same:
        raise RemoteProtocolError(f"the other end isn't the one that was expected ({endpoint})")
