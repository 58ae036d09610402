"""Children of a program, of every kind, compute on the program's cluster (DESIGN, decision 12)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from tests.processes import environment, run

VCL_RUN = ["-m", "vcl.cli.main", "run"]

# What each child does: computes, and says where, and in which cluster: its master's address.
COMPUTE = """
import os
import numpy as np

def compute(number):
    import pyopencl as cl
    import pyopencl.array
    queue = cl.CommandQueue(cl.create_some_context(interactive=False))
    total = int((cl.array.arange(queue, 4, dtype=np.int32) + number).get().sum())
    from vcl.api.session import PROCESS
    return queue.device.platform.name, PROCESS.runtime.url, total, os.getpid()

def check(found, count):
    assert {f[0] for f in found} == {"VCL"}, found
    assert len({f[1] for f in found}) == 1, found  # one cluster
    assert [f[2] for f in found] == [6 + 4 * n for n in range(count)], found
    assert os.getpid() not in {f[3] for f in found}
    print("right")
"""

KINDS = {
    "spawn": """
        import multiprocessing as mp
        if __name__ == "__main__":
            with mp.get_context("spawn").Pool(2) as pool:
                check(pool.map(compute, range(2), chunksize=1), 2)
        """,
    "forkserver": """
        import multiprocessing as mp
        if __name__ == "__main__":
            with mp.get_context("forkserver").Pool(1) as pool:
                check(pool.map(compute, range(2)), 2)
        """,
    "ProcessPoolExecutor": """
        import multiprocessing as mp
        from concurrent.futures import ProcessPoolExecutor
        if __name__ == "__main__":
            executor = ProcessPoolExecutor(1, mp_context=mp.get_context("spawn"))
            check(list(executor.map(compute, range(2))), 2)
        """,
    "subprocess": """
        import json, subprocess, sys
        if len(sys.argv) > 1:
            print(json.dumps(compute(int(sys.argv[1]))))
        else:
            check([
                json.loads(subprocess.check_output([python, __file__, str(n)], cwd="/"))
                for n, python in enumerate([sys.executable, "python"])
            ], 2)
        """,
}


def left_in(folder: Path) -> list[str]:
    """What vcl has left in a temporary folder; multiprocessing has folders of its own."""
    return [path.name for path in folder.iterdir() if path.name.startswith("vcl-")]


def run_kind(kind: str, place: Path, first: str, arguments: list[str], **more: str) -> None:
    """Run the program of a kind, after `first`, with its temporary files in `place`."""
    program = place / "program.py"
    program.write_text(first + COMPUTE + textwrap.dedent(KINDS[kind]))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # Not pytest's folder, whose name is too long for the forkserver's socket.
    with tempfile.TemporaryDirectory(prefix="v") as temporary:
        chosen = {"TMPDIR": temporary, "PATH": path, "VCL_LOCAL_NODES": "1"} | more
        done = run([*arguments, str(program)], environment(**chosen), place)
        assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr
        assert not left_in(Path(temporary))


LONG = pytest.mark.long  # much the same as another kind


@pytest.mark.parametrize(
    "kind", ["spawn", "forkserver", "subprocess", pytest.param("ProcessPoolExecutor", marks=LONG)]
)
def test_children_of_vcl_run(kind: str, tmp_path: Path, variables: dict[str, str]) -> None:
    run_kind(kind, tmp_path, "", VCL_RUN, **variables)


def test_children_that_need_the_embedded_cluster_before_their_parent(tmp_path: Path) -> None:
    """Two at once, which share one."""
    run_kind("spawn", tmp_path, "", VCL_RUN)


@pytest.mark.parametrize("kind", ["spawn", pytest.param("forkserver", marks=LONG)])
def test_children_of_a_program_that_imports_vcl(kind: str, tmp_path: Path) -> None:
    """The children import its main module, which imports vcl again. The parent has connected."""
    first = "import vcl as cl\nif __name__ == '__main__':\n    cl.get_platforms()\n"
    run_kind(kind, tmp_path, first, [])


def test_children_that_python_awaits_at_exit_keep_the_cluster(tmp_path: Path) -> None:
    """Though multiprocessing was imported first, and so awaits them last."""
    (tmp_path / "program.py").write_text(
        "import multiprocessing as mp\nimport vcl as cl\n"
        + COMPUTE
        + textwrap.dedent(
            """
            def late():
                first = compute(1)
                input_of_parent_ended = os.read(0, 1) == b""
                print(first[0], compute(2)[2], input_of_parent_ended, flush=True)

            if __name__ == "__main__":
                cl.get_platforms()
                mp.get_context("spawn").Process(target=late).start()
            """
        )
    )
    env = environment(TMPDIR=str(tmp_path), VCL_LOCAL_NODES="1")
    done = run(["program.py"], env, tmp_path)
    assert done.stdout == "VCL 14 True\n", done.stderr
    assert not left_in(tmp_path)


@LONG
def test_children_of_a_module_and_of_a_folder(tmp_path: Path, variables: dict[str, str]) -> None:
    """What `__main__` defines is found by spawned children, as with `python -m`."""
    (tmp_path / "package").mkdir()
    source = COMPUTE + textwrap.dedent(KINDS["spawn"])
    (tmp_path / "package" / "inner.py").write_text(source)
    env = environment(**variables)
    done = run([*VCL_RUN, "-m", "package.inner"], env, tmp_path)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr
    # Python itself doesn't import a folder's __main__ again, so what pools call lies beside it.
    (tmp_path / "package" / "beside.py").write_text(COMPUTE)
    main = "from beside import *\n" + textwrap.dedent(KINDS["spawn"])
    (tmp_path / "package" / "__main__.py").write_text(main)
    done = run([*VCL_RUN, "package"], env, tmp_path)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


def test_pytest_with_two_processes(tmp_path: Path, variables: dict[str, str]) -> None:
    source = """
        import os
        import pyopencl as cl
        import pytest

        @pytest.mark.parametrize("n", range(2))
        def test_platform(n):
            assert "PYTEST_XDIST_WORKER" in os.environ
            assert [p.name for p in cl.get_platforms()] == ["VCL"]
        """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(source))
    done = run([*VCL_RUN, "-m", "pytest", "-q", "-n", "2"], environment(**variables), tmp_path)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_a_forked_child_is_told_what_to_do(tmp_path: Path, variables: dict[str, str]) -> None:
    source = """
        import os
        import pyopencl as cl
        context = cl.create_some_context(interactive=False)
        if os.fork() == 0:
            try:
                cl.CommandQueue(context)
            except cl.Error as error:
                print(error, flush=True)
            os._exit(0)
        os.wait()
        """
    (tmp_path / "program.py").write_text(textwrap.dedent(source))
    done = run([*VCL_RUN, "program.py"], environment(**variables), tmp_path)
    assert "multiprocessing.set_start_method('spawn')" in done.stdout, done.stderr
    assert "same cluster" in done.stdout


def test_a_child_that_the_hook_misses_has_no_device(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    """It fails, rather than computing on the local driver without a word."""
    source = """
        import os, subprocess, sys
        child = "import sys; sys.path += %r; import pyopencl; pyopencl.get_platforms()" % sys.path
        for flags, more in ([["-I"], {}], [["-S"], {}], [[], {"PYTHONPATH": "/nothing"}]):
            done = subprocess.run(
                [sys.executable, *flags, "-c", child], env=os.environ | more,
                capture_output=True, text=True,
            )
            print(done.returncode, "PLATFORM_NOT_FOUND_KHR" in done.stderr)
        """
    (tmp_path / "program.py").write_text(textwrap.dedent(source))
    done = run([*VCL_RUN, "program.py"], environment(**variables), tmp_path)
    assert done.stdout == "1 True\n" * 3, done.stdout + done.stderr


def test_vcl_run_itself_without_an_environment_says_so(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("print('runs')")
    source = f"import sys; sys.path[:0] = {sys.path!r}; " + (
        "sys.argv = ['vcl', 'run', 'program.py']; from vcl.cli.main import main; main()"
    )
    done = run(["-I", "-c", source], environment(), tmp_path)
    assert done.stdout == "runs\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("vcl run: Python was started with -E, -I or -S")


# Libraries with processes of their own

JOBLIB = "import joblib\ncheck(joblib.Parallel(2)(joblib.delayed(compute)(n) for n in range(2)), 2)"
DASK = """
if __name__ == "__main__":
    from dask.distributed import Client, LocalCluster
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        check(client.gather(client.map(compute, range(2))), 2)
"""
LIBRARIES = {"joblib": JOBLIB, "distributed": DASK}


@LONG
@pytest.mark.parametrize("library", LIBRARIES)
def test_children_of_libraries(library: str, tmp_path: Path, variables: dict[str, str]) -> None:
    pytest.importorskip(library, reason=f"{library} isn't installed")
    (tmp_path / "program.py").write_text(COMPUTE + LIBRARIES[library])
    done = run([*VCL_RUN, "program.py"], environment(**variables), tmp_path)
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@LONG
def test_kernels_of_notebooks(tmp_path: Path, variables: dict[str, str]) -> None:
    for library in ("nbconvert", "nbformat", "ipykernel"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} isn't installed")
    import nbformat

    cell = nbformat.v4.new_code_cell(
        "import pyopencl as cl\nprint('found', cl.get_platforms()[0].name)"
    )
    book = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(book, tmp_path / "book.ipynb")
    done: subprocess.CompletedProcess[str] = run(
        [*VCL_RUN, "-m", "nbconvert", "--execute", "--to", "markdown", "--stdout", "book.ipynb"],
        environment(**variables),
        tmp_path,
    )
    assert done.returncode == 0 and "found VCL" in done.stdout, done.stderr
