"""Bytes that go straight between the ends, on real processes, sockets and memory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.certificate import write_certificate
from tests.processes import await_gone, started_text
from tests.tls_proxy import EncryptedCluster
from tests.vcl.test_runtime import executors
from vcl.local import LocalCluster

# A program that moves 8 MiB from the host over both nodes and back for each line that it reads.
PROGRAM = """
    import sys
    import numpy as np
    import vcl as cl

    context = cl.Context(cl.get_platforms()[0].get_devices()[1:3])
    queues = [cl.CommandQueue(context, device) for device in context.devices]
    program = cl.Program(context, '''
        kernel void more(global ulong *x) { x[get_global_id(0)] += 1; }
    ''').build()
    more = program.more
    data = np.random.default_rng(1).integers(0, 2**63, 2**20, np.uint64)
    buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE, data.nbytes)
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        got = np.zeros_like(data)
        try:
            cl.enqueue_copy(queues[0], buffer, data)
            for queue in queues:
                event = more(queue, data.shape, None, buffer)
                queue.finish()
            cl.enqueue_copy(queues[1], got, buffer)
            ways = [link.way.name for link in event._runtime._ways._links.values()]
            moved = cl.launch_report(event).bytes_by_way
            assert sum(moved.values()) == data.nbytes, moved
            print("right" if (got == data + 2).all() else "wrong", *ways, flush=True)
        except cl.Error as error:
            print(str(error).replace("\\n", " "), flush=True)
    """

# It says too how the bytes of its last launch moved, and what the links' sockets are.
TELLING = PROGRAM.replace(
    "*ways,",
    "*ways, *moved, *{type(x._socket).__name__ for x in event._runtime._ways._links.values()},",
)


def shared(pid: int) -> int:
    """Memory that a process shares with others in this way; one that has ended shares none."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
            return sum("memfd:vcl" in line for line in maps)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def test_bytes_go_through_memory_that_both_ends_have(
    cluster: LocalCluster, variables: dict[str, str]
) -> None:
    with started_text(PROGRAM, **variables) as program:
        assert program.line() == "ready"
        program.say("go")
        first = program.line()
        assert first.startswith("right")
        while not first.endswith("SHARED_MEMORY SHARED_MEMORY"):
            program.say("go")
            first = program.line()
            assert first.startswith("right"), "whichever way it went"
        program.say("go")
        assert program.line() == "right SHARED_MEMORY SHARED_MEMORY"
        # Its own for what it writes, that of the other, and its own for what came by the master.
        assert shared(program.pid) in (2, 3)
        for node in (0, 1):
            assert {2, 3} & {shared(p.pid) for p in executors(cluster, node)}


def test_an_executor_that_is_killed_leaves_nothing_and_has_a_successor(
    cluster: LocalCluster, variables: dict[str, str]
) -> None:
    others = {p.pid for p in executors(cluster, 1)}
    with started_text(PROGRAM, **variables) as program:
        assert program.line() == "ready"
        for _ in range(3):
            program.say("go")
            assert program.line().startswith("right")
        (mine,) = {p.pid for p in executors(cluster, 1) if shared(p.pid)} - {
            pid for pid in others if shared(pid)
        }
        os.kill(mine, signal.SIGKILL)
        program.say("go")
        text = program.line()
        if not text.startswith("right"):  # else its successor was there in time
            assert "local1" in text and "SIGKILL" in text
        program.say("go")
        assert program.line().startswith("right")
        program.say("go")
        assert program.line().startswith("right")
        assert not any("vcl" in name for name in os.listdir("/dev/shm"))


def test_between_hosts_bytes_go_by_a_websocket_or_the_master() -> None:
    ways = {None: "DIRECT DIRECT", "127.0.0.1:20000-40000": "DIRECT DIRECT", "none": ""}
    for data_listen, expected in ways.items():
        with LocalCluster(nodes=2, data_listen=data_listen, shared_memory=False) as apart:
            variables = {"VCL_MASTER": apart.url, "VCL_TOKEN": apart.token}
            with started_text(PROGRAM, **variables) as program:
                assert program.line() == "ready"
                program.say("go")
                line = program.line()
                while line != f"right {expected}".strip():
                    assert line.startswith("right"), "whichever way it went"
                    program.say("go")
                    line = program.line()


@pytest.mark.parametrize("data_listen", [None, "127.0.0.1:20000-40000"])
def test_links_are_encrypted_where_the_way_to_the_master_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_listen: str | None
) -> None:
    certificate = write_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with EncryptedCluster(
        certificate, nodes=2, data_listen=data_listen, shared_memory=False
    ) as apart:
        assert apart.url.startswith("wss:")
        variables = {"VCL_MASTER": apart.url, "VCL_TOKEN": apart.token}
        with started_text(TELLING, **variables) as program:
            assert program.line() == "ready"
            for _ in range(20):
                program.say("go")
                line = program.line()
                assert line.startswith("right"), "whichever way it went"
                if line == "right DIRECT DIRECT direct TlsSocket":
                    break
            assert line == "right DIRECT DIRECT direct TlsSocket"
            program.say("end")
            assert program.end() == (0, "")


