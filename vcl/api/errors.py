"""Raising what an OpenCL routine returns in place of success.

Owns: the status codes by name, and `fail`. Must not know: the exceptions of any face.
"""

from __future__ import annotations

from typing import NoReturn

from vcl.constants import CLASSES
from vcl.errors import CallError

STATUS = CLASSES["status_code"]
STATUS_NAMES = {value: name for name, value in STATUS.items()}


def fail(routine: str, status: str, text: str = "") -> NoReturn:
    """Raise the CallError of a status given by its name, as "INVALID_VALUE"."""
    raise CallError(routine, STATUS[status], text)


def fail_code(routine: str, code: int, text: str = "") -> NoReturn:
    """Raise the CallError of a status."""
    raise CallError(routine, code, text)
