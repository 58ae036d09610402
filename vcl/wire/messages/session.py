"""What a client and the master say to each other on the control connection of a session.

Owns: the message classes of both directions, and the encoding of kernel arguments. Ids are
chosen by the client and never used twice in a session; sizes and offsets are in bytes; times are
nanoseconds of the node's wall clock.

A kernel argument is one of: bytes (a by-value argument, native layout), None (a null pointer),
[1, buffer, offset, size] (a region of a buffer), [2, size] (local memory), [3, buffer, offset,
size, type, channel order, channel type, width, height, depth] (an image whose packed pixels are
that region; a layered image has its layers in the dimension after its own), [4, normalized
coordinates, addressing mode, filter mode] (a sampler).

Long because each call of OpenCL has its message here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from vcl.text import clipped
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
from vcl.wire.direct import Way
from vcl.wire.limits import log_bytes_max, logs_bytes_max
from vcl.wire.messages.direct import Linked, OpenLink

ARGUMENT_BUFFER = 1
ARGUMENT_LOCAL = 2
ARGUMENT_IMAGE = 3
ARGUMENT_SAMPLER = 4
Argument = Annotated[
    Any,
    OneOf(
        bytes,
        None,
        Row(Exactly(ARGUMENT_BUFFER), int, Count, Count),
        Row(Exactly(ARGUMENT_LOCAL), Count),
        Row(Exactly(ARGUMENT_IMAGE), int, *(Count for _ in range(8))),
        Row(Exactly(ARGUMENT_SAMPLER), Count, Count, Count),
    ),
]


Ended = Annotated[list[Any], Row(int, Status, Count, Count, str | None)]
Log = Annotated[list[Any], Row(int, int, str)]
ArgumentInfo = Annotated[list[Any], Row(int, str, int, int, str)]
GroupInfo = Annotated[list[Any], Row(int, Row(int, int, int), int, int, int, str)]
DeviceGroupInfo = Annotated[list[Any], Row(int, GroupInfo)]
KernelInfo = Annotated[list[Any], Row(str, list[DeviceGroupInfo], list[ArgumentInfo])]
File = Annotated[list[Any], Row(str, str, bytes)]
Unit = Annotated[list[Any], Row(str, str, list[str], list[File])]
ReportedBytes = Annotated[list[int], Row(Count, Count, Count)]
ReportedPart = Annotated[list[Any], Row(str, str, list[int], list[int], float)]
ReportedBuffer = Annotated[list[Any], Row(Count, str, str, list[ReportedBytes])]
ReportedMoves = Annotated[list[int], Row(Count, *(Count for _ in Way))]
Reported = Annotated[
    list[Any], Row(str, str, ReportedMoves, list[ReportedPart], list[ReportedBuffer])
]
TotalsRow = Annotated[
    list[Any], Row(str, str, Count, Count, Count, Count, Count, Count, Count, str)
]
NodeRow = Annotated[list[Any], Row(str, list[str], Count, Count, Count, Count)]
SessionRow = Annotated[list[Any], Row(Count, str, str, Count, Count, list[str])]


class CreateContext(NamedTuple):
    """A context on devices of the cluster; `split` when it is the cluster device's."""

    context: int
    devices: list[int]
    split: bool


class CreateQueue(NamedTuple):
    """A command queue. device: 0 for the cluster device. properties: command_queue_properties."""

    queue: int
    context: int
    device: int
    properties: int


class CreateBuffer(NamedTuple):
    """A buffer; its contents are zero until written.

    shared: the host may have pointers to it, as to shared virtual memory: launches that use it run
    whole.
    """

    buffer: int
    context: int
    size: Size
    shared: bool = False


BUILD = 0
COMPILE = 1
LINK = 2


class BuildProgram(NamedTuple):
    """Make a program for all devices of the context; answered by Built with the same request.

    units: as vcl.wire.units says. step: BUILD one unit; COMPILE one unit, for its log only; LINK:
    compile all units, and link them with link_options.
    """

    program: int
    context: int
    request: int
    step: int
    units: list[Unit]
    link_options: str


class CreateUserEvent(NamedTuple):
    """A user event, in state submitted."""

    event: int
    context: int


