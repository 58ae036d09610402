"""What the master and the ends of a session say of direct links.

Owns: those messages, which clients and executors share. Must not know: what goes over a link.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from vcl.wire.codec import Between, Endpoint
from vcl.wire.direct import Way


class OpenLink(NamedTuple):
    """Dial an end at one of its addresses, with the ticket; it proves itself by `answer`."""

    endpoint: Endpoint
    ticket: str
    answer: str
    addresses: list[str]


class ExpectLink(NamedTuple):
    """An end is about to dial, once, with this ticket; prove yourself to it by `answer`."""

    endpoint: Endpoint
    ticket: str
    answer: str


class Linked(NamedTuple):
    """How bulk gets to an end now. message: why not better, if something failed."""

    endpoint: Endpoint
    way: Annotated[int, Between(min(Way), max(Way))]
    message: str


class Listening(NamedTuple):
    """At which addresses an executor takes direct links."""

    addresses: list[str]
