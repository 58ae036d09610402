"""Devices: which answers what to a query, and the cluster device's limits.

Owns: `Device`, the rules by which the cluster device answers for all (the minimum over the
devices, never a sum, frozen at first use), and choosing devices by type. Must not know: contexts,
commands, or how a face gives the answers.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from vcl.api.errors import STATUS, fail, fail_code
from vcl.constants import CLASSES
from vcl.release import VERSION
from vcl.text import counted
from vcl.wire.messages.handshake import RemoteDevice

INFO = CLASSES["device_info"]
_NAMES = {value: name for name, value in INFO.items()}
_INVALID_VALUE = STATUS["INVALID_VALUE"]
_TYPES = CLASSES["device_type"]

VENDOR_ID = int.from_bytes(b"VCL", "big")
"""Of the cluster device. No PCI vendor has it: those are of 16 bits."""

# Of the cluster device: the smallest of the devices' answers.
_SMALLEST = (
    "MAX_WORK_GROUP_SIZE MAX_WORK_ITEM_DIMENSIONS MAX_MEM_ALLOC_SIZE GLOBAL_MEM_SIZE "
    "LOCAL_MEM_SIZE MAX_CONSTANT_BUFFER_SIZE MAX_CONSTANT_ARGS MAX_PARAMETER_SIZE "
    "MAX_READ_IMAGE_ARGS "
    "MAX_WRITE_IMAGE_ARGS IMAGE2D_MAX_WIDTH IMAGE2D_MAX_HEIGHT IMAGE3D_MAX_WIDTH "
    "IMAGE3D_MAX_HEIGHT IMAGE3D_MAX_DEPTH MAX_SAMPLERS IMAGE_MAX_BUFFER_SIZE IMAGE_MAX_ARRAY_SIZE "
    "GLOBAL_MEM_CACHE_SIZE GLOBAL_MEM_CACHELINE_SIZE MAX_CLOCK_FREQUENCY MAX_GLOBAL_VARIABLE_SIZE "
    "IMAGE_SUPPORT COMPILER_AVAILABLE LINKER_AVAILABLE AVAILABLE MAX_NUM_SUB_GROUPS "
    "PRINTF_BUFFER_SIZE NON_UNIFORM_WORK_GROUP_SUPPORT"
).split()
# The largest: alignments.
_LARGEST = "MEM_BASE_ADDR_ALIGN MIN_DATA_TYPE_ALIGN_SIZE PROFILING_TIMER_RESOLUTION".split()
# What all have: bits that every device sets.
_COMMON_BITS = "SINGLE_FP_CONFIG DOUBLE_FP_CONFIG HALF_FP_CONFIG EXECUTION_CAPABILITIES".split()


# What a remote device's driver may offer but the cluster can't keep: memory shared with the host,
# pipes and queues on the device.
_NOT_HONOURED: dict[str, Any] = {
    # Coarse-grain sharing is ours to give, by shadow buffers (`svm`); no other kind is possible.
    "SVM_CAPABILITIES": CLASSES["device_svm_capabilities"]["COARSE_GRAIN_BUFFER"],
    "HOST_UNIFIED_MEMORY": 0,
    "PARTITION_PROPERTIES": [],
    "PARTITION_MAX_SUB_DEVICES": 0,
    "PIPE_SUPPORT": 0,
    "DEVICE_ENQUEUE_CAPABILITIES": 0,
    "MAX_ON_DEVICE_QUEUES": 0,
    "MAX_ON_DEVICE_EVENTS": 0,
    "QUEUE_ON_DEVICE_PROPERTIES": 0,
}


class Device:
    """The cluster (remote None), or one remote device.

    remotes: what the session may use; frozen here for the cluster device. _platform: that the
    device is of, set by it.
    """

    _platform: Any = None

    def __init__(self, remotes: Sequence[RemoteDevice], remote: RemoteDevice | None) -> None:
        self._remote = remote
        self._remotes = list(remotes) if remote is None else [remote]
        self._answers = cluster_answers(remotes) if remote is None else None
        # On the wire: 0 for the cluster device.
        self._id = 0 if remote is None else remote.device

    def _answer(self, name: str) -> Any:
        """The answer as the inventory has it; {"error": code} if the query fails."""
        if self._answers is not None:
            return self._answers.get(name, {"error": _INVALID_VALUE})
        assert self._remote is not None
        if name == "NAME":
            own = str(self._remote.description.info.get("NAME", "device")).strip()
            return f"{own} @ {self._remote.node_name}"
        if name == "REFERENCE_COUNT":
            return 1
        if name in _NOT_HONOURED:
            return _NOT_HONOURED[name]
        return self._remote.description.info.get(name, {"error": _INVALID_VALUE})

    def _info(self, name: str) -> Any:
        """Answer a query, by its name in `device_info`, as the device's own driver did, or as the
        cluster's rule says: a number, a text, bytes, or a list of these or of [version, name].

        Raises CallError where the driver has no answer.
        """
        answer = self._answer(name)
        if isinstance(answer, dict):
            if "b64" in answer:
                return base64.b64decode(answer["b64"])
            fail_code("clGetDeviceInfo", int(answer.get("error", _INVALID_VALUE)))
        return answer

    def _query(self, param: int) -> Any:
        """As `_info`. param: of device_info; of a platform the answer is the object."""
        name = _NAMES.get(param)
        if name is None:
            fail("clGetDeviceInfo", "INVALID_VALUE")
        if name == "PLATFORM":
            return self._platform
        if name == "PARENT_DEVICE":
            return None
        return self._info(name)


D = TypeVar("D", bound=Device)


def of_type(devices: Sequence[D], device_type: int) -> list[D]:
    """Those of a type, as clGetDeviceIDs answers; the default is the first. Raises CallError for
    what isn't a type."""
    if device_type in (_TYPES["ALL"], 0xFFFFFFFF):
        return list(devices)
    if device_type == _TYPES["DEFAULT"]:
        return list(devices[:1])
    known = 0
    for name, value in _TYPES.items():
        known |= 0 if name == "ALL" else value
    if not device_type or device_type & ~known:
        fail("clGetDeviceIDs", "INVALID_DEVICE_TYPE")
    return [device for device in devices if device._info("TYPE") & device_type]


