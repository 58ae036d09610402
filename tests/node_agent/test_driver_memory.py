"""A session's devices, with a driver that has nothing but contexts and queues."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from node_agent.driver import driver as driver_module
from node_agent.driver.failures import DriverFailure
from node_agent.driver.memory import Devices
from vcl.direct.pool import Pool
from vcl.wire.messages import part

MIB = 2**20


def fake(**more: Any) -> Any:
    return SimpleNamespace(
        Context=lambda devices: devices,
        CommandQueue=lambda context, properties: SimpleNamespace(),
        command_queue_properties=SimpleNamespace(PROFILING_ENABLE=2),
        event_info=SimpleNamespace(COMMAND_EXECUTION_STATUS=1),
        profiling_info=SimpleNamespace(START=1, END=2),
        **more,
    )


@pytest.fixture
def devices() -> Iterator[Devices]:
    """Devices 1 and 2; nothing is watched on them."""
    devices = Devices(fake(), {1: "one", 2: "two"}, lambda inputs: None)
    yield devices
    close(devices)


def close(devices: Devices) -> None:
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


@pytest.mark.parametrize("copies", [False, True], ids=["uses it", "has its own"])
def test_bytes_have_a_place_where_a_device_uses_the_hosts_memory(copies: bool) -> None:
    """Nothing but a trial tells."""

    def buffer(context: Any, flags: int, hostbuf: Any) -> Any:
        return np.copy(hostbuf) if copies else hostbuf

    def copy(queue: Any, to: Any, source: Any) -> None:
        to[:] = source

    cl = fake(
        Buffer=buffer,
        enqueue_copy=copy,
        device_type=SimpleNamespace(CPU=2),
        mem_flags=SimpleNamespace(READ_WRITE=1, USE_HOST_PTR=8),
        device_svm_capabilities=SimpleNamespace(COARSE_GRAIN_BUFFER=1),
    )
    devices = Devices(
        cl, {1: SimpleNamespace(type=2, host_unified_memory=True)}, lambda inputs: None,
        Pool(changing=True),
    )  # fmt: skip
    device = devices[1]
    device.buffers[7] = device.allocate(cl, part.Allocate(1, 7, 2 * MIB, False, 0))
    place = device.place(7, MIB, 1000)
    assert (place is None) is copies
    if place is not None:
        place[:] = b"x" * 1000
        assert (device.buffers[7][MIB : MIB + 1000] == ord("x")).all()
        assert device.has_in_place(7, MIB, place) and not device.has_in_place(7, MIB + 1, place)
        assert not device.has_in_place(7, MIB, bytes(place)) and not device.has_in_place(7, 0, b"")
        assert device.place(7, MIB, MIB + 1) is None and device.place(8, 0, 1) is None
        device.free(7)
        assert device.place(7, MIB, 1000) is None
    close(devices)


def test_memory_that_the_host_has_not_shows_in_the_operations(
    devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    cl = SimpleNamespace(Error=RuntimeError, enqueue_nd_range_kernel=None)
    monkeypatch.setattr(driver_module, "load_pyopencl", lambda: cl)
    monkeypatch.setattr(driver_module, "matching_devices", lambda *_: ([], []))
    driver = driver_module.Driver([], None, lambda inputs: None)
    monkeypatch.setattr(driver, "_devices", devices)

    def none_left(*_: object) -> None:
        raise MemoryError("no 9 bytes left")

    monkeypatch.setattr(devices[1], "allocate", none_left)
    driver.start(part.Allocate(1, 7, 9, False, 0))
    with pytest.raises(DriverFailure, match=r"of 9 bytes can't be allocated: no 9 bytes left"):
        devices[1].buffer(7)
    driver.close()
