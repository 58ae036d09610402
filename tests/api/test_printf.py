"""printf in kernels: the text reaches sys.stdout before the event counts as ended, in order."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import vcl as cl
from vcl.wire.limits import printed_bytes_max

SOURCE = r"""
__kernel void say(int n) { printf("launch %d\n", n); }
__kernel void bare(int n) { printf("<%d>", n); }
__kernel void kinds(float4 v) { printf("%f %v4hlf %s %c %5.2e\n", 0.5f, v, "text", 'c', 1e10); }
__kernel void much(int lines) { for (int i = 0; i < lines; i++) printf("%07d\n", i); }
__kernel void bytes(int n) { printf("\xc3\xa4 \xff\n"); }
__kernel void count(__global int *x) { if (x[0] < 0) printf("never\n"); x[0] += 1; }
"""
QUIET = "__kernel void count(__global int *x) { x[get_global_id(0)] += 1; }"


class Setup:
    """A session of its own, in which only this test prints, on one device."""

    def __init__(self, platform: Any, index: int) -> None:
        self.device = platform.get_devices()[index]
        self.ctx = cl.Context([self.device])
        self.queue = cl.CommandQueue(self.ctx)
        self.program = cl.Program(self.ctx, SOURCE).build()
        self._kernels: dict[str, Any] = {}

    def launch(self, name: str, *arguments: Any, size: int = 1) -> Any:
        kernel = self._kernels.get(name)
        if kernel is None:
            kernel = self._kernels[name] = getattr(self.program, name)
        return kernel(self.queue, (size,), (1,), *arguments)


@pytest.fixture(scope="module")
def fresh(cluster: cl.LocalCluster) -> Iterator[Any]:
    """The platform of a session in which nothing has been printed."""
    yield cl.connect(cluster.url, token=cluster.token)


@pytest.fixture(scope="module", params=[0, 1], ids=["cluster", "remote"])
def here(request: pytest.FixtureRequest, cluster: cl.LocalCluster) -> Setup:
    return Setup(cl.connect(cluster.url, token=cluster.token), request.param)


def test_text_is_there_when_wait_returns(here: Setup, capfd: Any) -> None:
    here.launch("say", np.int32(7)).wait()
    assert capfd.readouterr().out == "launch 7\n"


def test_text_is_there_after_a_blocking_read(here: Setup, capsys: Any) -> None:
    buffer = cl.Buffer(here.ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=np.zeros(4, np.int32))
    here.launch("say", np.int32(1))
    cl.enqueue_copy(here.queue, np.empty(4, np.int32), buffer)
    assert capsys.readouterr().out == "launch 1\n"


def test_a_hundred_launches_print_in_order(here: Setup, capsys: Any) -> None:
    for i in range(100):
        here.launch("say", np.int32(i))
    here.queue.finish()
    assert capsys.readouterr().out == "".join(f"launch {i}\n" for i in range(100))


def test_the_programs_own_words_keep_their_place(here: Setup, capsys: Any) -> None:
    print("before")
    here.launch("say", np.int32(1)).wait()
    print("after")
    assert capsys.readouterr().out == "before\nlaunch 1\nafter\n"


def test_kinds_of_values(here: Setup, capsys: Any) -> None:
    here.launch("kinds", cl.cltypes.make_float4(1, -2, 0.25, 4)).wait()
    expected = "0.500000 1.000000,-2.000000,0.250000,4.000000 text c 1.00e+10\n"
    assert capsys.readouterr().out == expected


def test_text_without_a_newline(here: Setup, capsys: Any) -> None:
    for i in range(3):
        here.launch("bare", np.int32(i)).wait()
        assert capsys.readouterr().out == f"<{i}>"
    print()


def test_every_work_item_prints(here: Setup, capsys: Any) -> None:
    here.launch("say", np.int32(3), size=64).wait()
    assert capsys.readouterr().out == "launch 3\n" * 64


def test_what_is_no_text_is_replaced(here: Setup, capsys: Any) -> None:
    here.launch("bytes", np.int32(0)).wait()
    assert capsys.readouterr().out == "ä �\n"


def test_what_is_too_much_is_cut_with_a_note(here: Setup, capsys: Any) -> None:
    here.launch("much", np.int32(3 * printed_bytes_max // 8))
    here.launch("say", np.int32(1)).wait()
    out = capsys.readouterr().out
    assert len(out) <= printed_bytes_max + len("launch 1\n")
    lines = out.splitlines()
    assert lines[0] == "0000000" and lines[1000] == "0001000"
    assert lines[-2:] == ["... printf output cut", "launch 1"]
    here.launch("much", np.int32(printed_bytes_max // 16)).wait()
    assert capsys.readouterr().out.splitlines()[-1] == f"{printed_bytes_max // 16 - 1:07d}"


def test_beside_kernels_that_do_not_print(here: Setup, capsys: Any, read: Any) -> None:
    buffer = cl.Buffer(here.ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=np.zeros(4, np.int32))
    quiet = cl.Program(here.ctx, QUIET).build().count
    for i in range(20):
        here.launch("say", np.int32(i))
        here.launch("count", buffer)
        quiet(here.queue, (4,), (1,), buffer)
    assert read(here.queue, buffer).tolist() == [40, 20, 20, 20]
    assert capsys.readouterr().out == "".join(f"launch {i}\n" for i in range(20))


def test_output_that_is_redirected(here: Setup, capsys: Any) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        here.launch("say", np.int32(5)).wait()
    assert out.getvalue() == "launch 5\n" and capsys.readouterr().out == ""


@pytest.mark.parametrize("closed", [False, True])
def test_no_output(here: Setup, monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    out = io.StringIO()
    out.close()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out if closed else None)
        here.launch("say", np.int32(5)).wait()


def test_output_may_use_the_session(here: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            seen.append((text, here.device.name))
            cl.Buffer(here.ctx, 0, 16).release()
            return len(text)

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Out())
        here.launch("say", np.int32(5)).wait()
    assert [text for text, _ in seen] == ["launch 5\n"]


def test_a_second_node_brings_names(fresh: Any, capsys: Any) -> None:
    one, two = (Setup(fresh, index) for index in (1, 2))
    one.launch("say", np.int32(1)).wait()
    one.launch("bare", np.int32(2)).wait()
    assert capsys.readouterr().out == "launch 1\n<2>"
    two.launch("say", np.int32(3), size=2).wait()
    out = capsys.readouterr().out
    first, second = (each.device.name.rpartition(" @ ")[2] for each in (one, two))
    assert out == f"\n[{second}] launch 3\n[{second}] launch 3\n"
    one.launch("bare", np.int32(4)).wait()
    one.launch("say", np.int32(5)).wait()
    assert capsys.readouterr().out == f"[{first}] <4>launch 5\n"


PROGRAM = f"""
import numpy as np, pyopencl as cl
ctx = cl.create_some_context()
queue = cl.CommandQueue(ctx)
program = cl.Program(ctx, r'''{SOURCE}''').build()
print("begin")
program.say(queue, (1,), None, np.int32(1))
queue.finish()
print("middle")
class Leaving:
    def __init__(self):
        self.queue, self.kernel, self.number = queue, program.say, np.int32(3)
    def __del__(self):
        self.kernel(self.queue, (1,), None, self.number)
        self.queue.finish()
        print("gone")
leaving = Leaving()
program.say(queue, (1,), None, np.int32(2))
"""


def test_a_program_of_vcl_run(variables: dict[str, str], tmp_path: Any) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "vcl.cli.main", "run", str(script)],
        env=os.environ | variables | {"PYOPENCL_CTX": "0"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    # Nobody waited for the second launch, and the third is a destructor's.
    assert ended.stdout.decode() == "begin\nlaunch 1\nmiddle\nlaunch 2\nlaunch 3\ngone\n"
