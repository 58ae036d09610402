"""Which ways `vcl info` asks for, and how long it waits for links."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vcl.cli import ways as subject
from vcl.cli.ways import PROGRAM, Found
from vcl.wire.messages.session import AskWay, WayFound


class Master:
    """Answers by pair of devices, the last one for ever."""

    def __init__(self, **answers: list[tuple[int, bool, str]]) -> None:
        self.answers = answers
        self.asked: list[tuple[int, int]] = []

    def new_id(self) -> int:
        return 7

    def ask(self, request: int, m: AskWay) -> WayFound:
        assert m.request == request
        self.asked.append((m.device, m.other))
        left = self.answers.get(f"from{m.device}to{m.other}", [(1, False, "")])
        return WayFound(request, *(left.pop(0) if len(left) > 1 else left[0]))


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


def test_a_link_that_is_being_opened_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    master = Master(from0to1=[(0, True, ""), (0, True, ""), (2, False, "")],
                    from1to3=[(0, False, "refused")])  # fmt: skip
    assert gather(monkeypatch, master, [5, 5, 6]) == [
        Found((PROGRAM, "n5"), "shared memory", ""),
        Found((PROGRAM, "n6"), "direct", ""),
        Found(("n5", "n6"), "through the master", "refused"),
    ]
    assert master.asked == [(0, 1), (0, 3), (1, 3), (0, 1), (0, 1)], "one device of each node"


def test_a_link_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "opening_s_max", 0.0)
    (found,) = gather(monkeypatch, Master(from0to1=[(0, True, "")]), [5])
    assert found == Found((PROGRAM, "n5"), "through the master", "a link is still being opened")


def test_a_node_without_an_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    master = Master()
    found = gather(monkeypatch, master, [5, 6], device2="it doesn't start")
    assert found[1:] == [Found((PROGRAM, "n6"), "not known", "it doesn't start")]
    assert master.asked == [(0, 1)]


@pytest.mark.parametrize(("nodes", "pairs"), [(16, 16 + 120), (17, 17)])
def test_many_nodes(monkeypatch: pytest.MonkeyPatch, nodes: int, pairs: int) -> None:
    assert len(gather(monkeypatch, Master(), list(range(nodes)))) == pairs
