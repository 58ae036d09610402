"""Which operations may start, against a reference model that looks at everything anew."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from node_agent.readiness import Readiness


@dataclass
class Entry:
    waits: list[int]
    follows: bool
    leads: bool
    started: bool = False
    over: bool = False
    failed: bool = False


@dataclass
class Model:
    entries: dict[int, Entry] = field(default_factory=dict)

    def doomed(self, operation: int) -> bool:
        """Something that it waits for has failed, or will."""
        return any(self.entries[w].failed or self.doomed(w) for w in self.entries[operation].waits)

    def may_start(self, operation: int) -> bool:
        entry = self.entries[operation]
        waits = [self.entries[w] for w in entry.waits]
        return all(w.over or (entry.follows and w.leads and w.started) for w in waits)

    def all_over(self, operation: int) -> bool:
        return all(self.entries[w].over for w in self.entries[operation].waits)


def settle(subject: Readiness, model: Model) -> None:
    """As the core does: start what may, end what can't, until nothing moves."""
    while True:
        started, failed = subject.take(), subject.take_failed()
        for node in started:
            entry = model.entries[node.id]
            assert model.may_start(node.id) and not entry.started and not entry.over
            entry.started = True
        for operation, reason in failed:
            entry = model.entries[operation]
            assert model.doomed(operation) and model.all_over(operation)
            assert not entry.started and not entry.over and "broke" in reason
            assert subject.end(operation, reason) is not None
            entry.over = entry.failed = True
        if not started and not failed:
            break
    assert len(subject) == sum(not e.over for e in model.entries.values())
    for operation, entry in model.entries.items():
        assert (operation in subject) == (not entry.over)
        if not entry.started and not entry.over:
            # It is held back for a reason: by what it waits for, or because that failed.
            assert not model.all_over(operation)
            assert model.doomed(operation) or not model.may_start(operation)


@given(st.data())
def test_random_graphs(data: st.DataObject) -> None:
    subject, model = Readiness(), Model()
    steps = data.draw(st.lists(st.sampled_from(["add", "add", "end"]), max_size=30))
    for step in [*steps, *["end"] * 30]:
        # The driver's queue is in order: what follows in it doesn't end before.
        running = [
            o for o, e in model.entries.items() if e.started and not e.over and model.all_over(o)
        ]
        if step == "add":
            operation = len(model.entries)
            earlier = st.lists(st.sampled_from(range(operation)), max_size=3, unique=True)
            waits = data.draw(earlier) if operation else []
            follows = data.draw(st.booleans())
            leads = follows and data.draw(st.booleans())
            # The master may name what is over: of that, only a failure still counts.
            entries = model.entries
            model.entries[operation] = Entry(
                [w for w in waits if not entries[w].over or entries[w].failed], follows, leads
            )
            subject.add(operation, str(operation), waits, follows, leads)
        elif running:
            operation = data.draw(st.sampled_from(running))
            entry = model.entries[operation]
            failure = data.draw(st.sampled_from([None, None, "it broke"]))
            told = subject.end(operation, failure)
            entry.over = True
            entry.failed = failure is not None or model.doomed(operation)
            assert (told is not None) == entry.failed
        settle(subject, model)
    assert len(subject) == 0, "something never ended"


def add_chain(subject: Readiness, length: int, leads: bool) -> None:
    for operation in range(length):
        subject.add(operation, None, [operation - 1] if operation else [], leads, leads)


def test_a_long_chain_that_the_driver_orders_is_handed_over_at_once() -> None:
    subject = Readiness()
    add_chain(subject, 10_000, leads=True)
    assert [node.id for node in subject.take()] == list(range(10_000))


def test_a_long_chain_of_others_goes_step_by_step() -> None:
    subject = Readiness()
    add_chain(subject, 10_000, leads=False)
    for operation in range(10_000):
        assert [node.id for node in subject.take()] == [operation]
        subject.end(operation, None)
    assert len(subject) == 0


def test_a_failure_runs_down_a_long_chain_without_recursion() -> None:
    subject = Readiness()
    add_chain(subject, 10_000, leads=False)
    subject.take()
    subject.end(0, "broke")
    while failed := subject.take_failed():
        for operation, reason in failed:
            assert reason == "broke"
            subject.end(operation, reason)
    assert len(subject) == 0 and not subject.take()


def test_what_follows_a_failure_in_the_drivers_queue_counts_as_failed() -> None:
    subject = Readiness()
    add_chain(subject, 2, leads=True)
    assert len(subject.take()) == 2
    assert subject.end(0, "broke") == "broke"
    assert subject.take_failed() == [], "it is with the driver, which ends it"
    assert subject.end(1, None) == "broke"


def test_a_doomed_operation_still_waits_for_the_rest() -> None:
    subject = Readiness()
    subject.add(0, None, [], False, False)
    subject.add(1, None, [], False, False)
    subject.add(2, None, [0, 1], False, False)
    subject.take()
    subject.end(0, "broke")
    assert subject.take_failed() == []
    subject.end(1, None)
    assert subject.take_failed() == [(2, "broke")]


def test_failing_what_waits_outside_the_driver() -> None:
    subject = Readiness()
    subject.add(0, None, [], False, False)
    subject.add(1, None, [0], False, False)
    (node,) = subject.take()
    subject.fail(node.id, "cancelled")
    assert subject.take_failed() == [(0, "cancelled")]
    assert subject.end(0, "cancelled") == "cancelled"
    assert subject.take_failed() == [(1, "cancelled")]


def test_failing_what_has_not_started_ends_it_after_what_it_waits_for() -> None:
    subject = Readiness()
    subject.add(0, None, [], False, False)
    subject.add(1, None, [0], False, False)
    subject.take()
    subject.fail(1, "cancelled")
    assert subject.take_failed() == []
    subject.end(0, None)
    assert subject.take() == [] and subject.take_failed() == [(1, "cancelled")]


def test_failing_what_may_start_but_was_not_taken() -> None:
    subject = Readiness()
    subject.add(0, None, [], False, False)
    subject.fail(0, "cancelled")
    assert (subject.take(), subject.take_failed()) == ([], [(0, "cancelled")])


def test_failing_what_has_failed_already() -> None:
    subject = Readiness()
    subject.add(0, None, [], False, False)
    subject.add(1, None, [0], False, False)
    subject.take()
    subject.end(0, "broke")
    subject.fail(1, "cancelled")
    assert subject.take_failed() == [(1, "broke")]


def test_operations_are_found_while_they_last() -> None:
    subject = Readiness()
    subject.add(7, "seven", [], False, False)
    node = subject.get(7)
    assert node is not None and node.message == "seven" and 7 in subject and len(subject) == 1
    subject.take()
    subject.end(7, None)
    assert subject.get(7) is None and 7 not in subject


def test_what_is_held_is_told_of_once_and_after_the_last_that_it_waits_for() -> None:
    subject = Readiness()
    subject.add(0, None, [], True, True)
    subject.add(1, None, [], True, True)
    held = subject.add(2, None, [0, 1], True, False)
    assert len(subject.take()) == 3
    subject.hold(held)
    subject.end(0, None)
    assert subject.take_settled() == []
    subject.end(1, "broke")
    assert subject.take_settled() == [held] and held.doomed == "broke"
    assert subject.take_settled() == []
