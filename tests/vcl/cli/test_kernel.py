"""`vcl kernel install`: what is written, and that a notebook's kernel computes on the cluster."""

from __future__ import annotations

import importlib.machinery
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import vcl
from tests.processes import environment, run
from vcl.cli import kernel as subject
from vcl.cli.main import app
from vcl.errors import ConnectionProblem

# In place of ipykernel's, which isn't always there: says what pyopencl is, and how it was called.
LAUNCHER = """
import sys
import pyopencl as cl
print(cl.get_platforms()[0].name, *sys.argv[1:])
"""


@pytest.fixture
def has_ipykernel(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.machinery.ModuleSpec("ipykernel", None)
    monkeypatch.setattr(subject.importlib.util, "find_spec", lambda name: spec)


def test_a_notebook_s_kernel_computes_on_the_cluster(
    cluster: vcl.LocalCluster, tmp_path: Path, has_ipykernel: None
) -> None:
    folder = subject.install("mine", "Mine", cluster.url, tmp_path / "prefix")
    assert folder == tmp_path / "prefix/share/jupyter/kernels/mine"
    found = json.loads((folder / "kernel.json").read_text())
    assert (found["display_name"], found["language"]) == ("Mine", "python")
    (tmp_path / "ipykernel_launcher.py").write_text(LAUNCHER)
    python, *arguments = [a.replace("{connection_file}", "c.json") for a in found["argv"]]
    assert python == sys.executable
    done = run(arguments, environment(VCL_TOKEN=cluster.token), tmp_path)
    assert done.stdout.split() == ["VCL", "-f", "c.json"], done.stderr


def test_it_is_the_user_s_and_has_the_environment_s_cluster(
    tmp_path: Path, has_ipykernel: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject.platformdirs, "user_data_dir", lambda name: str(tmp_path / name))
    shown = CliRunner().invoke(app, ["kernel", "install"], env={"VCL_MASTER": "ws://no:1"})
    assert shown.exit_code == 0, shown.output
    found = json.loads((tmp_path / "jupyter/kernels/vcl/kernel.json").read_text())
    assert "--master" not in found["argv"] and "ws://no:1" not in str(found)


def test_a_python_without_a_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subject.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConnectionProblem, match="pip install ipykernel"):
        subject.install("vcl", "x", None, tmp_path)
    shown = CliRunner().invoke(app, ["kernel", "install", "--prefix", str(tmp_path)])
    assert shown.exit_code == 1 and len(shown.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
