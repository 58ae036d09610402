"""Programs out of a package's files, as it would build them.

Owns: which texts are programs, and what is put with them: files that they include, what the host
puts before them. Must not know: what they mean.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from benchmarks.coverage.packages import Package

KERNEL = re.compile(r"\b(?:__)?kernel\s+(?:__attribute__\s*\(\(.*?\)\)\s*)?void\b", re.DOTALL)
"""What a text has in it that has kernels."""

_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[\"<]([^\">]+)[\">]", re.MULTILINE)
_CLIJ_IMAGE = re.compile(r"\bIMAGE_(\w+?)_TYPE\b")


class Source(NamedTuple):
    """where: for people. unit: as `vcl.wire.units` has it."""

    where: str
    unit: list[Any]


def sources(
    package: Package, files: Mapping[str, bytes], headers: Mapping[str, bytes]
) -> Iterator[Source]:
    """The programs of a package, each from one file or string.

    files: by absolute path; headers: that it may include besides.
    """
    seen = set()
    for path in sorted(files):
        if path.endswith(".py"):
            found = list(_strings(path, files[path]))
        elif path.endswith(".cl"):
            found = [(path, files[path].decode("utf-8", "replace"))]
        else:
            continue
        for where, text in found:
            if KERNEL.search(text) and text not in seen:
                seen.add(text)
                if package.clij:
                    text = _clij(files, path, text)
                yield source(where.lstrip("/"), text, {**headers, **files}, beside=path)


def source(where: str, text: str, files: Mapping[str, bytes], beside: str = "/") -> Source:
    """A program, with those of the files that it includes. beside: the file that it stands in."""
    included = _included(files, text)
    folders = [beside.rpartition("/")[0]] if beside != "/" else []
    for name in _INCLUDE.findall(text + "".join(files[p].decode("latin-1") for p in included)):
        folders += [p.removesuffix("/" + name) for p in included if p.endswith("/" + name)]
    unit = [text, "", list(dict.fromkeys(folders)), [["file", p, files[p]] for p in included]]
    return Source(where, unit)


def _strings(path: str, data: bytes) -> Iterator[tuple[str, str]]:
    """The strings of a Python file that aren't documentation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of escapes in others' strings
        try:
            module = ast.parse(data)
        except SyntaxError:  # of a template, or an older Python: nothing can be told of it
            return
    documentation = {id(n.value) for n in ast.walk(module) if isinstance(n, ast.Expr)}
    inside = {
        id(part) for n in ast.walk(module) if isinstance(n, ast.JoinedStr) for part in n.values
    }
    for node in ast.walk(module):
        if id(node) in documentation or id(node) in inside:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield f"{path}:{node.lineno}", node.value


def _included(files: Mapping[str, bytes], text: str) -> list[str]:
    """The files that a text may include, and those that they may."""
    found: set[str] = set()
    waiting = [text]
    while waiting:
        for name in _INCLUDE.findall(waiting.pop()):
            end = "/" + name.rpartition("/")[2]
            for path in files:
                if path.endswith(end) and path not in found:
                    found.add(path)
                    waiting.append(files[path].decode("latin-1"))
    return sorted(found)


def _clij(files: Mapping[str, bytes], path: str, text: str) -> str:
    """With what CLIJ's hosts put before it, for buffers of float."""
    (preamble,) = (files[p] for p in files if p.endswith("/_tier0/preamble.cl"))
    return "\n".join([_macros(text, 2 if "_2d" in path else 3), preamble.decode(), text])


def _macros(text: str, dimensions: int) -> str:
    lines = [
        "#define MAX_ARRAY_SIZE 1000",
        *(f"#define GET_IMAGE_{what}(key) image_size_ ## key ## _{what.lower()}"
          for what in ("WIDTH", "HEIGHT", "DEPTH")),
    ]  # fmt: skip
    point, position = ("int2", "(pos0, pos1)") if dimensions == 2 else (
        "int4", "(pos0, pos1, pos2, 0)"
    )  # fmt: skip
    sizes = "GET_IMAGE_WIDTH(a),GET_IMAGE_HEIGHT(a),GET_IMAGE_DEPTH(a),a,b,c"
    for key in dict.fromkeys(_CLIJ_IMAGE.findall(text)):
        size = ", ".join(f"int image_size_{key}_{w}" for w in ("width", "height", "depth"))
        lines += [
            f"#define CONVERT_{key}_PIXEL_TYPE clij_convert_float_sat",
            f"#define IMAGE_{key}_PIXEL_TYPE float",
            f"#define POS_{key}_TYPE {point}",
            f"#define POS_{key}_INSTANCE(pos0,pos1,pos2,pos3) ({point}){position}",
            f"#define IMAGE_{key}_TYPE {size}, __global float*",
            f"#define READ_{key}_IMAGE(a,b,c) read_buffer{dimensions}df({sizes})",
            f"#define WRITE_{key}_IMAGE(a,b,c) write_buffer{dimensions}df({sizes})",
        ]
    return "\n".join(lines)
