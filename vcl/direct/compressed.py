"""The payload of a compressed chunk: the size of what it was, and an LZ4 block.

Owns: the library, which may be missing. Must not know: when it pays (`compressing`), or sockets.
"""

from __future__ import annotations

import struct

from vcl.errors import RemoteProtocolError
from vcl.wire.frame import Bytes
from vcl.wire.limits import chunk_bytes_max

try:
    import lz4.block
except ImportError:
    HAS_LZ4 = False
    """Whether this end can compress and decompress: it has the extra `compression`."""
else:
    HAS_LZ4 = True

_SIZE = struct.Struct("<I")


def compress(chunk: Bytes) -> bytes:
    """The payload; most of the time without Python's lock. Only where HAS_LZ4."""
    payload: bytes = lz4.block.compress(chunk, store_size=True)
    return payload


def decompress(payload: Bytes) -> memoryview:
    """The chunk, in memory of its own. Only where HAS_LZ4.

    Raises RemoteProtocolError for what `compress` made of no chunk that it made smaller.
    """
    view = memoryview(payload)
    if len(view) < _SIZE.size:
        raise RemoteProtocolError(f"a compressed chunk of {len(view)} bytes has no size")
    (size,) = _SIZE.unpack_from(view)
    if not len(view) < size <= chunk_bytes_max:
        raise RemoteProtocolError(f"{size} bytes, compressed to {len(view)}")
    try:
        chunk = lz4.block.decompress(
            view[_SIZE.size :], uncompressed_size=size, return_bytearray=True
        )
    except lz4.block.LZ4BlockError as error:
        raise RemoteProtocolError(f"a compressed chunk that isn't of {size} bytes") from error
    if len(chunk) != size:
        raise RemoteProtocolError(f"a compressed chunk of {len(chunk)} bytes instead of {size}")
    return memoryview(chunk)
