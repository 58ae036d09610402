"""The executor's process: its assignment, a session with a master made by hand, and its end."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from node_agent import executor as executor_module
from node_agent.assignment import Assignment
from node_agent.environment import child_environment
from node_agent.inputs import Ended, FromMaster
from tests.frames import control as control_frame
from tests.node_agent.fake_master import FakeMaster
from vcl.direct import certificate
from vcl.direct.data_listen import DataListen
from vcl.links import ControlLink
from vcl.wire import frame
from vcl.wire.messages import part

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60


def assignment(url: str, **changes: Any) -> Assignment:
    fields = {"session": 3, "node": 7, "ticket": "the ticket", "devices": [[11, 0]]}
    return Assignment(**{"url": url, "substring": None, **fields, **changes})


@asynccontextmanager
async def executor(parent: int | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that waits for its assignment."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "node_agent.executor", str(parent or os.getpid()),
        stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=ROOT, env=child_environment((0,)),
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def assign(process: asyncio.subprocess.Process, given: Assignment) -> None:
    assert process.stdin is not None
    process.stdin.write(given.to_line())
    await process.stdin.drain()


async def ends(control: ControlLink, *operations: int) -> dict[int, list[Any]]:
    """What was reported of these operations, as [status, message]."""
    found: dict[int, list[Any]] = {}
    while set(operations) - set(found):
        for message in await control.receive():
            if isinstance(message, part.Done):
                found |= {o[0]: [o[1], o[4]] for o in message.operations}
    return found


async def test_a_session_from_its_assignment_to_its_end() -> None:
    async with FakeMaster() as master, executor() as process:
        await assign(process, assignment(master.url))
        hello, bulk = await master.arrival("executor-bulk")
        assert (hello.token, hello.session, hello.endpoint) == ("the ticket", 3, 7)
        hello, control = await master.arrival("executor")
        assert (hello.token, hello.session, hello.endpoint) == ("the ticket", 3, 7)
        control.send([
            part.Allocate(11, 20, 64),
            part.FillRegion(1, [], 11, 20, 0, 64, b"ab"),
            part.Receive(2, [1], 11, 20, 16, 4, 5, 0),
            part.Send(3, [2], 11, 20, 0, 64, 6, 0),
            part.CopyRegion(4, [], 11, 99, 0, 20, 0, 8),
            part.Free(5, [3, 4], 11, 20),
        ])  # fmt: skip
        credit = await bulk.receive()
        assert (credit.kind, credit.source, credit.transfer) == (frame.CREDIT, 7, 5)
        chunk = frame.BulkFrame(frame.CHUNK, True, 7, 0, 5, 0, b"")
        await bulk.connection.send(frame.pack_bulk_header(chunk), b"WXYZ")
        sent = await bulk.receive()
        assert (sent.transfer, sent.last, sent.destination) == (6, True, 0)
        assert bytes(sent.payload) == b"ab" * 8 + b"WXYZ" + b"ab" * 22
        reported = await ends(control, 1, 2, 3, 4, 5)
        assert [reported[n][0] for n in (1, 2, 3)] == [0, 0, 0]
        assert reported[4][0] < 0 and "isn't on this device" in reported[4][1]
        assert reported[5][0] == 0
        await control.connection.close()
        assert await process.wait() == 0


async def test_what_nobody_seems_to_wait_for_is_told_none_the_less() -> None:
    async with FakeMaster() as master, executor() as process:
        await assign(process, assignment(master.url))
        await master.arrival("executor-bulk")
        _, control = await master.arrival("executor")
        control.send([
            part.Allocate(11, 20, 64),
            part.FillRegion(1, [], 11, 20, 0, 64, b"ab"),
            part.Receive(2, [], 11, 20, 16, 4, 5, 0),  # which never comes
        ])  # fmt: skip
        assert await ends(control, 1) == {1: [0, None]}


async def test_who_is_refused_says_why_and_ends() -> None:
    async with FakeMaster(refuse="no such session") as master, executor() as process:
        await assign(process, assignment(master.url))
        _, errors = await process.communicate()
        assert process.returncode == 1 and b"no such session" in errors


async def test_a_message_that_no_master_sends_ends_it() -> None:
    async with FakeMaster() as master, executor() as process:
        await assign(process, assignment(master.url))
        _, control = await master.arrival("executor")
        await control.connection.send(control_frame(1, 0, [[10, 1]]))
        _, errors = await process.communicate()
        assert process.returncode == 1 and b"master to executor" in errors


async def test_without_an_assignment_it_ends_quietly() -> None:
    async with executor() as process:
        assert process.stdin is not None
        process.stdin.close()
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (0, b"")


async def test_it_does_not_outlive_a_parent_that_is_gone_already() -> None:
    async with executor(parent=1 << 30) as process:
        assert await process.wait() == 0


def test_links_from_other_hosts_are_encrypted_or_there_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, encrypted = assignment("ws://127.0.0.1:9"), assignment("wss://127.0.0.1:9")
    asked = assignment("wss://127.0.0.1:9", data_listen="127.0.0.2:5000")
    here = DataListen("127.0.0.1")
    assert executor_module._where(plain) == executor_module._where(encrypted) == here
    assert executor_module._where(asked) == DataListen("127.0.0.2", 5000, 5000)
    assert executor_module._where(assignment("wss://h", data_listen="none")) is None
    monkeypatch.setattr(certificate, "AVAILABLE", False)
    assert executor_module._where(plain) == here
    assert executor_module._where(encrypted) is executor_module._where(asked) is None


async def test_ends_wait_longer_while_much_is_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "Driver", MagicMock())
    one = executor_module.Executor(assignment("ws://nowhere"))
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(None)
    told = asyncio.Event()
    one._control = MagicMock()
    one._control.send.side_effect = lambda messages: told.set()
    much = executor_module.much_left
    few, many = executor_module.report_delay_s(much), executor_module.report_delay_s(much + 1)
    assert few < many

    def ended(first: int, last: int) -> None:
        one._feed([Ended(operation, 0, 1, 2) for operation in range(first, last + 1)])

    # None is the last that was said, which would be told at once.
    one._feed([FromMaster([part.FillRegion(i, [], 11, 20, 0, 4, b"a") for i in range(1, 61)])])
    began = loop.time()
    ended(1, 1)
    assert one._reporting is not None and one._reporting.when() >= began + many
    first = one._reporting
    ended(2, 60 - much - 1)
    assert one._reporting is first  # as late as at first, with more
    began = loop.time()
    ended(60 - much, 60 - much)
    assert first.cancelled()
    assert began + few <= one._reporting.when() < began + many
    async with asyncio.timeout(TIMEOUT_S):
        await told.wait()
    ((messages,), _) = one._control.send.call_args
    rows = [row[0] for message in messages for row in message.operations]
    assert rows == list(range(1, 60 - much + 1)) and one._reporting is None


async def test_what_two_threads_post_at_once_is_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second, before the first asks for its own to be taken in."""
    # A real one would have `pyopencl` mean the local driver in this process from now on.
    monkeypatch.setattr(executor_module, "Driver", MagicMock())
    one = executor_module.Executor(assignment("ws://nowhere"))
    asyncio.get_running_loop().set_exception_handler(None)
    fed: list[Any] = []
    all_fed = asyncio.Event()

    def feed(inputs: list[Any]) -> None:
        fed.extend(inputs)
        if len(fed) == 2:
            all_fed.set()

    monkeypatch.setattr(one, "_feed", feed)
    both = threading.Barrier(2, timeout=TIMEOUT_S)

    class Slow(deque[Any]):
        """Both have put theirs in before either goes on."""

        def append(self, inputs: Any) -> None:
            super().append(inputs)
            both.wait()

    one._posted = Slow()
    await asyncio.gather(*(asyncio.to_thread(one._post, [n]) for n in range(2)))
    async with asyncio.timeout(TIMEOUT_S / 10):
        await all_fed.wait()
    assert sorted(fed) == [0, 1]
