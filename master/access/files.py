"""The files that travel with a source, as a compiler on a node finds them.

Owns: which file an #include names. Must not know: what is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcl.wire.units import real_path


class Files:
    """The folders of -I and the files of one unit, as `vcl.wire.units` has them."""

    def __init__(self, folders: Sequence[str] = (), files: Sequence[list[Any]] = ()) -> None:
        self._search = folders
        self._texts = {path: data for kind, path, data in files if kind == "file"}
        self._links = {path: to.decode() for kind, path, to in files if kind == "link"}
        self._folders = {path for kind, path, _ in files if kind == "folder"}
        for path in [*self._texts, *self._links, *self._folders]:
            while path:
                path = path.rpartition("/")[0]
                self._folders.add(path)

    def text(self, path: str) -> str:
        """Of a file; what isn't ASCII is one character a byte, whatever it means."""
        data: bytes = self._texts[path]
        return data.decode("latin-1")

    def find(self, name: str, beside: str | None) -> tuple[str, str] | None:
        """(path, folder that its own includes are relative to), or None if it isn't here.

        beside: the folder to search first, None for #include <> and in the source itself.
        """
        for folder in [name[:1]] if name[:1] == "/" else [beside, *self._search]:
            if folder is None:
                continue
            above, _, last = name.rpartition("/")
            above_real = real_path(f"{folder}/{above}", self._links, self._folders)
            if above_real is None or last in ("", ".", ".."):
                continue
            path = real_path(f"{above_real}/{last}", self._links, self._folders)
            if path is not None and path in self._texts:
                return path, above_real
        return None
