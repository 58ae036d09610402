"""OpenCL C to the tree of `master.access.tree`, by libclang.

Owns: which build options a program may have, and what of it was read before. Must not know what a
tree is used for, nor macros, which are gone by now (`expand`).

Everything is on a list: a cursor (`statements`, `expressions`, `literals`), type (`types`),
operator, attribute, pragma (`text`) or option that isn't raises Unreadable, so that nothing of a
program is ever left out of its tree.
"""

from __future__ import annotations

import re
import shlex

from master.access import tree
from master.access.analyser.definitions import Definitions
from master.access.analyser.places import Places
from master.access.analyser.reached import Reached
from master.access.analyser.source import Source
from master.access.analyser.text import Unreadable

_HARMLESS_OPTION = re.compile(
    r"-w|-Werror|-g|-cl-(?:mad-enable|fast-relaxed-math|finite-math-only"
    "|unsafe-math-optimizations|no-signed-zeros|denorms-are-zero|opt-disable|strict-aliasing"
    "|fp32-correctly-rounded-divide-sqrt|kernel-arg-info|uniform-work-group-size|no-subgroup-ifp)"
)
_PASSED_OPTION = re.compile(r"-cl-std=CL[123]\.[0-2]|-cl-single-precision-constant")


def parse(text: str, options: str, address_bits: int = 64) -> tree.Program:
    """The tree of all of an expanded program, for devices of this address width (32 or 64).

    options: those of the build; macros and folders in them are no longer looked at.
    Raises Unreadable.
    """
    return Parsed(text, options, address_bits).program()


class Parsed:
    """An expanded program that compiles, of which that is read which somebody asks after."""

    def __init__(self, text: str, options: str, address_bits: int = 64) -> None:
        """As `parse`, but what can't be read within a function or variable isn't raised yet."""
        source = Source(text, _arguments(options), address_bits)
        definitions = Definitions(source)
        self.text = text
        self._reached = Reached(source, definitions)
        self._programs: dict[str | None, tree.Program] = {}
        self.functions = frozenset(definitions.bodies)
        """The names of those that have a body here."""
        self.kernels = tuple(
            function.name
            for function in definitions.functions
            if function.is_kernel and function.has_body
        )
        """Their names, in the order of the text."""

    def program(self, kernel: str | None = None) -> tree.Program:
        """What a kernel, or any other of `functions`, reaches; without one all there is.

        Raises Unreadable, of what was found the first in the text.
        """
        try:
            if kernel not in self._programs:
                self._programs[kernel] = self._reached.program(kernel)
            return self._programs[kernel]
        except RecursionError:
            raise Unreadable(0, "it is nested too deeply") from None

    def places(self) -> Places:
        """Where functions, variables and calls stand in all of the text. Raises Unreadable."""
        return self._reached.places()


def _arguments(options: str) -> list[str]:
    try:
        words = iter(shlex.split(options))
    except ValueError as error:
        raise Unreadable(0, f"build options: {error}") from None
    passed = []
    for word in words:
        if word[:2] in ("-D", "-I", "-U"):
            if not (word[2:] or next(words, "")):
                raise Unreadable(0, f"build options: {word} has no value")
        elif _PASSED_OPTION.fullmatch(word):
            passed.append(word)
        elif not _HARMLESS_OPTION.fullmatch(word):
            raise Unreadable(0, f"build options: {word} is not a known option")
    return passed
