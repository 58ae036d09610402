"""`vcl status`: its forms, and watching."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from vcl.cli import status as subject
from vcl.wire.messages.session import ClusterStatus

ANSWER = ClusterStatus(
    9,
    [["a", ["CPU"], 1, 37, 3 << 30, 4 << 30], ["[b]", ["GPU", "GPU"], 0, 0, 0, 0]],
    [[1, "app.py", "me@laptop", 3725, 1234, ["a"]], [7, "vcl", "me@laptop", 0, 0, []]],
)


def found(own: int | None = 7) -> dict[str, Any]:
    return subject.as_dict("ws://m:7470", ANSWER, own)


def test_the_session_that_asks_is_not_shown() -> None:
    assert [each["session"] for each in found()["sessions"]] == [1]
    assert [each["session"] for each in found(None)["sessions"]] == [1, 7]


def test_for_people() -> None:
    lines = [line.split() for line in subject.render(found, as_json=False).splitlines()]
    assert lines[0] == ["Master", "ws://m:7470"]
    assert ["a", "1", "37", "%", "3.0", "GiB", "of", "4.0", "GiB", "CPU"] in lines
    assert ["[b]", "0", "GPU,", "GPU"] in lines, "it hasn't said how busy it is"
    assert ["1", "app.py", "me@laptop", "1:02:05", "1,234", "a"] in lines


def test_nothing_runs() -> None:
    nobody = ANSWER._replace(sessions=[])
    shown = subject.render(lambda: subject.as_dict("ws://m", nobody), as_json=False)
    assert shown.endswith("No program runs.")


def test_as_json() -> None:
    assert json.loads(subject.render(found, as_json=True)) == {
        "master": "ws://m:7470",
        "nodes": [
            {"name": "a", "devices": ["CPU"], "sessions": 1, "load": 37,
             "memory_used": 3 << 30, "memory": 4 << 30},
            {"name": "[b]", "devices": ["GPU", "GPU"], "sessions": 0, "load": 0,
             "memory_used": 0, "memory": 0},
        ],
        "sessions": [
            {"session": 1, "program": "app.py", "user": "me@laptop", "seconds": 3725,
             "commands": 1234, "nodes": ["a"]},
        ],
    }  # fmt: skip


def test_watching_asks_again_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def ask() -> dict[str, Any]:
        asked.append(1)
        if len(asked) > 3:
            raise KeyboardInterrupt
        return found()

    monkeypatch.setattr(subject, "interval_s", 0.0)
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        subject.watch(ask, Console(file=out, width=110))
    assert len(asked) == 4 and "app.py" in out.getvalue()
