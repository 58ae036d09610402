"""The platform: its devices and its answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vcl.api.world import StubRuntime, refused, remotes
from vcl.api.platform import Platform
from vcl.constants import CLASSES
from vcl.release import VERSION

_INFO = CLASSES["platform_info"]
_DEVICE, _TYPES = CLASSES["device_info"], CLASSES["device_type"]


def test_the_cluster_device_comes_first() -> None:
    every = remotes(2)
    platform = Platform(StubRuntime(every))
    devices = platform._devices()
    assert [device._id for device in devices] == [0, 1, 2]
    assert devices[0]._remotes == every
    assert all(a is b for a, b in zip(devices, platform._devices(), strict=True))


def test_a_cluster_without_devices() -> None:
    platform = Platform(StubRuntime())
    assert platform._devices() == []
    assert platform._query(_INFO["EXTENSIONS"]) == ""
    with refused("clCreateContextFromType", "DEVICE_NOT_FOUND"):
        platform._devices_for_context(None)


def test_a_context_is_of_the_default_device_or_of_those_of_a_type() -> None:
    platform = Platform(StubRuntime(remotes(2)))
    devices = platform._devices()
    assert platform._devices_for_context(None) == devices[:1]
    assert platform._devices_for_context(_TYPES["ALL"]) == devices
    with refused("clGetDeviceIDs", "INVALID_DEVICE_TYPE"):
        platform._devices_for_context(0)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("NAME", "VCL"),
        ("VENDOR", "VCL"),
        ("PROFILE", "FULL_PROFILE"),
        ("VERSION", f"OpenCL 3.0 VCL {VERSION}"),
        ("NUMERIC_VERSION", 3 << 22),
        ("EXTENSIONS_WITH_VERSION", []),
    ],
)
def test_answers(name: str, answer: Any) -> None:
    assert Platform(StubRuntime())._query(_INFO[name]) == answer


def test_the_extensions_are_those_of_the_cluster_device() -> None:
    platform = Platform(StubRuntime(remotes(2, EXTENSIONS="cl_khr_a cl_khr_b")))
    assert platform._query(_INFO["EXTENSIONS"]) == "cl_khr_a cl_khr_b"


def test_what_is_no_query() -> None:
    with refused("clGetPlatformInfo", "INVALID_VALUE"):
        Platform(StubRuntime())._query(1)


def test_devices_answer_with_their_platform() -> None:
    platform = Platform(StubRuntime(remotes(1)))
    for device in platform._devices():
        assert device._query(_DEVICE["PLATFORM"]) is platform
        assert device._query(_DEVICE["PARENT_DEVICE"]) is None
        assert device._query(_DEVICE["NAME"]) == device._info("NAME")
        with refused("clGetDeviceInfo", "INVALID_VALUE"):
            device._query(1)
