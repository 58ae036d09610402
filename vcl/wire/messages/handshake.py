"""The first exchange on every connection: Hello from the side that dialled, Welcome or Refused.

Owns: the pydantic models of both and their packing. These travel once per connection, so clarity
and strict checks matter more than microseconds. But whoever can reach the port can send a Hello:
so it comes in two layers, and the inner one isn't read before the token was compared.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from vcl.errors import RemoteProtocolError
from vcl.text import plain
from vcl.wire.frame import Bytes, pack_value, unpack_value
from vcl.wire.limits import (
    PROTOCOL_VERSION,
    agent_devices_max,
    agent_hello_bytes_max,
    hello_bytes_max,
    message_values_max,
)

Role = Literal["client", "client-bulk", "agent", "executor", "executor-bulk"]
knock_values_max = 8
"""Of the outer layer of a Hello: one array of seven."""

_OUTER = {"version", "role", "token", "session", "endpoint"}
name_length_max = 200
_ANSWERS_MAX = 300


Name = Annotated[str, Field(max_length=name_length_max)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _check_answers(answers: dict[str, Any]) -> dict[str, Any]:
    """Raise ValueError unless all are what `node_agent.inventory` makes of a driver's answers."""
    if len(answers) > _ANSWERS_MAX or any(len(name) > name_length_max for name in answers):
        raise ValueError("too many answers, or too long a name")
    if not all(map(_is_answer, answers.values())):
        raise ValueError("an answer that isn't a number, a text, a list of these or an error")
    return answers


def _is_answer(value: Any) -> bool:
    if type(value) is dict:
        error = type(value.get("error")) is int and -(2**31) <= value["error"] < 0
        return (error or type(value.get("b64")) is str) and all(
            type(v) in (int, str) for v in value.values()
        )
    if type(value) is list:
        return all(_is_plain(v) or (type(v) is list and all(map(_is_plain, v))) for v in value)
    return _is_plain(value)


def _is_plain(value: Any) -> bool:
    return type(value) in (int, bool, str)


Answers = Annotated[dict[str, Any], AfterValidator(_check_answers)]


class DeviceDescription(_Model):
    """One OpenCL device as its host's driver describes it.

    `info` and `platform` map names of `device_info` and `platform_info` constants to values, or
    to {"error": code} where the driver answers a query with an error; `image_formats` kinds of
    memory to a map from types of images to formats or errors.
    """

    platform: Answers
    info: Answers
    image_formats: dict[str, Answers] = Field(default_factory=dict)


class RemoteDevice(_Model):
    """A device of the cluster as clients see it."""

    device: int
    node: int
    node_name: str
    description: DeviceDescription


class Hello(_Model):
    """Who dials, and with what right.

    token: of the cluster for roles client and agent; the session's key for client-bulk; the
    ticket from StartExecutor for executor and executor-bulk. session: for every role but client
    and agent. endpoint: of an executor's two. incarnation, devices: of an agent only. name, host:
    of an agent, where `host` tells whether two share a machine; of a client, for people, its
    program and USER@HOST.
    """

    version: int = PROTOCOL_VERSION
    role: Role
    token: str
    session: int | None = None
    endpoint: int | None = None
    software: Name
    name: Name = ""
    host: Name = ""
    incarnation: Name = ""
    devices: list[DeviceDescription] = Field(default_factory=list)


class Knock(NamedTuple):
    """A Hello of which only its outermost is read: what decides whether the rest may be."""

    role: Role
    token: str
    session: int | None
    endpoint: int | None
    rest: bytes


class Welcome(_Model):
    """The handshake succeeded. session, key, devices: for role client. node: for agents."""

    answer: Literal["welcome"] = "welcome"
    version: int = PROTOCOL_VERSION
    software: str
    session: int | None = None
    key: str = ""
    node: int | None = None
    devices: list[RemoteDevice] = Field(default_factory=list)


