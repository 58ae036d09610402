"""The command line `vcl` as its user runs it.

Long because all commands are run on one cluster, and `vcl run` has many forms.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import vcl
from tests.processes import environment, run

VCL = ["-m", "vcl.cli.main"]
Run = Callable[..., subprocess.CompletedProcess[str]]

PROGRAM = """
    import sys
    import numpy as np
    import pyopencl as cl
    import pyopencl.array

    ctx = cl.create_some_context(interactive=False)
    queue = cl.CommandQueue(ctx)
    twice = cl.array.arange(queue, 5, dtype=np.int32) * 2
    print(ctx.devices[0].platform.name, twice.get().tolist())
    """


@pytest.fixture
def cli(cluster: vcl.LocalCluster, tmp_path: Path) -> Run:
    """cli(*arguments): `vcl` with these on the cluster, in an empty folder."""

    def run_cli(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        chosen = {"VCL_MASTER": cluster.url, "VCL_TOKEN": cluster.token} | variables
        return run([*VCL, *arguments], environment(**chosen), tmp_path)

    return run_cli


def script(folder: Path, source: str, name: str = "program.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path


def fails_in_one_line(done: subprocess.CompletedProcess[str], status: int, *said: str) -> None:
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("vcl ")
    for text in said:
        assert text in line


def nobody() -> str:
    """The address of a master that isn't there."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"ws://127.0.0.1:{closed.getsockname()[1]}"


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(cli: Run, option: str) -> None:
    done = cli(option)
    assert done.returncode == 0
    for command in ("info", "run", "--version"):
        assert command in done.stdout


def test_version(cli: Run) -> None:
    done = cli("--version")
    assert (done.returncode, done.stdout) == (0, f"vcl {vcl.__vcl_version__}\n")


def test_run_s_usage_names_the_script(cli: Run) -> None:
    assert "vcl run [OPTIONS] SCRIPT [ARGS]..." in cli("run", "-h").stdout


def test_an_unknown_command(cli: Run) -> None:
    done = cli("no-such-command")
    assert done.returncode == 2
    assert "no-such-command" in done.stderr and "Traceback" not in done.stderr


# vcl info


def test_info(cli: Run, cluster: vcl.LocalCluster) -> None:
    done = cli("info")
    assert done.returncode == 0, done.stderr
    assert cluster.url in done.stdout
    assert re.search(r"\n  0 +VCL cluster of 2 devices on 2 nodes +CPU +2 ", done.stdout)
    for index, node in enumerate(cluster.nodes, 1):
        assert re.search(rf"\n  {index} +{node.name} +\S.* CPU +1 +\S+ GiB", done.stdout)
    assert len(done.stdout.splitlines()) < 15
    assert re.search(r"the program - local0 +shared memory\n", done.stdout)
    assert cluster.token not in done.stdout


def test_info_with_all_properties(cli: Run, cluster: vcl.LocalCluster) -> None:
    done = cli("info", "--all")
    for node in cluster.nodes:
        assert re.search(rf"Device \d: .* @ {node.name}", done.stdout)
    assert done.stdout.count("max_work_item_sizes") == 3


def test_info_as_json(cli: Run, cluster: vcl.LocalCluster) -> None:
    done = cli("info", "--json", "--master", cluster.url, VCL_MASTER="")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["master"] == cluster.url
    assert found["platform"]["name"] == "VCL"
    first, *remote = found["devices"]
    assert first["name"] == "VCL cluster of 2 devices on 2 nodes"
    assert sorted(d["name"].rpartition(" @ ")[2] for d in remote) == ["local0", "local1"]
    for device in found["devices"]:
        assert device["max_work_group_size"] >= 1
        assert device["global_mem_size"] > 0
    assert found["ways"] == [
        {"between": between, "way": "shared memory", "reason": ""}
        for between in (["the program", "local0"], ["the program", "local1"], ["local0", "local1"])
    ]


