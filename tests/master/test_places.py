"""Which device is nearest to a command's bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from master.places import Candidates, Place
from master.plan.residency import Buffer, Contents
from tests.master.rigs import place

SIZE = 8
holders = st.frozensets(st.integers(1, 5))


@given(st.lists(holders, min_size=1, max_size=3), st.permutations([1, 2, 3]))
def test_the_nearest_holds_most_and_is_the_first_of_equals(
    held: list[frozenset[int]], order: list[int]
) -> None:
    candidates = Candidates([place(d) for d in order])
    regions = []
    for number, devices in enumerate(held):
        buffer = Buffer(10 + number, 1, SIZE)
        buffer.supersede(0, SIZE, Contents(1, devices))
        regions.append((buffer, 0, SIZE - number))
    most = {d: sum((SIZE - i) * (d in devices) for i, devices in enumerate(held)) for d in order}
    expected = max(order, key=most.__getitem__)
    assert candidates.nearest(regions).device == expected


def test_alike_are_those_of_the_first_ones_kind() -> None:
    def of(device: int, kind: str) -> Place:
        return Place(device, device, "", "", 1, (1, 1, 1), (kind,))

    places = [of(1, "a"), of(2, "b"), of(3, "a")]
    assert [p.device for p in Candidates(places).alike] == [1, 3]
    assert Candidates([]).alike == []
