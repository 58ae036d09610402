"""Which ways `vcl info` asks for, and what it makes of the answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vcl.cli import ways as subject
from vcl.cli.ways import PROGRAM, Found
from vcl.wire.messages.session import AskWay, WayFound


class Master:
    """Answers by pair of devices."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.answers = answers
        self.asked: list[tuple[int, int]] = []
        self._last = 6

    def new_id(self) -> int:
        self._last += 1
        return self._last

    def ask_all(self, questions: list[AskWay]) -> list[WayFound]:
        self.asked += [(m.device, m.other) for m in questions]
        return [
            WayFound(m.request, *self.answers.get(f"from{m.device}to{m.other}", (1, "")))
            for m in questions
        ]


def platform(master: Master, nodes: list[int]) -> Any:
    """A platform with the cluster's device and one on each node of the list."""
    remote = [
        SimpleNamespace(_remote=SimpleNamespace(device=number, node=node, node_name=f"n{node}"))
        for number, node in enumerate(nodes, 1)
    ]
    return SimpleNamespace(_runtime=master, get_devices=lambda: [None, *remote])


def gather(
    monkeypatch: pytest.MonkeyPatch, master: Master, nodes: list[int], **failed: str
) -> list[Found]:
    """What is found where executors don't start on the devices named `device<number>`."""
    failures = {int(name.removeprefix("device")): why for name, why in failed.items()}
    monkeypatch.setattr(subject, "_started", lambda devices: failures)
    return subject.gather(platform(master, nodes))


def test_each_pair_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    master = Master(from0to1=(2, ""), from1to3=(0, "refused"))
    assert gather(monkeypatch, master, [5, 5, 6]) == [
        Found((PROGRAM, "n5"), "shared memory", ""),
        Found((PROGRAM, "n6"), "direct", ""),
        Found(("n5", "n6"), "through the master", "refused"),
    ]
    assert master.asked == [(0, 1), (0, 3), (1, 3)], "one device of each node"


def test_a_node_without_an_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    master = Master()
    found = gather(monkeypatch, master, [5, 6], device2="it doesn't start")
    assert found[1:] == [Found((PROGRAM, "n6"), "not known", "it doesn't start")]
    assert master.asked == [(0, 1)]


@pytest.mark.parametrize(("nodes", "pairs"), [(16, 16 + 120), (17, 17)])
def test_many_nodes(monkeypatch: pytest.MonkeyPatch, nodes: int, pairs: int) -> None:
    assert len(gather(monkeypatch, Master(), list(range(nodes)))) == pairs
