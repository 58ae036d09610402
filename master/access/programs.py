"""What the guard says of a whole program: of all its units, with the files that they include.

Owns: `judge_program`. Must not know: how a source is read (`guard`, `constness`), or where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from master.access.constness import keeps_const
from master.access.files import Files
from master.access.functions import judge_kernels
from master.access.guard import Verdict, examine


class Judgement(NamedTuple):
    """verdict: whether all its kernels may run in parts. keeps_const: whether what they declare
    const stays unwritten.

    kernels: if not all may, of each that could be told from the others why it may not, or "" if it
    may.
    """

    verdict: Verdict
    keeps_const: bool
    kernels: Mapping[str, str] = MappingProxyType({})


def judge_program(units: Sequence[list[Any]]) -> Judgement:
    """Judge units as `vcl.wire.units` has them; takes as long as they ask for."""
    examined = [examine(u[0], u[1], Files(u[2], u[3])) for u in units]
    verdicts = [one.verdict for one in examined]
    verdict = next((v for v in verdicts if not v.may_split), verdicts[0])
    parts = [one.parts for one in examined if one.parts is not None]
    apart = not verdict.may_split and len(parts) == len(units)
    return Judgement(
        verdict,
        all(
            keeps_const([u[0], *(data.decode("latin-1") for _, _, data in u[3])], u[1])
            for u in units
        ),
        judge_kernels(parts) if apart else {},
    )
