"""The executor processes of a host, some of which are kept ready.

Owns: their start, the assignment of one to a session, and their end. Must not know: the master, or
what an executor does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections import deque

from node_agent.assignment import Assignment
from node_agent.environment import ExecutorUser

log = logging.getLogger("vcl-agent")

executors_ready_count = 1
"""Executor processes that wait for a session, so that none waits for Python to start."""

spare_delay_s = 3.0
"""After an executor was given away: the next one is started when its session has had the processor
for its first build."""

executor_dial_timeout_s = 20.0
"""Time from the assignment of an executor to its connections. Less than `executor_start_timeout_s`,
after which the master gives up: the agent is the one that can say why."""


answer_bytes_max = 2**26
"""The longest answer of a process that is asked something as it starts."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class EndedUnready(Exception):
    """A process ended before it was ready. status: its exit status, negative for a signal."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Executors:
    """The executor processes of this host."""

    def __init__(self, environment: dict[str, str], user: ExecutorUser | None = None) -> None:
        self._environment = environment
        self._identity = user.arguments() if user is not None else {}
        self._ready: deque[asyncio.subprocess.Process] = deque()
        self._serving: dict[int, asyncio.subprocess.Process] = {}
        self._stopped: set[asyncio.subprocess.Process] = set()
        self._streams: dict[asyncio.subprocess.Process, Streams] = {}

    def __len__(self) -> int:
        """Sessions served."""
        return len(self._serving)

    async def prepare(self) -> None:
        """Start processes until enough are ready. Raises OSError."""
        while len(self._ready) < executors_ready_count:
            self._ready.append(await self._started())

    async def ask(self, timeout_s: float, *arguments: str) -> bytes:
        """Start a process with these arguments, which answers in a line and is ready then.

        Raises OSError if it can't be started, TimeoutError, EndedUnready.
        """
        process = await self._started(*arguments)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._streams[process][0].readline()
                if not answer:
                    raise EndedUnready(await process.wait())
        except BaseException:
            if process.returncode is None:
                process.kill()
            self._streams.pop(process)[1].close()
            self._stopped.add(process)
            raise
        self._ready.append(process)
        return answer

    async def _started(self, *arguments: str) -> asyncio.subprocess.Process:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    "-m",
                    "node_agent.executor",
                    str(os.getpid()),
                    *arguments,
                    stdin=theirs.fileno(),
                    env=self._environment,
                    **self._identity,
                )
        except (OSError, RuntimeError) as error:
            # RuntimeError: no thread to watch it. It then ends by itself, without its peer.
            ours.close()
            raise error if isinstance(error, OSError) else OSError(str(error)) from error
        self._streams[process] = await asyncio.open_connection(sock=ours, limit=answer_bytes_max)
        return process

    async def start(self, assignment: Assignment) -> asyncio.subprocess.Process:
        """Give a ready process to a session, in place of one that it has. Raises OSError if none
        can be started."""
        self.stop(assignment.session)
        while self._ready and self._ready[0].returncode is not None:
            process = self._ready.popleft()
            self._streams.pop(process)[1].close()
            log.error("a ready executor ended with %s", process.returncode)
        await self.prepare()
        process = self._ready.popleft()
        self._serving[assignment.session] = process
        # If it has died just now, whoever watches it tells.
        with contextlib.suppress(ConnectionError):
            writer = self._streams[process][1]
            writer.write(assignment.to_line())
            await writer.drain()
        return process

    async def dials(self, session: int, process: asyncio.subprocess.Process) -> bool:
        """Wait until a process has connected, or ended, or was stopped; False if it took too long.

        Then it is stopped, whatever it is stuck in.
        """
        try:
            async with asyncio.timeout(executor_dial_timeout_s):
                with contextlib.suppress(ConnectionError):
                    await self._streams[process][0].read(1)
            return True
        except TimeoutError:
            if self._serving.get(session) is not process:
                return True
            self.stop(session)
            return False

    def stop(self, session: int) -> None:
        """End a session's process at once: nothing in it is worth saving."""
        process = self._serving.pop(session, None)
        if process is not None and process.returncode is None:
            self._stopped.add(process)
            process.kill()

    def stop_all(self) -> None:
        """End the processes of all sessions; those that are ready stay."""
        for session in list(self._serving):
            self.stop(session)

    def ended(self, session: int, process: asyncio.subprocess.Process) -> bool:
        """A process ended; true if its session hadn't been stopped."""
        self._stopped.discard(process)
        self._streams.pop(process)[1].close()
        if self._serving.get(session) is not process:
            return False
        del self._serving[session]
        return True

    async def close(self) -> None:
        """End all processes and wait until they are gone."""
        processes = [*self._ready, *self._serving.values(), *self._stopped]
        for process in processes:
            if process.returncode is None:
                process.kill()
        for process in processes:
            await process.wait()
        for _, writer in self._streams.values():
            writer.close()
