"""What pip brings for tests: source distributions and wheels, unpacked once per user.

Owns: running pip, telling an index that can't be reached from what can't be had, and what is kept.
Must not know: which tests run.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

pip_timeout_s = 600.0


class Unreachable(Exception):
    """The package index can't be reached; the text is what pip said."""


class Unavailable(Exception):
    """What was asked for can't be had; the text says what."""


def pip(*arguments: str, python: str = sys.executable) -> str:
    """Run pip: its standard output. Raises Unreachable or Unavailable."""
    done = subprocess.run(
        [python, "-m", "pip", "--retries", "2", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=pip_timeout_s,
        check=False,
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        text = f"pip {' '.join(arguments)}: {' '.join(errors)[-600:] or done.stderr[-600:]}"
        raise Unreachable(text) if is_unreachable(done.stderr) else Unavailable(text)
    return done.stdout


def is_unreachable(errors: str) -> bool:
    """Whether pip's errors say that no connection to an index came about at all."""
    broken = re.search(r"after connection broken by '(NewConnection|ConnectTimeout|Name)", errors)
    return broken is not None and "from versions: none" in errors


def source(name: str, version: str, kept_in: str) -> Path:
    """The unpacked source distribution; fetched once into that folder of the user's cache."""

    def unpack(folder: Path) -> Path:
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            # Python before 3.11.4 has no filters.
            tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            tar.extractall(folder)
        (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
        return unpacked

    return _kept(name, version, kept_in, "--no-binary", unpack)


def wheel(name: str, version: str, kept_in: str) -> Path:
    """The same of a wheel for this host, which isn't installed anywhere."""

    def unpack(folder: Path) -> Path:
        (archive,) = folder.glob("*.whl")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder / "unpacked")
        return folder / "unpacked"

    return _kept(name, version, kept_in, "--only-binary", unpack)


def _kept(
    name: str, version: str, kept_in: str, option: str, unpack: Callable[[Path], Path]
) -> Path:
    folder = Path(platformdirs.user_cache_path("vcl")) / kept_in
    kept = folder / f"{name}-{version}"
    if not kept.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            options = ("--quiet", "--no-deps", option, name, "--dest", temporary)
            pip("download", *options, f"{name}=={version}")
            unpacked = unpack(Path(temporary))
            try:
                unpacked.rename(kept)
            except OSError:
                if not kept.is_dir():  # another run may have been faster
                    raise
    return kept