class SetUserEvent(NamedTuple):
    """status: 0 for complete, or a negative error."""

    event: int
    status: Status


class Release(NamedTuple):
    """The client holds these objects and events no longer; their ids don't come again."""

    objects: list[int]


class Launch(NamedTuple):
    """Enqueue a kernel (OpenCL 3.0 API, 5.8 clEnqueueNDRangeKernel).

    declared: what its work-items touch, as `vcl.wire.declared` packs it; empty if nobody says.
    shape: the number under which it may be repeated, 0 for none.
    """

    event: int
    queue: int
    waits: list[int]
    program: int
    kernel: str
    global_offset: list[int]
    global_size: list[int]
    local_size: list[int] | None
    arguments: list[Argument]
    declared: bytes = b""
    shape: Count = 0


class Repeat(NamedTuple):
    """Enqueue a launch again that told its shape.

    values: of the first of its arguments by value; the others are as they were told.
    """

    event: int
    shape: Count
    waits: list[int]
    values: list[bytes]


class Write(NamedTuple):
    """Enqueue a write of bytes that the client keeps as `staging` until told to drop it.

    digest: SHA-256 of the bytes, so that they aren't asked for where they are already; or empty.
    """

    event: int
    queue: int
    waits: list[int]
    buffer: int
    offset: Count
    size: Size
    staging: int
    digest: bytes = b""


class Read(NamedTuple):
    """Enqueue a read; answered by Pull messages that together cover [0, size)."""

    event: int
    queue: int
    waits: list[int]
    buffer: int
    offset: Count
    size: Size


class Copy(NamedTuple):
    """Enqueue a copy between buffers."""

    event: int
    queue: int
    waits: list[int]
    source: int
    destination: int
    source_offset: Count
    destination_offset: Count
    size: Size


class Fill(NamedTuple):
    """Enqueue a fill with a pattern of 1 to 128 bytes, a power of two."""

    event: int
    queue: int
    waits: list[int]
    buffer: int
    offset: Count
    size: Size
    pattern: bytes


class CopyRect(NamedTuple):
    """Enqueue a copy of a box between buffers (OpenCL 3.0 API, 5.2.3).

    offsets: of the box's first byte. row_bytes, rows, slices: its extent. pitches: bytes from one
    row to the next and from one slice to the next. Reads and writes of boxes go through a buffer
    that holds the box packed.
    """

    event: int
    queue: int
    waits: list[int]
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

    @property
    def source_size(self) -> int:
        """Bytes from the first to the last of the box in the source."""
        return _hull(self, self.source_row_pitch, self.source_slice_pitch)

    @property
    def destination_size(self) -> int:
        """Bytes from the first to the last of the box in the destination."""
        return _hull(self, self.destination_row_pitch, self.destination_slice_pitch)


def _hull(m: CopyRect, row_pitch: int, slice_pitch: int) -> int:
    return m.row_bytes + (m.rows - 1) * row_pitch + (m.slices - 1) * slice_pitch


class Marker(NamedTuple):
    """Enqueue a marker or a barrier; an empty wait list means all earlier commands."""

    event: int
    queue: int
    waits: list[int]
    barrier: bool


class AskReport(NamedTuple):
    """Ask how a launch was carried out; answered by Report once it is complete."""

    request: int
    event: int


class AskWay(NamedTuple):
    """Ask how bulk gets from one device's node to another's; answered by WayFound.

    device: 0 for the program. If there is no link yet, it is opened as for a transfer.
    """

    request: int
    device: int
    other: int


class AskTotals(NamedTuple):
    """Ask what all launches so far came to; answered by Totals."""

    request: int


class AskStatus(NamedTuple):
    """Ask what runs on the cluster; answered by ClusterStatus."""

    request: int


class EventsDone(NamedTuple):
    """Events that ended: [event, status, start, end, message] each; status 0 or negative."""

    events: list[Ended]


class Built(NamedTuple):
    """A build ended.

    logs: [device, status, log] each. kernels: [name, [[device, work-group info]], [argument info]]
    each, the same on all devices.
    """

    request: int
    status: Status
    message: str
    logs: list[Log]
    kernels: list[KernelInfo]