def test_info_says_why_data_goes_through_the_master(tmp_path: Path) -> None:
    for data_listen, way in (("none", "through the master"), (None, "direct")):
        with vcl.LocalCluster(nodes=2, data_listen=data_listen, shared_memory=False) as apart:
            env = environment(VCL_MASTER=apart.url, VCL_TOKEN=apart.token)
            done = run([*VCL, "info", "--json"], env, tmp_path)
        ways = json.loads(done.stdout)["ways"]
        assert [w["way"] for w in ways] == [way] * 3
        why = "one of the two takes no direct links" if data_listen else ""
        assert {w["reason"] for w in ways} == {why}


def test_info_of_an_embedded_cluster(tmp_path: Path) -> None:
    env = environment(VCL_LOCAL_NODES="1", XDG_STATE_HOME=str(tmp_path))
    done = run([*VCL, "info", "--json"], env, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["devices"]) == 2


def test_info_without_a_master(cli: Run) -> None:
    url = nobody()
    fails_in_one_line(cli("info", VCL_MASTER=url), 1, url, "vcl-master")


def test_info_with_a_wrong_token(cli: Run, cluster: vcl.LocalCluster) -> None:
    fails_in_one_line(cli("info", VCL_TOKEN="wrong"), 1, cluster.url, "token")


def test_info_of_a_bad_address(cli: Run) -> None:
    fails_in_one_line(cli("info", "--master", "http://x"), 1, "http://x", "ws://HOST:")


def test_status(cli: Run) -> None:
    with vcl.LocalCluster(nodes=1) as own:  # which no other test uses
        chosen = {"VCL_MASTER": own.url, "VCL_TOKEN": own.token}
        done = cli("status", "--json", **chosen)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert [node["name"] for node in found["nodes"]] == ["local0"]
        assert found["master"] == own.url and found["sessions"] == []
        assert cli("status", **chosen).stdout.endswith("No program runs.\n")


def test_status_of_no_cluster(cli: Run) -> None:
    fails_in_one_line(cli("status", VCL_MASTER=""), 2, "VCL_MASTER", "--master")
    fails_in_one_line(cli("status", "--master", nobody()), 1, "vcl-master")


# vcl run


def test_run_makes_pyopencl_mean_the_cluster(cli: Run, tmp_path: Path) -> None:
    done = cli("run", str(script(tmp_path, PROGRAM)))
    assert done.stdout == "VCL [0, 2, 4, 6, 8]\n", done.stderr
    assert done.returncode == 0
    assert done.stderr == ""


def test_run_reports_what_launches_took(cli: Run, tmp_path: Path) -> None:
    path = str(script(tmp_path, PROGRAM))
    done = cli("run", "--report", path)
    assert done.stdout == "VCL [0, 2, 4, 6, 8]\n"
    assert done.stderr.splitlines()[0].strip() == f"vcl report of {Path(path).name}"
    file = tmp_path / "report.json"
    done = cli("run", "--report", str(file), path)
    assert (done.stdout, done.stderr) == ("VCL [0, 2, 4, 6, 8]\n", "")
    rows = json.loads(file.read_text())
    assert rows and all(row["launches"] == 1 and row["reason"] for row in rows)


def test_run_may_require_a_cluster(cli: Run, tmp_path: Path) -> None:
    path = str(script(tmp_path, PROGRAM))
    assert cli("run", "--require-cluster", path).stdout == "VCL [0, 2, 4, 6, 8]\n"
    done = cli("run", "--require-cluster", path, VCL_MASTER="")
    assert done.returncode == 1 and "no cluster is named" in done.stderr.splitlines()[-1]


def test_run_looks_like_python(cli: Run, tmp_path: Path) -> None:
    path = script(
        tmp_path,
        """
        import sys
        import beside  # next to the program, not in the current folder
        print(__name__, __file__, sys.argv, sys.path[0], beside.VALUE)
        import __main__
        print(__main__.__file__ == __file__, "sys" in vars(__main__))
        """,
        "place/program.py",
    )
    script(tmp_path, "VALUE = 5", "place/beside.py")
    arguments = ["--flag", "-m", "a b", "--help", "--master", "--"]
    done = cli("run", "place/program.py", *arguments)
    first, second = done.stdout.splitlines()
    expected = ["place/program.py", *arguments]
    assert first == f"__main__ {path} {expected} {path.parent} 5", done.stderr
    assert second == "True True"


