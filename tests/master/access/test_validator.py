"""Predictions hold on PoCL, for a table of kernels; and the validator sees when they don't."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from itertools import combinations

import pytest

from master.access.extents import Extent, Runs, extents
from master.access.kernels import Footprint
from tests.master.access import kernel_cases as cases
from tests.master.access.kernel_cases import OPTIONS, TABLES
from tests.master.access.validator import Launch, Unsound, Validator, box_cuts, cuts
from vcl.ndrange import NDRange


@pytest.mark.parametrize("name", TABLES)
def test_predictions_hold(name: str) -> None:
    table = TABLES[name]
    validator = Validator(table.source, OPTIONS)
    wrong = []
    try:
        for mark, (kernel, case) in enumerate(table.cases.items()):
            found = validator.validate(case.launch(str(mark)))
            in_boxes = tuple(map("".join, combinations(case.along, 2)))
            if found.in_boxes != in_boxes:
                wrong.append(f"{kernel}: in boxes along {found.in_boxes}, not {in_boxes}")
            if found.along != case.along or not _told(case.why, found.why):
                wrong.append(f"{kernel}: {found}, not {(case.along, case.why)}")
    finally:
        validator.close()
    assert not wrong, "\n".join(wrong)


def _told(expected: str, why: str) -> bool:
    return expected in why and bool(expected) == bool(why)


# Predictions that don't hold


class Spoiler:
    """Predicts one element less, as long as there is something to `spoil`.

    boxes_only: of parts that are smaller than the launch in two dimensions.
    """

    def __init__(self) -> None:
        self.spoil = ""
        self.boxes_only = False

    def __call__(
        self, footprint: Footprint, whole: NDRange, part: NDRange, sizes: dict[int, int]
    ) -> dict[int, Extent]:
        found = extents(footprint, whole, part, sizes)
        smaller = sum(map(int.__lt__, part.global_size, whole.global_size))
        for extent in found.values() if smaller > 1 or not self.boxes_only else ():
            if self.spoil == "reads" and extent.reads:
                extent.reads = shorter(extent.reads)
            if self.spoil == "writes" and extent.writes:
                extent.writes = shorter(extent.writes)
        return found


def shorter(runs: Runs) -> Runs:
    """Without the last element of four bytes."""
    *before, (start, end) = runs
    return [*before, (start, end - 4)]


SPOILED = {
    "rows": cases.line("for (int j = 0; j < 4; j++) a[4 * i + j] = b[i + j] + 1000;"),
    "where it doesn't divide": cases.line("a[i] = a[i + 1] + 1000;", "", cases.SAME),
    "groups": cases.line("a[get_group_id(0)] = b[4 * get_group_id(0)] + 1000;"),
    "a plane": cases.plane("a[y * w + x] = b[y] + 1000;", "xy"),
}


@pytest.fixture(scope="module")
def spoiled() -> Iterator[tuple[Validator, Spoiler]]:
    spoiler = Spoiler()
    table = cases.Table(SPOILED)
    validator = Validator(table.source, OPTIONS, spoiler)
    yield validator, spoiler
    validator.close()


@pytest.mark.parametrize("name", SPOILED)
@pytest.mark.parametrize(
    ("spoil", "said"), [("", ""), ("reads", "misses"), ("writes", "writes")]
)
def test_one_element_too_few_is_seen(
    spoiled: tuple[Validator, Spoiler], name: str, spoil: str, said: str
) -> None:
    validator, spoiler = spoiled
    spoiler.spoil, spoiler.boxes_only = spoil, False
    launch = SPOILED[name].launch(str(list(SPOILED).index(name)))
    if spoil:
        with pytest.raises(Unsound, match=said):
            validator.validate(launch)
    else:
        assert validator.validate(launch).along == SPOILED[name].along


@pytest.mark.parametrize(("spoil", "said"), [("reads", "misses"), ("writes", "writes")])
def test_one_element_too_few_of_boxes_is_seen(
    spoiled: tuple[Validator, Spoiler], spoil: str, said: str
) -> None:
    validator, spoiler = spoiled
    spoiler.spoil, spoiler.boxes_only = spoil, True
    for number, case in enumerate(SPOILED.values()):
        launch = case.launch(str(number))
        if len(case.along) < 2:
            validator.validate(launch)
        else:
            with pytest.raises(Unsound, match=said):
                validator.validate(launch)


def test_cuts_into_boxes_cover_a_launch() -> None:
    made = box_cuts(NDRange((3, 0), (40, 8), (4, 2)), 0, 1)
    assert [len(pieces) for pieces in made] == [4, 6, 6, 10, 4]
    for pieces in made:
        items = [
            (x, y)
            for (left, top), (width, height), _ in map(astuple, pieces)
            for x in range(left, left + width)
            for y in range(top, top + height)
        ]
        assert sorted(items) == [(x, y) for x in range(3, 43) for y in range(8)]
    assert not box_cuts(NDRange((0, 0), (40, 2), (4, 2)), 0, 1), "one row of work-groups"


def test_a_crash_is_seen() -> None:
    case = cases.line("a[(n - 50 - i) * 100000000L] = 1;")
    validator = Validator(cases.Table({"": case}).source, OPTIONS)
    with pytest.raises(Unsound, match="ended the process"):
        validator.validate(case.launch("0"))


def edges(pieces: Sequence[NDRange]) -> list[int]:
    return [piece.global_offset[0] for piece in pieces]


def test_cuts_are_into_1_2_3_and_5_parts_and_uneven() -> None:
    made = cuts(NDRange((3,), (40,), (4,)), 0)
    assert [edges(pieces) for pieces in made] == [
        [3], [3, 23], [3, 15, 27], [3, 11, 19, 27, 35], [3, 7], [3, 39], [3, 7, 11],
    ]  # fmt: skip
    for pieces in made:
        assert sum(piece.global_size[0] for piece in pieces) == 40


def test_a_launch_holds_the_same_bytes_each_time() -> None:
    first, second = (cases.line("").launch("0") for _ in range(2))
    assert isinstance(first, Launch)
    assert all(map(lambda a, b: (a == b).all(), first.buffers, second.buffers))
