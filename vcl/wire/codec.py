"""Messages as fixed arrays: NamedTuples with a code, whose fields are checked on arrival.

Owns: the codes of message classes, packing, and the checkers compiled from annotations. Must
not know: any particular message.

A message travels as [code, field, ...]. These carry most of the traffic, so they are checked by
generated comparisons of exact types rather than by pydantic, which costs more than many of the
commands themselves.
"""

from __future__ import annotations

import reprlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vcl.errors import RemoteProtocolError

_CODES: dict[type, int] = {}


def pack(message: Any) -> tuple[Any, ...]:
    """The array that travels: [code, field, ...]."""
    return (_CODES[type(message)], *message)


def _check_expression(annotation: Any, name: str, scope: dict[str, Any]) -> str:
    """A Python expression that is true when `name` fits the annotation."""
    if annotation is int:
        return f"(type({name}) is int and -(2**63) <= {name} < 2**64)"
    if annotation is bool or annotation is str or annotation is bytes or annotation is float:
        return f"type({name}) is {annotation.__name__}"
    if annotation is type(None):
        return f"{name} is None"
    if annotation is Any:
        return "True"
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if annotation is list or annotation is dict:
        return f"type({name}) is {annotation.__name__}"
    if origin is list:
        inner = _check_expression(arguments[0], "x", scope)
        if inner == "True":
            return f"type({name}) is list"
        return f"(type({name}) is list and all([{inner} for x in {name}]))"
    if origin is dict:
        return f"type({name}) is dict"
    if origin is types.UnionType or origin is typing.Union:
        return "(" + " or ".join(_check_expression(a, name, scope) for a in arguments) + ")"
    raise AssertionError(f"no check for annotation {annotation!r}")


def _compile(cls: Any) -> Callable[[list[Any]], bool]:
    hints = typing.get_type_hints(cls)
    names = list(cls._fields)
    checks = [f"len(m) == {len(names) + 1}"]
    checks += [_check_expression(hints[n], f"m[{i + 1}]", {}) for i, n in enumerate(names)]
    source = "def check(m):\n    return " + " and ".join(checks)
    namespace: dict[str, Any] = {}
    exec(compile(source, f"<check of {cls.__name__}>", "exec"), namespace)
    return typing.cast(Callable[[list[Any]], bool], namespace["check"])


class Conversation:
    """The messages that may travel in one direction of one kind of connection."""

    def __init__(self, name: str, classes: Mapping[int, Any]) -> None:
        self.name = name
        """Shown in errors: who speaks to whom."""
        self.classes = dict(classes)
        """The message classes by their codes."""
        self._checks: dict[int, tuple[Any, Callable[[list[Any]], bool]]] = {}
        for code, cls in classes.items():
            assert _CODES.setdefault(cls, code) == code, f"{cls.__name__} has two codes"
            self._checks[code] = (cls._make, _compile(cls))

    def unpack(self, arrays: Sequence[list[Any]]) -> list[Any]:
        """Check arrays that arrived and make messages of them.

        Raises RemoteProtocolError naming the first that doesn't fit; none is accepted then.
        """
        messages = []
        for array in arrays:
            entry = self._checks.get(array[0])
            if entry is None:
                raise RemoteProtocolError(f"{self.name}: unknown message code {array[0]}")
            make, check = entry
            if not check(array):
                raise RemoteProtocolError(f"{self.name}: malformed {self._describe(array)}")
            messages.append(make(array[1:]))
        return messages

    def _describe(self, array: list[Any]) -> str:
        cls = self.classes[array[0]]
        return f"{cls.__name__}{cls._fields}: {reprlib.repr(array[1:])}"
