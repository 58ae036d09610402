"""Whether a device is one that a program knows: the same again, or one more of a model.

Owns: which of a device's answers count for that. Must not know: nodes, or sessions.

Not all of them: some are of the moment (a clock, free memory, a timer's offset), some of the place
(a bus), and drivers leave rubbish in those that they don't fill in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from operator import ge
from typing import NamedTuple

from vcl.wire.messages.handshake import DeviceDescription

MODEL = (
    "NAME VENDOR VENDOR_ID DRIVER_VERSION VERSION NUMERIC_VERSION PROFILE TYPE EXTENSIONS "
    "OPENCL_C_VERSION OPENCL_C_ALL_VERSIONS OPENCL_C_FEATURES ADDRESS_BITS ENDIAN_LITTLE "
    "COMPILER_AVAILABLE LINKER_AVAILABLE BUILT_IN_KERNELS "
    "MAX_WORK_ITEM_DIMENSIONS MAX_WORK_GROUP_SIZE MAX_WORK_ITEM_SIZES "
    "PREFERRED_WORK_GROUP_SIZE_MULTIPLE NON_UNIFORM_WORK_GROUP_SUPPORT MAX_NUM_SUB_GROUPS "
    "SUB_GROUP_INDEPENDENT_FORWARD_PROGRESS WORK_GROUP_COLLECTIVE_FUNCTIONS_SUPPORT "
    "GENERIC_ADDRESS_SPACE_SUPPORT ATOMIC_MEMORY_CAPABILITIES ATOMIC_FENCE_CAPABILITIES "
    "SINGLE_FP_CONFIG DOUBLE_FP_CONFIG HALF_FP_CONFIG EXECUTION_CAPABILITIES "
    "MEM_BASE_ADDR_ALIGN MIN_DATA_TYPE_ALIGN_SIZE LOCAL_MEM_TYPE LOCAL_MEM_SIZE "
    "MAX_PARAMETER_SIZE MAX_CONSTANT_ARGS IMAGE_SUPPORT MAX_SAMPLERS "
    "MAX_READ_IMAGE_ARGS MAX_WRITE_IMAGE_ARGS MAX_READ_WRITE_IMAGE_ARGS "
    "IMAGE2D_MAX_WIDTH IMAGE2D_MAX_HEIGHT IMAGE3D_MAX_WIDTH IMAGE3D_MAX_HEIGHT IMAGE3D_MAX_DEPTH "
    "IMAGE_MAX_BUFFER_SIZE IMAGE_MAX_ARRAY_SIZE"
).split()
"""Answers that a source can ask for, that decide what a build of it gives, or that are limits of
what a program may ask of a device."""

SIZES = (
    "GLOBAL_MEM_SIZE MAX_MEM_ALLOC_SIZE MAX_CONSTANT_BUFFER_SIZE MAX_GLOBAL_VARIABLE_SIZE".split()
)
"""Limits of which more is as good; the host's memory sets those of its processor."""


class Model(NamedTuple):
    """digest: of all that devices of a model have in common. sizes: this one's SIZES."""

    digest: bytes
    sizes: tuple[int, ...]

    def known_by(self, name: str, index: int) -> bytes:
        """What the device of the agent with this name, at this index of its inventory, has in
        common only with itself, after the agent was restarted."""
        return hashlib.sha256(repr((name, index, *self)).encode()).digest()


def model_of(device: DeviceDescription) -> Model:
    """Of a device, as its host's driver describes it."""
    told = [device.platform.get(name) for name in ("NAME", "VENDOR", "VERSION")]
    told += [device.info.get(name) for name in MODEL]
    digest = hashlib.sha256(repr((told, device.image_formats)).encode()).digest()
    sizes = (device.info.get(size) for size in SIZES)
    return Model(digest, tuple(size if type(size) is int else 0 for size in sizes))


class Models:
    """The models among some devices."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._smallest: dict[bytes, tuple[int, ...]] = {}
        for digest, sizes in models:
            least = self._smallest.get(digest, sizes)
            self._smallest[digest] = tuple(map(min, least, sizes))

    def have(self, model: Model) -> bool:
        """Whether a device of this model, as large as the smallest of them, is among them: then
        one more builds what that builds, and takes all that was made for it."""
        least = self._smallest.get(model.digest)
        return least is not None and all(map(ge, model.sizes, least))
