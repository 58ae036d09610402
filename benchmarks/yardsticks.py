"""The yardsticks, each a process: `python -m benchmarks.yardsticks NAME`.

Owns: raw TCP between two Python processes on loopback, and running a measure's program on native
pyopencl. Must not know: vcl, but for what `chain-roundtrip` loads when it is asked for.

NAME is `native-<measure>`, `tcp-<one of TCP>`, `chain-roundtrip` or `dask-jacobi`. For each line on
standard input one sample is taken and printed as a line of JSON (`--samples N` takes N without
being asked, after one to warm up).
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import MEASURES
from benchmarks.common import MB, MIB, QUICK, Sample, Sampler, Settings
from benchmarks.roundtrip import summary

REQUEST = struct.Struct("!cQ")  # what, and how many round trips or bytes
PING_BYTES = 64
PIECE_BYTES = MIB
TCP = ("roundtrip", "pairs", "write", "peers", "read")


def native(measure: str, device_name: str | None, core: int, settings: Settings) -> Sampler:
    """A measure's program on this process's own driver.

    As with a node, the device has one core and the program is free to run anywhere.
    """
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    import pyopencl as cl

    # The first look at the platforms starts PoCL's threads, which keep the cores they start with.
    found = [d for p in cl.get_platforms() for d in p.get_devices()]
    os.sched_setaffinity(0, everywhere)
    device = next(d for d in found if device_name in (None, d.name.strip()))
    sampler: Sampler = importlib.import_module(f"benchmarks.{measure}").program(
        cl, device, settings
    )
    assert "vcl" not in sys.modules, "this would measure vcl"
    return sampler


class Tcp:
    """The end that asks and measures; raw sockets, no delay, 1 MiB a recv_into."""

    def __init__(self, connection: socket.socket, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._piece = bytearray(PIECE_BYTES)

    def roundtrip(self) -> Sample:
        """Ping-pong of 64 bytes."""
        return summary(self._trips(self._settings.round_trips))

    def pairs(self) -> Sample:
        """The same: a pair goes there and back."""
        count = self._settings.pairs
        return {"pair": sum(self._trips(count)) / count * 1e3}

    def _trips(self, count: int) -> list[float]:
        self._connection.sendall(REQUEST.pack(b"p", count))
        ping = bytes(PING_BYTES)
        seconds = []
        for _ in range(count):
            began = time.perf_counter()
            self._connection.sendall(ping)
            receive_all(self._connection, PING_BYTES, self._piece)
            seconds.append(time.perf_counter() - began)
        return seconds

    def write(self) -> Sample:
        """Bytes there, and one back when the last has arrived."""
        return {f"{mib} MiB": self._write(mib * MIB) for mib in self._settings.transfer_sizes_mib}

    def peers(self) -> Sample:
        """The same: what the second node's kernel needs goes there, and its end comes back."""
        return self.write()

    def _write(self, size: int) -> float:
        data = payload(size)
        began = time.perf_counter()
        self._connection.sendall(REQUEST.pack(b"w", size))
        self._connection.sendall(data)
        receive_all(self._connection, 1, self._piece)
        return size / (time.perf_counter() - began) / MB

    def read(self) -> Sample:
        """Bytes from there."""
        return {f"{mib} MiB": self._read(mib * MIB) for mib in self._settings.transfer_sizes_mib}

    def _read(self, size: int) -> float:
        began = time.perf_counter()
        self._connection.sendall(REQUEST.pack(b"r", size))
        receive_all(self._connection, size, self._piece)
        return size / (time.perf_counter() - began) / MB


@functools.cache
def payload(size: int) -> bytes:
    """So many bytes to send; made once, in the sample that warms up."""
    return os.urandom(MIB) * (size // MIB)


def receive_all(connection: socket.socket, size: int, piece: bytearray) -> None:
    """Receive so many bytes into one piece of memory again and again; raises EOFError."""
    view = memoryview(piece)
    while size:
        count = connection.recv_into(view[: min(size, len(view))])
        if not count:
            raise EOFError("the other end closed the connection")
        size -= count


def serve_peer(connection: socket.socket) -> None:
    """The end that answers, until the other closes the connection."""
    piece = bytearray(PIECE_BYTES)
    while request := connection.recv(REQUEST.size, socket.MSG_WAITALL):
        what, count = REQUEST.unpack(request)
        if what == b"p":
            for _ in range(count):
                receive_all(connection, PING_BYTES, piece)
                connection.sendall(piece[:PING_BYTES])
        elif what == b"w":
            receive_all(connection, count, piece)
            connection.sendall(b"\0")
        else:
            connection.sendall(payload(count))


@contextmanager
def tcp(measure: str, core: int, settings: Settings) -> Iterator[Sampler]:
    """Start the peer, pinned to a core as a node is, and connect."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-m", "benchmarks.yardsticks", "tcp-peer", "--port", port]
        with subprocess.Popen([*command, "--core", str(core)]) as process:
            listener.settimeout(30)
            connection, _ = listener.accept()
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                yield getattr(Tcp(connection, settings), measure)
        assert process.returncode == 0, "the peer failed"


def main() -> None:
    """Take samples as asked."""
    names = [f"native-{measure}" for measure in MEASURES]
    names += [f"tcp-{measure}" for measure in TCP]
    names += ["chain-roundtrip", "dask-jacobi"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.yardsticks")
    parser.add_argument("name", choices=[*names, "tcp-peer"])
    first_core = min(os.sched_getaffinity(0))
    parser.add_argument(
        "--core", type=int, nargs="+", default=[first_core, first_core],
        help="of the device or the peer; of each of Dask's workers",
    )  # fmt: skip
    parser.add_argument("--device", help="its name, if not the first")
    parser.add_argument("--settings", type=json.loads, help="as JSON")
    parser.add_argument("--samples", type=int, help="take so many at once")
    parser.add_argument("--quick", action="store_true", help="as `python -m benchmarks --quick`")
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    kind, _, measure = arguments.name.partition("-")
    if measure == "peer":
        os.sched_setaffinity(0, {arguments.core[0]})
        with socket.create_connection(("127.0.0.1", arguments.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serve_peer(connection)
        return
    settings = QUICK if arguments.quick else Settings(**(arguments.settings or {}))
    if kind == "native":
        answer(native(measure, arguments.device, arguments.core[0], settings), arguments.samples)
    elif kind == "chain":
        chain = importlib.import_module("benchmarks.chain").chain
        with chain(arguments.core[0], settings) as sampler:
            answer(sampler, arguments.samples)
    elif kind == "dask":
        on_dask = importlib.import_module("benchmarks.dask").on_dask
        with on_dask(arguments.core, arguments.device, settings) as sampler:
            answer(sampler, arguments.samples)
    else:
        with tcp(measure, arguments.core[0], settings) as sampler:
            answer(sampler, arguments.samples)


def answer(sampler: Sampler, count: int | None) -> None:
    """Print samples: so many, or one for each line that comes."""
    if count is not None:
        sampler()
    asked: Any = sys.stdin if count is None else range(count)
    for _ in asked:
        print(json.dumps(sampler()), flush=True)


if __name__ == "__main__":
    main()
