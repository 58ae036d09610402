"""Shared memory, in one process: what is taken from a peer, and who has which chunk."""

from __future__ import annotations

import fcntl
import os

import numpy as np
import pytest

from vcl.direct import shared
from vcl.direct.shared import PeersMemory, Ring, SharedMemory, ring_slots
from vcl.errors import RemoteProtocolError
from vcl.wire.limits import chunk_bytes_max

SIZE = 2**16


def test_what_is_written_is_read_where_it_is() -> None:
    memory = SharedMemory(SIZE)
    peers = PeersMemory(memory.descriptor, SIZE)
    data = os.urandom(100)
    memory.bytes[50:150] = list(data)
    got = peers.lend(50, 100, list)
    assert got.readonly and bytes(got) == data


def test_bytes_are_returned_when_nothing_refers_to_them() -> None:
    memory = SharedMemory(SIZE)
    returned: list[int] = []
    got = PeersMemory(memory.descriptor, SIZE).lend(0, 3, lambda: returned.append(1))
    part = got[1:]
    del got
    assert returned == [], "a piece of it is still in use"
    assert len(part) == 2
    del part
    assert returned == [1]


@pytest.mark.parametrize(("offset", "size"), [(0, SIZE + 1), (SIZE, 1), (2**63, 1)])
def test_bytes_that_there_arent(offset: int, size: int) -> None:
    memory = SharedMemory(SIZE)
    peers = PeersMemory(memory.descriptor, SIZE)
    with pytest.raises(RemoteProtocolError, match="that are shared"):
        peers.lend(offset, size, list)


def test_a_ring_has_so_many_chunks() -> None:
    ring = Ring()
    offsets = [ring.put(bytes([n])) for n in range(ring_slots)]
    assert not ring.has_room
    assert [ring.memory.bytes[offset] for offset in offsets] == list(range(ring_slots))
    ring.give_back(offsets[3])
    assert ring.put(os.urandom(chunk_bytes_max)) == offsets[3]


def test_memory_that_could_shrink_is_refused() -> None:
    descriptor = os.memfd_create("loose", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, SIZE)
    with pytest.raises(RemoteProtocolError, match="could shrink"):
        PeersMemory(descriptor, SIZE)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    with pytest.raises(RemoteProtocolError, match="could shrink"):
        PeersMemory(descriptor, SIZE)
    os.close(descriptor)


def test_memory_of_another_size_is_refused() -> None:
    memory = SharedMemory(SIZE)
    with pytest.raises(RemoteProtocolError, match="another size"):
        PeersMemory(memory.descriptor, 2 * SIZE)


def test_a_file_is_no_memory(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "file")
    with open(path, "wb") as file:
        file.truncate(SIZE)
    with open(path, "rb") as file, pytest.raises(RemoteProtocolError, match="memory"):
        PeersMemory(file.fileno(), SIZE)


def test_memory_that_isnt_to_be_had_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No space"):
        SharedMemory(SIZE)
    assert set(os.listdir("/proc/self/fd")) == before


def test_memory_goes_with_the_last_who_refers_to_its_bytes() -> None:
    before = set(os.listdir("/proc/self/fd"))
    memory = SharedMemory(SIZE)
    part = memory.bytes[:10]
    peers = PeersMemory(memory.descriptor, SIZE)
    got = peers.lend(0, 10, list)
    del memory, peers
    assert set(os.listdir("/proc/self/fd")) != before
    del part, got
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("large", [False, True])
def test_of_large_memory_only_what_is_being_read_is_resident(
    monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    size = 2**26
    monkeypatch.setattr(shared, "seen_bytes_max", size - large)
    memory = SharedMemory(size, changing=True)
    memory.bytes[:] = 7
    peers = PeersMemory(memory.descriptor, size)
    before = resident()
    for offset in range(5, size - 2**22, 2**22):
        assert (np.frombuffer(peers.lend(offset, 2**22, list), np.uint8) == 7).all()
    gained = resident() - before
    assert gained < size // 4 if large else gained > size // 2


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_memory_that_changes_has_no_pages_before_it_is_used() -> None:
    memory = SharedMemory(2**24, changing=True)
    assert memory.changing and os.fstat(memory.descriptor).st_blocks == 0
    assert os.fstat(SharedMemory(2**20).descriptor).st_blocks * 512 == 2**20
