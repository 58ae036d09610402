"""What OpenCL's rules and the runtime raise reaches the program as pyopencl's exceptions."""

from __future__ import annotations

from typing import Any

import pytest

import vcl as cl
from vcl.api.errors import STATUS
from vcl.errors import CallError, OperatingError
from vcl.pyopencl_cl.errors import translated

LogicError: Any = cl.LogicError
RuntimeError_: Any = cl.RuntimeError
MemoryError_: Any = cl.MemoryError


def raised_by(error: Exception) -> Any:
    @translated("clOuter")
    def call() -> None:
        raise error

    with pytest.raises((cl.Error, TypeError)) as raised:
        call()
    return raised.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("INVALID_VALUE", LogicError),
        ("BUILD_PROGRAM_FAILURE", RuntimeError_),
        ("OUT_OF_RESOURCES", MemoryError_),
    ],
)
def test_a_refusal_keeps_its_routine(status: str, kind: Any) -> None:
    error = raised_by(CallError("clInner", STATUS[status], "why"))
    assert type(error) is kind
    assert (error.routine, error.code, error.args[0].what()) == ("clInner", STATUS[status], "why")
    assert str(error) == f"clInner failed: {status} - why"
    assert error.__suppress_context__


def test_an_error_of_the_runtime_is_of_the_routine_that_was_called() -> None:
    cause = OperatingError(STATUS["DEVICE_NOT_AVAILABLE"], "gone")
    error = raised_by(cause)
    assert type(error) is RuntimeError_
    assert (error.routine, error.code, error.args[0].what()) == ("clOuter", cause.code, "gone")
    assert error.__cause__ is cause


def test_other_errors_are_left_alone() -> None:
    error = TypeError("no")
    assert raised_by(error) is error
