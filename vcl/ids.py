"""Types of the ids that appear on the wire: plain ints, told apart by the type checker.

Owns: the names of the id types and the two reserved values. Must not know: who hands them out
(clients choose the ids of their objects; the master chooses those of nodes, devices, operations
and transfers).
"""

from __future__ import annotations

from typing import NewType

ObjectId = NewType("ObjectId", int)
"""A context, queue, memory object or program; chosen by the client, unique in its session."""

EventId = NewType("EventId", int)
"""An event; shares the number space of `ObjectId`."""

NodeId = NewType("NodeId", int)
"""One incarnation of an agent; chosen by the master, never used twice."""

DeviceId = NewType("DeviceId", int)
"""One device of one incarnation of an agent; chosen by the master."""

OperationId = NewType("OperationId", int)
"""One operation that an executor carries out; chosen by the master, unique in its session."""

TransferId = NewType("TransferId", int)
"""One movement of bytes between two endpoints; chosen by the master, unique in its session."""

EndpointId = NewType("EndpointId", int)
"""Who sends or receives bulk: `CLIENT`, or the `NodeId` of an executor."""

CLIENT = EndpointId(0)
"""The endpoint that is the client itself."""
