"""What the guard says of kernels where no master asks it: for `vcl explain` and for benchmarks.

Owns: `Standing`. Must not know: launches, or what a kernel touches.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from master.access.analyser.analysis import Analyser
from master.access.programs import Variant, Word, judge_program


class Standing:
    """Of the kernels of a program, on such devices as `Analyser` has them."""

    def __init__(self, analyser: Analyser, unit: list[Any], device: Mapping[str, str]) -> None:
        self._analyser = analyser
        self._unit = unit
        self._device = device
        self._judgement = judge_program([unit])
        self.keeps_const = self._judgement.keeps_const

    def why_whole(self, kernel: str) -> str | None:
        """Why its launches aren't split, whatever they touch, nor in a variant; None if they may
        be."""
        verdict, _, kernels = self._judgement
        if (why := Word(verdict, kernels).why_whole(kernel)) is None:
            return None
        if isinstance(self._variant, str):
            return f"{why} ({self._variant})"
        return self._variant.word_apart.why_whole(kernel)

    def why_apart(self, kernel: str) -> str | None:
        """Of a kernel that may run in parts: why only if they are known to be apart, or None."""
        verdict, _, kernels = self._judgement
        if Word(verdict, kernels).why_whole(kernel) is None:
            return None
        assert isinstance(self._variant, Variant)
        return self._variant.word.why_whole(kernel)

    @cached_property
    def _variant(self) -> Variant | str:
        return self._analyser.rewrite([self._unit], self._device)
