"""The bare chain: three processes that pass a message on, on vcl's transport and loop.

Owns: that yardstick of round trips. Its processes hold a client, a relay in the master's place and
an echo in the node's, each with nothing but the transport, so what a round trip of ours takes above
it is work of our own. Must not know: any more of vcl than the transport, and that at import time.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.common import Sample, Sampler, Settings
from benchmarks.roundtrip import summary

MESSAGE_BYTES = 44
"""As a launch's repetition and its report have, about."""


@contextmanager
def chain(core: int, settings: Settings) -> Iterator[Sampler]:
    """Start the echo, pinned to the core as a node is, and the relay, and connect to it."""
    from vcl import transport

    async def sampled(connection: transport.Connection) -> Sample:
        message = bytes(MESSAGE_BYTES)
        seconds = []
        for _ in range(settings.round_trips):
            began = time.perf_counter()
            await connection.send(message)
            answer = await connection.recv()
            seconds.append(time.perf_counter() - began)
            assert len(answer) == MESSAGE_BYTES
        return summary(seconds)

    with ExitStack() as stack:
        echo = stack.enter_context(_process("echo", str(core)))
        relay = stack.enter_context(_process("relay", echo))
        runner = stack.enter_context(asyncio.Runner())
        connection = runner.run(transport.connect(f"ws://127.0.0.1:{relay}"))
        stack.callback(lambda: runner.run(connection.close()))
        yield lambda: runner.run(sampled(connection))


@contextmanager
def _process(role: str, argument: str) -> Iterator[str]:
    """Start one of the others, tell its port, and end it."""
    command = [sys.executable, "-m", "benchmarks.chain", role, argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def _serve(upstream: str | None) -> None:
    """Answer what comes with itself, or pass it on to a port and its answers back."""
    from vcl import transport

    above: Any = None
    if upstream is not None:
        above = await transport.connect(f"ws://127.0.0.1:{upstream}")

    async def handle(connection: transport.Connection, _path: str) -> None:
        onward = above or connection
        if above is not None:
            above.deliver(lambda message: connection.send_soon(bytes(message)))
        connection.deliver(lambda message: onward.send_soon(bytes(message)))
        await connection.wait_closed()

    server = await transport.serve(handle, "127.0.0.1", 0)
    print(server.address[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    role, argument = sys.argv[1:]
    if role == "echo":
        os.sched_setaffinity(0, {int(argument)})
    asyncio.run(_serve(argument if role == "relay" else None))
