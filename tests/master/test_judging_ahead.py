"""Programs that are read ahead: when, in which process, and that nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from master import judging as subject
from master.access.analyser import analysis
from master.access.analyser.analysis import Analyser
from master.effects import Analyse, Judge, ReadAhead, Rewrite
from tests.master.test_judging import COPY, TIMEOUT_S, Rig, settle, units
from vcl.wire.frame import unpack_value

DEVICE = {"ADDRESS_BITS": "64", "ENDIAN_LITTLE": "1", "EXTENSIONS": "",
          "OPENCL_C_VERSION": "OpenCL C 1.2 PoCL", "VERSION": "OpenCL 3.0 PoCL"}  # fmt: skip
NDRANGE = [[0], [64], [16]]


class Process:
    """Answers when told to."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.returncode: int | None = None

    def kill(self) -> None:
        self.returncode = -9

    async def wait(self) -> int:
        return -9


class Processes:
    """All of a Judging, which `start` answers in their order."""

    def __init__(self) -> None:
        self.started = 0
        self.starts = asyncio.Event()
        """Whether processes start at once."""
        self.starts.set()
        self.read: dict[str, tuple[int, asyncio.Future[Any]]] = {}
        """What is read, as kind and source, and by which process."""

    async def start(self) -> Process:
        self.started += 1
        number = self.started
        await self.starts.wait()
        return Process(number)

    async def exchange(self, process: Process, data: bytes, time_s: float) -> Any:
        kind, ((source, *_),), *_ = unpack_value(data)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.read[f"{kind} {source}"] = process.number, future
        try:
            return await future
        finally:
            del self.read[f"{kind} {source}"]

    def reading(self) -> dict[str, int]:
        return {what: number for what, (number, _) in self.read.items()}

    async def answer(self, what: str, value: Any = None) -> None:
        self.read[what][1].set_result(value)
        await settle()

    async def fail(self, what: str, why: str) -> None:
        self.read[what][1].set_exception(subject._PastLimit(why))
        await settle()


class Ahead(Rig):
    """One process is there; `ask_for` asks by kind, of session 1."""

    def __init__(self, processes: Processes) -> None:
        super().__init__()
        self.processes = processes

    async def ask_for(self, what: str, session: int = 1) -> None:
        kind, _, source = what.rpartition(" ")
        of = units(source)
        if kind == "read ahead":
            self.judging.read_ahead(ReadAhead(session, of, DEVICE))
        elif kind == "judge":
            self.judging.ask(Judge(session, 1, of))
        elif kind == "rewrite":
            self.judging.ask(Rewrite(session, 1, of, DEVICE))
        else:
            self.judging.ask(Analyse(session, 1, of, DEVICE, f"k{session}", [], NDRANGE))
        await settle()


JUDGED = [[True, ""], True, {}]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    made = Processes()
    monkeypatch.setattr(subject, "_start_process", made.start)
    monkeypatch.setattr(subject, "_exchange", made.exchange)
    yield made


@pytest.fixture
async def rig(processes: Processes) -> AsyncIterator[Ahead]:
    made = Ahead(processes)
    async with asyncio.timeout(TIMEOUT_S):
        await made.judging.start()
        yield made
        await made.judging.close()


async def test_what_was_read_ahead_is_asked_of_its_process(rig: Ahead) -> None:
    p = rig.processes
    await rig.ask_for("read ahead a")
    await rig.ask_for("judge b")
    assert p.reading() == {"read ahead a": 1, "judge b": 2}, "nobody waits for it"
    await p.answer("judge b", JUDGED)
    await p.answer("read ahead a")
    assert len(rig.answers) == 1, "it isn't answered"
    await rig.ask_for("judge c")
    assert p.reading() == {"judge c": 2}, "which has parsed nothing"
    await rig.ask_for("rewrite a", session=2)
    assert p.reading() == {"judge c": 2, "rewrite a": 1}
    await p.answer("rewrite a", "no")
    await p.answer("judge c", JUDGED)
    await rig.ask_for("analyse a")
    assert p.reading() == {"analyse a": 1}
    await rig.ask_for("analyse a", session=3)
    assert p.reading() == {"analyse a": 2}, "any other, if it is busy"


async def test_a_launch_waits_for_its_own_program_only(rig: Ahead) -> None:
    p = rig.processes
    await rig.ask_for("read ahead a")
    await rig.ask_for("analyse a")
    await rig.ask_for("analyse b", session=2)
    assert p.reading() == {"read ahead a": 1, "analyse b": 2}
    await p.fail("read ahead a", "slow")
    assert p.reading() == {"analyse b": 2, "analyse a": 3}, "it finds out by itself"


