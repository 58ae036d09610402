"""Rewrites a program so that a kernel that runs as a part sees the whole launch.

Owns: which functions need to be told of the launch, and the changes to the text. Must not know:
launches (`master.access.hidden` makes the argument's value), devices, or what a part may touch.

A part runs with a global offset and a smaller global size, which five work-item functions show.
Each function of the program that calls one of them, or calls one that does, gets a parameter more:
a struct by value, whose fields `master.access.hidden` tells. Its calls pass the struct on, and
calls of those five become calls of functions that take it too and stand in front of the program.
Only names, parameter lists and argument lists change, and nothing is put on a line of its own, so
that each line of the text stays where it is.

What is the same in a part is left alone: get_global_id, which counts from the global offset
(OpenCL C 3.0, section 6.15.1), and all that is about one work-group.

The changes stand where the parser saw declarations and calls, so a variable or field of the same
name is none of them. Every other place where such a name could be one is refused, and so is all
that the parser and this module might understand differently. In a function that isn't read no
calls are seen: it stays as it is, if none of the names that matter stands anywhere in its text
(which has no macros, so that what isn't named there isn't called there).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from master.access.analyser.places import PlacedCall, PlacedFunction, Places
from master.access.analyser.text import QUOTED, Unreadable, checked_text
from master.access.hidden import DIMENSIONS, FIELDS


@dataclass(frozen=True, slots=True)
class Rewritten:
    text: str
    """To be compiled with the options of the build, but without their macros and folders."""
    hidden: Mapping[str, int | None]
    """Of each kernel the index of its hidden argument: the number of the user's; None without one.

    To the user that argument doesn't exist: clGetKernelInfo's CL_KERNEL_NUM_ARGS is the index,
    and clGetKernelArgInfo and clSetKernelArg of it are CL_INVALID_ARG_INDEX. The device counts it
    among CL_DEVICE_MAX_PARAMETER_SIZE.
    """


_STRUCT, _LAUNCH = "__vcl_Launch", "__vcl_launch"
"""The hidden parameter's type and name: `checked_text` refuses programs that have such names."""

# A dimension from DIMENSIONS on isn't one, and drivers don't agree on what they say of it.
_BODIES = {
    "get_group_id": ("uint d", "get_group_id(d) + (d < {n} ? {launch}.group_start[d] : 0)"),
    "get_num_groups": ("uint d", "d < {n} ? {launch}.group_counts[d] : get_num_groups(d)"),
    "get_global_size": ("uint d", "d < {n} ? {launch}.global_size[d] : get_global_size(d)"),
    "get_global_offset": ("uint d", "d < {n} ? {launch}.global_offset[d] : get_global_offset(d)"),
    "get_global_linear_id": (
        "",
        "((get_global_id(2) - {launch}.global_offset[2]) * {launch}.global_size[1]"
        " + get_global_id(1) - {launch}.global_offset[1]) * {launch}.global_size[0]"
        " + get_global_id(0) - {launch}.global_offset[0]",
    ),
}
"""Of each function that a part changes its parameter and the value that the whole launch has."""

_SAME_IN_A_PART = frozenset(
    "get_global_id get_local_id get_local_size get_enqueued_local_size get_work_dim"
    " get_local_linear_id".split()
)
_UNKNOWN = re.compile(r"get_(?!image_)\w+|\w*sub_group\w*|\w*ndrange\w*|enqueue_\w+")
"""Builtins that may depend on the launch or the device, unless they are listed above."""


def rewrite(text: str, places: Places) -> Rewritten:
    """Rewrite an expanded program.

    places: what `frontend.Parsed` tells of `text`, for devices of the address width that the
    argument's value will have. Raises Unreadable.
    """
    return _Rewrite(text, places).rewritten()


