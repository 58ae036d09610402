"""What pyopencl has and vcl doesn't have yet: each raises NotImplementedError naming itself.

Owns: the placeholders for pipes and AMD's peer copies, so that nothing is silently skipped. Must
not know: anything else.
"""

from __future__ import annotations

from typing import Any

from vcl.pyopencl_cl.errors import not_built
from vcl.pyopencl_cl.memory import MemoryObject

FUNCTIONS = (
    "enqueue_copy_buffer_p2p_amd",
)
"""Functions that aren't built."""


def _function(name: str) -> Any:
    def absent(*args: Any, **kwargs: Any) -> Any:
        not_built(f"pyopencl's {name.lstrip('_')}")

    absent.__name__ = name
    absent.__doc__ = f"Not built yet: {name}."
    return absent


def functions() -> dict[str, Any]:
    """The placeholders by name."""
    return {name: _function(name) for name in FUNCTIONS}


class Pipe(MemoryObject):
    """A pipe; not built."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        not_built("pipes")

    def get_pipe_info(self, param: int) -> Any:
        """Not built."""
        not_built("pipes")


CLASSES_ABSENT = (
    Pipe,
)
"""Classes that are placeholders."""
