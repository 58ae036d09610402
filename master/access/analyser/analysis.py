"""Programs that are analysed, in the process that does it.

Owns: the way from a build's units to a launch's footprint, and the programs that were parsed
before. Must not know: who asks, or how long it may take.
"""

from __future__ import annotations

import re
import shlex
from collections import OrderedDict
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from master.access import tree
from master.access.analyser.expand import expand
from master.access.analyser.frontend import Parsed
from master.access.analyser.rewrite import rewrite
from master.access.analyser.text import Lines, Unreadable
from master.access.files import Files
from master.access.guard import Verdict
from master.access.kernels import OTHER, Footprint, footprint
from master.access.memory import Lost
from master.access.programs import Variant, Word, judge_variant
from vcl.ndrange import NDRange
from vcl.wire.frame import pack_value

parsed_max = 32
"""Programs that are kept, with what was read of them."""

parsed_chars_max = 2**20
"""Of their expanded texts together, but for the newest: the parser takes 130 bytes for each."""

kernels_ahead_max = 4
"""Kernels of a program, up to which all are read ahead: of more most are never launched."""

launches_max = 32
"""Launches of which it is kept what they were found to touch."""

tried_cost_max = 200
"""Of a footprint, past which it isn't tried whether it depends on values."""

_RESERVED = re.compile(r"__\w*|_[A-Z]\w*|cl_\w+|CL_\w+|linux|unix|i386|SPIR\w*")
"""Macros that devices define, or may."""

_LINE = re.compile(r"^line (\d+)(?=: )")
"""Where the guard's reasons begin."""

_VERSION = re.compile(r"OpenCL (?:C )?(\d+)\.(\d+)")


class _Launch(NamedTuple):
    """program: kept so that no other one is taken for it. ignored: arguments whose values are
    known to make no difference."""

    program: tree.Program
    arguments: Sequence[Any]
    found: Footprint
    ignored: set[int]


class Analyser:
    """Analyses launches of programs."""

    def __init__(self) -> None:
        self._parsed: OrderedDict[bytes, Parsed | str] = OrderedDict()
        self._last: OrderedDict[tuple[int, str, NDRange], _Launch] = OrderedDict()

    def analyse(
        self,
        units: Sequence[list[Any]],
        device: Mapping[str, str],
        kernel: str,
        arguments: Sequence[Any],
        ndrange: Sequence[Sequence[int]],
    ) -> Footprint | str:
        """What a launch touches, or why that isn't known, in a sentence without an end.

        units: as `vcl.wire.units` has them. device: answers of the devices that it may run on.
        arguments: as `kernels.footprint` has them. ndrange: offset, size and local size.
        """
        parsed = self.parsed(units, device)
        if isinstance(parsed, str):
            return parsed
        if kernel not in parsed.functions:
            return f"the kernel {kernel!r} isn't in its source"
        offset, size, local = map(tuple, ndrange)
        try:
            program = parsed.program(kernel)
            return self._footprint(program, kernel, arguments, NDRange(offset, size, local))
        except (Unreadable, Lost) as why:
            return str(why)

    def _footprint(
        self, program: tree.Program, kernel: str, arguments: Sequence[Any], ndrange: NDRange
    ) -> Footprint:
        """What a launch touches; raises Lost.

        If it is what was found of the last one with other values, it is tried whether these matter.
        """
        found = footprint(program, kernel, arguments, ndrange)
        key = (id(program), kernel, ndrange)
        last = self._last.pop(key, None)
        if last is not None and found.cost <= tried_cost_max and last.found == found:
            differ = {i for i, (a, b) in enumerate(zip(arguments, last.arguments, strict=True))
                      if a != b} | last.ignored  # fmt: skip
            if _same_without(program, kernel, arguments, ndrange, differ, found):
                found = replace(found, ignored=tuple(sorted(differ)))
        ignored = set(found.ignored)
        self._last[key] = _Launch(program, arguments, replace(found, ignored=()), ignored)
        if len(self._last) > launches_max:
            self._last.popitem(last=False)
        return found

    def rewrite(self, units: Sequence[list[Any]], device: Mapping[str, str]) -> Variant | str:
        """The program that lets parts see their launch, or why there is none, in a sentence without
        an end."""
        parsed = self.parsed(units, device)
        if isinstance(parsed, str):
            return parsed
        try:
            rewritten = rewrite(parsed.text, parsed.places())
        except Unreadable as error:
            return str(error)
        left = _without_macros(units[0][1])
        lines = Lines(parsed.text.encode())
        words = [_as_written(word, lines) for word in judge_variant(parsed.text, left)]
        return Variant(rewritten.text, left, rewritten.hidden, *words)

    def read_ahead(self, units: Sequence[list[Any]], device: Mapping[str, str]) -> None:
        """Keep a program parsed for those who ask after it next; whether it can be is theirs to
        find out."""
        parsed = self.parsed(units, device)
        if isinstance(parsed, str) or len(parsed.kernels) > kernels_ahead_max:
            return
        for kernel in parsed.kernels:
            with suppress(Unreadable):
                parsed.program(kernel)

    def parsed(self, units: Sequence[list[Any]], device: Mapping[str, str]) -> Parsed | str:
        """A program, or why none of it is read, in a sentence without an end."""
        key = pack_value([units, sorted(device.items())])
        found = self._parsed.get(key)
        if found is None:
            found = self._parsed[key] = _parsed(units, device)
            self._make_room()
        else:
            self._parsed.move_to_end(key)
        return found

    def _make_room(self) -> None:
        chars = sum(len(one.text) for one in self._parsed.values() if isinstance(one, Parsed))
        while len(self._parsed) > 1 and (
            len(self._parsed) > parsed_max or chars > parsed_chars_max
        ):
            _, gone = self._parsed.popitem(last=False)
            chars -= len(gone.text) if isinstance(gone, Parsed) else 0


