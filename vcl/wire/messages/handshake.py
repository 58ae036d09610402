"""The first exchange on every connection: Hello from the side that dialled, Welcome or Refused.

Owns: the pydantic models of both and their packing. These travel once per connection, so clarity
and strict checks matter more than microseconds.
"""

from __future__ import annotations

import reprlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vcl.errors import RemoteProtocolError
from vcl.wire.frame import Bytes, pack_value, unpack_value
from vcl.wire.limits import PROTOCOL_VERSION

Role = Literal["client", "client-bulk", "agent", "executor", "executor-bulk"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DeviceDescription(_Model):
    """One OpenCL device as its host's driver describes it.

    `info` and `platform` map names of `device_info` and `platform_info` constants to values, or
    to {"error": code} where the driver answers a query with an error.
    """

    platform: dict[str, Any]
    info: dict[str, Any]
    image_formats: dict[str, Any] = Field(default_factory=dict)


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
    and agent. name, host, incarnation, devices: of an agent only. `host` tells whether two
    agents share a machine.
    """

    protocol: Literal["vcl"] = "vcl"
    version: int = PROTOCOL_VERSION
    software: str
    role: Role
    token: str
    session: int | None = None
    name: str = ""
    host: str = ""
    incarnation: str = ""
    devices: list[DeviceDescription] = Field(default_factory=list)


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
    code: Literal["version", "token", "session", "malformed", "name"]
    reason: str


def pack_handshake(model: Hello | Welcome | Refused) -> bytes:
    """A handshake message as one msgpack map."""
    return pack_value(model.model_dump())


def unpack_hello(data: Bytes) -> Hello:
    """Check a Hello; raises RemoteProtocolError with a text fit for the peer."""
    value = unpack_value(data)
    if not isinstance(value, dict) or value.get("protocol") != "vcl":
        raise RemoteProtocolError("the first message isn't a vcl Hello")
    if value.get("version") != PROTOCOL_VERSION:
        # Checked before the model: another version may have other fields.
        raise VersionMismatch(value.get("version"), value.get("software"))
    try:
        return Hello.model_validate(value)
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

    def __init__(self, version: object, software: object) -> None:
        super().__init__(
            f"this side speaks version {PROTOCOL_VERSION} of the vcl protocol, the peer (vcl "
            f"{_short(software)}) version {_short(version)}: install the same vcl on "
            "both"
        )


def _short(value: object) -> str:
    return str(value)[:100] if isinstance(value, (str, int)) else reprlib.repr(value)


def _brief(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}"
