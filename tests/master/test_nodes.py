"""The register of nodes: numbers, which only the same device has again, and devices as clients
see them."""

from __future__ import annotations

from typing import Any

import pytest

from master import nodes as subject
from master.nodes import Node, Nodes
from master.places import NONE_CONNECTED
from tests.described import INFO, device
from vcl.wire.messages.handshake import DeviceDescription, Hello


def add(nodes: Nodes, name: str, *devices: DeviceDescription) -> Node:
    hello = Hello(
        software="9", role="agent", token="", name=name, host="h", incarnation="i",
        devices=list(devices),
    )  # fmt: skip
    return nodes.add(hello, 5, 1.5)


def test_what_is_kept_of_an_agent() -> None:
    node = add(Nodes(), "a", device(), device())
    assert (node.id, node.name, node.host, node.incarnation) == (1, "a", "h", "i")
    assert (node.connection, node.heard, node.devices) == (5, 1.5, {1: 0, 2: 1})


def test_the_same_device_has_its_number_again_on_another_node() -> None:
    nodes = Nodes()
    first = add(nodes, "a", device(), device(MAX_CLOCK_FREQUENCY=800))
    nodes.remove(first, "gone")
    again = add(nodes, "a", device(), device(MAX_CLOCK_FREQUENCY=900))
    assert (again.id, again.devices) == (2, {1: 0, 2: 1})
    assert [p.node for p in nodes.places([1, 2])] == [2, 2]
    assert list(nodes.by_id) == [2]
    nodes.remove(again, "gone again")
    assert nodes.why_none([1]).endswith("gone again")


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        ("b", [device()]),
        ("a", [device(DRIVER_VERSION="2")]),
        ("a", [device(NAME="other"), device()]),
        ("a", [DeviceDescription(platform={"NAME": "other"}, info=INFO)]),
    ],
    ids=["another agent", "another driver", "at another index", "another platform"],
)
def test_another_device_has_a_new_number(name: str, devices: list[DeviceDescription]) -> None:
    nodes = Nodes()
    nodes.remove(add(nodes, "a", device()), "gone")
    node = add(nodes, name, *devices)
    assert min(node.devices) > 1


def test_twins_that_went_do_not_get_the_same_number() -> None:
    nodes = Nodes()
    first, second = add(nodes, "node2", device()), add(nodes, "", device())
    nodes.remove(first, "gone")
    nodes.remove(second, "gone")
    one, other = add(nodes, "node2", device()), add(nodes, "node2", device())
    assert len({*one.devices, *other.devices}) == 2


def test_only_so_many_that_went_are_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "gone_kept_max", 1)
    nodes = Nodes()
    for name in "ab":
        nodes.remove(add(nodes, name, device()), "gone")
    assert add(nodes, "a", device()).devices == {3: 0}
    assert add(nodes, "b", device()).devices == {2: 0}
    assert not nodes._gone and not nodes._returning


def test_an_agent_without_a_name_gets_one() -> None:
    assert add(Nodes(), "").name == "node1"


def test_finding_by_name() -> None:
    nodes = Nodes()
    node = add(nodes, "a")
    assert nodes.named("a") is node
    assert nodes.named("b") is None
    nodes.remove(node, "gone")
    assert nodes.named("a") is None


def test_finding_by_a_name_that_another_was_given() -> None:
    nodes = Nodes()
    first, second = add(nodes, "node2"), add(nodes, "")
    assert first.name == second.name and nodes.named("node2") is first
    nodes.remove(first, "gone")
    assert nodes.named("node2") is second
    nodes.remove(second, "gone")
    assert nodes.named("node2") is None and not nodes._named


def test_places_come_in_the_order_asked_for() -> None:
    nodes = Nodes()
    add(nodes, "a", device(NAME="one"), device(NAME="two "))
    assert [p.device_name for p in nodes.places([2, 9, 1])] == ["two", "one"]


def test_why_there_is_none_names_who_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "gone_kept_max", 3)
    nodes = Nodes()
    first, second = add(nodes, "a", device(), device()), add(nodes, "b", device(), device())
    nodes.remove(first, "node a is gone: it crashed")
    assert nodes.why_none([1, 2]) == f"{NONE_CONNECTED}: node a is gone: it crashed"
    nodes.remove(second, "node b is gone: no heartbeat")
    assert nodes.why_none([2, 3]).endswith("a is gone: it crashed; node b is gone: no heartbeat")
    assert nodes.why_none([1]) == nodes.why_none([99]) == NONE_CONNECTED, "it's long ago"


def test_limits_are_taken_from_what_a_driver_said() -> None:
    nodes = Nodes()
    add(nodes, "a", device(MAX_WORK_GROUP_SIZE=64, MAX_WORK_ITEM_SIZES=[64, 32, 16]))
    (place,) = nodes.places([1])
    assert (place.group_items_max, place.item_sizes_max) == (64, (64, 32, 16))


@pytest.mark.parametrize(
    "info",
    [
        {"NAME": {"error": -30}},
        {"EXTENSIONS": 1},
        {"TYPE": 0},
        {"MAX_WORK_GROUP_SIZE": {"error": -30}},
        {"MAX_WORK_GROUP_SIZE": True},
        {"GLOBAL_MEM_SIZE": -1},
        {"MAX_WORK_ITEM_SIZES": [8, 8]},
        {"MAX_WORK_ITEM_SIZES": ["8", 8, 8]},
        {"MAX_WORK_ITEM_SIZES": "888"},
        {"MAX_WORK_ITEM_SIZES": [8, 8, 0]},
    ],
)
def test_a_device_that_nobody_could_work_with_is_left_out(info: dict[str, Any]) -> None:
    nodes = Nodes()
    node = add(nodes, "a", device(**info), device(NAME="good"))
    assert [p.device_name for p in nodes.places([1, 2])] == ["good"]
    assert node.devices == {1: 1}, "the index in the agent's inventory stays"
    (why,) = node.left_out
    assert why.startswith(f"device 0: its {next(iter(info))} ")


def test_a_name_that_would_forge_a_line() -> None:
    nodes = Nodes()
    add(nodes, "a", device(NAME="gpu\n\x1b[31mroot"))
    assert nodes.places([1])[0].device_name == r"gpu\n\x1b[31mroot"


def test_clients_see_devices_by_the_names_of_their_nodes() -> None:
    nodes = Nodes()
    add(nodes, "b", device(NAME="late"))
    add(nodes, "a", device(NAME="one"), device(NAME="two"))
    seen = [(d.node_name, d.device, d.node) for d in nodes.remote_devices()]
    assert seen == [("a", 2, 2), ("a", 3, 2), ("b", 1, 1)]
    assert nodes.remote_devices()[0].description.info == INFO | {"NAME": "one"}