LOOK = """
    import json, sys
    print(json.dumps([
        __name__, globals().get("__file__"), sys.argv, sys.path[0], __package__,
        __spec__ and __spec__.name, type(__loader__).__name__, type(__builtins__).__name__,
    ]))
    """


@pytest.mark.parametrize(
    "arguments",
    [
        ["program.py", "a", "-c"],
        ["./inner/program.py"],
        ["-m", "inner.program", "a"],
        ["-m", "inner"],
        ["inner", "a"],
        ["."],
        ["packed.zip", "a"],
        ["-c", textwrap.dedent(LOOK), "-m", "a"],
        ["-", "a"],
    ],
    ids=lambda arguments: " ".join(arguments[:1]),
)
def test_run_is_as_python(cli: Run, tmp_path: Path, arguments: list[str]) -> None:
    for name in ("program.py", "__main__.py", "inner/program.py", "inner/__main__.py"):
        script(tmp_path, LOOK, name)
    script(tmp_path, "", "inner/__init__.py")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.write(tmp_path / "__main__.py", "__main__.py")
    both = [
        subprocess.run(
            [sys.executable, *start, *arguments],
            env=environment(),
            cwd=tmp_path,
            input=textwrap.dedent(LOOK),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for start in ([], [*VCL, "run"])
    ]
    by_python, by_us = map(json.loads, both)
    if arguments[0] in ("-c", "-"):
        by_python[6] = by_us[6] = ""  # said to be built in by Python, which has no meaning
    assert by_us == by_python


def test_run_of_two_forms(cli: Run) -> None:
    fails_in_one_line(cli("run", "-m", "-c", "x"), 2, "-m and -c")


def test_run_pickles_and_spawns_what_main_defines(cli: Run, tmp_path: Path) -> None:
    script(
        tmp_path,
        """
        import pickle
        class Thing:
            value = 3
        print(type(pickle.loads(pickle.dumps(Thing()))).value)
        """,
    )
    done = cli("run", "program.py")
    assert done.stdout == "3\n", done.stderr


def test_run_a_module(cli: Run, tmp_path: Path) -> None:
    path = script(tmp_path, "import sys\nprint(__name__, sys.argv, __package__)", "pack/inner.py")
    script(tmp_path, "", "pack/__init__.py")
    script(tmp_path, "print('main of pack')", "pack/__main__.py")
    done = cli("run", "-m", "pack.inner", "one", "-m", "--flag")
    assert done.stdout == f"__main__ {[str(path), 'one', '-m', '--flag']} pack\n", done.stderr
    assert cli("run", "-m", "pack").stdout == "main of pack\n"


@pytest.mark.parametrize(
    ("last", "status", "said"),
    [
        ("raise SystemExit", 0, ""),
        ("sys.exit(0)", 0, ""),
        ("sys.exit(5)", 5, ""),
        ("sys.exit('a reason')", 1, "a reason\n"),
        ("import os; os._exit(9)", 9, ""),
    ],
)
def test_run_passes_on_the_program_s_status(
    cli: Run, tmp_path: Path, last: str, status: int, said: str
) -> None:
    script(tmp_path, f"import sys\n{last}")
    done = cli("run", "program.py")
    assert (done.returncode, done.stderr) == (status, said)


def test_run_shows_the_program_s_own_traceback(cli: Run, tmp_path: Path) -> None:
    script(tmp_path, "def f():\n    raise KeyError('mine')\n\nf()\n")
    done = cli("run", "program.py")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "KeyError: 'mine'"
    assert 'program.py", line 4' in done.stderr


def test_run_shows_nothing_from_inside(cli: Run, tmp_path: Path) -> None:
    script(tmp_path, "def f():\n    raise KeyError('mine')\n\nf()\n")
    done = cli("run", "program.py")
    assert "vcl/cli" not in done.stderr
    assert "runpy" not in done.stderr and "typer" not in done.stderr


@pytest.mark.parametrize("error", ["EOFError", "KeyboardInterrupt"])
def test_run_shows_exceptions_that_a_cli_would_handle(cli: Run, tmp_path: Path, error: str) -> None:
    script(tmp_path, f"raise {error}('mine')")
    done = cli("run", "program.py")
    assert done.stderr.splitlines()[-1] == f"{error}: mine"
    # As Python does, so that a shell's loop stops too.
    assert done.returncode == (-signal.SIGINT if error == "KeyboardInterrupt" else 1)


def test_run_keeps_main_until_the_process_ends(cli: Run, tmp_path: Path) -> None:
    script(
        tmp_path,
        """
        import atexit, pickle
        class Thing:
            value = 3
        atexit.register(lambda: print(pickle.loads(pickle.dumps(Thing())).value))
        """,
    )
    assert cli("run", "program.py").stdout == "3\n"


def test_run_of_a_program_with_a_syntax_error(cli: Run, tmp_path: Path) -> None:
    script(tmp_path, "x = = 1\n")
    done = cli("run", "program.py")
    assert done.returncode == 1
    assert "SyntaxError" in done.stderr.splitlines()[-1]


def test_run_of_a_program_that_imports_what_is_missing(cli: Run, tmp_path: Path) -> None:
    """It's the program's error, and not said to be the program that is missing."""
    script(tmp_path, "import no_such_module")
    for arguments in (["program.py"], ["-m", "program"]):
        done = cli("run", *arguments)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.py"], "absent.py"),
        (["-m", "absent_module"], "absent_module"),
        (["-m", "absent.inner"], "absent"),
        ([], "which program?"),
        (["."], "'.'"),
    ],
)
def test_run_of_nothing(cli: Run, arguments: list[str], said: str) -> None:
    fails_in_one_line(cli("run", *arguments), 2, said)


