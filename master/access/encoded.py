"""Footprints on their way from the process that made them.

Owns: their form there, which is JSON: its integers have no bounds, and reading it runs nothing.
Must not know: processes.
"""

from __future__ import annotations

import json
from typing import Any

from master.access.forms import Form
from master.access.kernels import Footprint
from master.access.memory import Touch
from master.access.symbols import Definition, Kind


def encode(footprint: Footprint) -> bytes:
    """The bytes that `decode` understands."""
    definitions = [
        [d.kind.value, d.range, d.forms, d.number, d.cases] for d in footprint.definitions
    ]
    touches = [
        [t.argument, t.writes, t.form, t.size, t.ranges, t.line, t.atomic, t.used]
        for t in footprint.touches
    ]
    return json.dumps([definitions, touches, footprint.cost, footprint.ignored]).encode()


def decode(data: bytes) -> Footprint:
    """A footprint that was encoded."""
    definitions, touches, cost, ignored = json.loads(data)
    return Footprint(
        tuple(
            Definition(
                Kind(kind),
                (low, high),
                tuple(map(_form, forms)),
                number,
                tuple(tuple(map(_narrow, case)) for case in cases),
            )
            for kind, (low, high), forms, number, cases in definitions
        ),
        tuple(
            Touch(argument, writes, form and _form(form), size, tuple(map(_narrow, ranges)), *rest)
            for argument, writes, form, size, ranges, *rest in touches
        ),
        cost,
        tuple(ignored),
    )


def _form(value: list[Any]) -> Form:
    constant, terms = value
    return Form(constant, tuple((symbol, coefficient) for symbol, coefficient in terms))


def _narrow(value: list[Any]) -> tuple[int, tuple[int, int]]:
    symbol, (low, high) = value
    return symbol, (low, high)
