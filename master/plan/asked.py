"""What must be known of a launch before it is planned: what it touches, how parts see it.

Owns: the questions to the analysis, and where their answers are. Must not know: how they are found,
or what follows from them.
"""

from __future__ import annotations

from typing import Any

from master.access.declared import declared_footprint
from master.access.kernels import BUFFER, OTHER, Footprint
from master.ledger import Question, RewriteQuestion
from master.objects import ArgumentFacts, KernelFacts, Program
from master.places import Place
from master.plan.uses import may_be_written
from vcl.ndrange import NDRange
from vcl.wire.declared import unpack
from vcl.wire.messages import session

program_id_max = 2**63
"""A variant has the negative id, which has to travel."""

FLOATING = ("float", "double", "half")


class NotAnalysed(Exception):
    """What a launch touches, or how its parts can see it, isn't known: this has to be asked first.

    key: equal for those that wait for the same answer.
    """

    def __init__(
        self, program: Program, key: tuple[Any, ...], question: Question | RewriteQuestion
    ) -> None:
        super().__init__(key)
        self.program = program
        self.key = key
        self.question = question


def footprint_of(
    program: Program, kernel: KernelFacts, m: session.Launch, ndrange: NDRange, place: Place
) -> Footprint | str:
    """What a launch touches, or why that isn't known. Raises NotAnalysed.

    What the program declares counts in place of what an analysis would find.
    """
    if m.declared:
        named = [i for i, a in enumerate(m.arguments) if session.argument_region(a) is not None]
        buffers = {i: may_be_written(program, kernel, i) for i in named}
        return declared_footprint(unpack(m.declared), buffers, ndrange)
    device = place.device_answers
    if device is None:
        return ""
    if (why := program.not_analysed.get(m.kernel)) is not None:
        return why
    assert ndrange.local_size is not None
    arguments: list[bytes | str] = []
    for argument, facts in zip(m.arguments, kernel.arguments, strict=True):
        if _is_looked_at(argument, facts):
            arguments.append(argument)
        else:
            arguments.append(OTHER if session.argument_region(argument) is None else BUFFER)
    key = (m.kernel, ndrange, place.kind, tuple(arguments))
    found = program.footprint(key)
    if found is not None:
        return found
    shape = [list(ndrange.global_offset), list(ndrange.global_size), list(ndrange.local_size)]
    question = Question(0, program.units, device, m.kernel, arguments, shape)
    raise NotAnalysed(program, key, question)


def looked_at(found: Footprint, kernel: KernelFacts, m: session.Launch) -> tuple[int, ...]:
    """The arguments by value, by index, with which a footprint may be another."""
    if m.declared:
        return ()
    return tuple(
        index
        for index, (argument, facts) in enumerate(zip(m.arguments, kernel.arguments, strict=True))
        if _is_looked_at(argument, facts) and index not in found.ignored
    )


def _is_looked_at(argument: Any, facts: ArgumentFacts) -> bool:
    """Whether an analysis is told an argument's value."""
    return isinstance(argument, bytes) and not facts.type_name.startswith(FLOATING)


def variant_of(program: Program, place: Place) -> Program | str:
    """The program whose parts see their launch, or why there is none. Raises NotAnalysed."""
    device = place.device_answers
    if device is None or program.id > program_id_max:
        return ""
    if program.rewritten_for not in (None, device):
        return "it was rewritten for devices of another kind"
    if program.variant is None:
        raise NotAnalysed(program, (), RewriteQuestion(0, program.units, device))
    return program.variant
