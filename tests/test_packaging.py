"""The source distribution holds all that tests and documentation need, the wheel the packages, and
PyPI can show both.

Owns: building them, without a network, from a copy of the files. Must not know: what is required
(`test_dependencies`). Works in a checkout and in an unpacked source distribution.
"""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest
import readme_renderer.markdown

from tests.tidy_rules import PACKAGES

ROOT = Path(__file__).resolve().parents[1]

MADE_BY_SETUPTOOLS = {
    "PKG-INFO",
    "setup.cfg",
    "vcl.egg-info/PKG-INFO",
    "vcl.egg-info/SOURCES.txt",
    "vcl.egg-info/dependency_links.txt",
    "vcl.egg-info/entry_points.txt",
    "vcl.egg-info/requires.txt",
    "vcl.egg-info/top_level.txt",
}

LEFT_BY_RUNS = (
    "benchmarks/figures.json",
    "examples/picture.png",
    "tests/__pycache__/test_tidy.cpython-311.pyc",
    "vcl/__pycache__/text.cpython-311.pyc",
)

build_timeout_s = 240


def sources() -> set[str]:
    """The files that make up the project: what git has or would take, or, where there is no git,
    what the source distribution that this was unpacked from says."""
    if (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.split("\0")  # fmt: skip
    else:
        listing = (ROOT / "vcl.egg-info" / "SOURCES.txt").read_text(encoding="utf-8").splitlines()
    return {name for name in listing if (ROOT / name).is_file()} - MADE_BY_SETUPTOOLS


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel built from what is in that."""
    # Of a copy: what lies in the project's own folder would get in, or be listed anew.
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("built")
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    for name in LEFT_BY_RUNS:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, copy],
        capture_output=True, text=True, check=False, timeout=build_timeout_s,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def sdist(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in the source distribution, unpacked."""
    (path,) = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    (inner,) = folder.iterdir()
    return inner


@pytest.fixture(scope="module")
def wheel(built: Path) -> dict[str, bytes]:
    """The files in the wheel."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> Message:
    """What the wheel says of itself."""
    (text,) = (content for name, content in wheel.items() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(text)


def test_the_source_distribution_has_all_files(sdist: Path) -> None:
    held = {
        str(path.relative_to(sdist)): path.read_bytes()
        for path in sdist.rglob("*")
        if path.is_file()
    }
    assert held.keys() - MADE_BY_SETUPTOOLS == sources()
    changed = [name for name in sources() if held[name] != (ROOT / name).read_bytes()]
    assert not changed
    assert (sdist / ".ci" / "run").stat().st_mode & 0o100, "it is to be run"


def test_what_the_documentation_links_to_is_there(sdist: Path) -> None:
    pages = [path for path in sdist.rglob("*.md") if "egg-info" not in str(path)]
    assert sdist / "README.md" in pages
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if not target.startswith(("http://", "https://"))
    ]
    assert links
    assert [link for link in links if not (link[0].parent / link[1]).exists()] == []


def test_the_wheel_has_the_packages_and_nothing_else(wheel: dict[str, bytes]) -> None:
    packaged = {name for name in sources() if name.startswith(tuple(f"{p}/" for p in PACKAGES))}
    held = {name for name in wheel if not re.match(r"vcl-[^/]*\.dist-info/", name)}
    assert held == packaged
    assert [name for name in packaged if wheel[name] != (ROOT / name).read_bytes()] == []


def test_pypi_can_show_the_description(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload(decode=True).decode()
    page = readme_renderer.markdown.render(text)
    assert page is not None
    assert page.count("<table>") > 5
    targets = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert "https://documen.tician.de/pyopencl/" in targets
    dead = [target for target in targets if not target.startswith(("https://", "http://", "#"))]
    assert not dead, "on PyPI there is no file beside the description"
    assert "CONTRIBUTING.md has the developer's commands" in text
    assert not re.search(r"(?m)^!\[|\]\((?!#|https?:)", text)


def test_what_the_metadata_say(metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    minimum = metadata["Requires-Python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {minimum}" in metadata.get_all("Classifier")
