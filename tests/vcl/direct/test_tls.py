"""Encrypted sockets and their opening, over real TCP on loopback, in one process."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit

import pytest

from tests.vcl.direct.ends import LONG_S, End, tls_ends, tls_sockets, whole
from vcl.direct import certificate, tls
from vcl.direct.pool import Pool
from vcl.direct.stream import StreamLink, turn_bytes_max
from vcl.errors import RemoteProtocolError
from vcl.transfers import Stream
from vcl.transport import ConnectFailed, Settings
from vcl.wire import frame
from vcl.wire.frame import BulkFrame, pack_bulk_header
from vcl.wire.websocket import BINARY, PONG, pack_head

SETTINGS = Settings(message_bytes_max=1000)


class Served:
    """A server whose first message is what each that dials has sent, in capitals; then it keeps
    the sockets."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[socket.socket | None] = asyncio.Queue()
        self.url = ""
        self._server: tls.TlsServer

    async def start(self) -> None:
        context, fingerprint = certificate.listening_context()
        self._server = await tls.serve(self._handle, "127.0.0.1", 0, SETTINGS, context)
        host, port = self._server.address
        self.url = f"wss://{host}:{port}#{fingerprint}"

    async def _handle(self, connection: tls.TlsConnection, path: str) -> None:
        await connection.send((await connection.recv()).upper())
        self.taken.put_nowait(connection.take_socket())

    async def close(self) -> None:
        await self._server.close()

    def raw(self) -> socket.socket:
        """A plain socket that has dialled it."""
        target = urlsplit(self.url)
        assert target.hostname is not None and target.port is not None
        dialled = socket.create_connection((target.hostname, target.port))
        dialled.setblocking(False)
        return dialled

    async def encrypted(self) -> ssl.SSLSocket:
        """One that has shaken hands as far as TLS goes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.sslsocket_class = tls.TlsSocket
        return await tls._secured(self.raw(), context)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    await made.start()
    async with asyncio.timeout(LONG_S):
        yield made
    await made.close()


async def talk(url: str) -> bytes:
    connection = await tls.connect(url, SETTINGS)
    await connection.send(b"hel", b"lo")
    answer = await connection.recv()
    await connection.close()
    return answer


async def test_messages_and_the_socket_afterwards(served: Served) -> None:
    connection = await tls.connect(served.url, SETTINGS)
    await connection.send(b"hel", b"lo")
    assert await connection.recv() == b"HELLO"
    dialled, accepted = connection.take_socket(), await served.taken.get()
    assert isinstance(dialled, tls.TlsSocket) and isinstance(accepted, tls.TlsSocket)
    assert dialled.version() == "TLSv1.3"
    await connection.close()  # of what isn't its own any more
    await tls.send_all(dialled, b"x" * 100_000)
    got = b""
    while len(got) < 100_000:
        got += await tls.receive(accepted, 200_000)
    assert got == b"x" * 100_000
    dialled.close()
    assert await tls.receive(accepted, 1) == b""
    accepted.close()


async def test_nothing_of_what_follows_the_last_message_is_read(served: Served) -> None:
    raw = await served.encrypted()
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    request = f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n"
    await tls.send_all(raw, request.encode() + pack_head(BINARY, 1, True) + b"a" + b"what follows")
    accepted = await served.taken.get()
    assert accepted is not None
    assert accepted.recv(100) == b"what follows"
    accepted.close()
    raw.close()


BAD = {
    "a browser's": b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://page\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n",
    "no upgrade": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "endless": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000,
}


@pytest.mark.parametrize("name", BAD)
async def test_what_opens_no_websocket(
    served: Served, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    raw = await served.encrypted()
    await tls.send_all(raw, BAD[name])
    assert await is_closed(raw)
    assert served.taken.empty() and "a direct link wasn't let in" in caplog.text
    raw.close()


async def is_closed(raw: socket.socket) -> bool:
    try:
        return await tls.receive(raw, 1) == b""
    except ConnectionResetError:  # what was sent hadn't been read
        return True


async def test_a_dial_that_stalls_ends_and_holds_up_no_other(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls, "handshake_timeout_s", 0.5)
    silent, half = served.raw(), await served.encrypted()
    assert await talk(served.url) == b"HELLO"
    for each in (silent, half):
        assert await is_closed(each)
        each.close()
    assert caplog.text.count("no handshake in time") == 2


async def test_dials_in_the_handshake_are_counted(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "openings_max", 2)
    silent = [served.raw() for _ in range(3)]
    assert await is_closed(silent[2])
    silent[0].close()
    silent[1].close()
    while True:
        try:
            assert await talk(served.url) == b"HELLO"
            break
        except ConnectFailed:  # their end wasn't noticed yet
            await asyncio.sleep(0.01)


async def test_what_is_under_way_ends_with_the_server(served: Served) -> None:
    half = await served.encrypted()
    await served.close()
    assert await is_closed(half)
    half.close()
    with pytest.raises(ConnectFailed, match="refused"):
        await tls.connect(served.url, SETTINGS)


async def test_who_hangs_up_after_the_tls_handshake() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    context, fingerprint = certificate.listening_context()
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConnectFailed, match="closed the connection during the handshake"):
        await tls.connect(f"wss://127.0.0.1:{port}#{fingerprint}", SETTINGS)
    server.close()


async def test_who_is_at_the_right_place_with_another_certificate(served: Served) -> None:
    _, other = certificate.listening_context()
    with pytest.raises(RemoteProtocolError, match="certificate isn't the one"):
        await tls.connect(f"{served.url.partition('#')[0]}#{other}", SETTINGS)
    assert served.taken.empty()


async def test_a_peer_without_tls_1_3(served: Served) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = tls.TlsSocket
    with pytest.raises(ssl.SSLError):
        await tls._secured(served.raw(), context)


# On a link


CREDIT = BulkFrame(frame.CREDIT, False, 2, 1, 7, 0, b"")


def packed(chunk: BulkFrame, payload: bytes = b"") -> bytes:
    head = pack_head(BINARY, frame.BULK_HEADER_BYTES + len(payload), masked=True)
    return head + pack_bulk_header(chunk) + payload


def receiver(connected: socket.socket) -> End:
    return End(partial(StreamLink, pool=Pool(shares=False), dialled=False), connected, 2, 1)


async def test_what_came_with_the_handshake_is_not_forgotten() -> None:
    one, other = tls_sockets()
    one.send(pack_head(PONG, 0, masked=True) + packed(CREDIT) * 3)
    assert await tls.receive(other, 6) == pack_head(PONG, 0, masked=True)
    assert other.pending(), "no loop is told of this"
    there = receiver(other)
    await there.until("len(end.frames) == 3")
    one.close()


async def test_what_is_decrypted_at_the_end_of_a_turn_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vcl.direct.stream.turn_bytes_max", 1)
    assert turn_bytes_max > 1
    one, other = tls_sockets()
    there = receiver(other)
    one.send(packed(CREDIT) * 300)
    await there.until("len(end.frames) == 300")
    one.close()


async def test_a_link_that_is_blocked_goes_on_where_it_was() -> None:
    a, b = tls_ends()
    b.link.leave()
    data = os.urandom(64 * 2**20)
    a.link.stream(Stream(7, 2, (data,)))
    a.link.stream(Stream(8, 2, (data[:100_001],)))
    for _ in range(300):
        await asyncio.sleep(0)
    assert 7 not in a.streamed
    b.link.join()
    await a.until("len(end.streamed) == 2")
    await b.until("sum(f.last for f in end.frames) == 2")
    assert whole([f for f in b.frames if f.transfer == 7]) == data
    assert whole([f for f in b.frames if f.transfer == 8]) == data[:100_001]


async def test_bytes_that_nobody_encrypted_end_a_link() -> None:
    one, other = tls_sockets()
    there = receiver(other)
    plain = socket.socket(fileno=os.dup(one.fileno()))
    plain.send(packed(CREDIT))
    await there.until("end.lost")
    assert there.frames == [] and len(there.lost) == 1
    plain.close()
    one.close()


async def test_a_write_that_fails_is_found_out_by_the_reader() -> None:
    a, b = tls_ends()
    connected = a.link._socket
    assert isinstance(connected, tls.TlsSocket)
    connected.cut()
    a.link.stream(Stream(7, 2, (b"bytes",)))
    await a.until("end.lost")
    await b.until("end.lost")
    assert b.lost == ["the other end is gone"] and b.frames == []
