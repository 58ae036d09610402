"""Messages as fixed arrays: NamedTuples with a code, whose fields are checked on arrival.

Owns: the codes of message classes, packing, and the checkers compiled from annotations. Must
not know: any particular message.

A message travels as [code, field, ...]. These carry most of the traffic, so they are checked by
generated comparisons of exact types rather than by pydantic, which costs more than many of the
commands themselves. What arrays inside a message consist of is checked in the same way, where the
annotation has a `Row`; what a text of an error says of a message never repeats what came.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from vcl.errors import RemoteProtocolError

_CODES: dict[type, int] = {}


@dataclass(frozen=True)
class Row:
    """In Annotated[list[...], Row(...)]: an array of exactly these fields, types or rules."""

    fields: tuple[Any, ...]

    def __init__(self, *fields: Any) -> None:
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True)
class Between:
    """In Annotated[int, Between(...)]: an int in this range, ends included."""

    low: int
    high: int


@dataclass(frozen=True)
class Exactly:
    """In Annotated[..., Exactly(...)]: this str or int and no other."""

    value: str | int


@dataclass(frozen=True)
class OneOf:
    """In Annotated[Any, OneOf(...)]: what fits one of these."""

    choices: tuple[Any, ...]

    def __init__(self, *choices: Any) -> None:
        object.__setattr__(self, "choices", choices)


Count = Annotated[int, Between(0, 2**63 - 1)]
"""A size, an offset, a time in ns."""

Size = Annotated[int, Between(1, 2**63 - 1)]
"""A size of what isn't empty."""

Transfer = Annotated[int, Between(0, 2**64 - 1)]
Endpoint = Annotated[int, Between(0, 2**32 - 1)]
"""What has room in the header of a bulk frame."""

Status = Annotated[int, Between(-(2**31), 0)]
"""0 for success, or a negative OpenCL error."""


def pack(message: Any) -> tuple[Any, ...]:
    """The array that travels: [code, field, ...]."""
    return (_CODES[type(message)], *message)


def _check_rule(rule: Any, name: str) -> str:
    if isinstance(rule, OneOf):
        return "(" + " or ".join(_check_expression(c, name) for c in rule.choices) + ")"
    if isinstance(rule, Between):
        return f"(type({name}) is int and {rule.low} <= {name} <= {rule.high})"
    if isinstance(rule, Exactly):
        return f"(type({name}) is {type(rule.value).__name__} and {name} == {rule.value!r})"
    assert isinstance(rule, Row), rule
    checks = [f"type({name}) is list", f"len({name}) == {len(rule.fields)}"]
    checks += [_check_expression(f, f"{name}[{i}]") for i, f in enumerate(rule.fields)]
    return "(" + " and ".join(checks) + ")"


def _check_expression(annotation: Any, name: str) -> str:
    """A Python expression that is true when `name` fits the annotation, or the rule."""
    if isinstance(annotation, (Row, Between, Exactly, OneOf)):
        return _check_rule(annotation, name)
    if typing.get_origin(annotation) is Annotated:
        return _check_rule(annotation.__metadata__[0], name)
    if annotation is int:
        return f"(type({name}) is int and -(2**63) <= {name} < 2**64)"
    if annotation is bool or annotation is str or annotation is bytes or annotation is float:
        return f"type({name}) is {annotation.__name__}"
    if annotation in (None, type(None)):
        return f"{name} is None"
    if annotation is Any:
        return "True"
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if annotation is list or annotation is dict:
        return f"type({name}) is {annotation.__name__}"
    if origin is list:
        item = f"i{len(name)}"  # inner names are longer, so that no two are alike
        inner = _check_expression(arguments[0], item)
        if inner == "True":
            return f"type({name}) is list"
        # Most lists of commands are empty, and to look through them costs more than all else.
        return f"(type({name}) is list and (not {name} or all([{inner} for {item} in {name}])))"
    if origin is dict:
        return f"type({name}) is dict"
    if origin is types.UnionType or origin is typing.Union:
        return "(" + " or ".join(_check_expression(a, name) for a in arguments) + ")"
    raise AssertionError(f"no check for annotation {annotation!r}")


Check = Callable[[list[Any]], bool]


def _compile(cls: Any, names: Sequence[str]) -> Check:
    """A check of the number of a message's fields, and of these of them."""
    hints = typing.get_type_hints(cls, include_extras=True)
    positions = {name: i + 1 for i, name in enumerate(cls._fields)}
    checks = [f"len(m) == {len(positions) + 1}"]
    checks += [_check_expression(hints[n], f"m[{positions[n]}]") for n in names]
    source = "def check(m):\n    return " + " and ".join(checks)
    namespace: dict[str, Any] = {}
    exec(compile(source, f"<check of {cls.__name__}>", "exec"), namespace)
    return typing.cast(Check, namespace["check"])


class Conversation:
    """The messages that may travel in one direction of one kind of connection."""

    def __init__(self, name: str, classes: Mapping[int, Any]) -> None:
        self.name = name
        """Shown in errors: who speaks to whom."""
        self.classes = dict(classes)
        """The message classes by their codes."""
        self._checks: dict[int, tuple[Any, Check]] = {}  # of classes that have come
        for code, cls in classes.items():
            assert _CODES.setdefault(cls, code) == code, f"{cls.__name__} has two codes"

    def unpack(self, arrays: Sequence[list[Any]]) -> list[Any]:
        """Check arrays that arrived and make messages of them.

        Raises RemoteProtocolError naming the first that doesn't fit; none is accepted then.
        """
        messages = []
        for array in arrays:
            make, check = self._checks.get(array[0]) or self._prepare(array[0])
            if not check(array):
                raise RemoteProtocolError(f"{self.name}: malformed {self._describe(array)}")
            messages.append(make(array[1:]))
        return messages

    def _prepare(self, code: int) -> tuple[Any, Check]:
        """What makes and checks messages of a class, when the first one comes: no process is sent
        all classes, and each that starts would wait for half a millisecond a class."""
        cls = self.classes.get(code)
        if cls is None:
            raise RemoteProtocolError(f"{self.name}: unknown message code {code}")
        entry = self._checks[code] = (cls._make, _compile(cls, cls._fields))
        return entry

    def _describe(self, array: list[Any]) -> str:
        """The name of the message, and of the first field that doesn't fit."""
        cls = self.classes[array[0]]
        if len(array) != len(cls._fields) + 1:
            return f"{cls.__name__}: {len(array) - 1} fields instead of {len(cls._fields)}"
        return f"{cls.__name__}.{next(n for n in cls._fields if not _compile(cls, [n])(array))}"
