"""All attacks by name, in the order in which they are watched.

Owns: the list. Must not know: what they do.
"""

from __future__ import annotations

from tests.hostile import clients, heavy, nodes, sources, strangers
from tests.hostile.raw import BUFFER, FIRST, QUEUE, Attack, Attacker, done, packed
from vcl.wire.messages import session

SERVED = "served"
"""What becomes of a newcomer."""


async def newcomer(attacker: Attacker) -> str:
    """No attack: a new session, which computes."""
    client = await attacker.session()
    fill = packed(session.Fill(FIRST, QUEUE, [], BUFFER, 0, 64, b"x"))
    await client.send_and_read([fill], done(FIRST))
    return SERVED


_ALL = (
    newcomer,
    heavy.many_launches,
    heavy.many_writes,
    heavy.many_markers,
    heavy.gate_opened,
    heavy.gate_abandoned,
    strangers.colliding_keys,
    strangers.long_hello,
    strangers.silence,
    strangers.texts,
    strangers.pings,
    strangers.fragments,
    clients.tiny_values,
    clients.arrays_in_pieces,
    clients.release_many,
    clients.many_segments,
    clients.many_objects,
    clients.ask_reports,
    clients.long_kernel_name,
    clients.never_reads,
    clients.long_wait_lists,
    clients.sequence_gap,
    sources.image_words,
    sources.many_macros,
    sources.many_parentheses,
    sources.many_files,
    nodes.unknown_operations,
    nodes.done_again_and_again,
    nodes.kernels_100_000,
    nodes.kernels_950,
    nodes.long_failures,
    nodes.many_devices,
    nodes.coming_and_going,
    nodes.early_bulk,
    nodes.malformed_bulk,
)

ATTACKS: dict[str, Attack] = {
    f"{attack.__module__.rpartition('.')[2]}.{attack.__name__}": attack for attack in _ALL
}
