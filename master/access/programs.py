"""What the guard says of a whole program: of all its units, with the files that they include.

Owns: `judge_program`, `judge_variant`. Must not know: how a source is read (`guard`, `constness`),
or where.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from master.access.constness import keeps_const
from master.access.files import Files
from master.access.functions import judge_kernels
from master.access.guard import Examined, Verdict, examine


class Judgement(NamedTuple):
    """verdict: whether all its kernels may run in parts. keeps_const: whether what they declare
    const stays unwritten.

    kernels: if not all may, of each that could be told from the others why it may not, or "" if it
    may.
    """

    verdict: Verdict
    keeps_const: bool
    kernels: Mapping[str, str] = MappingProxyType({})


def why_whole(verdict: Verdict, kernels: Mapping[str, str], kernel: str) -> str | None:
    """What the guard has against running a kernel in parts; the rest as in `Judgement`."""
    return None if verdict.may_split else kernels.get(kernel, verdict.reason) or None


class Variant(NamedTuple):
    """A program expanded, and rewritten so that a part sees the whole launch.

    hidden: of each kernel the index of the argument that it takes behind the user's, or None.
    verdict, kernels: as in `Judgement`, of this text.
    """

    source: str
    options: str
    hidden: Mapping[str, int | None]
    verdict: Verdict
    kernels: Mapping[str, str] = MappingProxyType({})


_TOLD_APART = re.compile(
    r"\bget_(global_size|num_groups|group_id|global_offset|global_linear_id)\b"
)
"""What a part is told from its launch by, unless its program is rewritten."""


def judge_program(units: Sequence[list[Any]]) -> Judgement:
    """Judge units as `vcl.wire.units` has them; takes as long as they ask for."""
    examined = [examine(u[0], u[1], Files(u[2], u[3])) for u in units]
    verdict, kernels = _judged(examined)
    keeps = all(
        keeps_const([u[0], *(data.decode("latin-1") for _, _, data in u[3])], u[1]) for u in units
    )
    return Judgement(verdict, keeps, kernels)


def judge_variant(text: str, options: str) -> tuple[Verdict, Mapping[str, str]]:
    """Verdict and kernels of a variant, from the expanded text that is rewritten.

    The device compiles what the text has, and nothing of the macros and branches of its source.
    """
    # To a part that sees its launch these functions tell nothing; all else is judged as ever.
    return _judged([examine(_TOLD_APART.sub("get_global_id", text), options)])


def _judged(examined: Sequence[Examined]) -> tuple[Verdict, Mapping[str, str]]:
    verdicts = [one.verdict for one in examined]
    verdict = next((v for v in verdicts if not v.may_split), verdicts[0])
    parts = [one.parts for one in examined if one.parts is not None]
    apart = not verdict.may_split and len(parts) == len(examined)
    return verdict, judge_kernels(parts) if apart else {}
