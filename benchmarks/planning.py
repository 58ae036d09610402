"""`python -m benchmarks.planning`: what planning a launch costs the master, without sockets.

Owns: a dry run: sessions on places that don't exist, whose operations end at once. Must not know:
how plans are made.

Processor time of one thread, the least of several rounds, so that others on the machine matter
little. Beside it stands a yardstick of the same round: the Launch message packed and unpacked.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from master.access.analyser.analysis import Analyser
from master.access.guard import Verdict
from master.access.programs import Judgement
from master.commands import Command
from master.places import Place
from master.plan.templates import key_of
from master.sessions import Session
from vcl.wire import codec
from vcl.wire.frame import pack_value, unpack_value
from vcl.wire.messages import part, session

BYTES = 1 << 20
ROUNDS = 7
COUNTS = (2, 16, 128, 1024)
GLOBAL = 0x119B
SOURCE = "kernel void k(global float *x) { x[get_global_id(0)] += 1; }"


class DryRun:
    """A session on `count` places, each on a node of its own; queue 2 is the cluster's, 3 one's.

    analyses: whether launches are analysed; without that they are merged. size: bytes of the buffer
    that they work on.
    """

    def __init__(self, count: int, analyses: bool, size: int = BYTES) -> None:
        self._bytes = size
        self._analyser = Analyser()
        self._places = {d: _place(d, analyses) for d in range(1, count + 1)}
        self.session = Session(1, lambda ids: [self._places[d] for d in ids if d in self._places])
        devices = list(self._places)
        self._event = 100
        self.say(
            session.CreateContext(1, devices, True),
            session.CreateQueue(2, 1, 0, 0),
            session.CreateQueue(3, 1, 1, 0),
            session.CreateBuffer(10, 1, size),
            session.BuildProgram(5, 1, 5, session.BUILD, [[SOURCE, "", [], []]], ""),
        )
        self.session.judged(5, Judgement(Verdict(True, ""), True))
        facts = [["k", [[d, [1024, [0, 0, 0], 0, 1, 0, ""]]], [[GLOBAL, "float*", 0, 0, "x"]]]
                 for d in devices]  # fmt: skip
        for device, kernel in zip(devices, facts, strict=True):
            self.session.from_executor(device, [part.BuildDone(5, 0, "", [], [kernel])])
        self.end_all()

    def say(self, *messages: Any) -> None:
        """As the client; what it makes for others is dropped."""
        self.session.from_client(messages)
        ledger = self.session.ledger
        while self.session.advance() or ledger.for_analysis:
            asked, ledger.for_analysis = ledger.for_analysis, []
            for number, *what in asked:
                self.session.analysed(number, self._analyser.analyse(*what))
        ledger.for_client, ledger.for_guard = [], []
        ledger.for_nodes.clear()

    def launch(self, queue: int, groups: int = 1024) -> session.Launch:
        """The next launch of the same kernel on the same buffer."""
        self._event += 1
        region = [1, 10, 0, self._bytes]
        return session.Launch(self._event, queue, [], 5, "k", [0], [64 * groups], [64], [region])

    def end_all(self) -> None:
        """All that is under way ends well, and the client lets go of its events."""
        live = self.session.ledger.live
        while live:
            number, operation = next(iter(live.items()))
            row = [number, 0, 1, 2, None, None]
            self.session.from_executor(operation.node, [part.Done([row])])
            self.say()
        self.say(session.Release(list(self.session.commands)[:4096]))

    def plan(self, message: session.Launch, anew: bool) -> None:
        """Only the plan."""
        planner = self.session._planner
        queue = self.session.queues[message.queue]
        buffers, program = (self.session.buffers[10],), self.session.programs[5]
        command = Command(message.event, message, (), queue, buffers)
        command.program, command.key = program, key_of(queue, message, None)
        (planner.anew if anew else planner.plan)(command)


def _place(device: int, analyses: bool) -> Place:
    kind = ("64", "1", "", "OpenCL C 1.2", "OpenCL 3.0") if analyses else ()
    return Place(device, device, f"device {device}", f"n{device}", 1024, (1024,) * 3, kind)


def least_us(call: Callable[[], object], times: int) -> float:
    """Processor time of one call in us."""
    best = float("inf")
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            began = time.process_time()
            for _ in range(times):
                call()
            best = min(best, (time.process_time() - began) / times)
    finally:
        gc.enable()
    return best * 1e6


def measure(
    count: int, queue: int, groups: int, analyses: bool
) -> tuple[float, float, float, float]:
    """(planned anew, found, the whole command, yardstick) in us."""
    run = DryRun(count, analyses)
    for _ in range(3):
        run.say(run.launch(queue, groups))
        run.end_all()
    times = max(1, 200 // (count if queue == 2 and groups > 1 else 1))
    message = run.launch(queue, groups)
    anew = least_us(lambda: run.plan(message, True), times)
    found = least_us(lambda: run.plan(message, False), times)
    whole = float("inf")
    for _ in range(ROUNDS):
        one = least_us_once(lambda: run.say(run.launch(queue, groups)), times)
        run.end_all()
        whole = min(whole, one)
    packed = least_us(lambda: unpack_value(pack_value(codec.pack(message))), 200)
    return anew, found, whole, packed


def least_us_once(call: Callable[[], object], times: int) -> float:
    """One round of `least_us`, for what piles up."""
    gc.collect()
    gc.disable()
    began = time.process_time()
    for _ in range(times):
        call()
    spent = time.process_time() - began
    gc.enable()
    return spent / times * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning", description=__doc__)
    parser.add_argument("--places", type=int, nargs="*", default=COUNTS, metavar="N")
    places = parser.parse_args().places
    table = Table(title="us of processor time a launch; in brackets to the yardstick")
    for name in ("launch", "places", "planned anew", "found again", "whole command", "yardstick"):
        table.add_column(name, justify="left" if name == "launch" else "right")
    kinds = [
        ("one device", 3, 1024, False), ("cluster, whole", 2, 1, False),
        ("cluster, regions", 2, 1024, True), ("cluster, merge", 2, 1024, False),
    ]  # fmt: skip
    for name, queue, groups, analyses in kinds:
        for count in places:
            *ours, beside = measure(count, queue, groups, analyses)
            shown = [f"{us:,.1f} ({us / beside:,.1f})" for us in ours]
            table.add_row(name, str(count), *shown, f"{beside:.1f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
