"""What the guard says of a whole program: of all its units, with the files that they include.

Owns: `judge_program`. Must not know: how a source is read (`guard`, `constness`), or where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from master.access.constness import keeps_const
from master.access.files import Files
from master.access.guard import Verdict, judge


class Judgement(NamedTuple):
    """verdict: whether its kernels may run in parts. keeps_const: whether what they declare const
    stays unwritten."""

    verdict: Verdict
    keeps_const: bool


def judge_program(units: Sequence[list[Any]]) -> Judgement:
    """Judge units as `vcl.wire.units` has them; takes as long as they ask for."""
    verdicts = [judge(u[0], u[1], Files(u[2], u[3])) for u in units]
    return Judgement(
        next((v for v in verdicts if not v.may_split), verdicts[0]),
        all(
            keeps_const([u[0], *(data.decode("latin-1") for _, _, data in u[3])], u[1])
            for u in units
        ),
    )
