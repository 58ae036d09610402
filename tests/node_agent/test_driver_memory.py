"""A session's devices, with a driver that has nothing but contexts and queues."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from node_agent.driver.memory import Devices


@pytest.fixture
def devices() -> Iterator[Devices]:
    """Devices 1 and 2; nothing is watched on them."""
    cl: Any = SimpleNamespace(
        Context=lambda devices: devices,
        CommandQueue=lambda context, properties: None,
        command_queue_properties=SimpleNamespace(PROFILING_ENABLE=2),
        event_info=SimpleNamespace(COMMAND_EXECUTION_STATUS=1),
        profiling_info=SimpleNamespace(START=1, END=2),
    )
    devices = Devices(cl, {1: "one", 2: "two"}, lambda inputs: None)
    yield devices
    for device in devices.used():
        device.compute.close()
        device.transfer.close()


def test_a_device_is_set_up_once(devices: Devices) -> None:
    assert not list(devices.used())
    assert devices[1] is devices[1]
    assert [device.device for device in devices.used()] == ["one"]


def test_a_build_may_set_up_a_device_while_others_are_flushed(devices: Devices) -> None:
    assert devices[1]
    flushed = []
    for device in devices.used():
        assert devices[2], "as the host thread does"
        flushed.append(device.device)
    assert flushed == ["one"]
