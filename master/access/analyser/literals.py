"""Constants that are written out.

Owns: what a number, a text or a sizeof stands for. Must not know where in an expression it is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

from master.access import tree
from master.access.analyser import libclang
from master.access.analyser.libclang import Kind
from master.access.analyser.source import Source
from master.access.analyser.types import Types

_INTEGER = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)(?:[uUlL]{0,3})")
_FLOAT = re.compile(r"((?:0[xX][0-9a-fA-F.]+[pP][+-]?\d+)|(?:[0-9.]+(?:[eE][+-]?\d+)?))([fFhH]?)")
_STRINGS = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')


def literal(source: Source, types: Types, cursor: Any) -> tree.Literal:
    """cursor: of one of `KINDS`. Raises Unreadable."""
    to = types.of(cursor)
    value = KINDS[cursor._kind_id](source.text(*source.extent(cursor)), to, cursor)
    if value is None:
        raise source.unknown(cursor)
    return tree.Literal(to, source.line(cursor), value)


# How each kind is read: from its text, its type and its cursor. None if it isn't.


def _integer(text: str, to: tree.Type, cursor: Any) -> int | float | None:
    match = _INTEGER.fullmatch(text)
    if match is None:
        return libclang.evaluated(cursor)
    octal = match[1][0] == "0" and match[1].isdecimal()
    return int(match[1], 8 if octal else 0)


def _floating(text: str, to: tree.Type, cursor: Any) -> int | float | None:
    assert isinstance(to, tree.Scalar)
    match = _FLOAT.fullmatch(text)
    if match is None:
        value = libclang.evaluated(cursor)
    elif match[1][:2] in ("0x", "0X"):
        value = float.fromhex(match[1])
    else:
        value = float(match[1])
    return _rounded(value, to) if isinstance(value, float) else value


def _rounded(value: float, to: tree.Scalar) -> float:
    try:
        form = {16: "<e", 32: "<f", 64: "<d"}[to.bits]
        return float(struct.unpack(form, struct.pack(form, value))[0])
    except OverflowError:
        return float("inf")


def _text(text: str, to: tree.Type, cursor: Any) -> str | None:
    parts = _STRINGS.findall(text)
    if not parts or _STRINGS.sub("", text).strip():
        return None
    # Apart, as an escape of one could go on in the next.
    return '" "'.join(part[1:-1] for part in parts)


def _truth(text: str, to: tree.Type, cursor: Any) -> int | None:
    return {"true": 1, "false": 0}.get(text)


def _sizeof(text: str, to: tree.Type, cursor: Any) -> int | None:
    value = libclang.evaluated(cursor)
    return value if isinstance(value, int) else None


KINDS: dict[int, Callable[[str, tree.Type, Any], int | float | str | None]] = {
    Kind.INTEGER: _integer,
    Kind.FLOATING: _floating,
    Kind.CHARACTER: _integer,
    Kind.STRING: _text,
    Kind.TRUTH: _truth,
    Kind.SIZEOF: _sizeof,
}
"""By the kinds of their cursors."""
