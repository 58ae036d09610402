"""Which regions of which buffers a launch may touch.

Owns: `Use` and `uses_of`. Must not know: places, or what is done about it.
"""

from __future__ import annotations

from dataclasses import dataclass

from master.access.elements import element_bytes
from master.objects import KernelFacts, Program
from master.plan.plan import Region
from master.plan.residency import Buffer
from master.plan.view import View
from vcl.wire.messages import session

ADDRESS_CONSTANT = 0x119C


@dataclass(slots=True)
class Use:
    """A buffer region that a launch may touch; the hull where an argument list has it twice.

    stored: it is an image that a kernel may write, so that a node puts all pixels back when a part
    has run, whichever that wrote.
    """

    buffer: Buffer
    start: int
    end: int
    may_write: bool
    element: int
    stored: bool = False

    @property
    def region(self) -> Region:
        """What steps name."""
        return Region(self.buffer.id, self.start, self.end)


def may_be_written(program: Program, facts: KernelFacts, index: int) -> bool:
    """Whether a kernel may write the buffer that is given for an argument.

    What the program said of the buffer (READ_ONLY) is a hint that kernels may ignore.
    """
    argument = facts.arguments[index]
    if argument.address == ADDRESS_CONSTANT or argument.read_only:
        return False
    return not (argument.const and program.keeps_const)


def uses_of(view: View, message: session.Launch) -> list[Use]:
    """What the launch may touch, in the order of its arguments."""
    program = view.programs[message.program]
    facts = program.kernels[message.kernel]
    uses: dict[int, Use] = {}
    for index, argument in enumerate(message.arguments):
        region = session.argument_region(argument)
        if region is None:
            continue
        buffer_id, offset, size = region
        may_write = may_be_written(program, facts, index)
        element = element_bytes(facts.arguments[index].type_name)
        use = uses.get(buffer_id)
        if use is None:
            buffer = view.buffers[buffer_id]
            uses[buffer_id] = Use(buffer, offset, offset + size, may_write, element)
        else:
            use.start, use.end = min(use.start, offset), max(use.end, offset + size)
            use.may_write |= may_write
            use.element = max(use.element, element)
        if may_write and session.is_image(argument):
            uses[buffer_id].stored = True
    return list(uses.values())
