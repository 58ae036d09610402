"""What the nodes keep is released with the last reference, and only then; contexts are counted."""

from __future__ import annotations

import gc
from collections.abc import Callable

from tests.vcl.api.world import StubRuntime, make_context
from vcl.api.lifetimes import CONTEXTS, Leaving, Living, Owner


def test_a_number_is_released_with_its_last_reference(runtime: StubRuntime) -> None:
    one = Owner(runtime, 7)
    other = one
    del one
    assert not runtime.released
    del other
    assert runtime.released == [7]


def test_the_last_to_go_is_told() -> None:
    told: list[int] = []
    living = Living()
    first = living.add()
    living.discard(first)  # nobody wants to hear of it yet
    living.when_none = lambda: told.append(len(living))
    first, second = living.add(), living.add()
    living.discard(first)
    assert len(living) == 1 and not told
    living.discard(second)
    assert told == [0]


def test_a_context_is_alive_until_its_memory_is_freed(runtime: StubRuntime) -> None:
    before = len(CONTEXTS)
    context = make_context(runtime)
    assert len(CONTEXTS) == before + 1
    del context
    assert len(CONTEXTS) == before


class _InACircle:
    """Garbage that only a collection finds, with a destructor."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.itself = self
        self._end = end

    def __del__(self) -> None:
        self._end()


def test_what_leaves_is_told_after_all_destructors_of_one_collection() -> None:
    living, found = Living(), []
    numbers = [living.add(), living.add()]

    def make(number: int) -> _InACircle:
        made: _InACircle

        def end() -> None:
            found.append(len(living))
            circles[number].leaving = Leaving(living, number)  # type: ignore[attr-defined]

        made = _InACircle(end)
        circles = {number: made}
        return made

    gc.collect()
    for number in numbers:
        make(number)
    gc.collect()
    assert found == [2, 2]
    assert not living
