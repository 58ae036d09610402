"""Checks of a client's messages that need no state, and what memory a command names.

Owns: what no honest client sends, as far as one message shows it. Must not know: sessions.
"""

from __future__ import annotations

from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.wire.limits import source_bytes_max
from vcl.wire.messages import session
from vcl.wire.units import check_unit, unit_bytes

SIZE_MAX = 2**64 - 1


def check_build(m: session.BuildProgram) -> None:
    """Raise RemoteProtocolError unless units and step fit each other."""
    single = m.step in (session.BUILD, session.COMPILE)
    if not m.units or (single and len(m.units) != 1):
        raise RemoteProtocolError("a program is made of one unit, a linked one of at least one")
    for unit in m.units:
        check_unit(unit)
    if sum(map(unit_bytes, m.units)) > source_bytes_max:
        raise RemoteProtocolError(f"a program is longer than {source_bytes_max} bytes")
    if not single and m.step != session.LINK:
        raise RemoteProtocolError(f"there is no build step {m.step}")


def check_launch(m: session.Launch) -> None:
    """Raise RemoteProtocolError unless the NDRange and the arguments are well-formed."""
    dimensions = len(m.global_size)
    if not 1 <= dimensions <= 3 or len(m.global_offset) != dimensions:
        raise RemoteProtocolError("an NDRange has one to three dimensions")
    ranges = zip(m.global_offset, m.global_size, strict=True)
    if any(o < 0 or s < 0 or o + s > SIZE_MAX for o, s in ranges):
        raise RemoteProtocolError("an NDRange outside of what size_t can count")
    if m.local_size is not None and (len(m.local_size) != dimensions or min(m.local_size) < 1):
        raise RemoteProtocolError("the local size doesn't fit the global size")


def check_rect(m: session.CopyRect) -> None:
    """Raise RemoteProtocolError for a box with a negative or empty extent."""
    if min(m[3:]) < 0 or min(m.row_bytes, m.rows, m.slices) < 1:
        raise RemoteProtocolError("a box with a negative or empty extent")


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
