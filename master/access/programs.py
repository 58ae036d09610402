"""What the guard says of a whole program: of all its units, with the files that they include.

Owns: `judge_program`. Must not know: how a source is read (`guard`, `constness`), or where.
"""

from __future__ import annotations

import re
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
    may. rewritten, rewritten_kernels: verdict and kernels if the program is rewritten so that a
    part sees the whole launch; None if that would change nothing.
    """

    verdict: Verdict
    keeps_const: bool
    kernels: Mapping[str, str] = MappingProxyType({})
    rewritten: Verdict | None = None
    rewritten_kernels: Mapping[str, str] = MappingProxyType({})


_TOLD_APART = re.compile(
    r"\bget_(global_size|num_groups|group_id|global_offset|global_linear_id)\b"
)
"""What a part is told from its launch by, unless its program is rewritten."""


class Variant(NamedTuple):
    """A program rewritten so that a part sees the whole launch.

    hidden: of each kernel the index of the argument that it takes behind the user's, or None.
    """

    source: str
    options: str
    hidden: Mapping[str, int | None]


def judge_program(units: Sequence[list[Any]]) -> Judgement:
    """Judge units as `vcl.wire.units` has them; takes as long as they ask for."""
    judgement = _judge(units)
    if judgement.verdict.may_split or len(units) != 1:
        return judgement
    ((source, options, folders, files),) = units
    alike = [
        _alike(source or ""),
        options,
        folders,
        [[kind, path, _alike(data.decode("latin-1")).encode("latin-1") if kind == "file" else data]
         for kind, path, data in files],
    ]  # fmt: skip
    if alike == units[0]:
        return judgement
    other = _judge([alike])
    return judgement._replace(rewritten=other.verdict, rewritten_kernels=other.kernels)


def _alike(text: str) -> str:
    """As if a part were told nothing by these functions; all else is judged as ever."""
    return _TOLD_APART.sub("get_global_id", text)


def _judge(units: Sequence[list[Any]]) -> Judgement:
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
