"""Dialling an end on this host, taking such dials, and the first packets.

Owns: Unix sockets until both ends have greeted. Must not know: who may dial whom, or what comes
after the greetings (`local`).

Both ends share a host if one reaches the other's socket, whose name is in Linux's abstract
namespace: it's in no file system, and gone with its process.
"""

from __future__ import annotations

import asyncio
import secrets
import socket

from vcl.wire import direct

SCHEME = "unix:"

greeting_bytes_max = 4096


async def dial(address: str) -> socket.socket:
    """Connect to an address of a LocalListener; raises OSError."""
    dialled = _socket()
    try:
        await asyncio.get_running_loop().sock_connect(dialled, _name(address))
    except BaseException:
        dialled.close()
        raise
    return dialled


class LocalListener:
    """Takes dials of ends on this host. Raises OSError where there are no such sockets."""

    def __init__(self) -> None:
        self.address = f"{SCHEME}vcl-{secrets.token_hex(16)}"
        """Where to dial."""
        self._socket = _socket()
        try:
            self._socket.bind(_name(self.address))
            self._socket.listen()
        except BaseException:
            self._socket.close()
            raise

    async def accept(self) -> socket.socket:
        """The next that dials."""
        accepted, _ = await asyncio.get_running_loop().sock_accept(self._socket)
        return accepted

    def close(self) -> None:
        """Take no more."""
        self._socket.close()


async def send_greeting(connected: socket.socket, greeting: direct.Greeting) -> None:
    """Send the first packet; raises OSError."""
    packed = direct.pack_greeting(greeting)
    await asyncio.get_running_loop().sock_sendall(connected, packed)


async def receive_greeting(connected: socket.socket) -> direct.Greeting:
    """The peer's first packet; raises OSError, RemoteProtocolError."""
    data = await asyncio.get_running_loop().sock_recv(connected, greeting_bytes_max)
    return direct.unpack_greeting(data)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.setblocking(False)
    return made


def _name(address: str) -> str:
    """In the abstract namespace."""
    return "\0" + address.removeprefix(SCHEME)
