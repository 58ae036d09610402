"""Files that a program may include travel with its source: they're on the client's disk.

Owns: finding them, and taking -I out of the options. Must not know: what a source means. The
device's compiler does all preprocessing, on the files as they are, so what is found here must hold
at least what it will ask for, and may hold more: every name on a line that speaks of including
counts, also in comments and under a false `#if`.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Iterable
from typing import Any

from vcl.api.errors import fail
from vcl.errors import RemoteProtocolError
from vcl.wire.limits import source_bytes_max, source_files_max
from vcl.wire.units import GIVEN, check_unit, unit_bytes

_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*'|["'\\])+""", re.DOTALL)
_SPLICE = re.compile(r"\\[ \t\f\v]*\r?\n")
_COMMENT = re.compile(
    r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|//[^\n]*|/\*.*?\*/""", re.DOTALL
)
_SPEAKS = re.compile("include|import|define")
_INCLUDING = re.compile("include|import")
_NAME = re.compile(r'(?="([^"\n]+)"|<([^<>\n]+)>)')
_LITERAL = re.compile(r'"[^"\n]*"|<[^<>\n]*>')
_HASH = r"^[^\S\n]*(?:#|%:|\?\?=)[^\S\n]*"
_DIRECTIVE = re.compile(rf"{_HASH}(?:include\w*|import)\b[^\S\n]*([^\n]*)", re.MULTILINE)
_TEST = re.compile(r"__has_include\w*[^\S\n]*\([^\S\n]*([^)\n]*)")
_DEFINE = re.compile(rf"{_HASH}define[^\S\n]+(\w+)(\(?)([^\n]*)", re.MULTILINE)
macro_depth_max = 16


def make_unit(
    routine: str, source: str, options: str, given: dict[str, str] | None = None
) -> list[Any]:
    """A unit of a program, as `vcl.wire.units` describes it, of a source and its options.

    given: headers by name that aren't files. The current folder is searched before those of -I.
    Raises CallError when the files are too many or too long.
    """
    rest, folders = split_options(options)
    search = _Search(routine, folders, rest)
    for name, text in (given or {}).items():
        search.give(name, text)
    search.follow(source)
    unit = [source, rest, search.folders(), search.entries()]
    check_length(routine, [unit])
    try:
        check_unit(unit)
    except (RemoteProtocolError, UnicodeError) as error:
        fail(routine, "INVALID_VALUE", f"what the program includes can't be sent: {error}")
    return unit


def check_length(routine: str, units: list[list[Any]]) -> None:
    """Raise CallError if units are too long together."""
    length = sum(map(unit_bytes, units))
    if length > source_bytes_max:
        fail(
            routine,
            "INVALID_VALUE",
            f"{length} bytes of source and headers; a program may have at most {source_bytes_max}",
        )


def split_options(options: str) -> tuple[str, list[str]]:
    """(options without -I, in their own spelling; the folders of -I, in order)."""
    kept: list[str] = []
    folders: list[str] = []
    words = iter(_WORD.findall(options))
    for word in words:
        if not _unquoted(word).startswith("-I"):
            kept.append(word)
        elif folder := _unquoted(word)[2:] or _unquoted(next(words, "")):
            folders.append(folder)
        else:
            kept.append(word)  # the driver will say what it thinks of it
    return (" ".join(kept) if folders else options), folders


def _unquoted(word: str) -> str:
    return re.sub(r"""\\(.)|["']""", r"\1", word, flags=re.DOTALL)


