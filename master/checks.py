"""Checks of a client's messages that need no state, and what memory a command names.

Owns: what no honest client sends, as far as one message shows it. Must not know: sessions.
"""

from __future__ import annotations

from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.wire import declared
from vcl.wire.limits import digest_bytes, source_bytes_max
from vcl.wire.messages import session
from vcl.wire.units import check_unit, unit_bytes

SIZE_MAX = 2**64 - 1

context_devices_max = 2**16
"""Devices that a client may name for one context."""

pattern_bytes_max = 128
"""Longest pattern of a fill."""


def context_devices(m: session.CreateContext) -> list[int]:
    """The devices of a context, each once; raises RemoteProtocolError for what can't be devices."""
    if len(m.devices) > context_devices_max or any(d <= 0 for d in m.devices):
        raise RemoteProtocolError("a context of too many devices, or of what can't be one")
    return list(dict.fromkeys(m.devices))  # two parts of a launch mustn't run on one device


def check_build(m: session.BuildProgram) -> int:
    """The bytes of its units; raises RemoteProtocolError unless units and step fit each other."""
    single = m.step in (session.BUILD, session.COMPILE)
    if not m.units or (single and len(m.units) != 1):
        raise RemoteProtocolError("a program is made of one unit, a linked one of at least one")
    for unit in m.units:
        check_unit(unit)
    size = sum(map(unit_bytes, m.units))
    if size > source_bytes_max:
        raise RemoteProtocolError(f"a program is longer than {source_bytes_max} bytes")
    if not single and m.step != session.LINK:
        raise RemoteProtocolError(f"there is no build step {m.step}")
    return size


def check_launch(m: session.Launch) -> None:
    """Raise RemoteProtocolError unless the NDRange and what is declared are well-formed."""
    dimensions = len(m.global_size)
    if not 1 <= dimensions <= 3 or len(m.global_offset) != dimensions:
        raise RemoteProtocolError("an NDRange has one to three dimensions")
    ranges = zip(m.global_offset, m.global_size, strict=True)
    if any(o < 0 or s < 0 or o + s > SIZE_MAX for o, s in ranges):
        raise RemoteProtocolError("an NDRange outside of what size_t can count")
    if m.local_size is not None and (len(m.local_size) != dimensions or min(m.local_size) < 1):
        raise RemoteProtocolError("the local size doesn't fit the global size")
    if any(d.argument >= len(m.arguments) for d in declared.unpack(m.declared)):
        raise RemoteProtocolError("the access of an argument is declared that isn't there")


def check_rect(m: session.CopyRect) -> None:
    """Raise RemoteProtocolError for a box with a negative or empty extent, or that overlaps itself.

    A driver takes a pitch of 0 for another one, and would then leave the region that was checked.
    """
    if min(m[3:]) < 0 or min(m.row_bytes, m.rows, m.slices) < 1:
        raise RemoteProtocolError("a box with a negative or empty extent")
    pitches = [
        (m.source_row_pitch, m.source_slice_pitch),
        (m.destination_row_pitch, m.destination_slice_pitch),
    ]
    if any(row < m.row_bytes or slice_ < row * m.rows for row, slice_ in pitches):
        raise RemoteProtocolError("a box whose rows or slices overlap")


def check_write(m: session.Write) -> None:
    """Raise RemoteProtocolError for a digest that isn't one."""
    if len(m.digest) not in (0, digest_bytes):
        raise RemoteProtocolError(f"a digest of {len(m.digest)} bytes")


def check_fill(m: session.Fill) -> None:
    """Raise RemoteProtocolError unless the pattern is one, and fits where it goes."""
    length = len(m.pattern)
    if not 1 <= length <= pattern_bytes_max or length & (length - 1):
        raise RemoteProtocolError(f"a pattern of {length} bytes")
    if m.offset % length or m.size % length:
        raise RemoteProtocolError("a pattern that doesn't divide the offset and the size")


def regions(m: Any) -> list[tuple[int, int, int]]:
    """(buffer, offset, size) of everything that a command names."""
    if isinstance(m, session.Launch):
        found = map(session.argument_region, m.arguments)
        return [r for r in found if r is not None]
    if isinstance(m, session.Copy):
        return [
            (m.source, m.source_offset, m.size),
            (m.destination, m.destination_offset, m.size),
        ]
    if isinstance(m, session.CopyRect):
        return [
            (m.source, m.source_offset, m.source_size),
            (m.destination, m.destination_offset, m.destination_size),
        ]
    if isinstance(m, session.Marker):
        return []
    return [(m.buffer, m.offset, m.size)]