def test_run_without_a_master(cli: Run, tmp_path: Path) -> None:
    url = nobody()
    script(tmp_path, PROGRAM)
    done = cli("run", "--master", url, "program.py")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert url in last and "Is vcl-master running" in last


def test_run_of_a_program_that_needs_no_cluster(cli: Run, tmp_path: Path) -> None:
    """Nothing is connected to, and nothing started, for a program that uses no OpenCL."""
    script(tmp_path, "print('hello')")
    assert cli("run", "--master", nobody(), "program.py").stdout == "hello\n"


def test_run_hands_the_cluster_to_the_program_s_children(cli: Run, tmp_path: Path) -> None:
    """A child that imports vcl finds the same cluster (DESIGN, decision 12)."""
    script(
        tmp_path,
        """
        import subprocess, sys
        source = "import vcl as cl; print(len(cl.get_platforms()[0].get_devices()))"
        subprocess.run([sys.executable, "-c", source], check=True)
        """,
    )
    assert cli("run", "program.py").stdout == "3\n"


def test_markup_in_a_device_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from vcl.cli import info

    odd = "cpu [bold red]x[/] [/nothing] [link=http://there]y"
    found = {"master": "ws://x", "platform": {"name": "VCL", "version": "3"},
             "devices": [{"name": odd, "vendor": odd, "type": 2, "max_compute_units": 1,
                          "global_mem_size": 1}],
             "nodes": [odd],
             "ways": [{"between": ("x", odd), "way": "direct", "reason": ""}]}  # fmt: skip
    monkeypatch.setattr(info, "gather", lambda master: found)
    assert info.render(None, as_json=False, everything=True).count(odd) == 4
    assert info.render(None, as_json=False, everything=False).count("[bold red]x[/]") == 3


# vcl doctor


def test_doctor_runs_a_kernel_on_each_device(cli: Run, cluster: vcl.LocalCluster) -> None:
    done = cli("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok    {cluster.url} has 2 devices on 2 nodes" in done.stdout
    for name in ("@ local0", "@ local1", "VCL cluster of 2 devices on 2 nodes"):
        assert f"{name}: a kernel ran there in " in done.stdout
    assert ": a kernel ran here in " in done.stdout, "natively"
    assert "wrong" not in done.stdout and cluster.token not in done.stdout


def test_doctor_names_what_is_wrong_and_what_to_do(cli: Run) -> None:
    done = cli("doctor", "--json", VCL_MASTER=nobody(), OCL_ICD_VENDORS="/nowhere", VCL_MASTR="x")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["state"] for each in found] == ["ok", "note", "note", "wrong"]
    assert "VCL_MASTER" in found[1]["advice"]
    assert "no OpenCL device" in found[2]["what"] and "pip install" in found[2]["advice"]
    assert "can't reach a vcl-master" in found[3]["what"]