def test_a_forked_child_changes_no_copy_that_its_parent_keeps(
    cluster: LocalCluster, variables: dict[str, str]
) -> None:
    source = """
        import os
        import time
        import numpy as np
        import vcl as cl

        context = cl.Context(cl.get_platforms()[0].get_devices()[1:2])
        queue = cl.CommandQueue(context)
        data = np.full(2**24, 1, np.uint8)
        buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE, data.nbytes)
        cl.enqueue_copy(queue, buffer, data)
        copy = cl.Buffer(context, cl.mem_flags.READ_WRITE, data.nbytes)
        cl.enqueue_copy(queue, copy, buffer)  # so that a node takes it
        queue.finish()
        pool = queue._runtime._pool
        end = time.monotonic() + 10
        # Until there is memory that both processes would use next.
        while not pool._idle[data.nbytes] and time.monotonic() < end:
            pool.trim()
            time.sleep(0.01)
        begin, begun = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(begin, 1)
            try:
                cl.enqueue_copy(queue, buffer, np.full_like(data, 3))
            except cl.Error as error:
                os._exit("forked" in str(error))
            os._exit(2)
        cl.enqueue_copy(queue, buffer, np.full_like(data, 2), is_blocking=False)  # not sent yet
        os.write(begun, b"!")
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        cl.enqueue_copy(queue, data, buffer)
        print(np.unique(data), flush=True)
        """
    with started_text(source, **variables) as program:
        assert (program.line(), program.line()) == ("1", "[2]")
        assert program.end() == (0, "")


# Each line that it reads is a round of reads, and of copies between nodes, of bytes that a kernel
# changes as soon as it may.
CHANGING = """
    import sys
    import numpy as np
    import vcl as cl

    context = cl.Context(cl.get_platforms()[0].get_devices()[1:3])
    one, other = [cl.CommandQueue(context, device) for device in context.devices]
    program = cl.Program(context, '''
        kernel void put(global uint *x, uint value) { x[get_global_id(0)] = value; }
        kernel void more(global const uint *x, global uint *y)
        { y[get_global_id(0)] = x[get_global_id(0)] + 1; }
    ''').build()
    put, more = program.put, program.more
    count = 5 * 2**20
    x, y = [cl.Buffer(context, cl.mem_flags.READ_WRITE, 4 * count) for _ in range(2)]
    got = [np.zeros(count, np.uint32) for _ in range(4)]
    taken = [np.zeros(count, np.uint32) for _ in range(4)]
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        first = 100 * int(line)
        for n in range(4):
            put(one, (count,), None, x, np.uint32(first + n))
            cl.enqueue_copy(one, got[n], x, is_blocking=False)
            written = put(one, (count,), None, x, np.uint32(first + 50 + n))
            moved = more(other, (count,), None, x, y, wait_for=[written])
            put(one, (count,), None, x, np.uint32(0), wait_for=[moved] if n % 2 else None)
            last = cl.enqueue_copy(other, taken[n], y, is_blocking=False)
            put(other, (count,), None, y, np.uint32(0))
        one.finish()
        other.finish()
        right = all((got[n] == first + n).all() for n in range(4))
        right &= all((taken[n] == first + 51 + n).all() for n in range(4))
        links = last._runtime._ways._links.values()
        sizes = [len(m._bytes) for x in links for m in getattr(x, "_peers", {}).values()]
        lent = sum(size > 2**24 for size in sizes)
        print("right" if right else "wrong", lent, flush=True)
    """


def test_bytes_are_those_of_when_they_were_read_though_they_change_at_once(
    cluster: LocalCluster, variables: dict[str, str]
) -> None:
    with started_text(CHANGING, **variables) as program:
        assert program.line() == "ready"
        seen = set()
        for n in range(1, 16):
            program.say(str(n))
            word, lent = program.line().split()
            assert word == "right"
            seen.add(int(lent))
        assert max(seen) >= 2, "both nodes have lent their devices' memory"
        program.say("end")
        assert program.end() == (0, "")


def test_a_program_that_is_killed_as_it_reads_leaves_the_nodes_to_others(
    cluster: LocalCluster, variables: dict[str, str]
) -> None:
    for _ in range(3):
        # Of other programs on this cluster, which live on.
        others = {p.pid for n in (0, 1) for p in executors(cluster, n) if shared(p.pid)}
        with started_text(CHANGING, **variables) as program:
            assert program.line() == "ready"
            program.say("1")
            assert program.line().startswith("right")
            shares = [p for n in (0, 1) for p in executors(cluster, n) if shared(p.pid)]
            mine = [p for p in shares if p.pid not in others]
            assert len(mine) == 2
            program.say("2")
            os.kill(program.pid, signal.SIGKILL)
            await_gone(mine)
