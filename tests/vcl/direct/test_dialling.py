"""Dials between two ends, over real sockets, in one process."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

import pytest

from vcl import transport
from vcl.direct import dialling, tls
from vcl.direct.data_listen import DataListen
from vcl.direct.dialling import StreamListener
from vcl.direct.tls import TlsSocket
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


@pytest.mark.parametrize("data", [b"junk", frame.pack_value(["vcl-link", 1, 0, "t", True]),
                                  frame.pack_value(["vcl-link", 2, 0, "t"]),
                                  frame.pack_value(["vcl-link", 2, "0", "t", True]),
                                  frame.pack_value(["vcl-link", 2, 0, "t", 1]), b""])  # fmt: skip
async def test_a_greeting_that_isnt_one(data: bytes) -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.setblocking(False)
    one.send(data)
    with pytest.raises(RemoteProtocolError):
        await dialling.receive_greeting(other)


class Listening:
    """A listener that lets the right greeting in, and who came."""

    def __init__(self, encrypted: bool) -> None:
        self.came: asyncio.Queue[tuple[Greeting, socket.socket]] = asyncio.Queue()
        self.listener = StreamListener(
            self._take, lambda *came: self.came.put_nowait(came), encrypted
        )

    async def _take(self, greeting: Greeting) -> Greeting:
        if greeting.secret != "ticket":
            raise RemoteProtocolError("another secret")
        return Greeting(3, "answer")


def accept(greeting: Greeting) -> None:
    assert greeting == Greeting(3, "answer")


@pytest.fixture(params=["websockets", "picows"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(request.param)
    monkeypatch.setenv(transport.ENVIRONMENT_VARIABLE, request.param)


BOTH = pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])


@BOTH
@pytest.mark.usefixtures("library")
async def test_between_hosts_the_sockets_are_the_ends_own(encrypted: bool) -> None:
    there = Listening(encrypted)
    url = await there.listener.listen(DataListen("127.0.0.1"))
    dialled = await dialling.dial_stream(url, Greeting(0, "ticket"), accept)
    greeting, accepted = await there.came.get()
    assert greeting == Greeting(0, "ticket")
    assert isinstance(dialled, TlsSocket) is isinstance(accepted, TlsSocket) is encrypted
    for one, other in ((dialled, accepted), (accepted, dialled)):
        await tls.send_all(one, b"raw bytes")
        assert await tls.receive(other, 100) == b"raw bytes", "nobody else writes or reads"
    await there.listener.close()
    await tls.send_all(dialled, b"still")
    assert await tls.receive(accepted, 100) == b"still"
    for each in (dialled, accepted):
        each.close()


@BOTH
@pytest.mark.usefixtures("library")
async def test_who_isnt_let_in(caplog: pytest.LogCaptureFixture, encrypted: bool) -> None:
    there = Listening(encrypted)
    url = await there.listener.listen(DataListen("127.0.0.1"))
    with pytest.raises(RemoteProtocolError, match="wasn't let in"):
        await dialling.dial_stream(url, Greeting(0, "forged"), accept)
    assert "a direct link wasn't let in: another secret" in caplog.text
    assert "Traceback" not in caplog.text and "forged" not in caplog.text

    def refuse(greeting: Greeting) -> None:
        raise RemoteProtocolError("an impostor")

    with pytest.raises(RemoteProtocolError, match="impostor"):
        await dialling.dial_stream(url, Greeting(0, "ticket"), refuse)
    await there.listener.close()
    assert there.came.empty()
    with pytest.raises(OSError, match="refused"):
        await dialling.dial_stream(url, Greeting(0, "ticket"), accept)


@BOTH
async def test_the_first_free_port_is_taken(encrypted: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        one = StreamListener(Listening(encrypted)._take, print, encrypted)
        with pytest.raises(OSError, match="in use"):
            await one.listen(DataListen("127.0.0.1", port, port))
        url = await one.listen(DataListen("127.0.0.1", port, min(port + 20, 65535)))
        taken_port = urlsplit(url).port
        assert taken_port is not None and taken_port > port
        await one.close()


async def test_a_plain_dial_where_links_are_encrypted(
    library: None, caplog: pytest.LogCaptureFixture
) -> None:
    there = Listening(encrypted=True)
    url = await there.listener.listen(DataListen("127.0.0.1"))
    plain = f"ws://127.0.0.1:{urlsplit(url).port}"
    with pytest.raises(OSError, match=r"WebSocket|handshake"):
        await dialling.dial_stream(plain, Greeting(0, "ticket"), accept)
    assert there.came.empty() and "a direct link wasn't let in: [SSL" in caplog.text
    await there.listener.close()
