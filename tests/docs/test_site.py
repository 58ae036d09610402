"""The site builds, asks nothing of the network, and quotes texts that the code has.

Owns: checks of the built pages, and of the texts that troubleshooting.md quotes. Must not know: how
blocks are run (`test_blocks`).
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, PAGES, ROOT

build_timeout_s = 80.0
LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?([^\"\s>]+)|"
                    r"<link\b(?=[^>]*\brel=\"?(?:stylesheet|preload|preconnect|icon))"
                    r"[^>]*\bhref=\"?([^\"\s>]+)")  # fmt: skip


def loaded_from_elsewhere(page: str) -> list[str]:
    """What a browser would fetch from another host to show a page."""
    found = [one or other for one, other in LOADED.findall(page)]
    return [url for url in found if re.match(r"(?:\w+:)?//", url)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)], cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        timeout=build_timeout_s, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder


def test_site(site: Path) -> None:
    for page in PAGES:
        text = (site / f"{page.stem}.html").read_text(encoding="utf-8")
        assert loaded_from_elsewhere(text) == [], page.name
        assert "--8&lt;--" not in text, f"{page.name} has a mark of a section"
    api = (site / "api.html").read_text(encoding="utf-8")
    for name in ("connect", "cluster", "LocalCluster", "launch_report", "access", "neighborhood"):
        assert f'id="vcl.{name}"' in api, name
    assert 'id="vcl.losses.NodeLost"' in api
    assert (site / "search" / "search_index.json").stat().st_size > 10_000
    assert list((site / "assets" / "javascripts").glob("bundle.*.js"))


@pytest.mark.parametrize(
    "bad",
    [
        '<script src="https://example.org/x.js"></script>',
        '<link rel="stylesheet" href="https://example.org/x.css">',
        "<img alt=x src=//example.org/x.png>",
    ],
)
def test_what_is_loaded_from_elsewhere_is_seen(bad: str) -> None:
    assert len(loaded_from_elsewhere(bad)) == 1
    assert loaded_from_elsewhere('<a href="https://example.org/">x</a><img src="x.svg">') == []


# Texts of errors


def texts_of_code(paths: Iterable[Path]) -> Iterator[str]:
    """All texts in modules; what f-strings fill in is a blank."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "\0"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def quoted(page: str) -> list[str]:
    """The texts that headings and first columns of tables quote, in pieces of some length."""
    lines = [line for line in page.splitlines() if line.startswith(("### `", "| `", "### The"))]
    spans = [
        span
        for line in lines
        for span in re.findall(r"`([^`]+)`", line.split("|")[1] if line[0] == "|" else line)
    ]
    return [piece.strip(" '[]():;") for span in spans for piece in re.split(r"\.\.\.|\d+", span)]


def unknown(pieces: Iterable[str], texts: Iterable[str]) -> list[str]:
    """The pieces that are in no text; names of classes, as of warnings, aren't texts."""
    whole = "\n".join(texts).replace("{}", "\0")
    said = [piece for piece in pieces if len(piece) > 5 and not piece.isidentifier()]
    return [piece for piece in said if piece not in whole]


def test_troubleshooting_quotes_what_the_code_says() -> None:
    paths = [path for top in ("vcl", "master", "node_agent") for path in (ROOT / top).rglob("*.py")]
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    pieces = quoted(page)
    assert len(pieces) > 30
    assert unknown(pieces, texts_of_code(paths)) == []


def test_a_text_that_the_code_does_not_say_is_seen() -> None:
    pieces = quoted("### `the master is tired: ...`\n| `too small to pay` | no |\n")
    assert unknown(pieces, ["too small to pay"]) == ["the master is tired"]
