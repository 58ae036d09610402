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


class Word(NamedTuple):
    """What the guard says of a program's kernels: verdict and kernels as in `Judgement`."""

    verdict: Verdict
    kernels: Mapping[str, str] = MappingProxyType({})

    def why_whole(self, kernel: str) -> str | None:
        """What stands against running this one in parts."""
        if self.verdict.may_split:
            return None
        return self.kernels.get(kernel, self.verdict.reason) or None


class Variant(NamedTuple):
    """A program expanded, and rewritten so that a part sees the whole launch.

    hidden: of each kernel the index of the argument that it takes behind the user's, or None.
    word: on any launch in parts. word_apart: on one of which an analysis has shown that no part
    touches what another writes, or only by what `master.access.sharing` knows.
    """

    source: str
    options: str
    hidden: Mapping[str, int | None]
    word: Word
    word_apart: Word


_TOLD_APART = re.compile(
    r"\bget_(?:global_size|num_groups|group_id|global_offset|global_linear_id)\b"
)
"""What a part is told from its launch by, unless its program is rewritten."""

_IMAGES = re.compile(
    r"\b(?:(?P<type>image[123]d(?:_array|_buffer)?_t|sampler_t)"
    r"|(?P<qualifier>(?:__)?(?:read|write)_only)|(?:read|write)_image(?:f|i|ui)"
    r"|get_image_(?:width|height|depth|channel_data_type|channel_order|dim|array_size))\b"
)
"""In OpenCL C 1.x a kernel can't read what it writes in an image, so that it is a buffer like any
other: brought whole, and merged if it is written."""

_READ_WRITE = re.compile(r"\b(?:__)?read_write\b")
"""Of an image in OpenCL C 2.0 and later: by its pixels work-groups may meet."""

_MEET = re.compile(
    r"\b(?:(?P<qualifier>volatile)|(?:read_|write_)?mem_fence"
    r"|atom(?:ic)?_(?:add|sub|inc|dec|min|max|and|or|xor|xchg|cmpxchg))\b"
)
"""By these work-groups meet, but only in bytes that they share."""


def judge_program(units: Sequence[list[Any]]) -> Judgement:
    """Judge units as `vcl.wire.units` has them; takes as long as they ask for."""
    examined = [examine(u[0], u[1], Files(u[2], u[3])) for u in units]
    word = _judged(examined)
    keeps = all(
        keeps_const([u[0], *(data.decode("latin-1") for _, _, data in u[3])], u[1]) for u in units
    )
    return Judgement(word.verdict, keeps, word.kernels)


def judge_variant(text: str, options: str) -> tuple[Word, Word]:
    """`word` and `word_apart` of a variant, from the expanded text that is rewritten.

    The device compiles what the text has, and nothing of the macros and branches of its source.
    """
    # To a part that sees its launch these functions tell nothing; all else is judged as ever.
    text = _TOLD_APART.sub("get_global_id", text)
    if _READ_WRITE.search(text) is None:
        text = _IMAGES.sub(_plain, text)
    word = _judged([examine(text, options)])
    if word.verdict.may_split:
        return word, word
    return word, _judged([examine(_MEET.sub(_plain, text), options)])


def _plain(match: re.Match[str]) -> str:
    """What is judged as if it were a number, nothing, or a function of values."""
    kind = {"type": "int", "qualifier": ""}
    return kind.get(match.lastgroup or "", "min")


def _judged(examined: Sequence[Examined]) -> Word:
    verdicts = [one.verdict for one in examined]
    verdict = next((v for v in verdicts if not v.may_split), verdicts[0])
    parts = [one.parts for one in examined if one.parts is not None]
    apart = not verdict.may_split and len(parts) == len(examined)
    return Word(verdict, judge_kernels(parts) if apart else {})
