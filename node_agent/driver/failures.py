"""How the driver's operations fail.

Owns: the exceptions, and the OpenCL status and text of whatever was raised. Must not know: who is
told.
"""

from __future__ import annotations

from vcl.errors import OUT_OF_HOST_MEMORY, OUT_OF_RESOURCES


class DriverFailure(Exception):
    """An operation failed with an OpenCL status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class NotEnqueued(DriverFailure):
    """A kernel couldn't be enqueued: the driver has changed nothing."""


def status_of(error: BaseException) -> tuple[int, str]:
    """(status, text) of whatever an operation raised."""
    if isinstance(error, DriverFailure):
        return error.code, error.text
    if isinstance(error, MemoryError):
        return OUT_OF_HOST_MEMORY, "the node is out of memory"
    code = getattr(error, "code", None)
    return (code, str(error)) if type(code) is int and code < 0 else (OUT_OF_RESOURCES, repr(error))
