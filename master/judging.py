"""The guard at work beside the master: processes that read programs, in time and size limits.

Owns: the reading processes (`master.access.reader`), whose turn it is, and the verdicts that were
reached before. Must not know: what a program means, or what a verdict is for.

Who waits for whom: each session has one program read at a time, the others of it wait in their
order, and sessions take turns. Past a limit the program runs whole, with the reason; the process
is ended, and the next program gets a new one. Of the sessions whose last program was past a limit
one is read at a time. So builders of slow programs keep one process at most, however many they
are, once each has shown it; the other is left for those whose programs are read quickly.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial

from master.access.guard import Verdict
from master.access.programs import Judgement
from master.access.reader import LENGTH, MEMORY_STATUS
from master.effects import Judge
from master.inputs import Judged
from vcl.local import process_environment
from vcl.wire.frame import pack_value, unpack_value
from vcl.wire.units import unit_bytes

log = logging.getLogger("vcl-master")

guard_time_s_max = 2.0
"""Processor time that reading one program may take."""

guard_wait_s_max = 30.0
"""The same on the clock, for a process that doesn't get to run."""

guard_source_bytes_max = 2 * 2**20
"""Texts of one program: its sources and the files that travel with them."""

guard_memory_bytes_max = 2**30
"""Address space of a reading process."""

guard_processes_max = 2
"""Programs that are read at the same time."""

guard_waiting_max = 256
"""Programs of one session that wait to be read."""

guard_cached_max = 256
"""Verdicts that are kept for the next who builds the same."""


class _PastLimit(Exception):
    """The reason why a program wasn't read to its end."""


