"""The bytes of every message, fixed: a change of them is a change of PROTOCOL_VERSION.

golden.json has, by conversation and class, the packed form of the samples below.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.errors import RemoteProtocolError
from vcl.wire import codec, declared
from vcl.wire.frame import pack_value, unpack_control, unpack_value
from vcl.wire.limits import PROTOCOL_VERSION
from vcl.wire.messages import direct, handshake, node, part, session

GOLDEN: dict[str, str] = json.loads(Path(__file__).with_name("golden.json").read_text("utf-8"))

CONVERSATIONS = (
    session.TO_MASTER,
    session.TO_CLIENT,
    part.TO_EXECUTOR,
    part.FROM_EXECUTOR,
    node.TO_AGENT,
    node.FROM_AGENT,
)

ARGUMENTS: list[Any] = [
    b"\x01\x02\x03\x04",
    None,
    [1, 7, 0, 4096],
    [2, 256],
    [3, 7, 0, 4096, 0x10F1, 0x10B5, 0x10DA, 32, 32, 1],
    [4, 0, 0x1132, 0x1140],
]
DECLARED = declared.pack([declared.Declaration(0, 4, (32, 32), (1, 0), (1, -1), (0, 0))])
UNITS: list[list[Any]] = [
    ["kernel void f() {}", "-cl-mad-enable", [], []],
    ["", "", ["/a b"], [["file", "/a b/x.h", b"\xff"], ["folder", "/c", b""]]],
]
KERNELS: list[Any] = [
    ["square", [[1, [256, [0, 0, 0], 0, 8, 0, ""]]], [[0x119B, "float*", 0x11A3, 0, "data"]]]
]
DEVICE = handshake.DeviceDescription(
    platform={"NAME": "P"},
    info={"NAME": "D", "MAX_WORK_GROUP_SIZE": 256, "SPIR_VERSIONS": {"error": -30}},
    image_formats={},
)

SAMPLES: list[Any] = [
    session.CreateContext(1, [1, 2], True),
    session.CreateQueue(2, 1, 0, 2),
    session.CreateBuffer(7, 1, 2**32, True),
    session.BuildProgram(8, 1, 9, 2, UNITS, "-create-library"),
    session.CreateUserEvent(10, 1),
    session.SetUserEvent(10, -5),
    session.Release([10, 300, 70_000]),
    session.Launch(11, 2, [10], 8, "f", [0, 0], [64, 64], [8, 8], ARGUMENTS, DECLARED, 3),
    session.Repeat(12, 3, [11], [b"\0\1"]),
    session.Write(12, 2, [], 7, 0, 4096, 13, bytes(range(32))),
    session.Read(14, 2, [12], 7, 16, 64),
    session.Copy(15, 2, [], 7, 16, 0, 128, 64),
    session.Fill(17, 2, [], 7, 0, 64, b"\0\1"),
    session.CopyRect(20, 2, [], 7, 21, 0, 5, 8, 3, 2, 64, 256, 8, 24),
    session.Marker(18, 2, [11, 12], False),
    session.AskReport(19, 11),
    session.AskWay(20, 0, 1),
    session.AskTotals(21),
    session.AskStatus(22),
    session.EventsDone([[11, 0, 10**18, 10**18 + 5, None], [12, -5, 0, 0, "node n: full"]]),
    session.Built(9, 0, "", [[1, 0, "log"]], KERNELS),
    session.Report(
        19,
        ["whole", "why", [64, 0, 0, 64], [["n", "d", [0], [64], 0.5]],
         [[1, "read", "why", [[1, 2, 0]]]]],
    ),
    session.WayFound(20, 2, ""),
    session.ClusterStatus(22, [["n", ["d"], 1, 250, 3, 4]], [[1, "app.py", "me@h", 5, 3, ["n"]]]),
    session.Totals(21, [["f", "regions", 5, 10, 64, 900, 500, 60, 600, "why"]]),
    session.Push(1, 13, 0, 4096, 3),
    session.Pull(14, 0, 64, 2, 3, 0, 0),
    session.DropStaging([13]),
    session.CancelPush(1),
    session.EndpointLost(3, "it crashed"),
    session.Printed(11, "n", b"one \xff\n"),
    direct.OpenLink(3, "ticket", "answer", ["unix:a", "ws://host:1"]),
    direct.ExpectLink(4, "ticket", "answer"),
    direct.Linked(3, 2, ""),
    direct.Listening(["unix:a"]),
    part.Allocate(1, 7, 2**32),
    part.Free(1, [2, 3], 1, 7),
    part.Build(8, 9, [1], 2, UNITS, "-create-library"),
    part.ForgetProgram(4, [1], 8),
    part.Run(5, [], 1, 8, "f", [0], [64], None, ARGUMENTS, 0, 3),
    part.Again(6, [5], 3, [b"\0\1"]),
    part.FillRegion(6, [5], 1, 7, 0, 64, b"\0"),
    part.CopyRegion(7, [], 1, 7, 16, 0, 128, 64),
    part.CopyBox(13, [7], 1, 7, 21, 0, 5, 8, 3, 2, 64, 256, 8, 24),
    part.Send(8, [7], 1, 7, 0, 64, 2, 0),
    part.Receive(9, [], 1, 7, 0, 4096, 1, 0),
    part.Snapshot(10, [9], 1, 1, [[7, 0, 4096, 4]]),
    part.SendChanges(11, [10], 1, 1, [[7, 0, 4096, 4]], 3, 4),
    part.Merge(
        12, [5], 1, 1, [[7, 0, 4096, 4, 2]], [[3, 5, [[0, 0, 4096]]]],
        8, "f", [0], [64], [8], ARGUMENTS,
    ),
    part.CancelTransfer(3, "node n is gone"),
    part.Done([[5, 0, 1, 2, None, None], [11, 0, 1, 2, None, 300], [12, -5, 0, 0, "full", None]]),
    part.BuildDone(9, -11, "failed", [[1, -11, "log"]], []),
    part.Printed(5, b"one \xff\n"),
    node.StartExecutor(1, 3, 2, "ticket", [[1, 0], [2, 1]]),
    node.StopExecutor(1),
    node.Heartbeat(2, 250, 3 << 30, 4 << 30),
    node.ExecutorEnded(1, 2, "it crashed", True),
]  # fmt: skip

HANDSHAKES: dict[str, Any] = {
    "handshake.Hello of a client": handshake.Hello(software="0.1.0", role="client", token="t"),
    "handshake.Hello of a client's bulk": handshake.Hello(
        software="0.1.0", role="client-bulk", token="key", session=1
    ),
    "handshake.Hello of an agent": handshake.Hello(
        software="0.1.0", role="agent", token="t", name="n", host="h", incarnation="i",
        devices=[DEVICE],
    ),
    "handshake.Hello of an executor": handshake.Hello(
        software="0.1.0", role="executor", token="ticket", session=1, endpoint=3
    ),
    "handshake.Welcome": handshake.Welcome(
        software="0.1.0", session=1, key="key",
        devices=[handshake.RemoteDevice(device=1, node=3, node_name="n", description=DEVICE)],
    ),
    "handshake.Refused": handshake.Refused(software="0.1.0", code="token", reason="wrong"),
}  # fmt: skip


def pack_handshake(model: Any) -> bytes:
    hello = isinstance(model, handshake.Hello)
    return handshake.pack_hello(model) if hello else handshake.pack_answer(model)


def unpack_handshake(name: str, data: bytes) -> Any:
    if "Hello" in name:
        return handshake.unpack_hello(handshake.unpack_knock(data))
    return handshake.unpack_answer(data)


def names_of(message: Any) -> list[str]:
    cls = type(message)
    return [f"{c.name}.{cls.__name__}" for c in CONVERSATIONS if cls in c.classes.values()]


def conversation_of(message: Any) -> codec.Conversation:
    """One in which it may be said."""
    return next(c for c in CONVERSATIONS if type(message) in c.classes.values())


SAMPLE_OF = {
    name: m._replace(cause=41) if hasattr(m, "cause") else m
    for m in SAMPLES
    for name in names_of(m)
}


def test_every_message_is_in_the_table() -> None:
    registered = [f"{c.name}.{cls.__name__}" for c in CONVERSATIONS for cls in c.classes.values()]
    assert sorted(registered) == sorted(SAMPLE_OF)
    assert sorted(GOLDEN) == sorted([*SAMPLE_OF, *HANDSHAKES])
    assert PROTOCOL_VERSION == 2


def test_every_conversation_is_in_the_table() -> None:
    found = [
        value
        for module in (session, part, node)
        for value in vars(module).values()
        if isinstance(value, codec.Conversation)
    ]
    assert found == list(CONVERSATIONS)


@pytest.mark.parametrize("name", SAMPLE_OF)
def test_bytes_of_a_message(name: str) -> None:
    message = SAMPLE_OF[name]
    assert pack_value(codec.pack(message)).hex() == GOLDEN[name]
    [conversation] = [c for c in CONVERSATIONS if name.startswith(c.name + ".")]
    assert conversation.unpack([unpack_value(bytes.fromhex(GOLDEN[name]))]) == [message]


@pytest.mark.parametrize("name", HANDSHAKES)
def test_bytes_of_a_handshake(name: str) -> None:
    model = HANDSHAKES[name]
    data = bytes.fromhex(GOLDEN[name])
    assert pack_handshake(model) == data
    assert unpack_handshake(name, data) == model


# Junk

NUMBERS = st.integers(-(2**63), 2**64 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NUMBERS | st.text(), inner, max_size=3)
    ),
    max_leaves=10,
)
CODES = sorted({code for conversation in CONVERSATIONS for code in conversation.classes})


@given(st.sampled_from(CODES) | NUMBERS, st.lists(VALUES, max_size=10))
def test_a_junk_array_is_refused_or_a_message(code: int, fields: list[Any]) -> None:
    for conversation in CONVERSATIONS:
        try:
            [message] = conversation.unpack([[code, *fields]])
        except RemoteProtocolError:
            continue
        assert list(codec.pack(message)) == [code, *fields]


@given(st.sampled_from(SAMPLES), st.data())
def test_a_message_with_a_junk_field_is_refused_or_a_message(
    message: Any, data: st.DataObject
) -> None:
    conversation = conversation_of(message)
    array = list(codec.pack(message))
    array[data.draw(st.integers(1, len(array) - 1))] = data.draw(VALUES)
    try:
        assert codec.pack(conversation.unpack([array])[0]) == tuple(array)
    except RemoteProtocolError as error:
        assert type(message).__name__ in str(error)


@given(st.sampled_from(SAMPLES), st.data())
def test_a_message_with_flipped_bits_is_refused_or_a_message(
    message: Any, data: st.DataObject
) -> None:
    conversation = conversation_of(message)
    packed = bytearray(pack_value([1, 0, [codec.pack(message)]]))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= 1 << data.draw(st.integers(0, 3))  # never makes a map of anything else
    try:
        conversation.unpack(unpack_control(packed)[2])
    except RemoteProtocolError:
        return


@given(VALUES)
def test_a_junk_argument(value: Any) -> None:
    launch = [10, *SAMPLE_OF["client to master.Launch"]]
    launch[9] = [value]
    try:
        session.TO_MASTER.unpack([launch])
    except RemoteProtocolError as error:
        assert "malformed Launch.arguments" in str(error)
        return
    assert value is None or type(value) is bytes or value[0] in (1, 2, 3, 4)


@pytest.mark.parametrize(
    "argument", [1, "x", [], [1, 7, 0], [1, 7, 0, -1], [2, True], [2], [3, 1], [1, 7, 0, 1, 1]]
)
def test_bad_arguments(argument: Any) -> None:
    launch = [10, *SAMPLE_OF["client to master.Launch"]]
    launch[9] = [argument]
    with pytest.raises(RemoteProtocolError, match=r"malformed Launch\.arguments"):
        session.TO_MASTER.unpack([launch])


# Handshakes


@given(VALUES)
def test_a_junk_handshake(value: Any) -> None:
    for name in ("Hello", "Welcome"):
        with pytest.raises(RemoteProtocolError):
            unpack_handshake(name, pack_value(value))


@given(st.sampled_from(sorted(HANDSHAKES)), st.data())
def test_a_handshake_with_a_junk_field(name: str, data: st.DataObject) -> None:
    value = HANDSHAKES[name].model_dump()
    value[data.draw(st.sampled_from([*value, "another"]))] = data.draw(VALUES)
    try:
        unpack_handshake(name, pack_value(value))
    except RemoteProtocolError:
        return


@given(st.sampled_from([n for n in sorted(HANDSHAKES) if "Hello" in n]), st.data())
def test_a_hello_with_a_junk_part(name: str, data: st.DataObject) -> None:
    parts = unpack_value(pack_handshake(HANDSHAKES[name]))
    at = data.draw(st.integers(0, len(parts)))
    parts[at : at + 1] = data.draw(st.lists(VALUES, max_size=2))
    try:
        unpack_handshake(name, pack_value(parts))
    except RemoteProtocolError:
        return


def test_another_version_is_told_from_junk() -> None:
    with pytest.raises(handshake.VersionMismatch) as caught:
        handshake.unpack_knock(pack_value(["vcl", 1, 5]))
    text = "this side speaks version 2 of the vcl protocol, the peer version 1: install the same"
    assert text in str(caught.value)


@pytest.mark.parametrize("change", [{"name": 1}, {"devices": [{}]}, {"more": 1}, {"role": "agent"}])
def test_a_malformed_hello(change: dict[str, Any]) -> None:
    knock = handshake.unpack_knock(pack_handshake(HANDSHAKES["handshake.Hello of an agent"]))
    rest = pack_value(unpack_value(knock.rest) | change)
    with pytest.raises(RemoteProtocolError, match="malformed Hello: "):
        handshake.unpack_hello(knock._replace(rest=rest))


@pytest.mark.parametrize(
    "answers",
    [{"A": 1.5}, {"A": None}, {"A": {}}, {"A": {"error": 1}}, {"A": {"error": -1, "x": []}},
     {"A": [[[]]]}, {"A": b""}, {"A" * 201: 1}, {str(n): n for n in range(301)}],
)  # fmt: skip
def test_answers_that_no_driver_gives(answers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="answer"):
        handshake.DeviceDescription(platform={}, info=answers)


def test_only_an_agent_may_have_much_to_say() -> None:
    model = HANDSHAKES["handshake.Hello of a client"].model_copy(update={"token": "x" * 5000})
    with pytest.raises(RemoteProtocolError, match="a Hello of a client has at most 4096 bytes"):
        handshake.unpack_knock(handshake.pack_hello(model))
    with pytest.raises(RemoteProtocolError, match="a Hello has at most 1048576 bytes"):
        handshake.unpack_knock(pack_value(["vcl", 2, "agent", "", None, None, bytes(2**20)]))