class _Search:
    """The files that one source may include, found to be a closed set."""

    def __init__(self, routine: str, folders: list[str], options: str) -> None:
        self._routine = routine
        self._option_folders = list(map(_absolute, folders))
        self._folders = [_absolute("."), *self._option_folders]
        """Where names are searched, as they are spelled, which is how logs will name them."""
        self._used: set[str] = set()
        self._files: dict[str, bytes] = {}
        self._links: dict[str, str] = {}
        self._walked: set[str] = set()
        self._bytes = 0
        self._read_from: dict[tuple[str, str], None] = {}
        """(file, folder that it was found in) of all files read; folders without links in them."""
        self._tried: set[tuple[str, str]] = set()
        self._macros: dict[str, list[str]] = {}
        self._loose: dict[str, None] = {}
        """Names in the bodies of macros, which may bring them to an #include."""
        self._computed: dict[str, None] = {}
        """What #include says where it says no name."""
        words = iter(_WORD.findall(options))
        for word in words:
            if word[0] in "\"'" and word[-1] == word[0]:
                word = word[1:-1]
            if word.startswith("-D"):
                name, _, body = (word[2:] or next(words, "")).partition("=")
                # Drivers don't agree on quotes.
                bodies = [body, _unquoted(body), body.replace("\\", "")]
                literal = [text for text in bodies if _LITERAL.fullmatch(text)]
                self._macros.setdefault(_unquoted(name), []).append((literal or bodies)[0])
                self._loose |= dict.fromkeys(name for text in bodies for name in _names(text))

    def give(self, name: str, text: str) -> None:
        """A header that isn't a file."""
        path = posixpath.normpath(f"{GIVEN}/{name}")
        if not path.startswith(f"{GIVEN}/"):
            fail(self._routine, "INVALID_VALUE", f"a header can't have the name {name!r}")
        if GIVEN not in self._folders:
            self._folders.insert(0, GIVEN)
        self._add(path, text.encode("utf-8", "replace"))

    def follow(self, source: str) -> None:
        """Find what the source, and each file found, may include."""
        todo = [(path, posixpath.dirname(path)) for path in self._files]
        self._read_from |= dict.fromkeys(todo)
        todo += self._find(self._read(source), [])
        everything = False
        while True:
            while todo:
                path, folder = todo.pop()
                todo += self._find(self._read(self._files[path].decode("latin-1")), [folder])
            if not self._computed:
                return
            # A macro's name is searched from wherever its #include may stand.
            todo = self._find(self._loose, [folder for _, folder in self._read_from])
            if not todo:
                if everything or all(self._is_known(operand) for operand in self._computed):
                    return
                everything = True
                todo = self._find_all()

    def folders(self) -> list[str]:
        """The folders in which something was found, in their order."""
        return [folder for folder in dict.fromkeys(self._folders) if folder in self._used]

    def entries(self) -> list[list[Any]]:
        """The files, links and folders, as a unit has them."""
        entries: list[list[Any]] = [["file", path, data] for path, data in self._files.items()]
        entries += [["link", path, os.fsencode(to)] for path, to in self._links.items()]
        implied = {parent for _, path, _ in entries for parent in _parents(path)}
        implied |= {parent for path in self._walked for parent in _parents(path)}
        entries += [["folder", path, b""] for path in self._walked - implied]
        return sorted(entries, key=lambda entry: str(entry[1]))

    def _read(self, text: str) -> list[str]:
        """The names that a text includes; notes what it defines and computes."""
        text = _SPLICE.sub("", text)
        if not _SPEAKS.search(text):
            return []
        code = _COMMENT.sub(lambda match: match[1] or " ", text)
        names: dict[str, None] = {}
        for line in (*text.split("\n"), *code.split("\n")):
            if _INCLUDING.search(line):
                names |= dict.fromkeys(_names(line))
        for match in (*_DIRECTIVE.finditer(code), *_TEST.finditer(code)):
            if match[1][:1] not in ('"', "<"):
                self._computed[match[1].strip()] = None
        for match in _DEFINE.finditer(code):
            name, parameters, body = match.groups()
            self._loose |= dict.fromkeys(_names(body))
            self._macros.setdefault(name, []).append("" if parameters else body.strip())
        return list(names)

    def _is_known(self, operand: str, depth: int = 0) -> bool:
        """Whether all that an #include of this may name stands in the program literally."""
        if _LITERAL.fullmatch(operand):
            return True
        bodies = self._macros.get(operand, []) if depth < macro_depth_max else []
        return bool(bodies) and all(self._is_known(body, depth + 1) for body in bodies)

    def _find(self, names: Iterable[str], beside: list[str]) -> list[tuple[str, str]]:
        """(file, folder) of what these names may mean and wasn't read yet."""
        found = []
        for name in names:
            for folder in (*beside, *self._folders):
                if (folder, name) not in self._tried:
                    self._tried.add((folder, name))
                    if (file := self._take(folder, name)) and file not in self._read_from:
                        self._read_from[file] = None
                        found.append(file)
        return found

    def _find_all(self) -> list[tuple[str, str]]:
        """All text files of the folders of -I: an #include says what only a compiler can read."""
        found: list[tuple[str, str]] = []
        seen: set[str] = set()
        for top in self._option_folders:
            for folder, inner, names in os.walk(top, followlinks=True):
                seen.add(os.path.realpath(folder))
                inner[:] = sorted(
                    name for name in inner
                    if name[0] != "." and os.path.realpath(f"{folder}/{name}") not in seen
                )  # fmt: skip
                for name in sorted(names):
                    relative = os.path.relpath(f"{folder}/{name}", top)
                    file = self._take(top, relative, text_only=True)
                    if file and file not in self._read_from:
                        self._read_from[file] = None
                        found.append(file)
        return found

    def _take(
        self, folder: str, name: str, text_only: bool = False
    ) -> tuple[str, str] | None:
        """(path, folder) of the file of this name, without links; None if there is none."""
        spelled = posixpath.join(folder, name)
        if spelled.startswith(f"{GIVEN}/"):
            path = posixpath.normpath(spelled)
            if path not in self._files:
                return None
            self._used.add(folder)
            return path, posixpath.dirname(path)
        walk = _Walk()
        try:
            if not stat.S_ISREG(os.stat(spelled).st_mode):
                return None
            above = walk.go("", posixpath.dirname(spelled))
            path = walk.go(above, posixpath.basename(spelled))
            if path not in self._files:
                with open(path, "rb") as file:
                    data = file.read(source_bytes_max + 1)
                if text_only and b"\0" in data:
                    return None
                self._add(path, data)
        except (OSError, ValueError):
            return None  # then it isn't there for a compiler either, which will say so
        self._used.add(folder)
        self._links |= walk.links
        self._walked |= walk.folders
        return path, above or "/"

    def _add(self, path: str, data: bytes) -> None:
        self._files[path] = data
        self._bytes += len(data)
        if len(self._files) > source_files_max or self._bytes > source_bytes_max:
            fail(
                self._routine,
                "INVALID_VALUE",
                f"the program may include more than {source_files_max} files or {source_bytes_max} "
                f"bytes, {path} among them; give -I narrower folders, or in #include the name of "
                "the file itself where a macro has it",
            )


class _Walk:
    """The links and folders on the way to a file."""

    def __init__(self) -> None:
        self.links: dict[str, str] = {}
        self.folders: set[str] = set()

    def go(self, real: str, path: str) -> str:
        """Where a path leads from a folder without links; raises OSError if nowhere."""
        for name in path.split("/"):
            if name == "..":
                real = posixpath.dirname(real).rstrip("/")
            elif name not in ("", "."):
                real = f"{real}/{name}"
                if stat.S_ISLNK(os.lstat(real).st_mode):
                    self.links[real] = os.path.realpath(real)
                    real = self.links[real].rstrip("/")
                if os.path.isdir(real):
                    self.folders.add(real)
        return real


def _absolute(folder: str) -> str:
    try:
        path = os.path.join(os.getcwd(), folder)
    except OSError:
        path = f"/{folder}"  # the current folder is gone
    # After a link ".." doesn't lead back.
    return os.path.realpath(path) if ".." in path.split("/") else os.path.abspath(path)


def _names(line: str) -> list[str]:
    return [quoted or bracketed for quoted, bracketed in _NAME.findall(line)]


def _parents(path: str) -> Iterable[str]:
    while len(path) > 1:
        path = posixpath.dirname(path)
        yield path