class _Rewrite:
    """Of one program: gathers changes, each of a span of the source to other bytes."""

    def __init__(self, text: str, places: Places) -> None:
        self._text = text
        self._places = places
        self._bodies = {f.name: f for f in places.functions if f.has_body}
        self._source, self._lines = checked_text(text)
        self._needing = _needing(self._bodies.keys(), places.calls)
        self._changes: list[tuple[int, int, str]] = []
        self._placed: set[int] = set()
        """Offsets of all names that are declarations or calls."""

    def rewritten(self) -> Rewritten:
        self._refuse_unknown()
        self._refuse_unread()
        hidden = {
            f.name: f.parameters if f.name in self._needing else None
            for f in self._bodies.values()
            if f.is_kernel
        }
        if not self._needing:
            return Rewritten(self._text, hidden)
        self._refuse_replaced()
        digest = hashlib.sha256(self._source).hexdigest()[:16]
        for placed in self._places.functions:
            self._placed.add(placed.offset)
            if placed.name in self._needing:
                self._declaration(placed)
        for call in self._places.calls:
            self._placed.add(call.offset)
            if call.function in self._needing:
                self._call(call, digest)
        self._refuse_unplaced()
        front = self._front()
        self._changes.append((front, front, self._in_front(digest)))
        return Rewritten(self._changed(), hidden)

    def _refuse_unknown(self) -> None:
        known = _SAME_IN_A_PART | _BODIES.keys() | self._bodies.keys()
        for call in self._places.calls:
            if call.function not in known and _UNKNOWN.fullmatch(call.function):
                why = f"what {call.function}() says in a part of a launch is not known"
                raise self._lines.unreadable(call.offset, why)
        called = {call.function for call in self._places.calls}
        for placed in self._places.functions:
            if placed.name in called - self._bodies.keys():
                raise self._lines.unreadable(placed.offset, f"{placed.name}() has no body here")

    def _refuse_unread(self) -> None:
        """What isn't read may stay as it is only if it has nothing to do with any change."""
        known = _SAME_IN_A_PART | self._bodies.keys()
        bodiless = {f.name for f in self._places.functions} - self._bodies.keys()
        matter = self._needing | _BODIES.keys() | bodiless
        for one in self._places.unread:
            for match in _NAME.finditer(self._source, one.start, one.end):
                name = match[0].decode()
                if name in matter or (name not in known and _UNKNOWN.fullmatch(name)):
                    raise Unreadable(one.line, one.reason)

    def _refuse_replaced(self) -> None:
        """What stands in front of the program means the builtins."""
        taken = {one.name: one.line for one in self._places.variables}
        taken |= {f.name: f.line for f in self._places.functions}
        for name in sorted(taken.keys() & (_SAME_IN_A_PART | _BODIES.keys())):
            raise Unreadable(taken[name], f"{name} is the program's own, beside other builtins")

    def _declaration(self, placed: PlacedFunction) -> None:
        name = placed.name
        refused = self._lines.unreadable(placed.offset, f"{name}() is declared in an unusual way")
        end = placed.offset + len(name)
        opening = _blank_end(self._source, end)
        if self._source[placed.offset : end] != name.encode() or not self._is(b"(", opening):
            raise refused
        close = _closing(self._source, opening)
        after = _blank_end(self._source, close + 1)
        while attribute := _ATTRIBUTE.match(self._source, after):
            after = _blank_end(self._source, _closing(self._source, attribute.end() - 1) + 1)
        if self._source[after : after + 1] not in (b"{", b";", b","):
            raise refused  # parameters whose types stand behind the list
        start = _blank_end(self._source, opening + 1)
        empty = _blank_end(self._source, start + 4 * self._is(b"void", start)) == close
        if empty != (not placed.parameters):
            raise refused
        if not empty:
            self._changes.append((close, close, f", {_STRUCT} {_LAUNCH}"))
        else:
            void = start + 4 if start != close else start
            self._changes.append((start, void, f"{_STRUCT} {_LAUNCH}"))

    def _call(self, call: PlacedCall, digest: str) -> None:
        end = call.offset + len(call.function)
        written = self._source[call.offset : end] == call.function.encode()
        if not call.within or not written or not self._is(b")", call.close):
            why = f"the call of {call.function}() is written in an unusual way"
            raise self._lines.unreadable(call.offset, why)
        comma = ", " if call.arguments else ""
        self._changes.append((call.close, call.close, f"{comma}{_LAUNCH}"))
        if call.function not in self._bodies:
            self._changes.append((call.offset, end, _told(call.function, digest)))

    def _refuse_unplaced(self) -> None:
        """Such as in sizeof, where a call has no place."""
        for match in _LOOKS_CALLED.finditer(self._source):
            name = (match["name"] or b"").decode()
            if name in self._needing and match.start() not in self._placed:
                raise self._lines.unreadable(match.start(), f"{name}() is not read here")

    def _front(self) -> int:
        """Offset of the first line that is no directive."""
        match = _DIRECTIVES.match(self._source)
        assert match is not None
        return match.end()

    def _in_front(self, digest: str) -> str:
        word = {32: "uint", 64: "ulong"}[self._places.address_bits]
        fields = " ".join(f"{word} {field}[{DIMENSIONS}];" for field in FIELDS)
        functions = []
        for name in sorted(self._needing & _BODIES.keys()):
            parameter, value = _BODIES[name]
            parameters = ", ".join(filter(None, (parameter, f"{_STRUCT} {_LAUNCH}")))
            body = value.format(launch=_LAUNCH, n=DIMENSIONS)
            functions.append(f"size_t {_told(name, digest)}({parameters}) {{ return {body}; }}")
        return " ".join([f"typedef struct {{ {fields} }} {_STRUCT};", *functions, ""])

    def _changed(self) -> str:
        pieces, done = [], 0
        for start, end, new in sorted(self._changes):
            assert done <= start <= end
            pieces += [self._source[done:start], new.encode()]
            done = end
        text = b"".join([*pieces, self._source[done:]])
        return text.decode(errors="surrogatepass").removesuffix("\n")

    def _is(self, mark: bytes, offset: int) -> bool:
        return self._source.startswith(mark, offset)


