"""A pytest plugin that says what becomes of each test as it happens, so that a crash costs one.

Owns: the lines it writes, JSON objects, to the descriptor in SUITE_RECORDER_FD: {"started": id}
and {"finished": id, "outcome": ..., "text": ...}. Leaves out the tests listed in the file
SUITE_RECORDER_DONE. Must not know: vcl, which may be under the tests that it watches.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

TEXT_CHARACTERS_MAX = 600

_rank = ("passed", "xpassed", "skipped", "xfailed", "failed")
_said: dict[str, tuple[str, str]] = {}


def _say(**record: str) -> None:
    os.write(int(os.environ["SUITE_RECORDER_FD"]), (json.dumps(record) + "\n").encode())


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xpassed" if report.passed else "xfailed"
    return report.outcome


def _text(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why it didn't pass, in the fewest words that the report has."""
    found = report.longrepr
    if hasattr(report, "wasxfail"):
        text = report.wasxfail
    elif isinstance(found, tuple):
        text = found[2]
    else:
        text = getattr(getattr(found, "reprcrash", None), "message", None) or str(found or "")
    return text[:TEXT_CHARACTERS_MAX]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    done = set(json.loads(Path(os.environ["SUITE_RECORDER_DONE"]).read_text(encoding="utf-8")))
    left_out = [item for item in items if item.nodeid in done]
    if left_out:
        items[:] = [item for item in items if item.nodeid not in done]
        config.hook.pytest_deselected(items=left_out)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if not report.passed:
        _say(finished=report.nodeid, outcome=report.outcome, text=_text(report))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _said[item.nodeid] = ("passed", "")
    _say(started=item.nodeid)
    ran = yield
    outcome, text = _said.pop(item.nodeid)
    _say(finished=item.nodeid, outcome=outcome, text=text)
    return ran


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test is what the worst of its set-up, call and tear-down is."""
    outcome = _outcome(report)
    if _rank.index(outcome) > _rank.index(_said[report.nodeid][0]):
        _said[report.nodeid] = (outcome, _text(report))
