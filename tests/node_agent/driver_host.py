"""A real driver in a process of its own, since tests of the client swap pyopencl in theirs.

Owns: `DriverHost`, and as a program (`python -m tests.node_agent.driver_host`) the process. Must
not know: what is done with the driver.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from node_agent.effects import StartAgain, StartMerge, Store
from node_agent.inputs import BuildEnded, BytesReady, Ended, Printed
from vcl.direct.pool import Pool
from vcl.wire.messages import part
from vcl.wire.shapes import ShapesTold, Told

ROOT = Path(__file__).resolve().parents[2]
timeout_s = 60.0


class DriverHost:
    """Effects in, inputs for the core out; one device, of id 1.

    in_place: whether buffers are in memory that the host and the device share.
    """

    def __init__(self, in_place: bool = True) -> None:
        environment = os.environ | {"POCL_MAX_PTHREAD_COUNT": "2", "PYOPENCL_NO_CACHE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.node_agent.driver_host", str(int(in_place))],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._inputs: list[Any] = []

    def call(self, method: str, *arguments: Any) -> None:
        """Call a method of the driver."""
        assert self._process.stdin is not None
        pickle.dump((method, arguments), self._process.stdin)
        self._process.stdin.flush()

    def start(self, *messages: Any) -> None:
        """Start, as one batch."""
        for message in messages:
            self.call("start", message)
        self.call("flush")

    def tell(self, run: part.Run) -> None:
        """What an Again with its shape repeats from now on."""
        self.call("tell", run)

    def again(self, *messages: part.Again) -> None:
        """StartAgain, as one batch."""
        for message in messages:
            self.call("again", message)
        self.call("flush")

    def store(self, store: Store) -> None:
        """Store, flushed."""
        self.call("store", store)
        self.call("flush")

    def store_in_place(self, store: Store) -> None:
        """Store, of bytes that are put into their place first; flushed. Tells as the end of
        operation 0 whether they have one."""
        self.call("store_in_place", store)
        self.call("flush")

    def merge(self, effect: StartMerge) -> None:
        """StartMerge."""
        self.call("start_merge", effect)

    def take(self, operation: int) -> Ended | BytesReady | Printed:
        """The next input about an operation; what comes about others is kept."""
        while True:
            for one in self._inputs:
                if getattr(one, "operation", None) == operation:
                    self._inputs.remove(one)
                    return one  # type: ignore[no-any-return]
            self._receive()

    def built(self) -> Any:
        """The message of the next build that ended."""
        while True:
            for one in self._inputs:
                if isinstance(one, BuildEnded):
                    self._inputs.remove(one)
                    return one.message
            self._receive()

    def _receive(self) -> None:
        assert self._process.stdout is not None
        guard = threading.Timer(timeout_s, self._process.kill)
        guard.start()
        try:
            self._inputs += pickle.load(self._process.stdout)
        finally:
            guard.cancel()

    def close(self) -> list[Any]:
        """Close the driver and end the process; answers what was left unread."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(EOFError):
            while True:
                self._receive()
        assert self._process.wait(timeout_s) == 0
        return self._inputs


def main() -> None:
    """Carry out calls that come on standard input until it ends."""
    from node_agent.driver.driver import Driver

    # Whatever a driver prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lock = threading.Lock()

    pool = Pool(changing=True)
    places: dict[int, Ended] = {}  # of Sends: whether ends on this host can read their bytes

    def plain(one: Any) -> Any:
        if isinstance(one, BytesReady):
            (*_, last) = one.data
            shared = pool.find(memoryview(last)) is not None
            places[one.operation] = Ended(one.operation, 0, 0, 0, extra=shared)
            return BytesReady(one.operation, tuple(bytes(d) for d in one.data), one.start)
        return one

    def post(inputs: list[Any]) -> None:
        with lock:
            pickle.dump([plain(one) for one in inputs], answers)
            answers.flush()

    driver = Driver([(1, 0)], None, post, pool if int(sys.argv[1]) else None)

    def store_in_place(store: Store) -> None:
        place = driver.place(store.message, store.offset, len(store.data))
        post([Ended(0, 0, 0, 0, extra=place is not None)])
        if place is not None:
            place[:] = store.data
            driver.store(replace(store, data=place))

    shapes = ShapesTold()
    calls = {
        "tell": lambda run: shapes.tell(run.shape, Told(run)),
        "tell_place": lambda operation: post([places.pop(operation)]),
        "store_in_place": store_in_place,
        "flush": lambda: post(driver.flush()),
        "again": lambda m: driver.start_again(StartAgain(m, shapes.find(m.shape))),
    }
    with contextlib.suppress(EOFError):
        while True:
            method, arguments = pickle.load(sys.stdin.buffer)
            (calls.get(method) or getattr(driver, method))(*arguments)
    driver.close()


if __name__ == "__main__":
    main()
