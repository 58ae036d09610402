"""The OpenCL objects of one session as the master sees them, and its executors.

Owns: plain records of contexts, queues, programs and executors. Must not know: how commands are
ordered (`commands`) or planned (`planner`); buffers are in `residency`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from master.access.guard import Verdict
from master.access.kernels import Footprint
from master.access.programs import Word
from master.commands import Command
from vcl.numbering import Numbering


@dataclass(slots=True)
class Context:
    """devices: ids that its commands may use. split: it's a context of the cluster device."""

    id: int
    devices: list[int]
    split: bool


@dataclass(slots=True)
class Queue:
    """device: 0 for the cluster device. last: the last command, None when all is complete.

    barrier: of an out-of-order queue, the last barrier; recent: commands since then.
    """

    id: int
    context: Context
    device: int
    in_order: bool
    last: Command | None = None
    barrier: Command | None = None
    recent: dict[int, Command] = field(default_factory=dict)


class ArgumentFacts(NamedTuple):
    """address: its qualifier. const: whether it points to const. read_only: that it is an image
    that the kernel can't write."""

    address: int
    type_name: str
    const: bool
    read_only: bool = False


@dataclass(slots=True)
class KernelFacts:
    """What a build told of a kernel.

    group_items_max: work-items that a work-group of it may have on every device.
    """

    name: str
    arguments: list[ArgumentFacts]
    group_items_max: int
    conflicts: str | None = None
    """Why its launches aren't split any more: two parts contradicted each other once."""
    item_ns: float | None = None
    """Time of a work-item on one device, learned from its launches."""

    def learn(self, items: int, ns: int) -> None:
        """So many work-items took so long on one device."""
        if items > 0 and ns > 0:
            each = ns / items
            self.item_ns = each if self.item_ns is None else (self.item_ns + each) / 2


footprints_max = 256
"""Launches of a program of which it is kept what they touch."""


ignored_max = 8
"""Sets of arguments that footprints of a kernel ignore, which are looked for."""


def without(arguments: Sequence[Any], ignored: Sequence[int]) -> tuple[Any, ...]:
    """The arguments that aren't ignored, in their places."""
    return tuple(None if i in ignored else argument for i, argument in enumerate(arguments))


@dataclass(slots=True)
class Program:
    """step, units, link_options: how it is made. verdict: of the guard on all its units.
    kernel_reasons: as `Judgement.kernels` has them.

    keeps_const: whether what its kernels declare const stays unwritten.
    variant: the program that lets parts see their launch, once it is built; why there is none; None
    if no launch has needed it. word_apart: of the variant, as in `Variant`, once it was judged.
    hidden: of a variant, the arguments behind the user's. rewritten_for: the devices' answers to
    what a source can ask for, as the variant has them built in.
    footprints: what launches touch, by kernel, geometry, kind of device and arguments, without
    those that the footprint ignores; ignored: by kernel, which these may be. not_analysed: why that
    isn't known, by kernel.
    source_bytes: of its units. nodes: that have a build of it. users: commands not yet planned
    that refer to it.
    """

    id: int
    context: Context
    step: int
    units: list[list[Any]]
    link_options: str
    source_bytes: int = 0
    verdict: Verdict | None = None
    kernel_reasons: Mapping[str, str] = field(default_factory=dict)
    keeps_const: bool = False
    kernels: dict[str, KernelFacts] = field(default_factory=dict)
    nodes: set[int] = field(default_factory=set)
    operations: set[int] = field(default_factory=set)
    users: int = 0
    released: bool = False
    variant: Program | str | None = None
    rewritten_for: dict[str, str] | None = None
    word_apart: Word | None = None
    hidden: Mapping[str, int | None] = field(default_factory=dict)
    footprints: OrderedDict[tuple[Any, ...], Footprint] = field(default_factory=OrderedDict)
    ignored: dict[str, set[tuple[int, ...]]] = field(default_factory=dict)
    not_analysed: dict[str, str] = field(default_factory=dict)
    _trim_at: int = 256

    def note_footprint(self, key: tuple[Any, ...], found: Footprint | str) -> None:
        """What a launch touches, or why that isn't known, for those that follow.

        A kernel that wasn't analysed once isn't again, until that is forgotten: past its limits
        that would cost them anew.
        """
        kernel, ndrange, kind, arguments = key
        if isinstance(found, str):
            self.not_analysed[kernel] = found
            return
        ignored = self.ignored.setdefault(kernel, set())
        if len(ignored) >= ignored_max:
            ignored.clear()
        ignored.add(found.ignored)
        key = (kernel, ndrange, kind, without(arguments, found.ignored))
        self.footprints[key] = found
        if len(self.footprints) > footprints_max:
            self.footprints.popitem(last=False)

    def forget_reason(self, kernel: str) -> None:
        """Why launches of a kernel aren't analysed is known no longer, or why there is no variant
        ("")."""
        if kernel:
            del self.not_analysed[kernel]
        else:
            assert isinstance(self.variant, str)
            self.variant = self.rewritten_for = None

    def footprint(self, key: tuple[Any, ...]) -> Footprint | None:
        """What was noted of such a launch. key: kernel, NDRange, kind of device, arguments."""
        kernel, ndrange, kind, arguments = key
        for ignored in self.ignored.get(kernel, ()):
            found = (kernel, ndrange, kind, without(arguments, ignored))
            if found in self.footprints:
                self.footprints.move_to_end(found)
                return self.footprints[found]
        return None

    def why_whole(self, kernel: str) -> str | None:
        """What the guard has against running this kernel in parts."""
        assert self.verdict is not None
        return Word(self.verdict, self.kernel_reasons).why_whole(kernel)

    def why_whole_apart(self, kernel: str) -> str | None:
        """The same in its variant, of launches whose parts are known to be apart, once that was
        judged; None before."""
        return None if self.word_apart is None else self.word_apart.why_whole(kernel)

    def note_operation(self, operation: int, live: Set[int]) -> None:
        """An operation uses it. live: those that aren't done.

        Done ones are taken out when as many have come as were left the last time.
        """
        self.operations.add(operation)
        if len(self.operations) > self._trim_at:
            self.operations &= live
            self._trim_at = 256 + 2 * len(self.operations)