async def test_what_is_read_ahead_may_end_before_a_process_starts(rig: Ahead) -> None:
    p = rig.processes
    p.starts.clear()
    await rig.ask_for("read ahead a")
    await rig.ask_for("judge b")
    assert p.started == 2 and p.reading() == {"read ahead a": 1}
    await p.answer("read ahead a")
    assert p.reading() == {"judge b": 1}
    p.starts.set()
    await settle()
    await rig.ask_for("judge c", session=2)
    assert p.reading() == {"judge b": 1, "judge c": 2} and p.started == 2


async def test_others_come_first(rig: Ahead) -> None:
    p = rig.processes
    await rig.ask_for("judge a")
    await rig.ask_for("read ahead b")
    await rig.ask_for("judge c")
    assert p.reading() == {"judge a": 1}
    await p.answer("judge a", JUDGED)
    assert p.reading() == {"judge c": 1}
    await p.answer("judge c", JUDGED)
    assert p.reading() == {"read ahead b": 1}


async def test_what_is_parsed_is_not_read_ahead(rig: Ahead) -> None:
    p = rig.processes
    await rig.ask_for("analyse a")
    await p.answer("analyse a", "no")
    await rig.ask_for("read ahead a")
    assert not p.reading()


async def test_of_a_session_few_wait_and_none_of_a_slow_or_ended_one(
    rig: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "ahead_waiting_max", 2)
    p = rig.processes
    await rig.ask_for("judge x", session=9)
    for source in "abc":
        await rig.ask_for(f"read ahead {source}")
    await rig.ask_for("read ahead d", session=2)
    await rig.ask_for("read ahead e", session=3)
    rig.judging.forget(2)
    await p.answer("judge x", JUDGED)
    assert p.reading() == {"read ahead a": 1}
    await p.fail("read ahead a", "slow")
    assert not p.reading(), "the process has ended, and none is started for it"
    await rig.ask_for("judge y", session=9)
    await p.answer("judge y", JUDGED)
    assert p.reading() == {"read ahead e": 2}, "b is of a slow session, c was one too many"


async def test_it_is_over_while_a_program_is_read_ahead(rig: Ahead) -> None:
    await rig.ask_for("read ahead a")
    rig.judging.forget(1)
    await rig.judging.close()
    assert not rig.processes.reading() and not rig.judging._idle


async def test_a_session_that_is_over_is_not_kept_among_the_slow(rig: Ahead) -> None:
    await rig.ask_for("read ahead a")
    rig.judging.forget(1)
    await rig.processes.fail("read ahead a", "slow")
    assert not rig.judging._slow


async def test_sessions_that_ask_and_leave_start_one_process(rig: Ahead) -> None:
    """While the only one that is there is busy, and others start slowly."""
    p = rig.processes
    await rig.ask_for("judge x", session=99)
    p.starts.clear()
    for session in range(30):
        await rig.ask_for("judge y", session=session)
        rig.judging.forget(session)
        await settle()
    p.starts.set()
    await settle()
    assert p.started == 2 and len(rig.judging._idle) == 1
    await p.answer("judge x", JUDGED)
    await rig.ask_for("judge z")
    assert p.started == 2 and list(p.reading()) == ["judge z"]


async def test_a_real_process_reads_ahead() -> None:
    rig = Rig()
    async with asyncio.timeout(TIMEOUT_S):
        await rig.judging.start()
        for source in (COPY % "b[i] = a[i];", COPY % "nosuch();"):
            rig.judging.read_ahead(ReadAhead(1, units(source), DEVICE))
            while rig.judging._reading_ahead is not None:
                await asyncio.wait([rig.judging._reading_ahead])
        (reader,) = rig.judging._idle
        assert len(reader.parsed) == 2
        assert not isinstance(await rig.analyse(COPY % "b[i] = a[i];"), str)
        await rig.judging.close()


def test_of_few_kernels_all_are_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "kernels_ahead_max", 2)
    two = "kernel void a(global int *x) { x[0]++; } kernel void b() { b(); }"
    for source, read in ((two, {"a"}), (two + "kernel void c() {}", set[str]())):
        made = Analyser()
        made.read_ahead(units(source), DEVICE)
        parsed = made.parsed(units(source), DEVICE)
        assert not isinstance(parsed, str) and set(parsed._programs) == read
        assert len(made._parsed) == 1
    assert subject.parsed_max == analysis.parsed_max
