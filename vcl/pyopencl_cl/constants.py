"""The classes of constants of `_cl`: `mem_flags`, `device_info`, ...

Owns: making classes of `vcl.constants.CLASSES` that behave as pyopencl's (no instances, plain
ints). Must not know: what the constants mean.
"""

from __future__ import annotations

import enum
from typing import Any

from vcl.constants import CLASSES, ENUM_CLASSES


def _refuse(cls: Any, *args: Any, **kwargs: Any) -> Any:
    raise TypeError(f"pyopencl._cl.{cls.__name__}: no constructor defined!")


def make_classes() -> dict[str, Any]:
    """The classes by name."""
    made: dict[str, Any] = {}
    for name, values in CLASSES.items():
        if name in ENUM_CLASSES:
            # Members take values as they come; `_is_bitfield` and `to_string` are set on it later.
            made[name] = enum.Enum(name, values, module="pyopencl._cl")
        else:
            body = {"__module__": "pyopencl._cl", "__new__": _refuse, **values}
            made[name] = type(name, (), body)
    return made
