"""The master's shell: listens, and feeds `MasterCore`.

Owns: connections and their reading loops, whose turn it is, and the timer. Must not know: what
messages mean, as every decision is the core's; how bulk is passed on (`relay`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from master import turns as turn_lengths
from master.connections import INCOMING
from master.core import MasterCore
from master.effects import (
    Analyse,
    Answer,
    Bind,
    Close,
    Effect,
    Expect,
    Forget,
    GoOn,
    Judge,
    Log,
    ReadAhead,
    Rewrite,
    Send,
    Wake,
)
from master.inputs import Broken, Closed, Continue, Input, Opened, Received, Tick
from master.judging import Judging
from master.plan.view import DEFAULT_POLICY, Policy
from master.relay import Relay
from master.turns import Turn
from vcl import transport
from vcl.errors import RemoteProtocolError
from vcl.links import ControlLink
from vcl.release import VERSION
from vcl.transport import Connection, ConnectionClosed, Server, Settings
from vcl.wire.limits import (
    handshake_timeout_s,
    heartbeat_interval_s,
    heartbeat_timeout_s,
    trusted_message_bytes_max,
    websocket_bytes_max,
)
from vcl.wire.messages.handshake import (
    Refused,
    Role,
    VersionMismatch,
    pack_answer,
    unpack_knock,
)

log = logging.getLogger("vcl-master")


quiet_interval_s = 600.0
"""`on_quiet` is called this often, if it is quiet then."""

unread_bytes_max = 16 * 2**20
"""What a peer may leave unread before it has shown its token."""

unread_trusted_bytes_max = trusted_message_bytes_max + 8 * 2**20
"""What it may afterwards: the longest message to it, and some more."""

unread_soon_bytes = 2**20
"""What an executor may leave unread before nothing more is taken from its client."""

strangers_max = 256
"""Connections that haven't said Hello. A new one takes the place of the oldest: an honest peer
needs no time to speak of, so that who holds many of them keeps nobody out."""


class MasterServer:
    """Serves one cluster on one address."""

    def __init__(
        self,
        token: str,
        agent_token: str,
        on_quiet: Callable[[], object] = lambda: None,
        policy: Policy = DEFAULT_POLICY,
    ) -> None:
        """on_quiet: called now and then when nobody waits for the loop."""
        self._on_quiet = on_quiet
        self._was_quiet = time.monotonic()
        self._core = MasterCore(token, agent_token, VERSION, policy)
        self._judging = Judging(lambda judged: self._feed([judged]))
        self._roles: dict[int, Role] = {}
        self._links: dict[int, ControlLink] = {}
        self._connections: dict[int, Connection] = {}
        self._relay = Relay()
        self._last_connection = 0
        self._server: Server | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._strangers: dict[int, Connection] = {}
        self._unfinished: dict[int, int] = {}  # sessions, and what they go on because of
        self._turns: dict[int, asyncio.Task[None]] = {}
        self._unsaid: list[Input] = []
        self._timer: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; answers the real address. Raises OSError."""
        settings = Settings(
            message_bytes_max=websocket_bytes_max, unread_bytes_max=unread_bytes_max
        )
        self._server = await transport.serve(
            self._handle, host, port, settings, http=_health
        )
        self._timer = asyncio.get_running_loop().create_task(self._tick())
        await self._judging.start()
        return self._server.address

    async def close(self) -> None:
        """Close all connections."""
        if self._timer is not None:
            self._timer.cancel()
        await self._relay.close()
        if self._server is not None:
            await self._server.close()
        await self._judging.close()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(heartbeat_interval_s)
            try:
                self._feed([Tick()])
            except Exception:  # a mistake of ours; without this no silence would be noticed again
                log.exception("unexpected error")
            if time.monotonic() - self._was_quiet > quiet_interval_s and not self._turns:
                self._was_quiet = time.monotonic()
                self._on_quiet()

    # ---- connections

    async def _handle(self, connection: Connection, path: str) -> None:
        self._last_connection += 1
        number = self._last_connection
        self._strangers[number] = connection
        if len(self._strangers) > strangers_max:
            self._turn_away(next(iter(self._strangers)))
        try:
            async with asyncio.timeout(handshake_timeout_s):
                data = await connection.recv()
        except (TimeoutError, ConnectionClosed):
            return
        finally:
            self._strangers.pop(number, None)
        try:
            knock = unpack_knock(data)
        except RemoteProtocolError as error:
            code = "version" if isinstance(error, VersionMismatch) else "malformed"
            refused = Refused.model_validate(
                {"software": VERSION, "code": code, "reason": str(error)}
            )
            connection.send_soon(pack_answer(refused))
            await connection.close(1002, str(error)[:100])
            return
        self._connections[number], self._roles[number] = connection, knock.role
        reason = "the connection was closed"
        try:
            self._feed([Opened(number, knock, connection.peer, secrets.token_hex(16))])
            if number not in self._connections:
                return
            if knock.role.endswith("bulk"):
                await self._relay.run(number)
            else:
                await self._converse(number, self._links[number], knock.role == "client")
        except ConnectionClosed as error:
            reason = error.reason or str(error)
        except RemoteProtocolError as error:
            reason = str(error)
            self._feed([Broken(number, reason)])
            await connection.close(1002, _short(reason))
        finally:
            self._forget(number)
            self._feed([Closed(number, reason)])

    async def _converse(self, number: int, link: ControlLink, is_client: bool) -> None:
        """Take in what is said on a control connection, until it ends."""
        turn = Turn()

        def take(messages: list[Any]) -> Awaitable[None] | None:
            turn.begin()
            self._feed([Received(number, messages)])
            full = is_client and self._is_full(self._core.session_of(number) or 0)
            if self._turns or full or turn.is_over:
                return self._others_first(number, is_client)
            return None

        await link.run(take)

    async def _others_first(self, number: int, is_client: bool) -> None:
        """Before more is taken in of what is said on a connection."""
        await asyncio.sleep(0)
        await self._turns_of(number)
        if is_client:
            await self._room(self._core.session_of(number) or 0)

    def _is_full(self, session: int) -> bool:
        """Whether one of its executors has much to read yet."""
        connections = map(self._connections.get, self._core.readers(session))
        return any(c is not None and c.unsent_bytes > unread_soon_bytes for c in connections)

    def _turn_away(self, number: int) -> None:
        """Of too many that haven't said Hello, the one that has had the most time for it."""
        connection = self._strangers.pop(number)
        self._close_soon(connection, "too many connections haven't said Hello")

    def _forget(self, number: int, reason: str = "") -> None:
        self._connections.pop(number, None)
        self._roles.pop(number, None)
        self._links.pop(number, None)
        self._relay.forget(number, reason=reason)

    # ---- the core

    def _feed(self, inputs: Sequence[Input]) -> None:
        now = time.monotonic()
        end = now + turn_lengths.turn_s_max
        while inputs:
            for effect in self._core.handle(inputs, now, lambda: time.monotonic() > end):
                self._carry_out(effect)
            # Only now, as what follows from it comes after the other effects.
            inputs, self._unsaid = self._unsaid, []

    async def _turns_of(self, number: int) -> None:
        """Wait until the session of a connection has dealt with what it was told."""
        turns = self._turns.get(self._core.session_of(number) or 0)
        if turns is not None:
            await asyncio.wait([turns])

    async def _room(self, session: int) -> None:
        """Wait until a session's executors have read most of what was said to them.

        The client isn't waited for: its program may block in printing for as long as it likes. Nor
        is an executor for ever, or it could hide that the client has left: past a time it is told
        more, up to what it may leave unread.
        """
        for number in self._core.readers(session):
            connection = self._connections.get(number)
            if connection is not None and connection.unsent_bytes > unread_soon_bytes:
                # That it is gone, its own reading loop is about to say.
                with suppress(ConnectionClosed, TimeoutError):
                    async with asyncio.timeout(heartbeat_timeout_s):
                        await connection.drained()

    async def _take_turns(self, session: int) -> None:
        """Let a session go on, in turns between which the others have theirs."""
        try:
            while session in self._unfinished:
                cause = self._unfinished.pop(session)
                await asyncio.sleep(0)
                await self._room(session)
                self._feed([Continue(session, cause=cause)])
        finally:
            del self._turns[session]

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            link = self._links.get(effect.connection)
            if link is not None:
                try:
                    link.send(effect.messages)
                except ConnectionClosed:
                    return  # its reading loop is about to say so
                except ValueError as error:
                    # What one peer made us say to another can't be said: it's the end of that
                    # connection, and of nothing else.
                    text = f"can't be sent: {error}"
                    self._unsaid.append(Broken(effect.connection, text, cause=effect.cause))
        elif isinstance(effect, Answer):
            connection = self._connections[effect.connection]
            connection.send_soon(pack_answer(effect.answer))
            if isinstance(effect.answer, Refused):
                log.warning("refused %s: %s", connection.peer, effect.answer.reason)
                self._close(effect.connection, effect.answer.code)
            else:  # before anything else is said to it, or read from it
                connection.unread_bytes_max = unread_trusted_bytes_max
                if effect.numbering is not None:
                    incoming = INCOMING[self._roles[effect.connection]]
                    link = ControlLink(connection, incoming, effect.numbering)
                    self._links[effect.connection] = link
        elif isinstance(effect, Bind):
            end = effect.session, effect.endpoint
            connection = self._connections[effect.connection]
            connected = connection.take_socket()
            if connected is None:  # who dials says nothing more until it's welcome
                log.warning("refused %s: more came with its Hello", connection.peer)
                self._close(effect.connection, "more came with its Hello")
            else:
                self._relay.bind(effect.connection, connected, end)
        elif isinstance(effect, Expect):
            self._relay.expect((effect.session, effect.endpoint))
        elif isinstance(effect, Forget):
            self._relay.forget_session(effect.session)
            self._judging.forget(effect.session)
        elif isinstance(effect, Judge | Analyse | Rewrite):
            self._judging.ask(effect)
        elif isinstance(effect, ReadAhead):
            self._judging.read_ahead(effect)
        elif isinstance(effect, Close):
            self._close(effect.connection, effect.reason)
        elif isinstance(effect, GoOn):
            self._unfinished[effect.session] = effect.cause
            if effect.session not in self._turns:
                turns = asyncio.get_running_loop().create_task(self._take_turns(effect.session))
                self._turns[effect.session] = turns
        elif isinstance(effect, Wake):
            loop = asyncio.get_running_loop()
            loop.call_later(effect.after_s, self._feed, [effect.due])
        else:
            assert isinstance(effect, Log)
            log.info("%s", effect.text)

    def _close(self, number: int, reason: str) -> None:
        connection = self._connections.get(number)
        self._forget(number, reason)
        if connection is not None:
            self._close_soon(connection, reason)

    def _close_soon(self, connection: Connection, reason: str) -> None:
        closing = asyncio.get_running_loop().create_task(connection.close(1000, _short(reason)))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _short(reason: str) -> str:
    """What fits into a closing frame (RFC 6455, 5.5)."""
    return reason.encode()[:120].decode(errors="ignore")


def _health(path: str) -> tuple[int, str, bytes] | None:
    return (200, "text/plain", b"ok\n") if path == "/healthz" else None
