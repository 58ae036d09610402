"""What the master and an executor say to each other on their control connection.

Owns: the operations that an executor carries out, and its reports. Every operation has an id
and waits for others *of the same executor*; the executor starts it when those are done, or
earlier where its driver keeps the order by itself. A buffer exists once per device that uses it
and has the client's id.

So that a trace can be followed across processes, a message names what it follows from: `cause` is
the client's id of the command (its event), 0 if none is; others name an object, request, operation
or transfer that was told before.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, NamedTuple

from vcl.wire.codec import (
    Between,
    Conversation,
    Count,
    Endpoint,
    Exactly,
    OneOf,
    Row,
    Size,
    Status,
    Transfer,
)
from vcl.wire.messages.direct import ExpectLink, Linked, Listening, OpenLink
from vcl.wire.messages.session import Argument, KernelInfo, Log, Unit


class How(IntEnum):
    """How a merge takes in an element that a part changed.

    All but CHANGED are reductions, of integers of 4 or 8 bytes: what the part made of the value
    before is made of the home's value, too, so that parts can't contradict each other.
    """

    CHANGED = 0
    """It becomes the part's; two parts that changed it to different values are a conflict."""
    ADD = 1
    """What the part added is added, modulo the element's range."""
    MIN = 2
    """The smaller, as signed integers."""
    MAX = 3
    """The larger, as signed integers."""
    MIN_UNSIGNED = 4
    MAX_UNSIGNED = 5
    AND = 6
    OR = 7
    XOR = 8
    """The bits that the part flipped are flipped."""


Region = Annotated[list[int], Row(int, Count, Size, Size)]
MergedRegion = Annotated[list[int], Row(int, Count, Size, Size, Between(min(How), max(How)))]
Piece = Annotated[list[int], Row(Count, Count, Size)]
Incoming = Annotated[list[Any], Row(Transfer, Endpoint, list[Piece])]

UNTOUCHED = "untouched"
"""What a failed Run reports besides if the driver refused it, so that no byte was changed."""

Extra = OneOf(None, Count, Exactly(UNTOUCHED), Row(Exactly("conflict"), int, Count))
Ended = Annotated[list[Any], Row(int, Status, Count, Count, str | None, Extra)]


class Allocate(NamedTuple):
    """Make the device's copy of a buffer, contents undefined. Failure shows in operations.

    shared: it is shared virtual memory, into which kernels may get pointers of any alignment.
    """

    device: int
    buffer: int
    size: Size
    shared: bool = False
    cause: int = 0


class Free(NamedTuple):
    """Free the device's copy of a buffer after the operations in `waits`."""

    operation: int
    waits: list[int]
    device: int
    buffer: int


class Build(NamedTuple):
    """Make a program for devices; answered by BuildDone. Fields as in session.BuildProgram."""

    program: int
    request: int
    devices: list[int]
    step: int
    units: list[Unit]
    link_options: str
    cause: int = 0


class ForgetProgram(NamedTuple):
    """Release a program after the operations in `waits`."""

    operation: int
    waits: list[int]
    program: int


class Run(NamedTuple):
    """Run a part of a launch. shape: the number under which it may be repeated, 0 for none."""

    operation: int
    waits: list[int]
    device: int
    program: int
    kernel: str
    global_offset: list[int]
    global_size: list[int]
    local_size: list[int] | None
    arguments: list[Argument]
    cause: int = 0
    shape: Count = 0


class Again(NamedTuple):
    """Run a part again that told its shape; values as in session.Repeat."""

    operation: int
    waits: list[int]
    shape: Count
    values: list[bytes]
    cause: int = 0


class FillRegion(NamedTuple):
    """Fill a region with a pattern."""

    operation: int
    waits: list[int]
    device: int
    buffer: int
    offset: Count
    size: Size
    pattern: bytes
    cause: int = 0


class CopyRegion(NamedTuple):
    """Copy between two buffers of one device."""

    operation: int
    waits: list[int]
    device: int
    source: int
    source_offset: Count
    destination: int
    destination_offset: Count
    size: Size
    cause: int = 0


