"""What an agent and the master say to each other after the agent's registration.

Owns: heartbeats and the start and stop of executors. The inventory of devices travels in Hello.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from vcl.wire.codec import Conversation, Count, Row

Offered = Annotated[list[int], Row(int, Count)]


class StartExecutor(NamedTuple):
    """Give a ready executor to a session; it dials the master with `ticket`.

    start: tells this executor from an earlier one of the session. devices: [device id, index in
    the agent's inventory] each.
    """

    session: int
    node: int
    start: int
    ticket: str
    devices: list[Offered]


class StopExecutor(NamedTuple):
    """The session is over: end its executor."""

    session: int


class Heartbeat(NamedTuple):
    """The agent lives. executors: of sessions that it runs.

    Of its host: load, of all its processors together since the last one, in percent; memory_used
    and memory, in bytes. Zeros where that isn't known.
    """

    executors: Count
    load: Count = 0
    memory_used: Count = 0
    memory: Count = 0


class ExecutorEnded(NamedTuple):
    """An executor ended that wasn't asked to; message says how, for the user.

    refused: it wasn't started, since the node serves as many sessions as it may.
    """

    session: int
    start: int
    message: str
    refused: bool = False


TO_AGENT = Conversation(
    "master to agent",
    {
        1: StartExecutor,
        2: StopExecutor,
    },
)
FROM_AGENT = Conversation(
    "agent to master",
    {
        40: Heartbeat,
        41: ExecutorEnded,
    },
)
