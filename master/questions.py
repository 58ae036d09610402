"""What has to be known before launches are planned: what a session asks, and who waits for it.

Owns: the questions that aren't answered yet, the commands that wait for each, and the variants of
programs that let parts see their launch. Must not know: how an answer is found, or what a plan
makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from master.access.kernels import Footprint
from master.access.programs import Variant
from master.builds import Builds
from master.commands import Command
from master.ledger import Ledger, RewriteQuestion
from master.objects import Program
from master.plan.asked import NotAnalysed
from vcl.wire.messages import session

passing_ticks_max = 64
"""Ticks for which a passing reason counts, at most: at first it is one, then twice as many."""


@dataclass(slots=True)
class _Passing:
    """How often an answer was asked for in vain, for reasons that say nothing of the program.

    left: ticks until it is asked for again, if a launch needs it; ticks: of the last time.
    """

    left: int = 0
    ticks: int = 0

    def again(self) -> None:
        """One more answer is such a reason. Of a burst, which was asked together, one counts."""
        if self.left <= 0:
            self.ticks = min(2 * self.ticks, passing_ticks_max) or 1
            self.left = self.ticks


class Questions:
    """Those of one session. Whoever answers one takes back the commands that waited for it."""

    def __init__(self, ledger: Ledger, builds: Builds, programs: Mapping[int, Program]) -> None:
        self._ledger = ledger
        self._builds = builds
        self._programs = programs
        self._asked: dict[int, tuple[Program, tuple[int, Any]]] = {}
        self._last = 0
        self._waiting: dict[tuple[int, Any], list[Command]] = {}
        """By program and launch, or nothing for what waits for its program's variant."""
        self.variants: dict[int, Program] = {}
        """Programs that let parts see their launch, by the negative id of the user's."""
        self._passing: dict[int, dict[str, _Passing]] = {}
        """By program and kernel, or "" for its variant; what was answered since isn't here."""
        self.tables: tuple[dict[Any, Any], ...] = (
            self._asked, self._waiting, self.variants, self._passing
        )  # fmt: skip
        """Where all of it is."""

    def ask(self, command: Command, missing: NotAnalysed) -> None:
        """A command waits for an answer, which is asked for if nobody has yet."""
        key = (missing.program.id, missing.key)
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = []
            self._last += 1
            self._asked[self._last] = (missing.program, key)
            question = missing.question._replace(number=self._last)
            if isinstance(question, RewriteQuestion):
                missing.program.rewritten_for = question.device
            self._ledger.for_analysis.append(question)
        waiting.append(command)

    def analysed(
        self, number: int, found: Footprint | str, passing: bool = False
    ) -> Sequence[Command]:
        """What a launch touches is known, or why it isn't; passing: as in `inputs.Analysed`."""
        program, key = self._asked.pop(number)
        kernel = key[1][0]
        if not isinstance(found, str) and self._is_passing(program, kernel):
            del program.not_analysed[kernel]  # of a burst others were answered
        program.note_footprint(key[1], found)
        self._note_passing(program, kernel, passing)
        return self._waiting.pop(key)

    def rewritten(
        self, number: int, found: Variant | str, passing: bool = False
    ) -> Sequence[Command]:
        """A program is rewritten, or why it isn't; passing: as in `inputs.Rewritten`. Nodes build
        it for launches that it helps."""
        program, key = self._asked.pop(number)
        self._note_passing(program, "", passing)
        waiting = self._waiting.pop(key)
        if isinstance(found, str):
            program.variant = found
            return waiting
        program.word_apart = found.word_apart
        helped: list[Command] = []
        rest: list[Command] = []
        for command in waiting:
            why_whole = program.why_whole_apart(command.message.kernel)
            (helped if why_whole is None else rest).append(command)
        if not helped:
            return rest
        self._waiting[key] = helped
        unit = [found.source, found.options, [], []]
        variant = Program(-program.id, program.context, session.BUILD, [unit], "")
        variant.hidden = found.hidden
        variant.verdict, variant.kernel_reasons = found.word
        self.variants[variant.id] = variant
        self._builds.start_variant(variant)
        return [*rest, *self.built()]

    def _is_passing(self, program: Program, kernel: str) -> bool:
        """Whether there is a reason that counts for now."""
        one = self._passing.get(program.id, {}).get(kernel)
        return one is not None and one.left > 0

    def _note_passing(self, program: Program, kernel: str, passing: bool) -> None:
        """An answer was a passing reason, or not. kernel: "" of the variant."""
        if passing:
            self._passing.setdefault(program.id, {}).setdefault(kernel, _Passing()).again()
        elif (reasons := self._passing.get(program.id)) is not None:
            reasons.pop(kernel, None)
            if not reasons:
                del self._passing[program.id]

    def tick(self) -> bool:
        """Time has passed. Answers whether a reason was forgotten: launches may ask again."""
        forgotten = False
        for number, reasons in self._passing.items():
            program = self._programs[number]
            for kernel, one in reasons.items():
                one.left -= 1
                if one.left == 0:
                    program.forget_reason(kernel)
                    forgotten = True
        return forgotten

    def forget(self, program: Program) -> Program | None:
        """A program is gone; answers its variant, if it has one."""
        self._passing.pop(program.id, None)
        return self.variants.pop(-program.id, None)

    def built(self) -> Sequence[Command]:
        """Variants were built, or not: those that waited for them."""
        ready: list[Command] = []
        built, self._builds.variants = self._builds.variants, []
        for variant, why in built:
            program = self._programs[-variant.id]
            program.variant = why or variant
            ready += self._waiting.pop((program.id, ()))
        return ready
