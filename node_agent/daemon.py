"""The agent: tells the master what this host has, and keeps executors for its sessions.

Owns: the connection to the master and its renewal, the inventory, and what becomes of a session's
executor. Must not know: what sessions do, or how processes are kept (`processes`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import random
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from node_agent import processes
from node_agent.assignment import NO_DATA_LISTEN, TELL_DEVICES, Assignment
from node_agent.environment import ExecutorUser, child_environment
from node_agent.host import host_id, load
from node_agent.processes import EndedUnready, Executors
from node_agent.redial import delay_s
from vcl.direct import certificate
from vcl.errors import (
    ConnectionProblem,
    HandshakeRefused,
    NotReached,
    RemoteProtocolError,
)
from vcl.links import ControlLink, dial
from vcl.numbering import Numbering
from vcl.release import VERSION
from vcl.text import how_to_install, plain
from vcl.tokens import AGENTS, find_token, may_be_own
from vcl.transport import ConnectionClosed, is_encrypted
from vcl.wire.limits import close_timeout_s, executors_max, heartbeat_interval_s
from vcl.wire.messages import node
from vcl.wire.messages.handshake import DeviceDescription, Hello

log = logging.getLogger("vcl-agent")

inventory_timeout_s = 60.0
"""Time for the enumeration of all devices; some drivers compile something at the first one."""


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What the command line said. token: None for the one that `find_token` finds. cores: processor
    numbers, empty for all. passed: environment variables for executors besides the usual. user:
    whom they run as, None for the agent's own. data_listen, shared_memory: as of Assignment. once:
    don't wait for a master that isn't there when the agent starts."""

    url: str
    token: str | None
    name: str
    substring: str | None
    cores: tuple[int, ...]
    passed: tuple[str, ...] = ()
    user: ExecutorUser | None = None
    data_listen: str | None = None
    shared_memory: bool = True
    once: bool = False


