"""The guard and the analysis at work beside the master: processes that read programs, in limits.

Owns: the reading processes (`master.access.reader`), whose turn it is, and the verdicts that were
reached before. Must not know: what a program means, or what a verdict is for.

Who waits for whom: each session has one program read at a time, the others of it wait in their
order, and sessions take turns. Past a limit the program runs whole, with the reason; the process
is ended, and the next program gets a new one. Of the sessions whose last program was past a limit
one is read at a time. So builders of slow programs keep one process at most, however many they
are, once each has shown it; the other is left for those whose programs are read quickly.

A program is read ahead while nobody waits for any other, and has no turn: who asks meanwhile is
read beside it, in a process more, or waits if it is for the very program. A process keeps what it
has parsed, so what is asked of a program goes to one that has it.

Long because turns, reading ahead and processes decide together who waits for whom.
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
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from master.access.encoded import decode
from master.access.guard import Verdict
from master.access.programs import Judgement, Variant, Word
from master.access.reader import LENGTH, MEMORY_STATUS
from master.effects import Analyse, Judge, ReadAhead, Rewrite
from master.inputs import Analysed, Judged, Rewritten
from vcl.local import process_environment
from vcl.wire.frame import pack_value, unpack_value
from vcl.wire.units import unit_bytes

log = logging.getLogger("vcl-master")

guard_time_s_max = 2.0
"""Processor time that reading one program may take."""

analysis_time_s_max = 0.5
"""Processor time that analysing one launch may take, and reading its program."""

guard_wait_s_max = 30.0
"""The same on the clock, for a process that doesn't get to run."""

guard_source_bytes_max = 2 * 2**20
"""Texts of one program: its sources and the files that travel with them."""

guard_memory_bytes_max = 2**30
"""Address space of a reading process."""

guard_processes_max = 2
"""Programs that are read at the same time, besides one that is read ahead."""

guard_waiting_max = 256
"""Programs of one session that wait to be read."""

ahead_waiting_max = 16
"""Programs of one session that wait to be read ahead; of more that isn't tried."""

parsed_max = 32
"""Programs that a process is taken to have parsed; it may have dropped some."""

guard_cached_max = 256
"""Verdicts that are kept for the next who builds the same."""


Asked = Judge | Analyse | Rewrite


