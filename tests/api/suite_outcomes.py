"""What pyopencl's tests say natively and on the cluster, compared.

Owns: the names of tests without those of devices, the differences that are expected and why, and
which others count. Must not know: processes, files, pyopencl.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

DEVICES = ("cluster", "remote")
"""The devices of the platform that the suite runs on: the whole cluster, and its first one."""

PROCESS = "(process)"
"""Stands for a test: whether the process that ran a file ended as pytest ends it."""


@dataclass(frozen=True)
class Outcome:
    """passed, failed, skipped, xfailed, xpassed, crash or hang; text: why, if it didn't pass."""

    outcome: str
    text: str = ""


Outcomes = Mapping[str, Outcome]
"""Of one file on one device, by the test's name as `name_of` gives it."""


@dataclass(frozen=True)
class Expected:
    """A test that passes natively and doesn't on the cluster, as it should be.

    text: what the cluster's outcome says, a regular expression. devices: where. since: the first
    version of pyopencl that it holds for.
    """

    test: str
    outcome: str
    text: str
    reason: str
    devices: tuple[str, ...] = DEVICES
    since: str = "0"


EXPECTED = (
    Expected(
        "test_wrapper.py::test_get_info[ctx]",
        "failed",
        "'Image' object has no attribute 'image'",
        "img.image.depth: pyopencl dropped that attribute; only PoCL's platform skips the line",
        since="2025.2",
    ),
    Expected(
        "test_wrapper.py::test_fine_grain_svm[ctx]",
        "skipped",
        "does not support fine-grain SVM",
        "no memory is shared between hosts, so no device offers fine-grain SVM",
    ),
)


@dataclass(frozen=True)
class Difference:
    """One test that passes natively (native) and not on a device of the cluster (found)."""

    device: str
    test: str
    native: Outcome
    found: Outcome


@dataclass
class Comparison:
    """regressions: differences that nothing explains. expected: those that something does. gone:
    what should differ and passes, with the device. problems: why the runs can't be compared."""

    regressions: list[Difference] = field(default_factory=list)
    expected: list[tuple[Difference, Expected]] = field(default_factory=list)
    gone: list[tuple[str, Expected]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing here needs anybody."""
        return not (self.regressions or self.gone or self.problems)


def version_key(version: str) -> tuple[int, ...]:
    """What a version is ordered by: its leading numbers."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0]))


def name_of(node_id: str) -> str:
    """pytest's name of a test without its folder and the names of the device and platform."""
    name = re.sub(r"^(?:[^:\[]*/)?([^/:\[]+\.py)", r"\1", node_id)
    name = re.sub(r"<context factory for <pyopencl\.Device '.*?' on '.*?'>>", "ctx", name)
    name = re.sub(r"<pyopencl\.Device '.*?' on '.*?'>", "device", name)
    return re.sub(r"<pyopencl\.Platform '.*?'>", "platform", name)


def summary(outcomes: Iterable[Outcome]) -> str:
    """As pytest's last line: 44 passed, 1 skipped."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    order = ("passed", "failed", "crash", "hang", "skipped", "xfailed", "xpassed")
    return ", ".join(f"{counts[kind]} {kind}" for kind in order if counts[kind]) or "nothing ran"


def compare(
    native: Mapping[str, Outcomes],
    found: Mapping[str, Mapping[str, Outcomes]],
    version: str,
    expected: Iterable[Expected] = EXPECTED,
) -> Comparison:
    """Compare the native outcomes, by file, with those on each device, by device and file.

    A test that passes natively must pass on the cluster, unless it is expected not to, in this
    version of pyopencl, on this device, with this outcome and text. What doesn't pass natively
    may do anything on the cluster but end the process.
    """
    result = Comparison()
    holding = [item for item in expected if version_key(item.since) <= version_key(version)]
    for file, outcomes in native.items():
        if not any(o.outcome == "passed" for name, o in outcomes.items() if name != PROCESS):
            result.problems.append(f"{file}: natively no test passes, so it shows nothing")
        for device, files in found.items():
            for test, outcome in outcomes.items():
                there = files.get(file, {}).get(test, Outcome("missing", "it didn't run"))
                _compare_one(result, Difference(device, test, outcome, there), holding)
            for test, there in files.get(file, {}).items():
                if test not in outcomes:
                    missing = Outcome("missing", "it didn't run")
                    _compare_one(result, Difference(device, test, missing, there), holding)
    ran = {test for outcomes in native.values() for test in outcomes}
    result.problems += [
        f"expected to differ, but no test of this suite: {item.test}"
        for item in holding
        if item.test.partition("::")[0] in native and item.test not in ran
    ]
    return result


def _compare_one(result: Comparison, pair: Difference, holding: list[Expected]) -> None:
    of_test = [e for e in holding if e.test == pair.test and pair.device in e.devices]
    passes = pair.native.outcome == "passed"
    if pair.found.outcome == "passed":
        result.gone += [(pair.device, item) for item in of_test if passes]
    elif passes or (pair.found.outcome in ("crash", "hang") and pair.native.outcome != "crash"):
        for item in of_test:
            if item.outcome == pair.found.outcome and re.search(item.text, pair.found.text):
                result.expected.append((pair, item))
                return
        result.regressions.append(pair)