class Agent:
    """One incarnation of the agent, which comes back to its master whenever it loses it."""

    def __init__(self, options: AgentOptions) -> None:
        self._options = options
        self._environment = child_environment(options.cores, options.passed, options.user)
        self._executors = Executors(self._environment, options.user)
        self._hello: Hello
        self._link: ControlLink
        self._background: set[asyncio.Task[Any]] = set()
        self._preparing: asyncio.Task[Any] | None = None
        self._looking: asyncio.Task[list[DeviceDescription]] | None = None
        self._closing = asyncio.Event()
        self.device_count = 0
        """Devices that are offered, once connected."""

    @property
    def url(self) -> str:
        """Of its master."""
        return self._options.url

    def look(self) -> asyncio.Task[list[DeviceDescription]]:
        """Enumerate devices, which is begun once."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._inventory())
        return self._looking

    def told(self, url: str, token: str | None) -> None:
        """Which master is meant, where the options said nothing of it."""
        self._options = replace(self._options, url=url, token=token)

    async def connect(self) -> None:
        """Enumerate devices and register, once the master is there. Raises ConnectionProblem."""
        # What is wrong with it is told at once.
        if not self._token() and not may_be_own(self._options.url):
            raise ConnectionProblem(
                f"no token for the vcl-master at {self._options.url}: set VCL_AGENT_TOKEN to what "
                "is in its state directory's agent-token, or name a file with it by --token-file"
            )
        devices = await self.look()
        self.device_count = len(devices)
        self._hello = Hello(
            software=VERSION,
            role="agent",
            token=self._token(),
            name=self._options.name,
            host=host_id(),
            incarnation=secrets.token_hex(8),
            devices=devices,
        )
        try:
            await self._register()
        except NotReached as error:
            if self._options.once:
                raise
            log.warning("%s; waiting for it", error)
            await self._redial()
            log.info("registered at %s", self._options.url)
        try:
            await self._executors.prepare()
        except OSError as error:
            raise _no_process(error, self._options.user) from None

    def _token(self) -> str:
        """The token for a dial that follows at once; "" without one. Raises ConnectionProblem.

        Whoever listens at the master's address may have changed since the last dial.
        """
        return find_token(self._options.url, AGENTS, self._options.token)

    async def _register(self) -> None:
        connection, _ = await dial(self._options.url, self._hello)
        # Anew each time: to the master, an agent that dials anew is another node.
        self._link = ControlLink(connection, node.TO_AGENT, Numbering(trusted=True))

    async def _inventory(self) -> list[DeviceDescription]:
        """What the first executor finds: a broken driver may crash at the mere enumeration."""
        substring, user = self._options.substring, self._options.user
        asked = [TELL_DEVICES] if not substring else [TELL_DEVICES, substring]
        try:
            output = await self._executors.ask(inventory_timeout_s, *asked)
        except TimeoutError:
            raise ConnectionProblem(
                f"the OpenCL drivers didn't enumerate their devices within "
                f"{inventory_timeout_s:g} s"
            ) from None
        except EndedUnready as ended:
            raise ConnectionProblem(
                f"the enumeration of OpenCL devices ended with status {ended.status}: "
                f"is a driver broken? Try `python -m node_agent.inventory`{_whose(user)}"
            ) from None
        except OSError as error:
            raise _no_process(error, user) from None
        found = json.loads(output)
        if not found["devices"]:
            if found["others"]:
                raise ConnectionProblem(
                    f"no OpenCL device on this host has {self._options.substring!r} in its name; "
                    f"there are: {', '.join(map(plain, found['others']))}"
                )
            reasons = "; ".join(e["message"] for e in found["errors"]) or "no device matched"
            raise ConnectionProblem(
                f"no OpenCL device on this host ({reasons}){_whose(user)}. Install a driver, for "
                f"example PoCL for the processor: {how_to_install('pocl-binary-distribution')}; "
                "`vcl doctor` looks closer"
            )
        return [
            DeviceDescription(
                platform=d["platform"], info=d["info"], image_formats=d["image_formats"]
            )
            for d in found["devices"]
        ]

    async def keep_serving(self) -> None:
        """Serve until cancelled, and come back to a master that was lost.

        Raises HandshakeRefused when the master that is there doesn't want this agent any more, and
        RemoteProtocolError.
        """
        while True:
            reason = await self.serve()
            log.warning("lost the master at %s (%s); dialling again", self._options.url, reason)
            # The master counts them as gone, and may number new sessions like the old ones.
            self._executors.stop_all()
            await self._redial()
            log.info("registered at %s again", self._options.url)

    async def _redial(self) -> None:
        """Register again, with the inventory as it was, however long that takes."""
        name_refused = False
        complaint = ""
        for attempt in itertools.count():
            await asyncio.sleep(delay_s(attempt, random.random()))
            try:
                token = self._token()
            except ConnectionProblem as error:
                if str(error) != complaint:
                    complaint = str(error)
                    log.warning("%s; trying on", error)
                continue
            if not token:
                log.debug("attempt %d: this user's own master doesn't listen there", attempt + 1)
                continue
            self._hello = self._hello.model_copy(update={"token": token})
            try:
                await self._register()
            except HandshakeRefused as error:
                if error.code not in ("name", "full"):
                    raise
                # Others took the name, or the last place, meanwhile, and may leave it again.
                if not name_refused:
                    log.warning("%s; trying on", error)
                name_refused = True
            except ConnectionProblem as error:
                log.debug("attempt %d: %s", attempt + 1, error)
            else:
                return

    async def serve(self) -> str:
        """Serve until the master is gone; answers why. Raises RemoteProtocolError."""
        heartbeat = self._spawn(self._heartbeat())
        try:
            while True:
                for message in await self._link.receive():
                    if isinstance(message, node.StartExecutor):
                        await self._start_executor(message)
                    else:
                        self._executors.stop(message.session)
        except ConnectionClosed as error:
            return error.reason or "the connection to the master was lost"
        finally:
            heartbeat.cancel()

    async def _start_executor(self, message: node.StartExecutor) -> None:
        if len(self._executors) >= executors_max:
            why = f"this node serves {executors_max} sessions already"
            self._send(node.ExecutorEnded(message.session, message.start, why, refused=True))
            return
        assignment = Assignment(
            self._options.url,
            message.session,
            message.node,
            message.ticket,
            message.devices,
            self._options.substring,
            self._options.data_listen,
            self._options.shared_memory,
        )
        try:
            process = await self._executors.start(assignment)
        except OSError as error:
            why = str(_no_process(error, self._options.user))
            log.warning("session %d: %s", message.session, why)
            self._send(node.ExecutorEnded(message.session, message.start, why))
            return
        self._spawn(self._watch(message.session, message.start, process))
        if self._preparing is None or self._preparing.done():
            self._preparing = self._spawn(self._prepare())

    async def _prepare(self) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(processes.spare_delay_s):
                    await self._closing.wait()
                    return
            await self._executors.prepare()
        except OSError as error:
            # The next start tries again, and can tell the session.
            log.warning("%s", _no_process(error, self._options.user))

    async def _watch(
        self, session: int, start: int, process: asyncio.subprocess.Process
    ) -> None:
        if not await self._executors.dials(session, process):
            why = f"it didn't connect to the master within {processes.executor_dial_timeout_s:g} s"
            log.warning("the executor of session %d: %s", session, why)
            self._send(node.ExecutorEnded(session, start, why))
        status = await process.wait()
        if self._executors.ended(session, process):
            if status:  # else the master has closed its connections, and is about to say why
                log.warning("the executor of session %d: %s", session, _how(status))
            self._send(node.ExecutorEnded(session, start, _how(status)))

    async def _heartbeat(self) -> None:
        while True:
            self._send(node.Heartbeat(len(self._executors), *load()))
            await asyncio.sleep(heartbeat_interval_s)

    def _send(self, message: Any) -> None:
        try:
            self._link.send([message])
        except ConnectionClosed:
            return  # `serve` is about to end with the reason

    def _spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        spawned = asyncio.get_running_loop().create_task(coroutine)
        self._background.add(spawned)
        spawned.add_done_callback(self._background.discard)
        return spawned

    async def close(self) -> None:
        """End the executors and the connection."""
        self._closing.set()
        # So that no process is forgotten.
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._preparing is not None:
            await asyncio.wait([self._preparing])
        await self._executors.close()
        if hasattr(self, "_link"):
            async with asyncio.timeout(2 * close_timeout_s):
                await self._link.connection.close(1001, "the agent was stopped")


def _no_process(error: OSError, user: ExecutorUser | None) -> ConnectionProblem:
    whose = _whose(user) if isinstance(error, PermissionError) else ""
    return ConnectionProblem(f"can't start a process: {error}{whose}")


def _whose(user: ExecutorUser | None) -> str:
    """What may be the cause where executors have a user of their own, and the ways out."""
    if user is None:
        return ""
    # The interpreter of a virtual environment is a link, often into the home of who made it.
    needed = dict.fromkeys((os.path.realpath(sys.executable), sys.base_prefix, sys.prefix))
    return (
        f" (as user {user.name!r}, who must be allowed to read {', '.join(needed)} and this vcl, "
        "and to open the devices: run vcl-agent as a user that isn't root, or name another with "
        "--executor-user; `--executor-user root` runs kernels as root)"
    )


def _how(status: int) -> str:
    """How a process ended, for the user."""
    if status >= 0:
        return f"its process ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"its process was ended by {name}, as when a kernel or the driver crashes"


async def run_agent(
    options: AgentOptions,
    stop: asyncio.Event,
    ready: Callable[[Agent], None],
    told: Callable[[], Awaitable[tuple[str, str | None]]] | None = None,
) -> int:
    """Connect and serve until `stop` is set or the master wants no more; answers the exit status.

    ready: called with the Agent once it is registered. told: says which master, with the token,
    where the options don't, while devices are enumerated; raises ConnectionProblem.
    """
    agent = Agent(options)

    async def serve() -> None:
        if told is not None:
            agent.look()
            agent.told(*await told())
        encrypts = is_encrypted(agent.url) and options.data_listen != NO_DATA_LISTEN
        if encrypts and not certificate.AVAILABLE:
            log.warning("no direct links from other hosts: %s", certificate.WHY_NOT)
        await agent.connect()
        ready(agent)
        await agent.keep_serving()

    try:
        serving = asyncio.get_running_loop().create_task(serve())
        stopping = asyncio.get_running_loop().create_task(stop.wait())
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if serving.done():
            serving.result()  # raises what it ended with
        serving.cancel()
        await asyncio.wait([serving])
        return 0
    except (ConnectionProblem, RemoteProtocolError) as error:
        print(f"vcl-agent: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        await agent.close()
