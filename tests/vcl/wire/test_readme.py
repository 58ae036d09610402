"""README.md says what the code does: codes, fields and types of messages, keys, limits, layout."""

from __future__ import annotations

import re
import types
import typing
from pathlib import Path
from typing import Any

import pytest

from vcl.wire import codec, frame, limits
from vcl.wire.messages import handshake, node, part, session

README = Path(frame.__file__).with_name("README.md").read_text(encoding="utf-8")

CONVERSATIONS = {
    conversation.name: conversation
    for module in (session, part, node)
    for conversation in vars(module).values()
    if isinstance(conversation, codec.Conversation)
}

TYPE_NAMES = {int: "int", bool: "bool", str: "str", bytes: "bin", Any: "any", type(None): "nil"}


def table_below(heading: str) -> list[list[str]]:
    """The rows of the first table after a heading, without its head."""
    found = re.search(rf"^#+ {re.escape(heading)}$", README, re.MULTILINE)
    assert found, f"no heading {heading!r}"
    rows: list[list[str]] = []
    for line in README[found.end() :].splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows or line.startswith("#"):
            break
    assert len(rows) > 2, f"no table below {heading!r}"
    return rows[2:]


def type_name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return f"[{type_name(arguments[0])}]"
    if origin is dict:
        return "map"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(type_name, arguments))
    return TYPE_NAMES[annotation]


def fields(cls: Any) -> str:
    hints = typing.get_type_hints(cls)
    return ", ".join(f"{name}: {type_name(hints[name])}" for name in cls._fields)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_messages(name: str) -> None:
    rows = table_below(f"Conversation: {name}")
    described = {int(code): (message, text) for code, message, text, _ in rows}
    assert len(described) == len(rows)
    classes = CONVERSATIONS[name].classes
    assert described == {code: (cls.__name__, fields(cls)) for code, cls in classes.items()}
    assert all(meaning for *_, meaning in rows)


def test_every_conversation_is_described() -> None:
    described = re.findall(r"^### Conversation: (.*)$", README, re.MULTILINE)
    assert sorted(described) == sorted(CONVERSATIONS)


@pytest.mark.parametrize(
    "model",
    [handshake.Hello, handshake.Welcome, handshake.Refused, handshake.DeviceDescription,
     handshake.RemoteDevice],
)  # fmt: skip
def test_keys_of_the_handshake(model: Any) -> None:
    keys = [key.strip("`") for key, _, _ in table_below(model.__name__)]
    assert keys == list(model.model_fields)


def test_roles_and_refusals() -> None:
    roles = [row[0].strip("`") for row in table_below("Connections")]
    assert sorted(roles) == sorted(typing.get_args(handshake.Role))
    codes = [row[0].strip("`") for row in table_below("Version check and refusal")]
    known = handshake.Refused.model_fields["code"].annotation
    assert sorted(codes) == sorted(typing.get_args(known))


def test_limits() -> None:
    described = {name.strip("`"): float(value) for name, value, _ in table_below("Limits")}
    known = {
        name: value
        for name, value in vars(limits).items()
        if type(value) in (int, float) and not name.startswith("_")
    }
    assert described == known


def test_the_layout_of_bulk_frames() -> None:
    rows = table_below("Bulk frames")
    assert [int(row[0]) for row in rows] == [0, 1, 2, 4, 8, 12, 20, frame.BULK_HEADER_BYTES]
    values = {"kind": 2, "flags": 1, "destination": 3, "source": 4, "transfer": 5, "offset": 6}
    packed = frame.pack_bulk_header(frame.BulkFrame(2, True, 3, 4, 5, 6, b""))
    for offset, size, name, _ in rows[:-1]:
        number = int.from_bytes(packed[int(offset) :][: int(size)], "little")
        assert number == values.get(name, 0)
    assert f"header of {frame.BULK_HEADER_BYTES} bytes" in README
    assert f"{frame.CHUNK} CHUNK, {frame.CREDIT} CREDIT" in README


def test_kernel_arguments() -> None:
    forms = [row[0] for row in table_below("Kernel arguments")]
    assert forms[:2] == ["bin", "nil"]
    arrays = [form.strip("`[]").split(", ") for form in forms[2:]]
    [choices] = session.Argument.__metadata__  # type: ignore[attr-defined]
    rows = [choice for choice in choices.choices if isinstance(choice, codec.Row)]
    known = {row.fields[0].value: len(row.fields) for row in rows}
    assert {int(array[0]): len(array) for array in arrays} == known


def test_names_of_limits_in_the_text_exist() -> None:
    for name in re.findall(r"`(\w+_(?:max|s))`", README):
        assert hasattr(limits, name), name
