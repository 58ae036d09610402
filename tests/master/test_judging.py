"""The guard's processes: limits on real ones, turns and the cache on ones made by hand."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from master import judging as subject
from master.access.extents import extents
from master.access.guard import Verdict
from master.access.programs import Judgement
from master.effects import Analyse, Judge
from master.inputs import Analysed, Judged, Rewritten
from master.judging import Judging
from tests.master.rigs import ADD
from vcl.ndrange import NDRange, split
from vcl.wire.frame import unpack_value

TIMEOUT_S = 60
SLOW = "kernel void f(global int *x) { x[0] += x[1] * 3 + (x[2] - 2); }\n" * 20_000
MACROS = "".join(f"#define a{i} a{i + 1}\n" for i in range(80_000)) + "a0(1);\n" * 50_000


def units(source: str, *files: bytes) -> list[list[Any]]:
    return [[source, "", [], [["file", f"/{i}", data] for i, data in enumerate(files)]]]


class Rig:
    """A Judging, and what it answered."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self._new = asyncio.Event()
        self.judging = Judging(self._take)

    def _take(self, judged: Judged | Analysed | Rewritten) -> None:
        self.answers.append(judged)
        self._new.set()

    def ask(self, session: int, request: int, source: str = ADD) -> None:
        self.judging.ask(Judge(session, request, units(source)))

    async def answered(self, count: int) -> list[tuple[int, int]]:
        """(session, request) of the answers, once there are this many."""
        while len(self.answers) < count:
            self._new.clear()
            await self._new.wait()
        return [(a.session, a.request) for a in self.answers if isinstance(a, Judged)]

    async def analyse(self, source: str, kernel: str = "add") -> Any:
        """Of a launch of 64 work-items of one more program, which has two buffers."""
        device = {"ADDRESS_BITS": "64", "ENDIAN_LITTLE": "1", "EXTENSIONS": "cl_khr_fp64",
                  "OPENCL_C_VERSION": "OpenCL C 1.2 PoCL", "VERSION": "OpenCL 3.0 PoCL"}
        ndrange = [[0], [64], [16]]
        self.judging.ask(
            Analyse(1, 7, units(source), device, kernel, ["buffer", "buffer"], ndrange, cause=5)
        )  # fmt: skip
        count = len(self.answers) + 1
        while len(self.answers) < count:
            self._new.clear()
            await self._new.wait()
        answer = self.answers[-1]
        assert (type(answer), answer.session, answer.number, answer.cause) == (Analysed, 1, 7, 5)
        return answer.found

    async def judge(self, source: str) -> Judgement:
        """Of one more program."""
        self.ask(1, 1, source)
        await self.answered(len(self.answers) + 1)
        return self.answers[-1].judgement


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    async with asyncio.timeout(TIMEOUT_S):
        yield made
        await made.judging.close()


# Real processes


COPY = "kernel void add(global const int *a, global int *b) { int i = get_global_id(0); %s }"


async def test_a_launch_is_analysed(rig: Rig) -> None:
    source = COPY % "b[i] = a[i];"
    found = await rig.analyse(source)
    ndrange = NDRange((0,), (64,), (16,))
    parts = [extents(found, ndrange, part, {0: 256, 1: 256}) for part in split(ndrange, 2)]
    assert [(p[0].reads, p[1].writes) for p in parts] == [
        ([(0, 128)], [(0, 128)]), ([(128, 256)], [(128, 256)])
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (COPY % "nosuch(b);", "line 1: "),
        (COPY % "b = *(global int *global *)a; *b = 1;", "a pointer comes from memory"),
        ("#ifdef __POCL__\n#endif\n" + COPY % "", "asks for __POCL__, which devices define"),
        (COPY % "" + "\n#ifdef cl_khr_fp16\n#endif", "asks for cl_khr_fp16"),
        ("#if __OPENCL_C_VERSION__ != 120\n#error no\n#endif\n" + COPY % "b[0]++;", None),
        ("#if defined(__OPENCL_VERSION__) && defined(cl_khr_fp64)\n" + COPY % "b[0]++;"
         + "\n#endif\n#if __ENDIAN_LITTLE__ != 1\n#error no\n#endif", None),
        ("", "the program has no source"),
        (COPY.replace("add", "other") % "", "the kernel 'add' isn't in its source"),
        (COPY % ("b[i] += a[i];" * 60_000), "reading the program took longer than 0.5 s"),
        (COPY % ("b[0] = a[i]" + "+ a[i]" * 30_000 + ";"), "ended with status -11"),
    ],
)  # fmt: skip
async def test_why_a_launch_is_not_analysed(rig: Rig, source: str, reason: str | None) -> None:
    found = await rig.analyse(source)
    if reason is None:
        assert not isinstance(found, str), found
    else:
        assert isinstance(found, str) and reason in found, found