def _parsed(units: Sequence[list[Any]], device: Mapping[str, str]) -> Parsed | str:
    expanded = _expanded(units, device)
    if not isinstance(expanded, _Text):
        return expanded
    try:
        return Parsed(expanded, units[0][1], int(device["ADDRESS_BITS"]))
    except Unreadable as error:
        return str(error)


def _same_without(
    program: tree.Program,
    kernel: str,
    arguments: Sequence[Any],
    ndrange: NDRange,
    without: Set[int],
    found: Footprint,
) -> bool:
    """Whether a launch touches the same whatever the values of these arguments are."""
    unknown = [OTHER if i in without else argument for i, argument in enumerate(arguments)]
    try:
        return footprint(program, kernel, unknown, ndrange) == found
    except Lost:
        return False


def _as_written(word: Word, lines: Lines) -> Word:
    """The same, with the lines that the user's text has."""

    def mend(reason: str) -> str:
        return _LINE.sub(lambda match: lines.where(int(match[1])), reason)

    verdict = Verdict(word.verdict.may_split, mend(word.verdict.reason))
    return Word(verdict, {kernel: mend(reason) for kernel, reason in word.kernels.items()})


def _without_macros(options: str) -> str:
    """Of the options those that still mean something to an expanded program."""
    kept, words = [], iter(shlex.split(options))
    for word in words:
        if word in ("-D", "-U", "-I"):
            next(words, None)
        elif not word.startswith(("-D", "-U", "-I")):
            kept.append(word)
    return " ".join(kept)


class _Text(str):
    """An expanded program; any other str is why there is none."""


def _expanded(units: Sequence[list[Any]], device: Mapping[str, str]) -> _Text | str:
    if len(units) != 1:
        return "the program is linked from several"
    ((source, options, folders, files),) = units
    if not source:
        return "the program has no source"
    macros = device_macros(device, options)
    try:
        expanded = expand(source, options, Files(folders, files), macros)
        unknown = sorted(
            name
            for name in expanded.looked_at - macros.keys()
            if _RESERVED.fullmatch(name) and name not in _NOWHERE
        )
        if unknown:
            return f"the program asks for {unknown[0]}, which devices define as they like"
    except Unreadable as error:
        return str(error)
    return _Text(expanded.text)


_NOWHERE = frozenset((
    "__cplusplus", "__CUDACC__", "__NVCC__", "__APPLE__", "__METAL__", "__openclfeatures_dot_hpp",
))  # fmt: skip
"""Reserved names that no compiler of OpenCL C defines: sources for several languages ask for them,
and one keeps a header of Random123 (so of pyopencl) from being read twice."""


def device_macros(device: Mapping[str, str], options: str) -> dict[str, str]:
    """The macros that OpenCL C has a device define (OpenCL C 3.0, 6.12), by what it answers."""
    version, c_version = (_number(device[n]) for n in ("VERSION", "OPENCL_C_VERSION"))
    asked = re.search(r"-cl-std=CL(\d)\.(\d)", options)
    if asked is not None:
        c_version = int(asked[1]) * 100 + int(asked[2]) * 10
    macros = {
        "__OPENCL_VERSION__": str(version),
        # Without -cl-std it is the latest of 1.x (OpenCL 3.0 API, 5.8.6.5).
        "__OPENCL_C_VERSION__": str(c_version if asked else min(c_version, 120)),
        "CL_VERSION_1_0": "100",
        "CL_VERSION_1_1": "110",
        "CL_VERSION_1_2": "120",
        **dict.fromkeys(device["EXTENSIONS"].split(), "1"),
    }
    if device["ENDIAN_LITTLE"] in ("1", "True"):
        macros["__ENDIAN_LITTLE__"] = "1"
    if "-cl-fast-relaxed-math" in options:
        macros["__FAST_RELAXED_MATH__"] = "1"
    return macros


def _number(version: str) -> int:
    match = _VERSION.match(version)
    return int(match[1]) * 100 + int(match[2]) * 10 if match else 0
