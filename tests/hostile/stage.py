"""Where attacks are watched: a master that measures its loop, a node that computes, and an honest
session beside the attacker.

Owns: starting these, and what is measured of them during one attack. Must not know: the attacks.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from tests.hostile.raw import Attack, Attacker, Target, during
from tests.processes import Program, environment, within
from vcl.errors import ConnectionProblem
from vcl.local import LocalCluster
from vcl.tokens import AGENTS, read_token_file
from vcl.transport import ConnectionClosed

ATTACK_S_MAX = 20.0
"""An attack that isn't over then is broken off: the table is about the others meanwhile."""

ANSWER_S_MAX = 30.0
"""Who doesn't answer for so long after an attack counts as lost, and all is started anew."""

IDLE_S = 0.3
IDLE_PERCENT_MAX = 60
"""A master that uses less of a core for so long has only the honest session to serve."""

MS = 1e3


@dataclass(frozen=True)
class Outcome:
    """One attack, which took so many seconds. Times in ms; None where nobody answered.

    step: the longest of the master's loop. step_cpu: by its processor time. turn: the longest in
    which it didn't look at the network. honest: the honest session's slowest round trip, of so
    many trips. peak_mib: the master's memory at its most. became: of the attacker.
    """

    name: str
    seconds: float
    step_ms: float | None
    step_cpu_ms: float | None
    turn_ms: float | None
    honest_ms: float | None
    trips: int
    peak_mib: float
    became: str


class MeasuredCluster(LocalCluster):
    """A local cluster whose master measures its loop."""

    def _popen(
        self, module: str, arguments: list[str], *others: int
    ) -> subprocess.Popen[str]:
        more = ["--measure-loop"] if module == "master" else []
        return super()._popen(module, [*arguments, *more], *others)

    @property
    def master(self) -> subprocess.Popen[str]:
        """The master's process."""
        return self._processes[0]

    @property
    def agent_token(self) -> str:
        """What agents must present."""
        assert self._state is not None
        return read_token_file(Path(self._state.name) / "state" / AGENTS)

    def take(self) -> dict[str, float]:
        """What the master measured since the last call; waits until its loop is free."""
        os.kill(self.master.pid, signal.SIGUSR1)
        assert self.master.stdout is not None
        taken: dict[str, float] = json.loads(self.master.stdout.readline())
        return taken


class Stage:
    """Use as a context manager; `measure` one attack after another."""

    def __init__(self) -> None:
        self.starts = 0
        """How often everything was started: once, unless something was lost."""
        self._cluster: MeasuredCluster | None = None
        self._honest: Program | None = None
        self._target: Target | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def measure(self, name: str, attack: Attack) -> Outcome:
        """Carry out one attack, within ATTACK_S_MAX, and tell what was measured meanwhile."""
        if self._honest is None:
            self._start()
        assert self._cluster is not None and self._target is not None
        self._ask_honest()
        self._cluster.take()
        self._forget_peak()
        began = time.perf_counter()
        became = asyncio.run(_carry_out(attack, self._target))
        seconds = time.perf_counter() - began
        self._settle()
        trip = _answer(self._ask_honest)
        loop = _answer(self._cluster.take)
        peak_mib = self._peak_mib()
        if trip is None or loop is None:
            became += "; then " + ("no answer from the master" if loop is None else self._why())
            self._end()
        return Outcome(
            name,
            seconds,
            step_ms=None if loop is None else loop["step_s"] * MS,
            step_cpu_ms=None if loop is None else loop["step_cpu_s"] * MS,
            turn_ms=None if loop is None else loop["turn_s"] * MS,
            honest_ms=None if trip is None else trip["slowest_s"] * MS,
            trips=0 if trip is None else trip["trips"],
            peak_mib=peak_mib,
            became=became,
        )

    def _settle(self) -> None:
        """Wait until the master has nothing more to do, for what is left of an attack is part of
        it; at most ANSWER_S_MAX."""
        assert self._cluster is not None
        process = psutil.Process(self._cluster.master.pid)
        going = during(ANSWER_S_MAX)
        with suppress(psutil.NoSuchProcess):  # `measure` is about to find that out
            while going() and process.cpu_percent(IDLE_S) > IDLE_PERCENT_MAX:
                pass

    def _peak_mib(self) -> float:
        """The most memory that the master had since `_forget_peak`, proc(5)."""
        assert self._cluster is not None
        try:
            status = Path(f"/proc/{self._cluster.master.pid}/status").read_text()
        except OSError:
            return 0.0
        peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        return int(peak[1]) / 2**10 if peak else 0.0  # a zombie has none

    def _forget_peak(self) -> None:
        assert self._cluster is not None
        Path(f"/proc/{self._cluster.master.pid}/clear_refs").write_text("5")

    def _start(self) -> None:
        self.starts += 1
        self._cluster = MeasuredCluster(nodes=1, cores_per_node=1)
        self._cluster.start()
        name = self._cluster.nodes[0].name
        self._target = Target(
            self._cluster.url, self._cluster.token, self._cluster.agent_token, name
        )
        variables = environment(VCL_MASTER=self._target.url, VCL_TOKEN=self._target.token)
        self._honest = Program(["-m", "tests.hostile.programs", "honest", name], variables)
        self._honest.line()

    def _ask_honest(self) -> dict[str, Any]:
        assert self._honest is not None
        self._honest.say()
        answer: dict[str, Any] = json.loads(self._honest.line())
        return answer

    def _why(self) -> str:
        """Why the honest session doesn't answer."""
        assert self._honest is not None
        if self._honest.process.poll() is None:
            return f"the honest session hangs for {ANSWER_S_MAX:g} s"
        words = self._honest.end()[1].strip().splitlines()
        return "the honest session is over: " + (words[-1] if words else "it said nothing")

    def _end(self) -> None:
        if self._honest is not None:
            self._honest.process.kill()
            self._honest.process.communicate()
        if self._cluster is not None:
            self._cluster.close()
        self._honest = self._cluster = None


def _answer(ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return within(ask, ANSWER_S_MAX)
    except (AssertionError, OSError, ValueError):
        return None  # gone, or hanging: the caller tells which


async def _carry_out(attack: Attack, target: Target) -> str:
    attacker = Attacker(target)
    try:
        async with asyncio.timeout(ATTACK_S_MAX):
            return await attack(attacker)
    except TimeoutError:
        return f"broken off after {ATTACK_S_MAX:g} s"
    except (ConnectionClosed, ConnectionProblem, OSError) as error:
        return str(error)
    finally:
        await attacker.leave()
