"""Devices: the cluster's answers are what holds on all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.described import device
from tests.vcl.api.world import refused, remotes
from vcl.api.devices import Device, cluster_answers, of_type
from vcl.constants import CLASSES
from vcl.wire.messages.handshake import RemoteDevice

_TYPES = CLASSES["device_type"]


def cluster(*changes: dict[str, Any]) -> Device:
    described = [
        RemoteDevice(device=n, node=n, node_name=f"n{n}", description=device(**change))
        for n, change in enumerate(changes, 1)
    ]
    return Device(described, None)


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("MAX_MEM_ALLOC_SIZE", (9, 5), 5),
        ("MEM_BASE_ADDR_ALIGN", (1024, 2048), 2048),
        ("MAX_COMPUTE_UNITS", (3, 4), 7),
        ("MAX_WORK_ITEM_SIZES", ([8, 9, 1], [9, 8, 1]), [8, 8, 1]),
        ("EXTENSIONS", ("a b c", "c a"), "a c"),
        ("SINGLE_FP_CONFIG", (6, 3), 2),
        ("IMAGE_SUPPORT", (True, False), False),
        ("TYPE", (2, 4), _TYPES["ACCELERATOR"]),
        ("TYPE", (3, 2), 2),
    ],
)
def test_the_cluster_device_answers_for_all(name: str, values: Any, found: Any) -> None:
    answer = cluster(*({name: value} for value in values))._info(name)
    assert (answer, type(answer)) == (found, type(found))


def test_a_remote_device_answers_as_its_driver() -> None:
    every = remotes(NAME=" GPU ", UUID_KHR={"b64": "AQI="}, BROKEN={"error": -59}, PIPE_SUPPORT=1)
    found = Device(every, every[1])
    assert found._id == 2
    assert found._info("NAME") == "GPU @ n2"
    assert found._info("UUID_KHR") == b"\x01\x02"
    assert found._info("PIPE_SUPPORT") == 0  # which the cluster can't keep
    with refused("clGetDeviceInfo", "INVALID_OPERATION"):
        found._info("BROKEN")
    with refused("clGetDeviceInfo", "INVALID_VALUE"):
        found._info("UNKNOWN")


def test_what_one_driver_does_not_know_the_cluster_does_not() -> None:
    with refused("clGetDeviceInfo", "INVALID_VALUE"):
        cluster({"VENDOR": "x", "HALF_FP_CONFIG": 1}, {"HALF_FP_CONFIG": {"error": -30}})._info(
            "HALF_FP_CONFIG"
        )


def test_the_cluster_device_has_the_id_0_and_all_remotes() -> None:
    every = remotes(3)
    found = Device(every, None)
    every.pop()
    assert found._id == 0 and len(found._remotes) == 3
    assert cluster_answers(every)["NAME"] == "VCL cluster of 2 devices on 2 nodes"


def test_choosing_by_type() -> None:
    devices = [cluster({"TYPE": 4}), cluster({"TYPE": 2}), cluster({"TYPE": 4})]
    assert of_type(devices, _TYPES["ALL"]) == devices
    assert of_type(devices, _TYPES["DEFAULT"]) == devices[:1]
    assert of_type(devices, _TYPES["GPU"]) == [devices[0], devices[2]]
    assert of_type(devices, _TYPES["CPU"]) == [devices[1]]
    for wrong in (0, 1 << 20):
        with refused("clGetDeviceIDs", "INVALID_DEVICE_TYPE"):
            of_type(devices, wrong)