def cluster_answers(devices: Sequence[RemoteDevice]) -> dict[str, Any]:
    """The cluster device's answers, frozen from the devices known now."""
    infos = [d.description.info for d in devices]
    answers = {**infos[0]}  # where devices must agree, or the first is as good as any
    for name in list(answers):
        values = [i.get(name) for i in infos]
        if any(isinstance(v, dict) for v in values):
            answers[name] = {"error": _INVALID_VALUE}
    _combine(answers, infos, _SMALLEST, min)
    _combine(answers, infos, _LARGEST, max)
    _combine(answers, infos, _COMMON_BITS, _and)
    sizes = [i["MAX_WORK_ITEM_SIZES"] for i in infos]
    answers["MAX_WORK_ITEM_SIZES"] = [min(column) for column in zip(*sizes, strict=False)]
    common = set.intersection(*(set(i["EXTENSIONS"].split()) for i in infos))
    answers["EXTENSIONS"] = " ".join(e for e in infos[0]["EXTENSIONS"].split() if e in common)
    versions = infos[0].get("EXTENSIONS_WITH_VERSION")
    if isinstance(versions, list):
        answers["EXTENSIONS_WITH_VERSION"] = [e for e in versions if e[1] in common]
    nodes = len({d.node for d in devices})
    answers.update(_NOT_HONOURED)
    answers.update(
        NAME=f"VCL cluster of {counted(len(devices), 'device')} on {counted(nodes, 'node')}",
        VENDOR="VCL",
        VENDOR_ID=VENDOR_ID,
        DRIVER_VERSION=VERSION,
        MAX_COMPUTE_UNITS=sum(i["MAX_COMPUTE_UNITS"] for i in infos),
        REFERENCE_COUNT=1,
        TYPE=_and_types([i["TYPE"] for i in infos]),
        BUILT_IN_KERNELS="",
        BUILT_IN_KERNELS_WITH_VERSION=[],
    )
    return answers


def _combine(
    answers: dict[str, Any],
    infos: Sequence[dict[str, Any]],
    names: Sequence[str],
    rule: Callable[[list[int]], int],
) -> None:
    for name in names:
        values = [i.get(name) for i in infos]
        if all(isinstance(v, int) for v in values):
            result = rule([int(v) for v in values if v is not None])
            answers[name] = bool(result) if isinstance(values[0], bool) else result


def _and(values: list[int]) -> int:
    result = values[0]
    for value in values[1:]:
        result &= value
    return result


def _and_types(values: Sequence[int]) -> int:
    """The devices' common type; of unlike devices, an accelerator."""
    common = _and(list(values)) & ~_TYPES["DEFAULT"]
    return common or _TYPES["ACCELERATOR"]
