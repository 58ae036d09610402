"""Files that travel with a source, below a folder of this host, where its compiler finds them.

Owns: that folder, and translating between the client's paths and its own. Must not know: OpenCL.

The folder is named by what it holds, so that the same program has the same options and text each
time: the driver's cache of compiled kernels keys on them. In it, `tree` mirrors the client's
absolute paths, so that relative includes mean what they mean there; and 0, 1, ... are links to the
folders of -I, since drivers don't take every character in an option. Nothing is written through a
link, and no other file of this host is in reach of what a program includes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import platformdirs

from vcl.wire.frame import pack_value
from vcl.wire.units import GIVEN, check_unit, real_path

folders_kept_max = 64
unused_min_s = 600.0
"""A folder used more lately than this is never removed: another executor may be building."""

_INCLUDE = re.compile(
    rb"""((?:^|\n)(?:[^\S\n]|/\*[^\n]*?\*/)*(?:\#|%:|\?\?=)(?:[^\S\n]|/\*[^\n]*?\*/)*
    (?:include(?:_next)?|import)(?:[^\S\n]|/\*[^\n]*?\*/)*["<])(?=/)
    |(__has_include(?:_next)?[^\S\n]*\([^\S\n]*["<])(?=/)""",
    re.VERBOSE,
)
_DEFINE = re.compile(rb"(?:^|\n)[^\S\n]*(?:#|%:|\?\?=)[^\S\n]*define[^\n]*")
_QUOTED = re.compile(rb'(?<=["<])(/[^"<>\n]+)(?=[">])')


class Includes:
    """What one unit is built with in place of its own source and options."""

    def __init__(self, unit: list[Any], cache: Path | None = None) -> None:
        """Raises RemoteProtocolError if this is no unit, OSError if the folder can't be made."""
        check_unit(unit)
        self.source: str
        self.options: str
        self.source, self.options, folders, files = unit
        self._shown: list[tuple[str, str]] = []
        if not folders and not files:
            return
        above = cache or Path(platformdirs.user_cache_dir("vcl")) / "includes"
        root = above / hashlib.sha256(pack_value([folders, files])).hexdigest()[:32]
        self._tree = f"{root}/tree"
        self._links = {path: to.decode() for kind, path, to in files if kind == "link"}
        self._files = {path for kind, path, _ in files if kind == "file"}
        texts = {f"tree{path}": self._below(data) for kind, path, data in files if kind == "file"}
        links = {f"tree{path}": f"{self._tree}{to}" for path, to in self._links.items()}
        links |= {str(i): f"{self._tree}{folder}" for i, folder in enumerate(folders)}
        empty = [f"tree{path}" for kind, path, _ in files if kind == "folder"]
        if not _is_whole(root, texts, links, empty):
            _write(root, texts, links, empty)
        os.utime(root)
        _remove_oldest(above)
        encoded = self._below(self.source.encode("utf-8", "surrogatepass"))
        self.source = encoded.decode("utf-8", "surrogatepass")
        self.options = self._quoted_below(self.options.encode("utf-8", "replace")).decode()
        for number, folder in enumerate(folders):
            self.options += f" -I {root}/{number}"
            shown = "" if folder == GIVEN else f"{folder.rstrip('/')}/"
            self._shown.append((f"{root}/{number}/", shown))
        self._shown += [(f"{self._tree}{GIVEN}/", ""), (f"{self._tree}/", "/")]

    def users_own(self, text: str) -> str:
        """A log or message with the client's paths in place of this host's."""
        for ours, theirs in self._shown:
            text = text.replace(ours, theirs)
        return text

    def _below(self, text: bytes) -> bytes:
        """Absolute includes lead below the folder, too."""
        tree = self._tree.encode()
        text = _INCLUDE.sub(lambda match: match[0] + tree, text)
        return _DEFINE.sub(lambda match: self._quoted_below(match[0]), text)

    def _quoted_below(self, text: bytes) -> bytes:
        """The same where a macro has the name: if that is the name of a file that came along."""

        def replace(match: re.Match[bytes]) -> bytes:
            path = real_path(match[0].decode("utf-8", "replace"), self._links)
            return self._tree.encode() + match[0] if path in self._files else match[0]

        return _QUOTED.sub(replace, text)


def _write(
    root: Path, texts: dict[str, bytes], links: dict[str, str], empty: Iterable[str]
) -> None:
    root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=root.parent))
    try:
        for path in empty:
            (fresh / path).mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            with open(fresh / path, "xb") as file:
                file.write(text)
        # Last, so that nothing is made by way of one.
        for path, target in links.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(target, fresh / path)
        try:
            os.rename(fresh, root)
        except OSError:
            if not _is_whole(root, texts, links, empty):  # else another executor was first
                # A cleaner of caches has been there.
                os.rename(root, f"{fresh}/old")
                os.rename(fresh, root)
                shutil.rmtree(root / "old", ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _is_whole(
    root: Path, texts: dict[str, bytes], links: dict[str, str], empty: Iterable[str]
) -> bool:
    try:
        return (
            all((root / path).read_bytes() == text for path, text in texts.items())
            and all(os.readlink(root / path) == target for path, target in links.items())
            and all((root / path).is_dir() for path in empty)
        )
    except OSError:
        return False


def _remove_oldest(above: Path) -> None:
    """Keep the number of folders within bounds."""
    now = time.time()
    found = []
    with os.scandir(above) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found.append((entry.stat(follow_symlinks=False).st_mtime, entry.path))
    for used, path in sorted(found)[:-folders_kept_max]:
        if now - used > unused_min_s:
            shutil.rmtree(path, ignore_errors=True)
