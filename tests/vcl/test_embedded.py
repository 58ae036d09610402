"""One embedded cluster for a family, however many need it at once, and nothing left of it."""

from __future__ import annotations

import os
import signal
import stat
import textwrap
from pathlib import Path

import psutil
import pytest

from tests.processes import await_gone, descendants, environment, run_program, started_text
from vcl import embedded
from vcl.errors import ConnectionProblem

JOIN = "from vcl import embedded; print(embedded.join(1)[0], flush=True)"

# The first process needs no cluster; two children do, at once, and end before it.
FAMILY = f"""
    import os, subprocess, sys, vcl
    children = [
        subprocess.Popen([sys.executable, "-c", {JOIN!r}], stdout=subprocess.PIPE) for _ in "ab"
    ]
    urls = {{child.communicate()[0] for child in children}}
    print(len(urls), *(child.returncode for child in children))
    input()
    """


def members(folder: Path) -> list[psutil.Process]:
    """The holder of the cluster and all below it."""
    (log,) = folder.glob("*/holder.log")
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if str(log.parent) in (process.info["cmdline"] or []):
            found += [process, *process.children(recursive=True)]
    return found


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_children_share_one_that_ends_with_the_first(number: int | None, tmp_path: Path) -> None:
    with started_text(FAMILY, TMPDIR=str(tmp_path)) as program:
        assert program.line() == "1 0 0"
        (folder,) = (path.parent for path in tmp_path.glob("*/cluster.json"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "cluster.json").stat().st_mode) == 0o600
        processes = members(tmp_path)
        assert len(processes) >= 4, "holder, master, agent, an executor that is ready"
        for process in processes:
            # What the program chose isn't theirs.
            assert "VCL_EMBEDDED" not in process.environ() or process is processes[0]
        if number is None:
            program.say()
        else:
            program.process.send_signal(number)
        program.end()
        if number is None:
            assert not list(tmp_path.iterdir()), "already when the program has ended"
        await_gone(processes)
    assert not list(tmp_path.iterdir())


def test_one_that_was_killed_is_started_anew(tmp_path: Path) -> None:
    source = """
        import json, os, signal, vcl
        from pathlib import Path
        from vcl import embedded, family
        first = embedded.join(1)
        assert embedded.join(1) == first
        known = Path(family.begin().folder, "cluster.json")
        os.kill(json.loads(known.read_text())["pid"], signal.SIGKILL)
        embedded._started[0].wait()
        print(embedded.join(1) != first, json.loads(known.read_text())["url"] != first[0])
        """
    done = run_program(source, TMPDIR=str(tmp_path))
    assert done.stdout == "True True\n", done.stderr


def test_one_that_cannot_start(tmp_path: Path) -> None:
    source = """
        from vcl import embedded
        from vcl.errors import ConnectionProblem
        for _ in range(2):
            try:
                embedded.join(1)
            except ConnectionProblem as error:
                print(error)
        """
    empty = tmp_path / "vendors"
    place = tmp_path / "place"
    place.mkdir()
    done = run_program(source, TMPDIR=str(place), OCL_ICD_VENDORS=str(empty))
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and "no OpenCL device" in lines[1], done.stderr
    assert not list(place.iterdir())


def test_a_folder_of_someone_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    start = embedded.started(os.getpid())
    monkeypatch.setenv("VCL_EMBEDDED", f"{os.getpid()}:{start}:{link}")
    with pytest.raises(ConnectionProblem, match="isn't a folder of this process's user"):
        embedded.join(1)


def test_the_first_process_ends_while_another_starts_it(tmp_path: Path) -> None:
    source = f"""
        import os, subprocess, sys, time, vcl
        from vcl import family
        log = os.path.join(family.begin().folder, "lock")
        subprocess.Popen([sys.executable, "-c", {JOIN!r}], stdout=2)
        while not os.path.exists(log):
            time.sleep(0.01)
        os.kill(os.getpid(), 9)
        """
    with started_text(textwrap.dedent(source), TMPDIR=str(tmp_path)) as program:
        program.process.wait()
        program.process.communicate()  # until the child has ended, which has its standard error
    processes = members(tmp_path) if list(tmp_path.glob("*/holder.log")) else []
    await_gone(processes)
    assert not list(tmp_path.glob("*/cluster.json"))


def test_descendants_are_of_the_program(tmp_path: Path) -> None:
    """As long as the program lives, who looks at its processes sees the cluster's among them."""
    source = f"import vcl\n{JOIN}\ninput()"
    with started_text(source, **environment(TMPDIR=str(tmp_path))) as program:
        program.line()
        assert len(descendants(program.pid)) >= 4


@pytest.mark.parametrize(
    ("split", "trust", "value", "mode"),
    [
        ("always", "1", "1", "regions"),
        ("pays", "1", "1", "whole"),
        ("always", "1", "a[63]", "merge"),
        ("always", "0", "a[63]", "whole"),
    ],
)
def test_it_splits_as_the_program_chose(split: str, trust: str, value: str, mode: str) -> None:
    text = f"""
        import vcl as cl
        context = cl.Context([cl.get_platforms()[0].get_devices()[0]])
        source = "kernel void f(global int *a) {{ a[get_global_id(0)] = {value}; }}"
        kernel = cl.Program(context, source).build().f
        event = kernel(cl.CommandQueue(context), (64,), (8,), cl.Buffer(context, 0, 256))
        print(cl.launch_report(event).mode)
        """
    done = run_program(text, VCL_SPLIT=split, VCL_TRUST=trust)
    assert (done.stdout, done.returncode) == (f"{mode}\n", 0), done.stderr