async def test_an_analysis_past_its_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "analysis_time_s_max", 0.05)
    loops = "".join(f"for (int j{n} = 0; j{n} < a[{n}]; j{n} += b[{n}]) " for n in range(9))
    assert await rig.analyse(COPY % (loops + "b[j0] += j8;")) == (
        "reading the program took longer than 0.05 s"
    )
    assert (await rig.judge(ADD)).verdict.may_split, "the next is read"


async def test_a_program_is_read_by_the_process_that_is_ready(rig: Rig) -> None:
    await rig.judging.start()
    process = rig.judging._idle[0].process
    judgement = await rig.judge(ADD)
    assert judgement.verdict.may_split and judgement.keeps_const
    assert (await rig.judge(ADD + "int x = get_group_id(0);")).verdict.reason == (
        "line 1: get_group_id() would answer differently in a part"
    )
    mixed = await rig.judge(ADD + "kernel void f() { x: goto x; }")
    reason = "line 1: goto is not followed"
    assert mixed == Judgement(Verdict(False, reason), True, {"add": "", "f": reason})
    assert [r.process for r in rig.judging._idle] == [process]
    await rig.judging.close()
    assert process.returncode is not None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("image" * 88_000, "is longer than 1000 characters"),
        ("int " + "a" * 2_000_000 + ";", "is longer than 1000 characters"),
        ("a" * (2 * 2**20 + 1), "2097153 bytes, and the guard reads 2097152 at most"),
    ],
    ids=["image", "identifier", "size"],
)
async def test_hostile_programs_run_whole_with_the_reason(
    rig: Rig, source: str, reason: str
) -> None:
    judgement = await rig.judge(source)
    assert not judgement.verdict.may_split and reason in judgement.verdict.reason


