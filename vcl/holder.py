"""The process that has the embedded cluster of a family (`python -m vcl.holder`).

Owns: starting that cluster, telling of it, ending it with the family's first process, however that
one ends; so a child that needed it first may end before. Must not know: who asks for it
(`vcl.embedded`), or anything that takes long to load: the program waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from vcl.errors import ConnectionProblem
from vcl.family import Family, started
from vcl.lifeline import watch_process
from vcl.local import LocalCluster


async def _hold(family: Family, nodes: int, lock: int, split: str, trust: bool) -> None:
    """Start the cluster, tell of it, and end it when told to or when the family ends."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch_process(family.pid, stop.set)
    if started(family.pid) != family.start:
        stop.set()
    cluster = LocalCluster(nodes=nodes, split=split, trust=trust)
    starting: asyncio.Future[None] = loop.run_in_executor(None, cluster.start)
    stopping: asyncio.Future[bool] = loop.create_task(stop.wait())
    both: list[asyncio.Future[Any]] = [starting, stopping]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    problem = ""
    try:
        if starting.done() and not stop.is_set():
            try:
                starting.result()
            except ConnectionProblem as error:
                problem = str(error)
            else:
                _tell(family.folder, cluster)
        os.close(lock)
        with contextlib.suppress(OSError):  # who asked may be gone
            print(json.dumps({"problem": problem}), flush=True)
        if not problem:
            await stop.wait()
    finally:
        stopping.cancel()
        cluster.interrupt()
        await asyncio.wait([starting])
        cluster.close()
        if not problem:
            shutil.rmtree(family.folder, ignore_errors=True)


def _tell(folder: str, cluster: LocalCluster) -> None:
    pid = os.getpid()
    text = json.dumps(
        {"url": cluster.url, "token": cluster.token, "pid": pid, "start": started(pid)}
    )
    path = Path(folder, "cluster.json")
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def main() -> None:
    """The holder: FOLDER PID START NODES LOCK SPLIT TRUST."""
    folder, *numbers, split, trust = sys.argv[1:]
    pid, start, nodes, lock = map(int, numbers)
    os.set_inheritable(lock, False)
    os.chdir("/")
    asyncio.run(_hold(Family(pid, start, folder), nodes, lock, split, trust == "1"))


if __name__ == "__main__":
    main()
