"""Every limit of the protocol in one place.

Owns: sizes, counts and times that both ends of a connection must agree on or defend. Must not
know: how they are enforced.
"""

from __future__ import annotations

PROTOCOL_VERSION = 2
"""Both ends must speak exactly this version; see README.md, "Handshake"."""

control_bytes_max = 32 * 2**10
"""Messages in one control frame together, or a piece of a longer one: what an end has to take in
without doing anything else meanwhile."""

message_bytes_max = 6 * 2**20
"""Longest message to the master, which travels in pieces."""

trusted_message_bytes_max = 64 * 2**20
"""Longest message from the master."""

message_values_max = 20_000
"""Arrays, and values in them, of one message to the master that came in pieces."""

hello_bytes_max = 4096
"""Longest Hello of anybody but an agent."""

agent_hello_bytes_max = 2**20
"""Longest Hello of an agent."""

agent_devices_max = 64
"""Devices of one agent."""

chunk_bytes_max = 2**20
"""Largest payload of one bulk chunk: bounds what a small message can be stuck behind."""

websocket_bytes_max = chunk_bytes_max + 4096
"""Largest WebSocket message that a master accepts: a chunk with its header."""

eager_bytes_max = 64 * 2**10
"""Transfers up to this size may be sent before the receiver has granted credit."""

eager_total_bytes_max = 4 * 2**20
"""Bytes of eager transfers that one sender may have without credit towards one receiver."""

eager_frame_bytes = 256
"""What a chunk without credit counts besides its payload, as keeping it isn't free."""

shared_chunk_bytes_max = 128 * 2**20
"""Largest payload of a chunk that is in memory which two ends of one host share. What is longer
than a part of the cache is copied past it, in half the time; of some caches that is 100 MB."""

shared_memory_bytes_max = 2**36
"""Largest such memory."""

shared_memories_max = 512
"""Such memories that one end may have of the other."""

packet_bytes_max = 64 * 2**10
"""Longest payload that travels between two ends of one host beside that memory."""

links_max = 64
"""Direct links of one end: bulk to yet other ends goes through the master."""

link_address_length_max = 256
"""Characters of an address at which an executor takes direct links."""

link_addresses_max = 8
"""Such addresses of one executor."""

transfers_unannounced_max = 2**16
"""Transfers for which an end keeps credit before the master has told it of them."""

transfers_cancelled_max = 2**16
"""Cancelled transfers of which an end remembers that more may come."""

batch_count_max = 256
"""Messages in one control frame; after so many a client sends its batch without being asked to."""

batch_bytes_max = 2**20
"""Bytes of inline data (sources, scalars) after which a client sends its batch."""

unsent_bytes_max = 8 * 2**20
"""What a program may have said that hasn't left its host, past which it waits in its next call:
more than the write buffer of its connection, and less than what a peer may leave unread."""

commands_in_flight_max = 8192
"""Commands of a session that haven't ended, past which a program waits in its next call. It doesn't
while a user event isn't set: whoever waited there might never set it."""

commands_max = 65536
"""Commands of a session that haven't ended, at most."""

sessions_max = 1024
"""Sessions of one master."""

nodes_max = 16384
"""Agents of one master."""

executors_max = 64
"""Sessions that one agent serves at one time."""

waits_max = 16384
"""Events in one wait list of a program's."""

waits_added_max = 1024
"""What a client may add to it: the blocking writes of other threads that are under way."""

waits_together_max = 2**20
"""Entries of the wait lists of all commands of a session that haven't ended, past which a program
waits in its next call; the last of them may go past it."""

sources_bytes_max = 2**28
"""Sources and headers of all programs that a client holds. A master keeps as much again for those
that are let go of and that commands still use."""

objects_max = 65536
"""Contexts, queues, memory objects and programs of a session together."""

rows_max = 64
"""Ended events or operations in one message."""

released_max = 4096
"""Objects and events in one Release."""

log_bytes_max = 2**18
"""Characters of one build log; what is more is cut off."""

logs_bytes_max = 2**22
"""Characters of all build logs in a message."""

operations_max = 2 * commands_in_flight_max
"""Operations that the executors of a session have at one time; later commands are planned when
these are done, the general way. More than launches that are repeated on one device are likely to
need."""

staging_bytes_max = 2 * 2**30
"""Host bytes that a client keeps for writes that no node has yet taken."""

source_bytes_max = 4 * 2**20
"""Largest program: its sources and the files that they may include."""

source_files_max = 3072
"""Files, folders and links that may travel with one source."""

source_folders_max = 1024
"""Folders in which one source's includes are searched."""

path_bytes_max = 4000
"""Longest path of a file that travels with a source."""

shapes_max = 256
"""Launches that one end of a connection may say again by number at one time."""

shape_bytes_max = 8 * 2**10
"""Such a launch, about: a short message has it said anew to executors."""

digest_bytes = 32
"""Of the digest of a host write, which is SHA-256."""

declared_bytes_max = 4 * 2**10
"""What a launch may declare of the access to its arguments, packed."""

printed_bytes_max = 2**20
"""Text that one launch may print; more is cut off, and a note says so."""

printed_message_bytes_max = 64 * 2**10
"""Text in one message."""

unacknowledged_batches_max = 64
"""Batches after which the receiver acknowledges even when it has nothing to say."""

handshake_timeout_s = 10.0
"""Time from the opened WebSocket to the end of the handshake."""

heartbeat_interval_s = 5.0
"""An agent says that it lives this often."""

heartbeat_timeout_s = 20.0
"""An agent that was silent this long is lost."""

executor_start_timeout_s = 30.0
"""Time from asking an agent for an executor to its registration."""

close_timeout_s = 5.0
"""Time that an orderly end may take before it becomes a disorderly one."""
