"""pyopencl's exceptions (`_cl.Error` and its kin) and raising them.

Owns: the four classes, which of them a status code belongs to, and making them of the errors of
`vcl.api`. Must not know: what failed.
pyopencl's Python layer adds `code`, `routine` and `what` to them on import.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar

from vcl import errors
from vcl.api.errors import STATUS, STATUS_NAMES

F = TypeVar("F", bound=Callable[..., Any])

_NO_SUCH_CHOICE = ("input did not match any", "not all provided choices were used")


class _ErrorRecord:
    """What an Error carries: a text, a status code and the OpenCL routine that failed."""

    def __init__(self, msg: str, code: int, routine: str) -> None:
        # pyopencl makes a new exception of the text of another, which has its prefix already.
        self._msg = msg.removeprefix(f"{routine} failed: {STATUS_NAMES.get(code)} - ")
        self._code = code
        self._routine = routine

    def routine(self) -> str:
        """Name of the OpenCL routine."""
        return self._routine

    def code(self) -> int:
        """The OpenCL status."""
        return self._code

    def what(self) -> str:
        """The text."""
        return self._msg

    def is_out_of_memory(self) -> bool:
        """Whether freeing memory might help."""
        return self._code in (
            errors.MEM_OBJECT_ALLOCATION_FAILURE,
            errors.OUT_OF_RESOURCES,
            errors.OUT_OF_HOST_MEMORY,
        )


class Error(Exception):
    """Base of OpenCL's errors; holds an `_ErrorRecord`."""


class MemoryError(Error):
    """Out of memory or resources."""


class LogicError(Error):
    """The program asked for something that OpenCL doesn't allow."""


class RuntimeError(Error):
    """Something failed while it ran.

    pyopencl raises it, too, where the choice in PYOPENCL_CTX fits no platform or device. It is
    mostly a choice that was made for the host's own drivers, so its text says which there are.
    """

    def __init__(self, *arguments: Any) -> None:
        choice = os.environ.get("PYOPENCL_CTX")
        if choice and arguments and str(arguments[0]).startswith(_NO_SUCH_CHOICE):
            explained = (
                f"{arguments[0]} (PYOPENCL_CTX is {choice!r}, and the cluster is one platform, "
                '"VCL": unset it for the whole cluster, or set it to 0:N for device N, as `vcl '
                "info` counts them)"
            )
            arguments = (explained, *arguments[1:])
        super().__init__(*arguments)


def make(routine: str, code: int, text: str = "") -> Error:
    """The exception for a status, of the class that pyopencl's own backend would choose."""
    record = _ErrorRecord(text, code, routine)
    if record.is_out_of_memory():
        return MemoryError(record)
    if code <= errors.INVALID_VALUE:
        return LogicError(record)
    if code < 0:
        return RuntimeError(record)
    return Error(record)


def fail(routine: str, status: str, text: str = "") -> NoReturn:
    """Raise the exception for a status given by its name in `status_code`."""
    raise make(routine, STATUS[status], text)


def translate(error: errors.OperatingError, routine: str) -> NoReturn:
    """Raise pyopencl's exception for what OpenCL's rules or the runtime raised.

    routine: that the program called, where the error doesn't say.
    """
    if isinstance(error, errors.CallError):
        raise make(error.routine, error.code, error.message) from None
    raise make(routine, error.code, error.message) from error


def translated(routine: str) -> Callable[[F], F]:
    """Turn a CallError, or an OperatingError of the runtime, into pyopencl's exception for it."""

    def decorate(function: F) -> F:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except errors.OperatingError as error:
                translate(error, routine)

        return wrapper  # type: ignore[return-value]

    return decorate


def not_built(name: str) -> NoReturn:
    """Raise NotImplementedError for a part of pyopencl that vcl doesn't have yet."""
    raise NotImplementedError(f"vcl doesn't have {name} yet")


