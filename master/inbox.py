"""What the peers of a session said and the session hasn't dealt with yet, in small portions.

Owns: cutting messages that name many things, and the order of what came. Must not know: what any
of it means.

A turn of the master's loop deals with as much as it has time for; the rest waits here. Whoever
reads from the peers doesn't read on meanwhile, so that no more than a frame of each is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.wire.limits import released_max
from vcl.wire.messages import part, session

CLIENT = 0
"""In place of a node's number: it came from the client."""


class Inbox:
    """First come, first served.

    Of what names many things each is an item by itself: an int is an object or event that the
    client holds no longer, a list is a row of part.Done.
    """

    def __init__(self) -> None:
        self.kept: deque[tuple[int, Any]] = deque()
        """(source, what it said), in order; its owner takes them from the left."""

    def put(self, source: int, messages: Sequence[Any]) -> None:
        """Messages came from CLIENT or from the executor on a node.

        Raises RemoteProtocolError for too many objects in one.
        """
        for message in messages:
            if type(message) is session.Release:
                if len(message.objects) > released_max:
                    raise RemoteProtocolError(f"a Release of more than {released_max} objects")
                self.kept.extend([(source, number) for number in message.objects])
            elif type(message) is part.Done:
                self.kept.extend([(source, row) for row in message.operations])
            else:
                self.kept.append((source, message))

    def take_all(self, source: int) -> list[Any]:
        """What one of them said, in order."""
        taken = [item for one, item in self.kept if one == source]
        others = [entry for entry in self.kept if entry[0] != source]
        self.kept.clear()  # it stays the same one, which its owner may have at hand
        self.kept.extend(others)
        return taken