class Report(NamedTuple):
    """How a launch was carried out; None if forgotten.

    report: [mode, reason, [bytes moved, those by each Way], parts, buffers]; a part is [node,
    device, global offset, global size, seconds].
    """

    request: int
    report: Reported | None


class WayFound(NamedTuple):
    """How bulk goes between two ends, once no link between them is being opened.

    message: why there is none, "" if there is.
    """

    request: int
    way: Annotated[int, Between(min(Way), max(Way))]
    message: str


class Totals(NamedTuple):
    """What the session's launches came to, for each kernel and mode: [kernel, mode, launches,
    parts, bytes moved, ns of all parts, in which some part of a launch ran, in which none did and
    bytes were moved, from first start to last end, reason of the last]."""

    request: int
    rows: list[TotalsRow]


class ClusterStatus(NamedTuple):
    """What runs on the cluster: its nodes, [name, names of its devices, sessions with an executor
    there, load in percent, bytes of memory used, of memory] each, and sessions, [number, program,
    user, seconds, unfinished commands, nodes]."""

    request: int
    nodes: list[NodeRow]
    sessions: list[SessionRow]


class Push(NamedTuple):
    """Send [offset, offset + size) of a staging copy to an endpoint as `transfer`.

    cause: the event of the command that needs the bytes there, 0 if none does.
    """

    transfer: Transfer
    staging: int
    offset: Count
    size: Size
    endpoint: Endpoint
    cause: int = 0


class Pull(NamedTuple):
    """Bytes for [offset, offset + size) of a read's destination.

    From an endpoint as `transfer`; or, with transfer 0, from the client's own staging copy at
    `source_offset`; or, with transfer 0 and staging 0, zeros.
    """

    event: int
    offset: Count
    size: Size
    transfer: Transfer
    endpoint: Endpoint
    staging: int
    source_offset: Count


class DropStaging(NamedTuple):
    """These staging copies are needed no longer."""

    stagings: list[int]


class CancelPush(NamedTuple):
    """The receiver of a Push is gone: stop sending, or don't begin."""

    transfer: Transfer


class EndpointLost(NamedTuple):
    """An executor is gone: bytes that it was to send, and hasn't, won't come."""

    endpoint: Endpoint
    message: str


class Printed(NamedTuple):
    """Text that the launch of an event printed on a node; comes before the event's EventsDone."""

    event: int
    node_name: str
    text: bytes


TO_MASTER = Conversation(
    "client to master",
    {
        1: CreateContext,
        2: CreateQueue,
        3: CreateBuffer,
        5: BuildProgram,
        6: CreateUserEvent,
        7: SetUserEvent,
        8: Release,
        10: Launch,
        11: Write,
        12: Read,
        13: Copy,
        14: Fill,
        15: Marker,
        16: CopyRect,
        17: Repeat,
        20: AskReport,
        21: AskWay,
        22: AskTotals,
        23: AskStatus,
        52: Linked,
    },
)

TO_CLIENT = Conversation(
    "master to client",
    {
        40: EventsDone,
        41: Built,
        42: Report,
        43: Push,
        44: Pull,
        45: DropStaging,
        46: WayFound,
        47: CancelPush,
        48: EndpointLost,
        49: Printed,
        50: OpenLink,
        51: Totals,
        53: ClusterStatus,
    },
)


def argument_region(argument: Any) -> tuple[int, int, int] | None:
    """(buffer, offset, size) of an argument that is memory, else None."""
    if type(argument) is list and argument[0] in (ARGUMENT_BUFFER, ARGUMENT_IMAGE):
        return argument[1], argument[2], argument[3]
    return None


def is_image(argument: Any) -> bool:
    """Whether an argument is an image."""
    return type(argument) is list and argument[0] == ARGUMENT_IMAGE


def clipped_logs(logs: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Rows of Log, each of at most log_bytes_max, and together of logs_bytes_max."""
    room, kept = logs_bytes_max, []
    for device, status, log in logs:
        text = clipped(log, min(log_bytes_max, room))
        room = max(0, room - len(text))
        kept.append([device, status, text])
    return kept
