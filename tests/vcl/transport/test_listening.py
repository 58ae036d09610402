"""A server whose process has no descriptors left, in a process of its own."""

from __future__ import annotations

import socket
import textwrap
from contextlib import suppress

import pytest

from tests.processes import environment, started
from vcl import transport
from vcl.transport.listening import DESCRIPTORS_SPARED, listen

LIMIT = 60

SERVER = """
    import asyncio, logging, resource, sys, time
    from vcl import transport
    from vcl.transport import listening

    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))
    listening.DESCRIPTORS_SPARED = int(sys.argv[2])
    logging.basicConfig(level=logging.WARNING)

    async def handle(connection, path):
        while True:
            await connection.send(await connection.recv())
            print(time.process_time(), flush=True)

    async def main():
        server = await transport.serve(handle, "127.0.0.1", 0, library=sys.argv[3])
        print(server.address[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await server.close()

    asyncio.run(main())
    """


def await_end(one: socket.socket) -> None:
    """Wait until the server has closed a connection, and so has its descriptor back."""
    one.settimeout(10.0)
    with suppress(ConnectionResetError):
        while one.recv(4096):
            pass


@pytest.mark.parametrize("spared", [DESCRIPTORS_SPARED, -LIMIT], ids=["few left", "none left"])
async def test_connections_beyond_the_limit_are_closed_and_the_rest_goes_on(
    library: str, spared: int
) -> None:
    arguments = ["-c", textwrap.dedent(SERVER), str(LIMIT), str(spared), library]
    with started(arguments, environment()) as server:
        port = int(server.line())
        url = f"ws://127.0.0.1:{port}"
        old = await transport.connect(url, library=library)
        await old.send(b"before")
        assert bytes(await old.recv()) == b"before"
        before_s = float(server.line())
        many = [socket.create_connection(("127.0.0.1", port)) for _ in range(2 * LIMIT)]
        for one in many[LIMIT:]:
            await_end(one)
        await old.send(b"meanwhile")
        assert bytes(await old.recv()) == b"meanwhile"
        assert float(server.line()) - before_s < 1.0, "it spins"
        for one in many[:LIMIT]:
            with suppress(OSError):  # closed already
                one.shutdown(socket.SHUT_WR)
        for one in many:
            await_end(one)
            one.close()
        new = await transport.connect(url, library=library)
        await new.send(b"new")
        assert bytes(await new.recv()) == b"new"
        await old.close()
        await new.close()
        assert server.process.stdin is not None
        _, errors = server.end()
    assert len(errors.splitlines()) == 1 and "no descriptors left" in errors, errors


async def test_the_address_of_a_name_is_of_ipv4() -> None:
    listening = await listen("localhost", 0)
    assert listening.family == socket.AF_INET
    listening.close()
    listening.close()


async def test_an_address_of_ipv6() -> None:
    try:
        listening = await listen("::1", 0)
    except OSError:
        pytest.skip("this host has no IPv6")
    assert listening.getsockname()[0] == "::1"
    listening.close()
