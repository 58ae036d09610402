"""Units of a program as they travel: a source, its options, and the client's files around it.

Owns: the shape of a unit, its limits, and the rules of its paths. Must not know: how a client
finds files, or where a node writes them.

A unit is [source, options, folders, files]. `folders` are those of -I, in order, as they are on
the client; they aren't in `options`. `files` are [kind, path, content] each: ["file", path,
bytes], ["folder", path, b""], or ["link", path, target encoded] for a symbolic link. All paths are
the client's, absolute and normalised; those of files have no link on the way.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.wire.limits import path_bytes_max, source_bytes_max, source_files_max, source_folders_max

GIVEN = "/.vcl/given"
"""A folder that no client has: headers that a program gives by name (clCompileProgram)."""

_PATH = re.compile(r"/|(?:/(?!\.\.?(?:/|\Z))[^/\0]+)+")
_KINDS = ("file", "folder", "link")
_links_max = 64


def is_path(text: Any) -> bool:
    """Whether this is an absolute, normalised path that can be made below another folder."""
    if type(text) is not str:
        return False
    try:
        size = len(text.encode())
    except UnicodeError:
        return False
    return size <= path_bytes_max and _PATH.fullmatch(text) is not None


def _is_file(entry: Any) -> bool:
    if type(entry) is not list or len(entry) != 3 or entry[0] not in _KINDS:
        return False
    kind, path, content = entry
    if type(content) is not bytes or not is_path(path) or path == "/":
        return False
    if kind == "link":
        try:
            return is_path(content.decode())
        except UnicodeError:
            return False
    return kind == "file" or not content


def check_unit(unit: Any) -> None:
    """Raise RemoteProtocolError unless this is a unit as this module describes."""
    good = (
        type(unit) is list
        and len(unit) == 4
        and type(unit[0]) is str
        and type(unit[1]) is str
        and type(unit[2]) is list
        and len(unit[2]) <= source_folders_max
        and all(map(is_path, unit[2]))
        and type(unit[3]) is list
        and len(unit[3]) <= source_files_max
    )
    if not good:
        raise RemoteProtocolError("a unit of a program is [source, options, folders, files]")
    for entry in unit[3]:
        if not _is_file(entry):
            raise RemoteProtocolError("malformed file of a program: its kind, path or contents")
    if len({entry[1] for entry in unit[3]}) != len(unit[3]):
        raise RemoteProtocolError("two files of a program have the same path")
    if unit_bytes(unit) > source_bytes_max:
        raise RemoteProtocolError(f"a program is longer than {source_bytes_max} bytes")


def unit_bytes(unit: list[Any]) -> int:
    """How much a unit counts towards source_bytes_max."""
    source, options, folders, files = unit
    texts = len(source) + len(options) + sum(map(len, folders))
    return texts + sum(len(path) + len(content) for _, path, content in files)


def real_path(
    path: str, links: Mapping[str, str], folders: Container[str] | None = None
) -> str | None:
    """Where an absolute path with links and ".." in it leads; None if nowhere.

    folders: all that there are ("" for the uppermost), where it matters that a path goes through
    no others.
    """
    todo, real, followed = path.split("/")[::-1], "", 0
    while todo:
        name = todo.pop()
        if name not in ("", ".") and folders is not None and real not in folders:
            return None
        if name == "..":
            real = real.rpartition("/")[0]
        elif name not in ("", "."):
            real = f"{real}/{name}"
            if real in links:
                followed += 1
                if followed > _links_max:
                    return None
                todo += links[real].split("/")[::-1]
                real = ""
    return real or "/"