@dataclass(slots=True)
class Building:
    """A build under way: what the client asked, and which nodes haven't answered.

    log_room: characters that the logs may still have.
    """

    program: Program
    request: int
    waiting: set[int]
    status: int = 0
    message: str = ""
    log_room: int = 0
    logs: list[list[Any]] = field(default_factory=list)
    kernels: list[list[Any]] = field(default_factory=list)


Life_ = TypeVar("Life_", bound=Enum)
Step_ = TypeVar("Step_", bound=Enum)


def after(lives: Mapping[tuple[Life_, Step_], Life_], life: Life_, step: Step_, who: str) -> Life_:
    """Where something is in its life after a step, by the table of all that may happen to it.

    who: that is, for the error.
    """
    found = lives.get((life, step))
    assert found is not None, f"{who}, {life.value}: {step.value}"
    return found


class Life(Enum):
    """Where an executor is in its life; its value is for people."""

    ASKED = "asked for"
    STARTING = "starting"
    READY = "ready"
    BROKE_STARTING = "broke while starting"
    BROKE = "broke"
    LOST = "lost"


class Step(Enum):
    """What changes the life of an executor; its value is for people."""

    CONNECTED = "one of its connections is up"
    DISCONNECTED = "one of its connections is gone"
    LOST = "it is given up"


LIVES = {
    (Life.ASKED, Step.CONNECTED): Life.STARTING,
    (Life.STARTING, Step.CONNECTED): Life.READY,
    (Life.STARTING, Step.DISCONNECTED): Life.BROKE_STARTING,
    (Life.READY, Step.DISCONNECTED): Life.BROKE,
    (Life.ASKED, Step.LOST): Life.LOST,
    (Life.STARTING, Step.LOST): Life.LOST,
    (Life.READY, Step.LOST): Life.LOST,
    (Life.BROKE_STARTING, Step.LOST): Life.LOST,
    (Life.BROKE, Step.LOST): Life.LOST,
}
"""All that may happen to an executor."""


@dataclass(slots=True)
class Executor:
    """The executor of this session on one node.

    start: tells it from those that were started before it. asked: when, in seconds.
    control, bulk: connection ids once they are up. queued: messages until it is ready. endpoint:
    the number of its bulk. broke: why a connection of it is gone, while its agent is given time to
    say more. numbering: of its control connection, which it may outlive.
    """

    node: int
    node_name: str
    start: int
    asked: float
    control: int | None = None
    bulk: int | None = None
    queued: list[Any] = field(default_factory=list)
    endpoint: int = 0
    broke: str | None = None
    numbering: Numbering = field(default_factory=Numbering)
    life: Life = Life.ASKED

    def take(self, step: Step) -> None:
        """What happened to it."""
        who = f"executor {self.start} on {self.node_name}"
        self.life = after(LIVES, self.life, step, who)

    @property
    def ready(self) -> bool:
        """Both connections are up."""
        return self.life is Life.READY

    @property
    def starts(self) -> bool:
        """It is still waited for."""
        return self.life in (Life.ASKED, Life.STARTING)

    @property
    def was_ready(self) -> bool:
        """Both connections were up at some time; of one that isn't lost yet."""
        return self.life in (Life.READY, Life.BROKE)
