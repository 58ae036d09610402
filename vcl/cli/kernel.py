"""`vcl kernel install`: a Jupyter kernel whose notebooks compute on the cluster.

Owns: the kernel's specification and where it is put. Must not know: Jupyter's modules, which may
not be in the Python that installs it; its clients read the file
(https://jupyter-client.readthedocs.io/en/stable/kernels.html).
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import platformdirs

from vcl.errors import ConnectionProblem
from vcl.text import how_to_install


def specification(display_name: str, master: str | None) -> dict[str, Any]:
    """What Jupyter is to start: Python's own kernel under `vcl run`, by this Python. master: of its
    notebooks; without it they have the environment's choice. A token is never in it."""
    command = [sys.executable, "-m", "vcl.cli.main", "run"]
    if master is not None:
        command += ["--master", master]
    return {
        "argv": [*command, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": display_name,
        "language": "python",
        "metadata": {"debugger": False},
    }


def install(name: str, display_name: str, master: str | None, prefix: Path | None) -> Path:
    """Write the specification; answers its folder. prefix: of an environment, without it the
    user's own. Raises OSError; ConnectionProblem if this Python has no kernel to start."""
    if importlib.util.find_spec("ipykernel") is None:
        raise ConnectionProblem(
            f"{sys.executable} has no ipykernel, which notebooks need: "
            f"{how_to_install('ipykernel')}"
        )
    share = prefix / "share" / "jupyter" if prefix else Path(platformdirs.user_data_dir("jupyter"))
    folder = share / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(specification(display_name, master), indent=1) + "\n"
    (folder / "kernel.json").write_text(text, encoding="utf-8")
    return folder
