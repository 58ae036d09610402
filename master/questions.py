"""What has to be known before launches are planned: what a session asks, and who waits for it.

Owns: the questions that aren't answered yet, the commands that wait for each, and the variants of
programs that let parts see their launch. Must not know: how an answer is found, or what a plan
makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from master.access.kernels import Footprint
from master.access.programs import Variant
from master.builds import Builds
from master.commands import Command
from master.ledger import Ledger, RewriteQuestion
from master.objects import Program
from master.plan.asked import NotAnalysed
from vcl.wire.messages import session


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
        self.tables: tuple[dict[Any, Any], ...] = (self._asked, self._waiting, self.variants)
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

    def analysed(self, number: int, found: Footprint | str) -> Sequence[Command]:
        """What a launch touches is known, or why it isn't."""
        program, key = self._asked.pop(number)
        program.note_footprint(key[1], found)
        return self._waiting.pop(key)

    def rewritten(self, number: int, found: Variant | str) -> Sequence[Command]:
        """A program is rewritten, or why it isn't. Nodes build it for launches that it helps."""
        program, key = self._asked.pop(number)
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

    def built(self) -> Sequence[Command]:
        """Variants were built, or not: those that waited for them."""
        ready: list[Command] = []
        built, self._builds.variants = self._builds.variants, []
        for variant, why in built:
            program = self._programs[-variant.id]
            program.variant = why or variant
            ready += self._waiting.pop((program.id, ()))
        return ready
