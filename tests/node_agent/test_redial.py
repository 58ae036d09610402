"""The waits between an agent's attempts to come back to its master."""

from __future__ import annotations

import pytest

from node_agent.redial import delay_s, redial_first_s, redial_max_s


def test_the_bound_doubles_up_to_its_limit() -> None:
    bounds = [delay_s(attempt, 1.0) for attempt in range(9)]
    assert bounds == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert (bounds[0], bounds[-1]) == (redial_first_s, redial_max_s)


@pytest.mark.parametrize("attempt", [0, 3, 100])
def test_the_wait_is_any_below_the_bound(attempt: int) -> None:
    assert delay_s(attempt, 0.0) == 0.0
    assert delay_s(attempt, 0.25) == delay_s(attempt, 1.0) / 4


def test_an_agent_may_try_for_years() -> None:
    assert delay_s(10**9, 1.0) == redial_max_s
