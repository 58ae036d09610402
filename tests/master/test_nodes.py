"""The register of nodes: numbers that never come again, and devices as clients see them."""

from __future__ import annotations

from typing import Any

import pytest

from master.nodes import Node, Nodes
from vcl.wire.messages.handshake import DeviceDescription, Hello


def device(**info: Any) -> DeviceDescription:
    return DeviceDescription(platform={}, info=info)


def add(nodes: Nodes, name: str, *devices: DeviceDescription) -> Node:
    hello = Hello(
        software="9", role="agent", token="", name=name, host="h", incarnation="i",
        devices=list(devices),
    )  # fmt: skip
    return nodes.add(hello, 5, 1.5)


def test_what_is_kept_of_an_agent() -> None:
    node = add(Nodes(), "a", device(), device())
    assert (node.id, node.name, node.host, node.incarnation) == (1, "a", "h", "i")
    assert (node.connection, node.heard, node.devices) == (5, 1.5, [1, 2])


def test_numbers_do_not_come_again() -> None:
    nodes = Nodes()
    first = add(nodes, "a", device())
    nodes.remove(first)
    again = add(nodes, "a", device())
    assert (again.id, again.devices) == (2, [2])
    assert nodes.places([1, 2]) == nodes.places([2])
    assert list(nodes.by_id) == [2]


def test_an_agent_without_a_name_gets_one() -> None:
    assert add(Nodes(), "").name == "node1"


def test_finding_by_name() -> None:
    nodes = Nodes()
    node = add(nodes, "a")
    assert nodes.named("a") is node
    assert nodes.named("b") is None
    nodes.remove(node)
    assert nodes.named("a") is None


def test_places_come_in_the_order_asked_for() -> None:
    nodes = Nodes()
    add(nodes, "a", device(NAME="one"), device(NAME="two "))
    assert [p.device_name for p in nodes.places([2, 9, 1])] == ["two", "one"]


@pytest.mark.parametrize(
    ("info", "group_items_max", "item_sizes_max"),
    [
        (
            {"MAX_WORK_GROUP_SIZE": 64, "MAX_WORK_ITEM_SIZES": [64, 32, 16]},
            64,
            (64, 32, 16),
        ),
        ({}, 1, (1, 1, 1)),
        ({"MAX_WORK_GROUP_SIZE": {"error": -30}, "MAX_WORK_ITEM_SIZES": [8, 8]}, 1, (1, 1, 1)),
        ({"MAX_WORK_GROUP_SIZE": True, "MAX_WORK_ITEM_SIZES": ["8", 8, 8]}, 1, (1, 1, 1)),
        ({"MAX_WORK_GROUP_SIZE": 0, "MAX_WORK_ITEM_SIZES": "888"}, 1, (1, 1, 1)),
    ],
)
def test_limits_are_taken_from_what_a_driver_may_have_said(
    info: dict[str, Any], group_items_max: int, item_sizes_max: tuple[int, ...]
) -> None:
    nodes = Nodes()
    add(nodes, "a", device(**info))
    (place,) = nodes.places([1])
    assert (place.group_items_max, place.item_sizes_max) == (group_items_max, item_sizes_max)
    assert place.device_name == "unnamed device"


def test_clients_see_devices_by_the_names_of_their_nodes() -> None:
    nodes = Nodes()
    add(nodes, "b", device(NAME="late"))
    add(nodes, "a", device(NAME="one"), device(NAME="two"))
    seen = [(d.node_name, d.device, d.node) for d in nodes.remote_devices()]
    assert seen == [("a", 2, 2), ("a", 3, 2), ("b", 1, 1)]
    assert nodes.remote_devices()[0].description.info == {"NAME": "one"}