@pytest.mark.parametrize("source", [SLOW, MACROS], ids=["slow", "macros"])
async def test_past_its_time_a_program_runs_whole_and_the_next_is_read(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(subject, "guard_time_s_max", 0.25)
    slow = Judgement(Verdict(False, "reading the program took longer than 0.25 s"), False)
    assert await rig.judge(source) == slow
    assert (await rig.judge(ADD)).verdict.may_split
    assert await rig.judge(source) == slow and len(rig.judging._cache) == 1


async def test_past_its_time_on_the_clock(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.judging.start()
    os.kill(rig.judging._idle[0].process.pid, signal.SIGSTOP)
    monkeypatch.setattr(subject, "guard_wait_s_max", 0.05)
    judgement = await rig.judge(ADD)
    assert judgement.verdict.reason == "reading the program took longer than 0.05 s"


async def test_past_its_memory(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "guard_time_s_max", 60)
    monkeypatch.setattr(subject, "guard_memory_bytes_max", 2**27)
    judgement = await rig.judge("(" * (2**21 - 100))
    reason = "reading the program took more than 134217728 bytes of memory"
    assert judgement.verdict.reason == reason


@pytest.mark.parametrize("idle", [True, False], ids=["idle", "reading"])
async def test_a_process_that_dies_is_replaced(rig: Rig, idle: bool) -> None:
    await rig.judging.start()
    process = rig.judging._idle[0].process
    process.kill()
    if idle:
        await process.wait()
    judgement = await rig.judge(ADD)
    reason = "the process that read the program ended with status -9"
    assert judgement.verdict.may_split if idle else judgement.verdict.reason == reason
    assert (await rig.judge(ADD)).verdict.may_split


async def test_a_process_that_does_not_start(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject.sys, "executable", "/nonexistent")
    await rig.judging.start()
    assert "didn't start" in (await rig.judge(ADD)).verdict.reason


async def test_slow_programs_of_one_session_leave_a_process_for_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "guard_time_s_max", 1.0)
    for request in range(3):
        rig.ask(1, request, SLOW + "\n" * request)
    rig.ask(2, 9)
    assert (2, 9) in (await rig.answered(2))[:2]


# Turns


class ByHand:
    """Processes that answer when told to."""

    def __init__(self) -> None:
        self.reading: dict[str, asyncio.Future[Any]] = {}
        """By source; those that are read."""
        self.ended = 0
        self.returncode: int | None = None

    async def start(self) -> ByHand:
        return self

    async def exchange(self, process: ByHand, asked: bytes, time_s: float) -> Any:
        assert time_s == subject.guard_time_s_max
        _, ((source, *_),) = unpack_value(asked)
        self.reading[source] = asyncio.get_running_loop().create_future()
        try:
            return await self.reading[source]
        finally:
            del self.reading[source]

    def kill(self) -> None:
        self.ended += 1

    async def wait(self) -> int:
        return 0

    async def answer(self, source: str) -> None:
        self.reading[source].set_result([[True, source], True, {}])
        await settle()


async def settle() -> None:
    """Let everything that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> ByHand:
    made = ByHand()
    monkeypatch.setattr(subject, "_start_process", made.start)
    monkeypatch.setattr(subject, "_exchange", made.exchange)
    return made


async def test_sessions_take_turns(rig: Rig, by_hand: ByHand) -> None:
    for request in (1, 2):
        for session in (1, 2, 3):
            rig.ask(session, request, f"{session}.{request}")
    await settle()
    order = []
    while by_hand.reading:
        assert len(by_hand.reading) <= 2
        assert len({source[0] for source in by_hand.reading}) == len(by_hand.reading)
        order.append(next(iter(by_hand.reading)))
        await by_hand.answer(order[-1])
    assert order == ["1.1", "2.1", "3.1", "1.2", "2.2", "3.2"]
    assert await rig.answered(6) == [(int(o[0]), int(o[2])) for o in order]


async def test_a_session_has_one_program_read_at_a_time(rig: Rig, by_hand: ByHand) -> None:
    rig.ask(1, 1, "a")
    rig.ask(1, 2, "b")
    await settle()
    assert list(by_hand.reading) == ["a"]
    rig.ask(2, 1, "c")
    await settle()
    await by_hand.answer("c")
    assert await rig.answered(1) == [(2, 1)]
    await by_hand.answer("a")
    await by_hand.answer("b")
    assert await rig.answered(3) == [(2, 1), (1, 1), (1, 2)]
    assert not rig.judging._waiting and not rig.judging._reading


async def test_slow_sessions_keep_one_process_together(rig: Rig, by_hand: ByHand) -> None:
    for session in (1, 2, 3):
        for request in (1, 2):
            rig.ask(session, request, f"{session}.{request}")
    await settle()
    for source in ("1.1", "2.1", "3.1"):
        by_hand.reading[source].set_exception(subject._PastLimit("slow"))
        await settle()
    assert list(by_hand.reading) == ["1.2"], "one of three"
    rig.ask(4, 1, "4.1")
    await settle()
    assert list(by_hand.reading) == ["1.2", "4.1"]
    await by_hand.answer("1.2")
    assert list(by_hand.reading) == ["4.1", "2.2"]
    await by_hand.answer("2.2")
    await by_hand.answer("3.2")
    await by_hand.answer("4.1")
    assert (await rig.answered(7))[-1] == (4, 1) and not rig.judging._slow


async def test_a_session_that_is_over_makes_room(rig: Rig, by_hand: ByHand) -> None:
    for session in (1, 2, 3, 4):
        rig.ask(session, 1, f"{session}")
    rig.ask(1, 2, "more")
    await settle()
    rig.judging.forget(3)
    rig.judging.forget(1)
    rig.judging.forget(7)
    await settle()
    assert list(by_hand.reading) == ["2", "4"] and by_hand.ended == 1
    await by_hand.answer("2")
    await by_hand.answer("4")
    assert await rig.answered(2) == [(2, 1), (4, 1)]


async def test_the_queue_of_a_session_is_bounded(
    rig: Rig, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "guard_waiting_max", 2)
    for request in range(4):
        rig.ask(1, request, f"{request}")
    await settle()
    assert await rig.answered(1) == [(1, 3)]
    assert "2 programs of the session wait" in rig.answers[0].judgement.verdict.reason


async def test_verdicts_are_kept(
    rig: Rig, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "guard_cached_max", 2)
    for source in "abac":
        rig.ask(1, 1, source)
        await settle()
        if source in by_hand.reading:
            await by_hand.answer(source)
    await rig.answered(4)
    assert [a.judgement.verdict.reason for a in rig.answers] == ["a", "b", "a", "c"]
    rig.ask(1, 2, "a")
    await rig.answered(5)
    rig.ask(1, 3, "b")
    await settle()
    assert list(by_hand.reading) == ["b"], "the one not used for longest went"


async def test_a_mistake_in_reading_is_an_answer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(subject, "_exchange", broken)
    judgement = await rig.judge(ADD)
    assert judgement == Judgement(
        Verdict(False, "the guard failed; vcl-master's log says how"), False
    )
    monkeypatch.undo()
    assert (await rig.judge(ADD)).verdict.may_split
