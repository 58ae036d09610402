"""Every code block of the documentation runs, and says what the page says that it says.

Owns: running them. Must not know: what the pages are about.

Of a page, blocks with a title are files of that name, which its `sh` blocks run or read; the other
`python` blocks are one program, in order, and the `sh` blocks are one script, in order. A `text`
block of the title `output` is what the block before it prints, with `...` for what differs.
"""

from __future__ import annotations

import ast
import doctest
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.docs import stand_in
from tests.docs.blocks import DOCS, FENCE, PAGES, ROOT, Block, blocks_of, included, read
from tests.processes import await_gone, environment

script_timeout_s = 80.0
BLOCKS = {page.stem: read(page) for page in PAGES}
LANGUAGES = {"python", "sh", "c", "text", "ini", "json"}
OUTPUT = "output"

# What stands for a host here: an address of loopback that is this process's own, so that tests
# which run at the same time don't meet at a port.
_high, _low = divmod(os.getpid(), 2**16)
OWN_ADDRESS = f"127.{1 + _high % 250}.{_low >> 8}.{_low & 255}"
SUBSTITUTIONS = {"192.0.2.1": OWN_ADDRESS}

# Prints what comes between two blocks, by which their outputs are told apart.
BETWEEN = "--- the next block of the page ---"
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def runs_in(blocks: Sequence[Block], language: str) -> list[Block]:
    """The blocks of a language that run one after another."""
    return [block for block in blocks if block.language == language and not block.title]


def outputs_in(blocks: Sequence[Block], language: str) -> list[tuple[Block, str | None]]:
    """The blocks that run, each with what it prints if the page says so."""
    following = dict(pairwise(blocks))
    found = []
    for block in runs_in(blocks, language):
        after = following.get(block)
        says = after is not None and after.title == OUTPUT
        found.append((block, after.text if says and after is not None else None))
    return found


def complaints(blocks: Sequence[Block], language: str, printed: str) -> list[str]:
    """Where a page says that a block prints something that it didn't print."""
    pieces = printed.split(BETWEEN + "\n")
    expected = outputs_in(blocks, language)
    assert len(pieces) == len(expected), printed
    checker = doctest.OutputChecker()
    return [
        f"{block.where} printed\n{piece}\nand the page says\n{says}"
        for (block, says), piece in zip(expected, pieces, strict=True)
        if says is not None and not checker.check_output(here(says), piece, OPTIONS)
    ]


def here(text: str) -> str:
    """What a page says, with this host in place of its hosts."""
    for theirs, ours in SUBSTITUTIONS.items():
        text = text.replace(theirs, ours)
    return text


def script(blocks: Sequence[Block]) -> str:
    """The `sh` blocks of a page as one bash script."""
    between = f"\necho {shlex.quote(BETWEEN)}\n"
    return "set -euo pipefail\n" + between.join(
        f": {shlex.quote(block.where)}\n{here(block.text)}" for block in runs_in(blocks, "sh")
    )


def program(blocks: Sequence[Block]) -> str:
    """The `python` blocks of a page as one program: a notebook's cells if one has a magic."""
    texts = [here(block.text) for block in runs_in(blocks, "python")]
    if not any(line.startswith("%") for text in texts for line in text.splitlines()):
        return f"\nprint({BETWEEN!r})\n".join(texts)
    return (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        f"for number, cell in enumerate({texts!r}):\n"
        f"    number and print({BETWEEN!r})\n"
        "    shell.run_cell(cell).raise_error()\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a page's blocks run; daemons that they started are ended."""
    programs = tmp_path / "programs"
    programs.mkdir()
    stand_in.install(programs, os.getpid())
    where = tmp_path / "here"
    where.mkdir()
    yield where
    noted = programs / "daemons"
    if not noted.exists():
        return
    daemons = []
    for line in noted.read_text(encoding="utf-8").split():
        try:
            daemons.append(psutil.Process(int(line)))
        except psutil.NoSuchProcess:
            continue
    for daemon in reversed(daemons):
        daemon.send_signal(signal.SIGTERM)
    await_gone(daemons, 30.0)


def run(command: Sequence[str], folder: Path) -> str:
    """What it prints; fails, with all that it said, where it fails."""
    own, variables = folder.parent / "programs", environment(PYOPENCL_NO_CACHE="1")
    paths = [str(own), str(Path(sys.executable).parent), variables["PATH"]]
    variables |= {
        "PATH": os.pathsep.join(paths),
        "XDG_STATE_HOME": str(folder.parent / "state"),
        "XDG_DATA_HOME": str(folder.parent / "data"),
        "IPYTHONDIR": str(folder.parent / "ipython"),
        "COLUMNS": "200",
    }
    result = subprocess.run(
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=script_timeout_s, check=False,
    )  # fmt: skip
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


def write_files(blocks: Sequence[Block], folder: Path) -> None:
    """Those that the page has the reader write."""
    for block in blocks:
        if block.title not in ("", OUTPUT):
            (folder / block.title).write_text(here(block.text), encoding="utf-8")


@pytest.mark.parametrize("page", [name for name, blocks in BLOCKS.items() if runs_in(blocks, "sh")])
def test_shell(page: str, folder: Path) -> None:
    blocks = BLOCKS[page]
    write_files(blocks, folder)
    printed = run(["bash", "-c", script(blocks)], folder)
    found = complaints(blocks, "sh", printed)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "page", [name for name, blocks in BLOCKS.items() if runs_in(blocks, "python")]
)
def test_python(page: str, folder: Path) -> None:
    blocks = BLOCKS[page]
    source = program(blocks)
    if "IPython" in source:
        pytest.importorskip("IPython")
    (folder / "page.py").write_text(source, encoding="utf-8")
    found = complaints(blocks, "python", run([sys.executable, "page.py"], folder))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", BLOCKS)
