"""The tree of exceptions, and the OpenCL codes against pyopencl's own."""

from __future__ import annotations

import pytest

from vcl import constants, errors


def test_the_tree() -> None:
    assert issubclass(errors.LocalProtocolError, errors.ProtocolError)
    assert issubclass(errors.RemoteProtocolError, errors.ProtocolError)
    for kind in (errors.ProtocolError, errors.OperatingError, errors.ConnectionProblem):
        assert issubclass(kind, errors.VclError)
        assert not any(issubclass(kind, other) for other in _others(kind))


def _others(kind: type) -> list[type]:
    kinds: list[type] = [errors.ProtocolError, errors.OperatingError, errors.ConnectionProblem]
    return [other for other in kinds if other is not kind]


def test_an_operating_error_shows_its_code_and_text() -> None:
    error = errors.OperatingError(errors.OUT_OF_RESOURCES, "node n1 is full")
    assert (error.code, error.message) == (-5, "node n1 is full")
    assert str(error) == "[-5] node n1 is full"


CODES = [name for name in vars(errors) if name.isupper()]


@pytest.mark.parametrize("name", CODES)
def test_codes_are_those_of_opencl(name: str) -> None:
    assert getattr(errors, name) == constants.CLASSES["status_code"][name]
