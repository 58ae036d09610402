"""Comparing what pyopencl's tests say natively and on the cluster."""

from __future__ import annotations

import pytest

from tests.api.suite_outcomes import (
    EXPECTED,
    PROCESS,
    Comparison,
    Expected,
    Outcome,
    compare,
    name_of,
    summary,
    version_key,
)

PASSED, FAILED = Outcome("passed"), Outcome("failed", "AssertionError: 3 != 4")
SKIPPED, CRASH = Outcome("skipped", "Skipped: no f in here"), Outcome("crash", "by SIGSEGV")
DIFFERS = Expected("f.py::test_f[ctx]", "skipped", "no f", "there is no f", since="2025.2")


def _compare(
    native: Outcome | None, cluster: Outcome | None, version: str = "2026.1", *more: Expected
) -> Comparison:
    """Of one test, beside one that passes everywhere; None: it didn't run."""

    def outcomes(one: Outcome | None) -> dict[str, Outcome]:
        return {"f.py::test_g": PASSED} | ({"f.py::test_f[ctx]": one} if one else {})

    found = {"cluster": {"f.py": outcomes(cluster)}}
    return compare({"f.py": outcomes(native)}, found, version, more)


@pytest.mark.parametrize("cluster", [FAILED, SKIPPED, CRASH, None])
def test_what_passes_natively_must_pass(cluster: Outcome | None) -> None:
    found = _compare(PASSED, cluster)
    (regression,) = found.regressions
    assert (regression.device, regression.test) == ("cluster", "f.py::test_f[ctx]")
    assert not found.good


@pytest.mark.parametrize("native", [FAILED, SKIPPED, Outcome("xfailed"), CRASH, None])
def test_what_does_not_pass_natively_may_pass_or_not(native: Outcome | None) -> None:
    for cluster in (PASSED, FAILED, SKIPPED):
        assert _compare(native, cluster).good


def test_a_crash_counts_unless_it_crashes_natively() -> None:
    assert not _compare(SKIPPED, CRASH).good
    assert not _compare(None, CRASH).good
    assert _compare(CRASH, CRASH).good


def test_an_expected_difference_is_no_regression() -> None:
    found = _compare(PASSED, SKIPPED, "2025.2", DIFFERS)
    assert found.good and [item for _, item in found.expected] == [DIFFERS]


@pytest.mark.parametrize(
    ("cluster", "version", "expected"),
    [
        (SKIPPED, "2025.1", DIFFERS),
        (Outcome("skipped", "Skipped: no g"), "2026.1", DIFFERS),
        (FAILED, "2026.1", DIFFERS),
        (SKIPPED, "2026.1", Expected(DIFFERS.test, "skipped", "no f", "x", ("remote",))),
    ],
    ids=["version", "text", "outcome", "device"],
)
def test_another_difference_than_the_expected_is_a_regression(
    cluster: Outcome, version: str, expected: Expected
) -> None:
    assert _compare(PASSED, cluster, version, expected).regressions


def test_an_expected_difference_that_has_gone_is_told() -> None:
    found = _compare(PASSED, PASSED, "2026.1", DIFFERS)
    assert found.gone == [("cluster", DIFFERS)] and not found.good
    assert _compare(PASSED, PASSED, "2025.1", DIFFERS).good, "not yet expected in that version"
    assert _compare(CRASH, PASSED, "2026.1", DIFFERS).good, "natively it shows nothing"


def test_an_expectation_must_name_a_test_of_a_file_that_ran() -> None:
    assert _compare(None, None, "2026.1", DIFFERS).problems
    assert _compare(PASSED, PASSED, "2026.1", Expected("g.py::test_f", "failed", "", "x")).good


def test_a_file_without_a_native_pass_shows_nothing() -> None:
    native = {"f.py": {"f.py::test_f": FAILED, PROCESS: PASSED}}
    assert compare(native, {}, "2026.1", []).problems


def test_names_are_the_same_on_every_device() -> None:
    natively = (
        "test/test_w.py::test_f[<context factory for <pyopencl.Device 'pthread-X' on "
        "'Portable Computing Language'>>-a/b::c.py]"
    )
    here = (
        "test_w.py::test_f[<context factory for <pyopencl.Device 'VCL cluster of 2' on 'VCL'>>"
        "-a/b::c.py]"
    )
    assert name_of(natively) == name_of(here) == "test_w.py::test_f[ctx-a/b::c.py]"
    assert name_of("t.py::f[<pyopencl.Platform 'P'>-<pyopencl.Device 'D' on 'P'>]") == (
        "t.py::f[platform-device]"
    )
    assert name_of("test/t.py") == "t.py"


def test_versions_are_ordered_by_number() -> None:
    versions = ["2026.1.10", "2024.3", "2025.1", "2026.1.4", "2025.2.7", "2026.1"]
    assert sorted(versions, key=version_key) == [
        "2024.3", "2025.1", "2025.2.7", "2026.1", "2026.1.4", "2026.1.10",
    ]  # fmt: skip


def test_the_summary_counts() -> None:
    assert summary([SKIPPED, PASSED, CRASH, PASSED]) == "2 passed, 1 crash, 1 skipped"
    assert summary([]) == "nothing ran"


def test_every_expectation_says_why() -> None:
    assert all(item.reason and item.text for item in EXPECTED)
