"""Dials between two ends of this host, over real sockets, in one process."""

from __future__ import annotations

import socket

import pytest

from vcl.direct import dialling
from vcl.errors import RemoteProtocolError
from vcl.wire import frame
from vcl.wire.direct import Greeting


async def test_dialling_and_greeting() -> None:
    listener = dialling.LocalListener()
    dialled = await dialling.dial(listener.address)
    accepted = await listener.accept()
    await dialling.send_greeting(dialled, Greeting(0, "ticket"))
    assert await dialling.receive_greeting(accepted) == Greeting(0, "ticket")
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        await dialling.dial(listener.address)
    dialled.close()
    accepted.close()


@pytest.mark.parametrize("data", [b"junk", frame.pack_value(["vcl-link", 1, 0, "t"]),
                                  frame.pack_value(["vcl-link", 2, "0", "t"]), b""])  # fmt: skip
async def test_a_greeting_that_isnt_one(data: bytes) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.setblocking(False)
    one.send(data)
    with pytest.raises(RemoteProtocolError):
        await dialling.receive_greeting(other)
