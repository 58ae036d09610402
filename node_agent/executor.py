"""The executor process: one session's operations on this host (`python -m node_agent.executor`).

Owns: its two connections to the master, and carrying the core's effects to them and to the
driver. Must not know: other sessions; everything it holds dies with it.

Started ahead of need by the agent, with pyopencl imported; one line of JSON on standard input then
says which session it is for. Standard input is a socket, on which it says when it is connected. The
first one of an agent says there first what devices the host has; else none is touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from node_agent.assignment import NO_DATA_LISTEN, TELL_DEVICES, Assignment
from node_agent.core import ExecutorCore
from node_agent.driver.driver import Driver
from node_agent.driver.library import load_pyopencl
from node_agent.effects import DropSnapshot, Report, Start, StartAgain, StartMerge, Store, Unmap
from node_agent.inputs import FromEndpoint, FromMaster, Input, Streamed
from vcl.direct import certificate
from vcl.direct.data_listen import DataListen
from vcl.direct.pool import Pool
from vcl.direct.relayed import dial_bulk
from vcl.direct.ways import Ways
from vcl.errors import ConnectionProblem, RemoteProtocolError
from vcl.lifeline import die_with_parent
from vcl.links import ControlLink, dial
from vcl.numbering import Numbering
from vcl.release import VERSION
from vcl.transfers import GrantCredit, Stream
from vcl.transport import ConnectionClosed, is_encrypted
from vcl.wire.frame import BulkFrame
from vcl.wire.messages import part
from vcl.wire.messages.direct import ExpectLink, Linked, Listening, OpenLink
from vcl.wire.messages.handshake import Hello

log = logging.getLogger("vcl-executor")

report_delay_s_max = 0.002
"""What nobody seems to wait for is told within this time, with what has ended meanwhile: each
message costs the master, and the program, as much as twenty ends in it."""

much_left = 32
much_left_delay_s_max = 0.025
"""The same while more operations than this are left to do: a program that has enqueued so much
seldom waits for the first of it."""

reports_kept_max = 64
"""Messages to the master after which they are sent at once."""

rounds_max = 8
"""How often what came of inputs at once is taken in before the loop does something else."""


class Executor:
    """Joins the core, the driver and the connections on one event loop."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._core = ExecutorCore()
        self._numbering = Numbering(trusted=True)
        self._loop = asyncio.get_running_loop()
        # A bug here must end the session with an error, not leave it waiting for ever.
        self._loop.set_exception_handler(_end_process)
        # What is in it are buffers, too.
        self._pool = Pool(assignment.shared_memory, changing=True)
        self._driver = driver = Driver(
            assignment.devices, assignment.substring, self._post, self._pool
        )
        self._posted: deque[list[Input]] = deque()
        self._feeds_posted = False
        self._inputs: list[Input] = []
        self._feeding = False
        self._reports: list[Any] = []
        self._reports_soon = False
        self._reporting: asyncio.TimerHandle | None = None
        self._control: ControlLink
        self._effects: Mapping[type, Callable[[Any], None]] = {
            Start: lambda effect: driver.start(effect.message),
            StartAgain: driver.start_again,
            Report: self._report,
            Store: driver.store,
            Stream: lambda effect: self._ways.stream(effect),
            GrantCredit: lambda effect: self._ways.grant(effect),
            OpenLink: lambda effect: self._ways.open(effect),
            ExpectLink: lambda effect: self._ways.expect(effect),
            Unmap: lambda effect: driver.unmap(effect.operation),
            DropSnapshot: lambda effect: driver.drop_snapshot(effect.device, effect.merge),
            StartMerge: driver.start_merge,
        }

    async def run(self) -> None:
        """Serve the session until the master closes a connection."""
        a = self._assignment
        hello = Hello(
            software=VERSION,
            role="executor-bulk",
            token=a.ticket,
            session=a.session,
            endpoint=a.node,
        )
        self._bulk = await dial_bulk(
            a.url, hello, a.node, self._streamed, self._pool, self._place
        )
        self._ways = Ways(
            self._bulk,
            a.node,
            self._take_bulk,
            self._streamed,
            self._tell,
            self._pool,
            is_encrypted(a.url),
            self._place,
        )
        control, _ = await dial(a.url, hello.model_copy(update={"role": "executor"}))
        self._control = ControlLink(control, part.TO_EXECUTOR, self._numbering)
        if addresses := await self._ways.listen(a.shared_memory, _where(a)):
            self._control.send([Listening(addresses)])
        tell_agent()
        readers = [
            self._loop.create_task(self._control.run(lambda m: self._feed([FromMaster(m)]))),
            self._loop.create_task(self._bulk.run(self._take_bulk)),
        ]
        done, pending = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
        for reader in pending:
            reader.cancel()
        for reader in done:
            reader.result()

    def _take_bulk(self, frames: Sequence[BulkFrame]) -> None:
        self._feed([FromEndpoint(frame) for frame in frames])

    def _place(self, frame: BulkFrame, size: int) -> memoryview | None:
        """As of StreamLink."""
        message = self._core.belongs(frame, size)
        return None if message is None else self._driver.place(message, frame.offset, size)

    def _tell(self, linked: Linked) -> None:
        with contextlib.suppress(ConnectionClosed):  # its reader is about to end this process
            self._control.send([linked])

    def _streamed(self, transfer: int) -> None:
        self._feed([Streamed(transfer)])

    def _post(self, inputs: list[Any]) -> None:
        """From any thread."""
        # In this order, and the other one in `_feed_posted`: who finds that all will be taken has
        # put in what is taken. That two threads ask for it at once does no harm.
        self._posted.append(inputs)
        if not self._feeds_posted:
            self._feeds_posted = True
            self._loop.call_soon_threadsafe(self._feed_posted)

    def _feed_posted(self) -> None:
        self._feeds_posted = False
        inputs: list[Input] = []
        while self._posted:
            inputs += self._posted.popleft()
        self._feed(inputs)

    def _feed(self, inputs: Sequence[Input]) -> None:
        """Take inputs in, and what comes of them at once: bytes that have left already, and
        commands that were over when they had been enqueued."""
        self._inputs += inputs
        if self._feeding:
            return
        self._feeding = True
        rounds, carry_out = 0, self._effects
        while self._inputs and rounds < rounds_max:
            taken, self._inputs = self._inputs, []
            effects = self._core.handle(taken, time.time_ns())
            for effect in effects:
                carry_out[type(effect)](effect)
            if any(type(effect) is not Report for effect in effects):
                self._inputs += self._driver.flush(self._posted)
            rounds += 1
        self._feeding = False
        if self._inputs:
            self._loop.call_soon(self._feed, ())
        if self._reports_soon or len(self._reports) >= reports_kept_max:
            self._send_reports()
        elif self._reports:
            self._report_within(report_delay_s(self._core.operations_count))

    def _report(self, effect: Report) -> None:
        self._reports += effect.messages
        self._reports_soon |= effect.soon

    def _report_within(self, delay_s: float) -> None:
        due = self._loop.time() + delay_s
        if self._reporting is not None:
            if self._reporting.when() <= due:
                return
            self._reporting.cancel()
        self._reporting = self._loop.call_at(due, self._send_reports)

    def _send_reports(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
            self._reporting = None
        reports, self._reports, self._reports_soon = self._reports, [], False
        with contextlib.suppress(ConnectionClosed):  # its reader is about to end this process
            self._control.send(reports)


def report_delay_s(left: int) -> float:
    """How long an end may wait to be told, with so many operations left to do."""
    return report_delay_s_max if left <= much_left else much_left_delay_s_max


def _where(assignment: Assignment) -> DataListen | None:
    """Where this executor takes direct links from other hosts."""
    if assignment.data_listen == NO_DATA_LISTEN:
        return None
    if is_encrypted(assignment.url) and not certificate.AVAILABLE:  # the agent has said so
        return None
    if assignment.data_listen is None:
        return DataListen.towards(assignment.url)
    return DataListen.parse(assignment.data_listen)


def tell_agent() -> None:
    """Tell the agent, on the socket that the assignment came from, that both connections are up."""
    with contextlib.suppress(OSError):  # the agent is gone, and this process goes with it
        os.write(0, b"\n")


def _end_process(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error("%s", context.get("message"), exc_info=context.get("exception"))
    os._exit(1)


async def _serve(assignment: Assignment) -> str | None:
    """Run the session; answers why it ended badly, or None."""
    try:
        await Executor(assignment).run()
    except ConnectionClosed:
        return None  # the session is over, or the master is: either way this process is done
    except (ConnectionProblem, RemoteProtocolError) as error:
        return str(error)
    return None


def _tell_devices(substring: str | None) -> None:
    """Tell the agent what devices the host has: an inventory, in a line."""
    from node_agent import inventory  # one executor of many is asked

    with inventory.apart_from_drivers() as stdout:
        line = inventory.as_line(load_pyopencl(), substring)
        os.dup2(stdout.fileno(), 1)
    with socket.socket(fileno=os.dup(0)) as agent:
        agent.sendall(line.encode() + b"\n")


def main() -> None:
    """Wait for an assignment, then serve it. argv: the agent's process id; then TELL_DEVICES if it
    is to say first what devices there are, and, if not of all, what their names have."""
    die_with_parent(int(sys.argv[1]))
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", level=logging.INFO)
    logging.getLogger("picows").setLevel(logging.WARNING)
    load_pyopencl()
    if TELL_DEVICES in sys.argv:
        _tell_devices(next(iter(sys.argv[3:]), None))
    line = sys.stdin.buffer.readline()
    if not line:
        return
    problem = asyncio.run(_serve(Assignment(**json.loads(line))))
    if problem is not None:
        log.error("%s", problem)
        sys.exit(1)
    # Threads may be stuck in a kernel that never ends; nothing is left to be saved.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
