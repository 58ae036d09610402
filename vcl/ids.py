"""Ids with a meaning of their own, among those that appear on the wire.

Owns: the reserved values. Must not know: who hands out the others (clients choose the ids of
their objects; the master chooses those of nodes, devices, operations and transfers).
"""

from __future__ import annotations

CLIENT = 0
"""The endpoint that is the client itself; another is an executor."""
