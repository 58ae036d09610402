"""Rings, in one process: who has which slot, and what memory is taken from a peer."""

from __future__ import annotations

import fcntl
import os

import pytest

from vcl.direct.ring import PeersRing, Ring, slot_bytes
from vcl.errors import RemoteProtocolError


def pair(slots: int = 2) -> tuple[Ring, PeersRing, list[int]]:
    returned: list[int] = []
    ring = Ring(slots)
    return ring, PeersRing(ring.descriptor, slots, returned.append), returned


def test_what_is_put_is_read_where_it_is() -> None:
    ring, peers, _ = pair()
    data = os.urandom(slot_bytes)
    slot = ring.put(data)
    got = peers.take(slot, slot_bytes)
    assert got.readonly and bytes(got) == data


def test_a_slot_is_returned_when_nothing_refers_to_it() -> None:
    ring, peers, returned = pair()
    got = peers.take(ring.put(b"abc"), 3)
    part = got[1:]
    del got
    assert returned == [], "a piece of it is still in use"
    assert bytes(part) == b"bc"
    del part
    assert returned == [0]
    peers.take(0, 3)


def test_a_slot_is_used_again_when_it_was_given_back() -> None:
    ring, _, _ = pair(slots=1)
    slot = ring.put(b"a")
    assert not ring.free
    ring.give_back(slot)
    assert ring.put(b"b") == slot


@pytest.mark.parametrize("slot", [0, 1, 2])
def test_what_isnt_lent_cant_be_given_back(slot: int) -> None:
    ring, _, _ = pair()
    with pytest.raises(RemoteProtocolError, match=f"slot {slot} isn't lent"):
        ring.give_back(slot)


def test_a_slot_that_is_lent_cant_be_lent_again() -> None:
    ring, peers, _ = pair()
    got = peers.take(ring.put(b"a"), 1)
    with pytest.raises(RemoteProtocolError, match="slot 0 is in use"):
        peers.take(0, 1)
    with pytest.raises(RemoteProtocolError, match="slot 2 is in use"):
        peers.take(2, 1)
    del got


def test_memory_that_could_shrink_is_refused() -> None:
    descriptor = os.memfd_create("loose", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, slot_bytes)
    with pytest.raises(RemoteProtocolError, match="could shrink"):
        PeersRing(descriptor, 1, print)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    with pytest.raises(RemoteProtocolError, match="could shrink"):
        PeersRing(descriptor, 1, print)
    os.close(descriptor)


def test_memory_of_another_size_is_refused() -> None:
    ring = Ring(1)
    with pytest.raises(RemoteProtocolError, match="another size"):
        PeersRing(ring.descriptor, 2, print)


def test_a_file_is_no_memory(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "file")
    with open(path, "wb") as file:
        file.truncate(slot_bytes)
    with open(path, "rb") as file, pytest.raises(RemoteProtocolError, match="memory"):
        PeersRing(file.fileno(), 1, print)


def test_a_ring_that_isnt_to_be_had_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No space"):
        Ring()
    assert set(os.listdir("/proc/self/fd")) == before