def _needing(bodies: Set[str], calls: Iterable[PlacedCall]) -> frozenset[str]:
    """The functions to be told of the launch, the builtins that tell of it among them.

    bodies: the names of the program's own functions.
    """
    callers: dict[str, set[str]] = {}
    for call in calls:
        callers.setdefault(call.function, set()).add(call.within)
    needing: set[str] = set()
    todo = [name for name in _BODIES if name in callers and name not in bodies]
    while todo:
        name = todo.pop()
        if name not in needing:
            needing.add(name)
            todo += callers.get(name, ())
    return frozenset(needing)


def _told(name: str, digest: str) -> str:
    """What stands for a builtin.

    These can't be static, as OpenCL C 1.1 has no static functions, and so must not meet those of
    another program with which this one is linked: `digest` is the program's.
    """
    return f"__vcl_{name}_{digest}"


_LOOKS_CALLED = re.compile(rb"%b|\b(?P<name>[A-Za-z_]\w*)[\s)]*\(" % QUOTED)
_NAME = re.compile(rb"[A-Za-z_]\w*")
_BRACKET = re.compile(rb"[()]|" + QUOTED)
_ATTRIBUTE = re.compile(rb"__attribute(?:__)?\s*\(")
_BLANK = re.compile(rb"(?:^[ \t]*#[^\n]*|\s)*", re.MULTILINE)
_DIRECTIVES = re.compile(rb"(?:[ \t]*#[^\n]*\n)*")


def _blank_end(source: bytes, offset: int) -> int:
    """Offset of what comes behind blanks, and directives on lines of their own."""
    match = _BLANK.match(source, offset)
    assert match is not None
    return match.end()


def _closing(source: bytes, opening: int) -> int:
    """Offset of the parenthesis that closes that at `opening`: the program did compile."""
    depth = 0
    for match in _BRACKET.finditer(source, opening):
        depth += (match[0] == b"(") - (match[0] == b")")
        if depth == 0:
            return match.start()
    raise AssertionError("a parenthesis isn't closed")