class Judging:
    """Answers each Judge with a Judged, through `judged` and never within `ask`."""

    def __init__(self, judged: Callable[[Judged], None]) -> None:
        self._judged = judged
        self._waiting: dict[int, deque[tuple[Judge, bytes]]] = {}
        """By session, what it has had no turn for, with its key in the cache."""
        self._turns: deque[int] = deque()
        """Sessions of which nothing is read, and something waits."""
        self._reading: dict[int, asyncio.Task[Judgement]] = {}
        self._slow: set[int] = set()
        """Sessions whose last program was past a limit."""
        self._idle: list[Process] = []
        self._ending: set[asyncio.Task[int]] = set()
        self._cache: OrderedDict[bytes, Judgement] = OrderedDict()
        self._closed = False

    async def start(self) -> None:
        """Start a process ahead of need: the first build shall not wait for it."""
        try:
            self._idle.append(await _start_process())
        except OSError as error:
            log.error("the guard's process didn't start: %s", error)

    def ask(self, judge: Judge) -> None:
        """Have a program judged."""
        size = sum(map(unit_bytes, judge.units))
        if size > guard_source_bytes_max:
            self._answer_soon(judge, _whole(f"the program has {size} bytes, and the guard reads "
                                            f"{guard_source_bytes_max} at most"))  # fmt: skip
            return
        key = hashlib.sha256(pack_value(judge.units)).digest()
        if key in self._cache:
            self._cache.move_to_end(key)
            self._answer_soon(judge, self._cache[key])
            return
        waiting = self._waiting.setdefault(judge.session, deque())
        if len(waiting) >= guard_waiting_max:
            why = f"{guard_waiting_max} programs of the session wait for the guard already"
            self._answer_soon(judge, _whole(why))
            return
        waiting.append((judge, key))
        if len(waiting) == 1 and judge.session not in self._reading:
            self._turns.append(judge.session)
            self._next()

    def _answer_soon(self, judge: Judge, judgement: Judgement) -> None:
        answer = Judged(judge.session, judge.request, judgement, cause=judge.cause)
        asyncio.get_running_loop().call_soon(self._judged, answer)

    def forget(self, session: int) -> None:
        """A session is over: nobody waits for its verdicts."""
        self._waiting.pop(session, None)
        self._slow.discard(session)
        if session in self._turns:
            self._turns.remove(session)
        if session in self._reading:
            self._reading[session].cancel()

    async def close(self) -> None:
        """End all processes, and wait until they are gone."""
        self._closed = True
        self._turns.clear()
        for reading in self._reading.values():
            reading.cancel()
        await asyncio.gather(*self._reading.values(), return_exceptions=True)
        for process in self._idle:
            self._end(process)
        await asyncio.gather(*self._ending)

    # ---- turns

    def _next(self) -> None:
        while len(self._reading) < guard_processes_max and not self._closed:
            held = self._slow if self._slow.intersection(self._reading) else ()
            session = next((s for s in self._turns if s not in held), None)
            if session is None:
                return
            self._turns.remove(session)
            judge, key = self._waiting[session].popleft()
            reading = asyncio.get_running_loop().create_task(self._read(judge, key))
            self._reading[session] = reading
            reading.add_done_callback(partial(self._read_done, judge))

    def _read_done(self, judge: Judge, reading: asyncio.Task[Judgement]) -> None:
        del self._reading[judge.session]
        if self._waiting.get(judge.session):
            self._turns.append(judge.session)
        else:
            self._waiting.pop(judge.session, None)
        self._next()
        if reading.cancelled():
            return
        if reading.exception() is not None:  # a mistake of ours, and the build waits
            log.error("session %d: unexpected error", judge.session, exc_info=reading.exception())
            judgement = _whole("the guard failed; vcl-master's log says how")
        else:
            judgement = reading.result()
        self._judged(Judged(judge.session, judge.request, judgement, cause=judge.cause))

    # ---- processes

    async def _read(self, judge: Judge, key: bytes) -> Judgement:
        while self._idle and self._idle[-1].returncode is not None:
            log.error("an idle process of the guard ended with %s", self._idle.pop().returncode)
        try:
            process = self._idle.pop() if self._idle else await _start_process()
        except OSError as error:
            return _whole(f"the guard's process didn't start: {error}")
        good = False
        try:
            judgement = await _exchange(process, pack_value(judge.units))
            good = True
        except _PastLimit as limit:
            log.warning("session %d: a program runs whole: %s", judge.session, limit)
            self._slow.add(judge.session)
            return _whole(str(limit))
        finally:
            if good:
                self._idle.append(process)
            else:
                self._end(process)
        self._slow.discard(judge.session)
        self._cache[key] = judgement
        if len(self._cache) > guard_cached_max:
            self._cache.popitem(last=False)
        return judgement

    def _end(self, process: Process) -> None:
        if process.returncode is None:
            process.kill()
        ending = asyncio.get_running_loop().create_task(process.wait())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def _whole(reason: str) -> Judgement:
    return Judgement(Verdict(False, reason), False)


async def _start_process() -> Process:
    # -P: what lies in the current folder must not stand in for our modules.
    arguments = ["-P", "-m", "master.access.reader", os.getpid(), guard_time_s_max,
                 guard_memory_bytes_max]  # fmt: skip
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, arguments),
        stdin=PIPE,
        stdout=PIPE,
        env=process_environment(),
        process_group=0,  # Ctrl-C in the terminal is for the master, which then ends this
    )


async def _exchange(process: Process, asked: bytes) -> Judgement:
    """One program; raises _PastLimit if the process doesn't answer."""
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(guard_wait_s_max):
            try:
                process.stdin.write(LENGTH.pack(len(asked)) + asked)
                await process.stdin.drain()
                (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                answer = unpack_value(await process.stdout.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                raise _PastLimit(_why_ended(await process.wait())) from None
    except TimeoutError:
        raise _PastLimit(f"reading the program took longer than {guard_wait_s_max:g} s") from None
    may_split, reason, *rest = answer
    return Judgement(Verdict(may_split, reason), *rest)


def _why_ended(status: int) -> str:
    if status == -signal.SIGPROF:
        return f"reading the program took longer than {guard_time_s_max:g} s"
    if status == MEMORY_STATUS:
        return f"reading the program took more than {guard_memory_bytes_max} bytes of memory"
    return f"the process that read the program ended with status {status}"