def test_blocks_are_of_a_kind_that_is_tested(page: str) -> None:
    for block in BLOCKS[page]:
        assert block.language in LANGUAGES, block.where
        if block.language == "c":
            assert block.title, f"{block.where} is run by nobody"
        if block.language in ("ini", "json", "text"):
            assert block.title in ("", OUTPUT), block.where


@pytest.mark.parametrize("page", BLOCKS)
def test_files_of_a_page_are_run_by_it(page: str) -> None:
    text = "".join(block.text for block in runs_in(BLOCKS[page], "sh"))
    for block in BLOCKS[page]:
        if block.title not in ("", OUTPUT):
            assert block.title in text.split(), f"{block.where}: no sh block has {block.title}"
            if block.language == "python":
                ast.parse(block.text)


@pytest.mark.parametrize("page", BLOCKS)
def test_data_and_units(page: str) -> None:
    units = [path.read_text(encoding="utf-8") for path in (ROOT / "deploy").iterdir()]
    for block in BLOCKS[page]:
        if block.language == "json":
            json.loads(block.text)
        if block.language == "ini":
            assert any(block.text in unit for unit in units), f"{block.where} isn't in deploy/"


def test_there_are_pages() -> None:
    assert {"index", "tutorial", "notebooks", "settings", "api", "splitting"} <= BLOCKS.keys()
    assert all(path.parent == DOCS for path in PAGES)


def test_no_page_is_indented_code() -> None:
    """Only fenced blocks are gathered, so a page has no others of its own."""
    for page in PAGES:
        lines = FENCE.sub("", page.read_text(encoding="utf-8")).splitlines()
        for before, line in pairwise(lines):
            assert before or not line.startswith("    "), f"{page.name}: {line}"


# That these tests can fail


def _page(text: str) -> list[Block]:
    return blocks_of("page.md", text)


def test_a_block_that_fails_is_seen(folder: Path) -> None:
    blocks = _page("```sh\nfalse\n```\n\n```python\nassert 1 == 2\n```\n")
    with pytest.raises(AssertionError):
        run(["bash", "-c", script(blocks)], folder)
    with pytest.raises(AssertionError, match="1 == 2"):
        run([sys.executable, "-c", program(blocks)], folder)


def test_another_output_is_seen(folder: Path) -> None:
    blocks = _page(
        "```sh\necho one\n```\n\n```sh\necho two 17 three\n```\n"
        '\n```text title="output"\ntwo ... three\n```\n'
    )
    printed = run(["bash", "-c", script(blocks)], folder)
    assert complaints(blocks, "sh", printed) == []
    (found,) = complaints(blocks, "sh", printed.replace("three", "four"))
    assert found.startswith("page.md, block at line 5 printed")


def test_cells_of_a_notebook_are_run(folder: Path) -> None:
    pytest.importorskip("IPython")
    bad = program(_page("```python\n%alias_magic t timeit\n1 / 0\n```\n"))
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run([sys.executable, "-c", bad], folder)


def test_a_daemon_that_does_not_start_is_seen(folder: Path) -> None:
    blocks = _page("```sh\nvcl-master --listen nowhere\n```\n")
    with pytest.raises(AssertionError, match="isn't HOST:PORT"):
        run(["bash", "-c", script(blocks)], folder)


def test_what_is_included_is_gathered() -> None:
    (block,) = _page(included('```ini\n--8<-- "deploy/vcl-agent.service"\n```\n'))
    assert block.text == (ROOT / "deploy/vcl-agent.service").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="no section"):
        included('--8<-- "README.md:nowhere"')
