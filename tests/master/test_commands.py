"""The command graph against a model, over random graphs that grow while they run."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from master.commands import COMPLETE, PLANNED, WAITING, Command, CommandGraph
from vcl.errors import EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST as DEPENDENCY_FAILED

FAILURE = -5


class Graph(CommandGraph):
    """Settles at once."""

    def planned(self, command: Command) -> None:
        super().planned(command)
        self._settle_all()

    def operation_done(self, command: Command, operation: int) -> None:
        super().operation_done(command, operation)
        self._settle_all()

    def _settle_all(self) -> None:
        while self.unsettled:
            self.settle()


@dataclass
class Model:
    """What each command should be; everything is derived anew at each look."""

    commands: list[Command] = field(default_factory=list)
    after: dict[int, list[int]] = field(default_factory=dict)
    waits: dict[int, list[int]] = field(default_factory=dict)
    planned: set[int] = field(default_factory=set)
    operations: dict[int, set[int]] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)

    def ready(self) -> set[int]:
        return {
            e for e, after in self.after.items()
            if e not in self.planned
            and self.commands[e].message is not None
            and all(a in self.planned for a in after)
        }  # fmt: skip

    def complete(self) -> set[int]:
        done: set[int] = set()
        for e in sorted(self.after):  # dependencies have smaller numbers
            if (
                e in self.planned
                and not self.operations[e]
                and all(a in done for a in self.after[e])
            ):
                done.add(e)
        return done

    def fails(self, event: int) -> bool:
        return event in self.failed or any(self.fails(w) for w in self.waits[event])


def check(model: Model, graph: CommandGraph, told: list[int]) -> None:
    told += [command.event for command in graph.completed]
    graph.completed.clear()
    assert {command.event for command in graph.ready} == model.ready()
    assert len(graph.ready) == len(model.ready())
    assert sorted(told) == sorted(model.complete())
    position = {event: index for index, event in enumerate(told)}
    for event in told:
        assert all(position[a] < position[event] for a in model.after[event])
    for command in model.commands:
        expected = WAITING
        if command.event in model.planned:
            expected = COMPLETE if command.event in position else PLANNED
        assert command.state == expected
        if expected == COMPLETE:
            own = FAILURE if command.event in model.failed else DEPENDENCY_FAILED
            assert command.status == (own if model.fails(command.event) else 0)


@given(st.data())
def test_random_graphs(data: st.DataObject) -> None:
    graph, model, told = Graph(), Model(), []

    def add() -> None:
        event = len(model.commands)
        earlier = st.lists(st.sampled_from(range(event)), max_size=3) if event else st.just([])
        before, waits = data.draw(earlier), data.draw(earlier)
        user = data.draw(st.integers(0, 4)) == 0
        if user:
            before, waits = [], []
        command = Command(event, None if user else "launch")
        command.waits = [model.commands[w] for w in waits]
        model.commands.append(command)
        model.after[event], model.waits[event] = [*before, *waits], waits
        model.operations[event] = set()
        graph.add(command, [model.commands[b] for b in before])

    def plan() -> None:
        command = graph.ready.popleft()
        own = {10 * command.event + i for i in range(data.draw(st.integers(0, 2)))}
        command.operations |= own
        model.operations[command.event] = set(own)
        model.planned.add(command.event)
        graph.planned(command)

    def set_user_event(event: int) -> None:
        if data.draw(st.booleans()):
            model.failed.add(event)
            model.commands[event].fail(FAILURE, "set so")
        model.planned.add(event)
        graph.planned(model.commands[event])

    def end_operation(event: int) -> None:
        operation = data.draw(st.sampled_from(sorted(model.operations[event])))
        if data.draw(st.integers(0, 4)) == 0:
            model.failed.add(event)
            model.commands[event].fail(FAILURE, "broke")
        model.operations[event].discard(operation)
        graph.operation_done(model.commands[event], operation)

    def unset() -> list[int]:
        return [c.event for c in model.commands if c.message is None and c.state == WAITING]

    def running() -> list[int]:
        return [e for e, left in model.operations.items() if left]

    steps = data.draw(st.lists(st.sampled_from(["add", "plan", "end", "set"]), max_size=40))
    for step in [*steps, *["rest"] * 200]:
        if step == "add":
            add()
        elif graph.ready and step in ("plan", "rest"):
            plan()
        elif running() and step in ("end", "rest"):
            end_operation(data.draw(st.sampled_from(running())))
        elif unset() and step in ("set", "rest"):
            set_user_event(data.draw(st.sampled_from(unset())))
        elif step == "rest":
            break
        check(model, graph, told)
    assert len(told) == len(model.commands), "something never completed"


def chain(graph: CommandGraph, length: int) -> list[Command]:
    commands = [Command(0, None)]
    graph.add(commands[0], ())
    for event in range(1, length):
        command = Command(event, "launch", waits=[commands[-1]])
        graph.add(command, ())
        commands.append(command)
    return commands


def test_a_long_chain_needs_no_recursion() -> None:
    graph = Graph()
    commands = chain(graph, 10_000)
    graph.planned(commands[0])
    order = []
    while graph.ready:
        command = graph.ready.popleft()
        command.operations.add(command.event)
        order.append(command.event)
        graph.planned(command)
    assert order == list(range(1, 10_000)), "planned all at once, though nothing ran"
    assert [c.event for c in graph.completed] == [0]
    for command in reversed(commands[2:]):
        graph.operation_done(command, command.event)
    assert len(graph.completed) == 1, "completion is told in order"
    graph.operation_done(commands[1], 1)
    assert [c.event for c in graph.completed] == list(range(10_000))


def fail_a_chain(length: int) -> list[Command]:
    graph = Graph()
    commands = chain(graph, length)
    commands[0].fail(FAILURE, "broke")
    graph.planned(commands[0])
    while graph.ready:
        graph.planned(graph.ready.popleft())
    assert len(graph.completed) == length
    return commands


def test_a_failure_runs_down_a_chain_of_wait_lists() -> None:
    commands = fail_a_chain(1_000)
    assert commands[0].status == FAILURE
    assert {c.status for c in commands[1:]} == {DEPENDENCY_FAILED}
    assert all("broke" in (c.failure or "") for c in commands)


def test_the_text_of_a_failure_does_not_grow_along_a_chain() -> None:
    assert max(len(c.failure or "") for c in fail_a_chain(100)) < 200


def test_queue_order_alone_passes_no_failure_on() -> None:
    graph = Graph()
    first, second = Command(1, "launch"), Command(2, "launch")
    graph.add(first, ())
    graph.add(second, [first])
    first.fail(FAILURE, "broke")
    while graph.ready:
        graph.planned(graph.ready.popleft())
    assert [(c.event, c.status) for c in graph.completed] == [(1, FAILURE), (2, 0)]


def test_a_chain_is_let_go_when_it_is_complete() -> None:
    graph = Graph()
    commands = chain(graph, 3)
    graph.planned(commands[0])
    while graph.ready:
        graph.planned(graph.ready.popleft())
    assert all(not c.waits and not c.dependents for c in commands)


def test_the_first_cause_of_a_failure_is_kept() -> None:
    command = Command(1, "launch")
    command.fail(DEPENDENCY_FAILED, "a consequence")
    command.fail(FAILURE, "the cause")
    command.fail(-6, "too late")
    command.fail(DEPENDENCY_FAILED, "another consequence")
    assert (command.status, command.failure) == (FAILURE, "the cause")


def test_waiting_for_one_command_twice_and_in_the_queue_counts_once() -> None:
    graph = Graph()
    first = Command(1, "launch")
    graph.add(first, ())
    second = Command(2, "launch", waits=[first, first])
    graph.add(second, [first])
    assert list(graph.ready) == [first]
    graph.planned(graph.ready.popleft())
    assert list(graph.ready) == [second]
