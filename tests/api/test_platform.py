"""The platform "VCL", its devices and what they answer."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import vcl as cl
from tests.processes import run_program


def test_one_platform(platform: Any) -> None:
    (found,) = cl.get_platforms()
    assert found == platform
    assert (found.name, found.vendor) == ("VCL", "VCL")
    assert found.version.startswith("OpenCL 3.0 VCL ")
    assert found.profile == "FULL_PROFILE"
    assert isinstance(found.extensions, str)
    assert "VCL" in repr(found)
    assert cl.Platform.from_int_ptr(found.int_ptr) == found


def test_the_cluster_comes_first_then_each_device(platform: Any, cluster: Any) -> None:
    first, *remote = platform.get_devices()
    assert first.name == "VCL cluster of 2 devices on 2 nodes"
    assert [d.name.rpartition(" @ ")[2] for d in remote] == [n.name for n in cluster.nodes]
    assert all(d.platform == platform for d in (first, *remote))
    assert len({first, *remote}) == 3


def test_devices_by_type(platform: Any) -> None:
    everything = platform.get_devices()
    assert platform.get_devices(cl.device_type.ALL) == everything
    assert platform.get_devices(cl.device_type.CPU) == everything
    assert platform.get_devices(cl.device_type.DEFAULT) == everything[:1]
    assert platform.get_devices(cl.device_type.GPU) == []


def test_unknown_device_type(platform: Any) -> None:
    with pytest.raises(cl.Error) as raised:
        platform.get_devices(1 << 20)
    assert raised.value.code == cl.status_code.INVALID_DEVICE_TYPE


def test_the_cluster_promises_what_all_devices_hold(platform: Any) -> None:
    first, *remote = platform.get_devices()
    for name in ("global_mem_size", "max_mem_alloc_size", "max_work_group_size", "local_mem_size"):
        assert getattr(first, name) == min(getattr(d, name) for d in remote)
    assert first.max_compute_units == sum(d.max_compute_units for d in remote)
    for extension in first.extensions.split():
        assert all(extension in d.extensions.split() for d in remote)
    assert first.max_work_item_sizes == remote[0].max_work_item_sizes
    assert first.max_work_item_dimensions == 3
    coarse = cl.device_svm_capabilities.COARSE_GRAIN_BUFFER
    assert first.svm_capabilities == coarse, "memory shared at a finer grain can't be kept"
    assert first.type == cl.device_type.CPU


@pytest.mark.parametrize("index", [0, 1])
def test_every_property_answers_or_raises_as_opencl_does(platform: Any, index: int) -> None:
    device = platform.get_devices()[index]
    answered = 0
    for name, value in vars(cl.device_info).items():
        if name.startswith("_") or not isinstance(value, int):
            continue
        try:
            device.get_info(value)
        except cl.Error as error:
            assert error.code < 0, name
        else:
            answered += 1
    assert answered > 80
    with pytest.raises(cl.LogicError) as raised:
        device.get_info(0x7777)
    assert raised.value.code == cl.status_code.INVALID_VALUE


def test_devices_are_not_partitioned(platform: Any) -> None:
    device = platform.get_devices()[1]
    with pytest.raises(cl.RuntimeError, match="partition") as raised:
        device.create_sub_devices([cl.device_partition_property.EQUALLY, 1])
    assert raised.value.code == cl.status_code.DEVICE_PARTITION_FAILED


def test_create_some_context_takes_the_cluster(
    platform: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYOPENCL_CTX", raising=False)
    assert cl.create_some_context(interactive=False).devices == platform.get_devices()[:1]
    assert cl.create_some_context(answers=["0", "2"]).devices == platform.get_devices()[2:3]
    monkeypatch.setenv("PYOPENCL_CTX", "VCL:local1")
    assert cl.create_some_context(interactive=False).devices == platform.get_devices()[2:3]


def test_the_native_driver_is_not_in_this_process() -> None:
    assert sys.modules["pyopencl._cl"].__spec__.origin == "vcl"
    with open("/proc/self/maps") as maps:
        assert not [line for line in maps if "OpenCL" in line or "pocl" in line]


def test_vcl_says_so_when_the_native_driver_came_first() -> None:
    done = run_program("import pyopencl\nimport vcl as cl\ncl.get_platforms()")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "pyopencl was imported before vcl" in last
    assert "vcl run" in last


def test_every_submodule_of_pyopencl_is_one_of_vcl() -> None:
    import pyopencl.array

    import vcl.array

    assert vcl.array is pyopencl.array
    assert cl.array is pyopencl.array

    import pyopencl.characterize.performance

    import vcl.characterize.performance

    assert vcl.characterize is pyopencl.characterize
    name = "characterize.performance"
    assert sys.modules[f"vcl.{name}"] is sys.modules[f"pyopencl.{name}"]
    with pytest.raises(ImportError):
        import vcl.nowhere
    with pytest.raises(AttributeError, match="nowhere"):
        cl.nowhere  # noqa: B018


def test_all_names_of_pyopencl_are_names_of_vcl() -> None:
    import pyopencl

    public = {name for name in dir(pyopencl) if not name.startswith("_")}
    assert public <= set(dir(cl))
    differing = [n for n in public if getattr(cl, n) is not getattr(pyopencl, n)]
    assert set(differing) <= {"version"}


def test_version_is_that_of_pyopencl() -> None:
    import pyopencl

    assert cl.VERSION_TEXT == pyopencl.VERSION_TEXT
    assert cl.version is pyopencl.version


def test_importing_vcl_loads_no_pyopencl_and_is_quick() -> None:
    done = run_program(
        """
        import sys
        import vcl
        print(sorted({"pyopencl", "numpy", "asyncio"} & set(sys.modules)))
        """
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_cluster_device_from_what_drivers_may_say() -> None:
    """Errors in place of answers, and unlike devices, must not break the platform."""
    from tests.described import device
    from vcl.api.devices import cluster_answers as _cluster_answers
    from vcl.wire.messages.handshake import RemoteDevice

    failed = {"error": -30}
    odd = {"EXTENSIONS_WITH_VERSION": failed, "VENDOR_ID": failed, "NEW": [[1, "x"]]}
    devices = [
        RemoteDevice(device=n, node=n, node_name=f"n{n}", description=device(**changes))
        for n, changes in enumerate((odd, {}, {"EXTENSIONS_WITH_VERSION": [[1, "cl_khr_fp64"]]}))
    ]
    for order in (devices, devices[::-1]):
        answers = _cluster_answers(order)
        assert answers["MAX_COMPUTE_UNITS"] == 3
        assert answers["EXTENSIONS_WITH_VERSION"] in ({"error": -30}, [[1, "cl_khr_fp64"]])