class Refused(_Model):
    """The handshake failed; the connection is closed after this. reason: for the user."""

    answer: Literal["refused"] = "refused"
    version: int = PROTOCOL_VERSION
    software: str
    code: Literal["version", "token", "session", "malformed", "name", "full"]
    reason: str


def pack_hello(hello: Hello) -> bytes:
    """A Hello: what decides whether it is let in, and the rest as bytes."""
    outer = (hello.role, hello.token, hello.session, hello.endpoint)
    rest = hello.model_dump(exclude=_OUTER)
    return pack_value(["vcl", hello.version, *outer, pack_value(rest)])


def pack_answer(answer: Welcome | Refused) -> bytes:
    """The answer to a Hello as one msgpack map."""
    return pack_value(answer.model_dump())


def unpack_knock(data: Bytes) -> Knock:
    """Check the outermost of a Hello; raises RemoteProtocolError with a text fit for the peer.

    It costs little whatever came: nothing of the rest is looked at.
    """
    if len(data) > agent_hello_bytes_max:
        raise RemoteProtocolError(f"a Hello has at most {agent_hello_bytes_max} bytes")
    value = unpack_value(data, map_length=0, values=knock_values_max)
    if type(value) is not list or value[:1] != ["vcl"]:
        raise RemoteProtocolError("the first message isn't a vcl Hello")
    if len(value) < 2 or value[1] != PROTOCOL_VERSION:
        # Checked before the rest: another version may have other fields.
        raise VersionMismatch(value[1] if len(value) > 1 else None)
    if len(value) != 7 or type(value[6]) is not bytes:
        raise RemoteProtocolError("malformed Hello: it has seven parts, the last one bytes")
    knock = Knock._make(value[2:])
    good = (
        knock.role in get_args(Role)
        and type(knock.token) is str
        and all(n is None or (type(n) is int and n >= 0) for n in (knock.session, knock.endpoint))
    )
    if not good:
        raise RemoteProtocolError("malformed Hello: role, token, session or endpoint")
    if knock.role != "agent" and len(data) > hello_bytes_max:
        raise RemoteProtocolError(f"a Hello of a {knock.role} has at most {hello_bytes_max} bytes")
    return knock


def unpack_hello(knock: Knock) -> Hello:
    """Check the rest of a Hello that was let in; raises RemoteProtocolError."""
    value = unpack_value(knock.rest, values=message_values_max)
    if type(value) is not dict:
        raise RemoteProtocolError("malformed Hello: the rest isn't a map")
    devices = value.get("devices")
    if type(devices) is list and len(devices) > agent_devices_max:
        raise RemoteProtocolError(f"an agent has at most {agent_devices_max} devices")
    outer = {name: getattr(knock, name) for name in ("role", "token", "session", "endpoint")}
    try:
        if outer.keys() & value.keys() or "version" in value:
            raise RemoteProtocolError("malformed Hello: a key comes twice")
        return Hello.model_validate(value | outer)
    except ValidationError as error:
        raise RemoteProtocolError(f"malformed Hello: {_brief(error)}") from error


def unpack_answer(data: Bytes) -> Welcome | Refused:
    """Check the answer to a Hello; raises RemoteProtocolError."""
    value = unpack_value(data)
    if not isinstance(value, dict) or value.get("answer") not in ("welcome", "refused"):
        raise RemoteProtocolError("the answer to Hello is neither Welcome nor Refused")
    model: type[Welcome] | type[Refused] = Welcome if value["answer"] == "welcome" else Refused
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise RemoteProtocolError(f"malformed answer to Hello: {_brief(error)}") from error


class VersionMismatch(RemoteProtocolError):
    """The peer speaks another version of the protocol."""

    def __init__(self, version: object) -> None:
        other = version if type(version) is int else "unknown"
        super().__init__(
            f"this side speaks version {PROTOCOL_VERSION} of the vcl protocol, the peer version "
            f"{other}: install the same vcl on both"
        )


def _brief(error: ValidationError) -> str:
    """The first error's place; keys that aren't ours are named by what they are."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(plain(str(part), 40) for part in first["loc"])
    return f"{where}: {first['msg']}"