class CopyBox(NamedTuple):
    """Copy a box between two buffers of one device; fields as in session.CopyRect."""

    operation: int
    waits: list[int]
    device: int
    source: int
    destination: int
    source_offset: Count
    destination_offset: Count
    row_bytes: Size
    rows: Size
    slices: Size
    source_row_pitch: Count
    source_slice_pitch: Count
    destination_row_pitch: Count
    destination_slice_pitch: Count
    cause: int = 0


class Send(NamedTuple):
    """Send a region to an endpoint as `transfer`."""

    operation: int
    waits: list[int]
    device: int
    buffer: int
    offset: Count
    size: Size
    transfer: Transfer
    endpoint: Endpoint
    cause: int = 0


class Receive(NamedTuple):
    """Receive a region from an endpoint as `transfer`."""

    operation: int
    waits: list[int]
    device: int
    buffer: int
    offset: Count
    size: Size
    transfer: Transfer
    endpoint: Endpoint
    cause: int = 0


class Snapshot(NamedTuple):
    """Keep the present contents of regions as the pre-image of a merge.

    regions: [buffer, offset, size, element size] each, all in bytes.
    """

    operation: int
    waits: list[int]
    device: int
    merge: int
    regions: list[Region]
    cause: int = 0


class SendChanges(NamedTuple):
    """Send what a part changed against its snapshot to the merge's home, then drop the snapshot.

    regions: as in its Snapshot; only this part's. The transfer carries for each region in turn a
    length (8 bytes, little endian) and the packed changes (README.md, "Packed changes").
    """

    operation: int
    waits: list[int]
    device: int
    merge: int
    regions: list[Region]
    transfer: Transfer
    endpoint: Endpoint
    cause: int = 0


class Merge(NamedTuple):
    """Finish a merge at its home: take in the changes of the other parts.

    regions: as in Snapshot, and How each: all that parts may have changed, apart from each other.
    transfers: [transfer, endpoint, pieces] each; pieces: what that part sends changes of, in the
    order of its SendChanges: [index into regions, offset in that region, size] each, ascending,
    from element to element. On a conflict the snapshot is restored and the launch described by the
    other fields runs whole. What doesn't fit together fails the operation.
    """

    operation: int
    waits: list[int]
    device: int
    merge: int
    regions: list[MergedRegion]
    transfers: list[Incoming]
    program: int
    kernel: str
    global_offset: list[int]
    global_size: list[int]
    local_size: list[int] | None
    arguments: list[Argument]
    cause: int = 0


class CancelTransfer(NamedTuple):
    """The other end of a transfer failed: fail the operation that takes part in it."""

    transfer: Transfer
    message: str


class Done(NamedTuple):
    """Operations that ended: [operation, status, start, end, message, extra] each.

    status: 0 or a negative OpenCL status. start, end: ns of the executor's wall clock; a Receive
    starts when its first chunk comes. message: None or why it failed. extra: None, or for
    SendChanges the bytes sent, for Merge ["conflict", buffer, offset], for Run UNTOUCHED.
    """

    operations: list[Ended]


class BuildDone(NamedTuple):
    """A build ended: logs [device, status, log] each; kernels as in session.Built."""

    request: int
    status: Status
    message: str
    logs: list[Log]
    kernels: list[KernelInfo]


class Printed(NamedTuple):
    """Text that a Run printed, in pieces; comes before its Done."""

    operation: int
    text: bytes


TO_EXECUTOR = Conversation(
    "master to executor",
    {
        1: Allocate,
        2: Free,
        3: Build,
        4: ForgetProgram,
        10: Run,
        11: FillRegion,
        12: CopyRegion,
        13: Send,
        14: Receive,
        15: Snapshot,
        16: SendChanges,
        17: Merge,
        18: CancelTransfer,
        19: CopyBox,
        20: Again,
        50: OpenLink,
        51: ExpectLink,
    },
)

FROM_EXECUTOR = Conversation(
    "executor to master",
    {
        40: Done,
        41: BuildDone,
        42: Printed,
        52: Linked,
        53: Listening,
    },
)