class _PastLimit(Exception):
    """The reason why a program wasn't read to its end. passing: it says nothing of the program."""

    def __init__(self, reason: str, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


@dataclass(slots=True)
class _Reader:
    """A reading process. parsed: digests of the programs that it parsed, the last one last."""

    process: Process
    parsed: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    def note(self, program: bytes) -> None:
        """It has parsed that one."""
        self.parsed[program] = None
        self.parsed.move_to_end(program)
        if len(self.parsed) > parsed_max:
            self.parsed.popitem(last=False)


class Judging:
    """Answers each Judge with a Judged, each Analyse with an Analysed and each Rewrite with a
    Rewritten, through `answered` and never within `ask`."""

    def __init__(self, answered: Callable[[Judged | Analysed | Rewritten], None]) -> None:
        self._answered = answered
        self._waiting: dict[int, deque[tuple[Asked, bytes]]] = {}
        """By session, what it has had no turn for, as it travels."""
        self._turns: deque[int] = deque()
        """Sessions of which nothing is read, and something waits."""
        self._reading: dict[int, asyncio.Task[Any]] = {}
        self._slow: set[int] = set()
        """Sessions whose last program was past a limit."""
        self._idle: list[_Reader] = []
        self._starting: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[int]] = set()
        self._ahead: deque[ReadAhead] = deque()
        self._reading_ahead: asyncio.Task[None] | None = None
        self._read_now: bytes | None = None
        """Digest of the program that is read ahead."""
        self._ahead_for: int | None = None
        """The session that it is read ahead for, unless that is over."""
        self._cache: OrderedDict[bytes, Any] = OrderedDict()
        self._closed = False

    async def start(self) -> None:
        """Start a process ahead of need: the first build shall not wait for it."""
        try:
            await self._start_reader()
        except OSError as error:
            log.error("the guard's process didn't start: %s", error)

    def ask(self, asked: Asked) -> None:
        """Have a program judged, or a launch analysed."""
        size = sum(map(unit_bytes, asked.units))
        if size > guard_source_bytes_max:
            most = guard_source_bytes_max
            why = f"the program has {size} bytes, and the guard reads {most} at most"
            self._answer_soon(asked, _PastLimit(why))
            return
        data = pack_value(_request(asked))
        key = hashlib.sha256(data).digest()
        if key in self._cache:
            self._cache.move_to_end(key)
            self._answer_soon(asked, self._cache[key])
            return
        waiting = self._waiting.setdefault(asked.session, deque())
        if len(waiting) >= guard_waiting_max:
            why = f"{guard_waiting_max} programs of the session wait for the guard already"
            self._answer_soon(asked, _PastLimit(why, passing=True))
            return
        waiting.append((asked, data))
        if len(waiting) == 1 and asked.session not in self._reading:
            self._turns.append(asked.session)
            self._next()

    def read_ahead(self, ahead: ReadAhead) -> None:
        """Have a program parsed before a launch needs it, if there is time; nobody is told."""
        size = sum(map(unit_bytes, ahead.units))
        of_session = sum(a.session == ahead.session for a in self._ahead)
        if size <= guard_source_bytes_max and of_session < ahead_waiting_max:
            self._ahead.append(ahead)
            self._next_ahead()

    def _answer_soon(self, asked: Asked, value: Any) -> None:
        asyncio.get_running_loop().call_soon(self._answered, _answer(asked, value))

    def forget(self, session: int) -> None:
        """A session is over: nobody waits for its verdicts."""
        self._waiting.pop(session, None)
        self._ahead = deque(a for a in self._ahead if a.session != session)
        self._slow.discard(session)
        if self._ahead_for == session:
            self._ahead_for = None
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
        under_way: list[asyncio.Task[Any]] = [*self._reading.values(), *self._starting]
        if self._reading_ahead is not None:
            self._reading_ahead.cancel()
            under_way.append(self._reading_ahead)
        await asyncio.gather(*under_way, return_exceptions=True)
        for reader in self._idle:
            self._end(reader)
        await asyncio.gather(*self._ending)

    # ---- turns

    def _next(self) -> None:
        while len(self._reading) < guard_processes_max and not self._closed:
            held = self._slow if self._slow.intersection(self._reading) else ()
            session = next((s for s in self._turns if s not in held), None)
            if session is None:
                return
            self._turns.remove(session)
            asked, data = self._waiting[session].popleft()
            reading = asyncio.get_running_loop().create_task(self._read(asked, data))
            self._reading[session] = reading
            reading.add_done_callback(partial(self._read_done, asked))

    def _read_done(self, asked: Asked, reading: asyncio.Task[Any]) -> None:
        del self._reading[asked.session]
        if self._waiting.get(asked.session):
            self._turns.append(asked.session)
        else:
            self._waiting.pop(asked.session, None)
        self._next()
        self._next_ahead()
        if reading.cancelled():
            return
        if reading.exception() is not None:  # a mistake of ours, and the build waits
            log.error("session %d: unexpected error", asked.session, exc_info=reading.exception())
            value: Any = _PastLimit("the guard failed; vcl-master's log says how")
        else:
            value = reading.result()
        self._answered(_answer(asked, value))

    # ---- ahead

    def _next_ahead(self) -> None:
        # None is started for it: a launch does, if it is needed.
        if self._reading or self._turns or self._closed or not self._idle:
            return
        while self._ahead and self._reading_ahead is None:
            ahead = self._ahead.popleft()
            program = _program(ahead)
            known = any(program in reader.parsed for reader in self._idle)
            if not known and ahead.session not in self._slow:
                reading = asyncio.get_running_loop().create_task(self._read_ahead(ahead, program))
                self._reading_ahead, self._read_now = reading, program
                self._ahead_for = ahead.session
                reading.add_done_callback(self._ahead_done)

    async def _read_ahead(self, ahead: ReadAhead, program: bytes) -> None:
        reader = self._take(program)
        if reader is None:
            return  # somebody who waits was faster
        data = pack_value(["read ahead", ahead.units, ahead.device])
        try:
            await self._ask(reader, program, data, analysis_time_s_max)
        except _PastLimit as limit:  # which is no reason for anything: a launch finds its own
            log.info("session %d: a program isn't read ahead: %s", ahead.session, limit)
            if self._ahead_for is not None:
                self._slow.add(self._ahead_for)

    def _ahead_done(self, reading: asyncio.Task[None]) -> None:
        self._reading_ahead = self._read_now = None
        if not reading.cancelled() and reading.exception() is not None:  # a mistake of ours
            log.error("reading ahead: unexpected error", exc_info=reading.exception())
        self._next_ahead()

    # ---- processes

    async def _read(self, asked: Asked, data: bytes) -> Any:
        program = None if isinstance(asked, Judge) else _program(asked)
        try:
            reader = await self._reader_for(program)
        except OSError as error:
            return _PastLimit(f"the guard's process didn't start: {error}", passing=True)
        try:
            value = await self._ask(reader, program, data, _time_s_max(asked))
        except _PastLimit as limit:
            log.warning("session %d: a program isn't split: %s", asked.session, limit)
            self._slow.add(asked.session)
            return limit
        self._slow.discard(asked.session)
        self._cache[hashlib.sha256(data).digest()] = value
        if len(self._cache) > guard_cached_max:
            self._cache.popitem(last=False)
        return value

    async def _ask(
        self, reader: _Reader, program: bytes | None, data: bytes, time_s: float
    ) -> Any:
        """What a process answers, which is idle again then; raises _PastLimit, and it has ended.

        program: that it parses for it.
        """
        good = False
        try:
            value = await _exchange(reader.process, data, time_s)
            good = True
        finally:
            if good:
                self._idle.append(reader)
            else:
                self._end(reader)
        if program is not None:
            reader.note(program)
        return value

    async def _reader_for(self, program: bytes | None) -> _Reader:
        """A process for one who waits; raises OSError. program: None if none has to be parsed."""
        if program is not None and program == self._read_now:
            assert self._reading_ahead is not None
            await asyncio.wait([self._reading_ahead])
        while (reader := self._take(program)) is None:
            # Who asked for one that is being started may have gone.
            starting = next(iter(self._starting), None)
            if starting is None:
                starting = asyncio.get_running_loop().create_task(self._start_reader())
                self._starting.add(starting)
                starting.add_done_callback(self._started)
            ahead = [] if self._reading_ahead is None else [self._reading_ahead]
            # That what is read ahead may end sooner than a process starts.
            await asyncio.wait([starting, *ahead], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
        return reader

    def _started(self, starting: asyncio.Task[None]) -> None:
        self._starting.discard(starting)
        if not starting.cancelled() and starting.exception() is not None:
            log.error("the guard's process didn't start: %s", starting.exception())

    async def _start_reader(self) -> None:
        self._idle.append(_Reader(await _start_process()))

    def _take(self, program: bytes | None) -> _Reader | None:
        """An idle process, best one that has parsed the program, if there is one.

        Else one that has parsed many, as it has the parser; one that has few, if none is needed.
        """
        for reader in [r for r in self._idle if r.process.returncode is not None]:
            log.error("an idle process of the guard ended with %s", reader.process.returncode)
            self._idle.remove(reader)
        if not self._idle:
            return None
        if program is None:
            reader = min(self._idle, key=lambda r: len(r.parsed))
        else:
            reader = max(self._idle, key=lambda r: (program in r.parsed, len(r.parsed)))
        self._idle.remove(reader)
        return reader

    def _end(self, reader: _Reader) -> None:
        process = reader.process
        if process.returncode is None:
            process.kill()
        ending = asyncio.get_running_loop().create_task(process.wait())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def _program(asked: Analyse | Rewrite | ReadAhead) -> bytes:
    """A digest of what has to be parsed."""
    return hashlib.sha256(pack_value([asked.units, asked.device])).digest()


def _request(asked: Asked) -> list[Any]:
    """As `master.access.reader` has it."""
    if isinstance(asked, Judge):
        return ["judge", asked.units]
    if isinstance(asked, Rewrite):
        return ["rewrite", asked.units, asked.device]
    return [
        "analyse", asked.units, asked.device, asked.kernel, asked.arguments, asked.ndrange
    ]  # fmt: skip


def _time_s_max(asked: Asked) -> float:
    return guard_time_s_max if isinstance(asked, Judge) else analysis_time_s_max


def _answer(asked: Asked, value: Any) -> Judged | Analysed | Rewritten:
    """What the core is told. value: as it came from the process, or the limit that it was past."""
    if isinstance(asked, Judge):
        if isinstance(value, _PastLimit):
            judgement = Judgement(Verdict(False, str(value)), False)
        else:
            verdict, keeps_const, kernels = value
            judgement = Judgement(Verdict(*verdict), keeps_const, kernels)
        return Judged(asked.session, asked.request, judgement, cause=asked.cause)
    passing = isinstance(value, _PastLimit) and value.passing
    if isinstance(asked, Rewrite):
        return Rewritten(asked.session, asked.number, _variant(value), passing, cause=asked.cause)
    found = decode(value) if isinstance(value, bytes) else str(value)
    return Analysed(asked.session, asked.number, found, passing, cause=asked.cause)


def _variant(value: Any) -> Variant | str:
    if not isinstance(value, list):
        return str(value)
    source, options, hidden, *words = value
    said = [Word(Verdict(*verdict), kernels) for verdict, kernels in words]
    return Variant(source, options, hidden, *said)


async def _start_process() -> Process:
    # -P: what lies in the current folder must not stand in for our modules.
    arguments = ["-P", "-m", "master.access.reader", os.getpid(), guard_time_s_max,
                 analysis_time_s_max, guard_memory_bytes_max]  # fmt: skip
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *map(str, arguments),
        stdin=PIPE,
        stdout=PIPE,
        env=process_environment(),
        process_group=0,  # Ctrl-C in the terminal is for the master, which then ends this
    )


async def _exchange(process: Process, asked: bytes, time_s: float) -> Any:
    """What it answers; raises _PastLimit if the process doesn't answer."""
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(guard_wait_s_max):
            try:
                process.stdin.write(LENGTH.pack(len(asked)) + asked)
                await process.stdin.drain()
                (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                return unpack_value(await process.stdout.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError):
                status = await process.wait()
                # Who kills it is short of memory, or an operator.
                passing = status == -signal.SIGKILL
                raise _PastLimit(_why_ended(status, time_s), passing) from None
    except TimeoutError:
        why = f"reading the program took longer than {guard_wait_s_max:g} s"
        raise _PastLimit(why, passing=True) from None


def _why_ended(status: int, time_s: float) -> str:
    if status == -signal.SIGPROF:
        return f"reading the program took longer than {time_s:g} s"
    if status == MEMORY_STATUS:
        return f"reading the program took more than {guard_memory_bytes_max} bytes of memory"
    return f"the process that read the program ended with status {status}"
