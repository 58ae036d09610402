"""The records of a session's objects: the little that they compute, and that none is shared."""

from __future__ import annotations

import pytest

from master.access.guard import Verdict
from master.objects import LIVES, Building, Context, Executor, Life, Program, Queue, Step


def test_an_executor_is_ready_with_both_connections() -> None:
    executor = Executor(1, "a", 1, 0.0)
    assert executor.starts and not executor.ready
    executor.take(Step.CONNECTED)
    assert executor.starts and not executor.ready
    executor.take(Step.CONNECTED)
    assert executor.ready and executor.was_ready and not executor.starts
    executor.take(Step.DISCONNECTED)
    assert executor.was_ready and not executor.ready
    executor.take(Step.LOST)


def test_one_that_breaks_while_it_starts_was_never_ready() -> None:
    executor = Executor(1, "a", 1, 0.0)
    executor.take(Step.CONNECTED)
    executor.take(Step.DISCONNECTED)
    assert not executor.was_ready and not executor.starts


@pytest.mark.parametrize("life", Life)
@pytest.mark.parametrize("step", Step)
def test_what_can_not_happen_to_an_executor_is_a_mistake(life: Life, step: Step) -> None:
    executor = Executor(1, "a", 7, 0.0, life=life)
    if (life, step) in LIVES:
        executor.take(step)
        return
    with pytest.raises(AssertionError, match=f"executor 7 on a, {life.value}: {step.value}"):
        executor.take(step)
    assert executor.life is life


def test_a_kernel_that_the_guard_does_not_name_is_judged_as_the_program() -> None:
    program = Program(1, Context(1, [1], True), 1, [], "", verdict=Verdict(True, "good"))
    program.kernel_reasons = {"bad": "line 1", "good": ""}
    assert program.why_whole("bad") is program.why_whole("other") is None
    program.verdict = Verdict(False, "line 0")
    assert program.why_whole("bad") == "line 1"
    assert program.why_whole("good") is None
    assert program.why_whole("other") == "line 0"


def test_no_two_records_share_a_container() -> None:
    context = Context(1, [1], True)
    queues = [Queue(n, context, 0, True) for n in (1, 2)]
    programs = [Program(n, context, 1, [], "") for n in (1, 2)]
    buildings = [Building(program, 1, set()) for program in programs]
    assert queues[0].recent is not queues[1].recent
    assert programs[0].nodes is not programs[1].nodes
    assert programs[0].kernel_reasons is not programs[1].kernel_reasons
    assert programs[0].operations is not programs[1].operations
    assert buildings[0].logs is not buildings[1].logs


class Live(set[int]):
    """Counts what an intersection looks at."""

    looked_at = 0

    def __rand__(self, other: set[int]) -> set[int]:
        self.looked_at += len(other)
        return {o for o in other if o in self}


@pytest.mark.parametrize("all_live", [True, False])
def test_a_program_looks_at_its_operations_a_bounded_number_of_times(all_live: bool) -> None:
    program = Program(1, Context(1, [1], True), 1, [], "")
    live = Live()
    count = 20_000
    for operation in range(count):
        live.add(operation)
        program.note_operation(operation, live)
        if not all_live:
            live.clear()
    assert live.looked_at < 3 * count
    assert program.operations >= live
    assert all_live or len(program.operations) <= 257
