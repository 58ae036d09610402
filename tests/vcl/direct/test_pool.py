"""Copies that a pool keeps: nobody's bytes change, and memory is used again."""

from __future__ import annotations

import os
import random
import threading

import numpy as np
import numpy.typing as npt
import pytest

from vcl.direct import pool as pool_module
from vcl.direct.pool import Pool, arena_bytes, block_bytes_max, is_at, kept_bytes_min
from vcl.direct.shared import SharedMemory
from vcl.wire.frame import Bytes
from vcl.wire.limits import shared_memory_bytes_max

MIB = 2**20


def address(data: Bytes) -> int:
    found: int = np.frombuffer(data, np.uint8).ctypes.data
    return found


def written(size: int) -> memoryview:
    return memoryview(bytearray(os.urandom(size)))


@pytest.mark.parametrize("size", [1, kept_bytes_min - 1, kept_bytes_min, 3 * MIB + 1,
                                  block_bytes_max, block_bytes_max + 1, 40 * MIB])  # fmt: skip
def test_a_copy_is_what_was_copied_and_stays_so(size: int) -> None:
    data = written(size)
    before = bytes(data)
    kept = Pool().keep(data)
    data[:] = bytes(size)
    assert len(kept) == size and bytes(kept) == before
    assert memoryview(kept).readonly


@pytest.mark.parametrize("size", [kept_bytes_min, 20 * MIB])
def test_memory_is_used_again_when_nothing_refers_to_the_copy(size: int) -> None:
    pool = Pool()
    kept = memoryview(pool.keep(written(size)))
    where, part = address(kept), kept[5:10]
    other = pool.keep(written(size))
    del kept
    assert address(pool.keep(written(size))) != where, "a part of it is still in use"
    del part
    seen = [pool.keep(written(size)) for _ in range(3)]
    assert where in [address(each) for each in seen]
    assert address(other) not in [address(each) for each in seen]


def test_others_find_where_a_copy_is() -> None:
    pool = Pool()
    small, large = (memoryview(pool.keep(written(n))) for n in (2 * MIB, 20 * MIB))
    for kept in (small, large):
        found = pool.find(kept[7:1000])
        assert found is not None
        memory, offset = found
        assert bytes(memory.bytes[offset : offset + 993]) == bytes(kept[7:1000])
    assert pool.find(memoryview(bytes(2 * MIB))) is None
    assert pool.find(memoryview(pool.keep(written(10)))) is None
    assert Pool().find(small) is None


def test_what_is_idle_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "idle_bytes_max", arena_bytes)
    before = set(os.listdir("/proc/self/fd"))
    pool = Pool()
    kept = [pool.keep(written(16 * MIB)) for _ in range(5)]
    assert len(os.listdir("/proc/self/fd")) == len(before) + 2 * 5, "one of them is mmap's own"
    kept.clear()
    pool.trim()
    assert len(os.listdir("/proc/self/fd")) == len(before) + 2 * 2
    assert pool.keep(written(16 * MIB)) is not None


def test_without_shared_memory_there_is_a_pool_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    pool = Pool()
    data = written(2 * MIB)
    kept = memoryview(pool.keep(data))
    assert kept == data and pool.find(kept) is None


def test_many_threads() -> None:
    pool = Pool()
    wrong: list[int] = []

    def use(seed: int) -> None:
        rng = random.Random(seed)
        held: list[tuple[int, Bytes]] = []
        for _ in range(60):
            byte = rng.randrange(256)
            size = rng.choice((MIB, 2 * MIB, 9 * MIB))
            held.append((byte, pool.keep(memoryview(bytes([byte]) * size))))
            if len(held) > 4:
                byte, kept = held.pop(rng.randrange(4))
                if not (np.frombuffer(kept, np.uint8) == byte).all():
                    wrong.append(seed)

    threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_copy_may_be_kept_by_a_signals_handler_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, meanwhile = Pool(), [3 * MIB]
    kept: list[Bytes] = []

    def made(size: int, changing: bool) -> SharedMemory:
        if meanwhile:
            thread = threading.Thread(target=pool.find, args=(written(MIB),), daemon=True)
            thread.start()
            thread.join(10)
            assert not thread.is_alive(), "the session's thread waits for the memory"
            kept.append(pool.keep(written(meanwhile.pop())))
        return SharedMemory(size)

    monkeypatch.setattr("vcl.direct.shared.SharedMemory", made)
    kept.append(pool.keep(written(3 * MIB)))
    assert address(kept[0]) != address(kept[1])
    assert all(pool.find(memoryview(each)) for each in kept)


def test_room_that_others_can_read() -> None:
    pool = Pool(changing=True)
    room = pool.buffer_room(5 * MIB)
    assert room is not None and room.flags.writeable and len(room) == 5 * MIB
    found = pool.find(room[7:].data)
    assert found is not None and found[0].changing
    room[7] = 9
    assert found[0].bytes[found[1]] == 9
    where = room.ctypes.data
    del room
    rooms = [each for _ in range(4) if (each := pool.buffer_room(5 * MIB)) is not None]
    pages = [each.ctypes.data // 4096 for each in rooms]
    assert where // 4096 in pages and len(set(pages)) == 4
    starts = [each.ctypes.data % 4096 for each in rooms]
    assert len(set(starts)) == 4 and not any(start % 128 for start in starts), "each its own"


@pytest.mark.parametrize("size", [0, kept_bytes_min - 1, shared_memory_bytes_max + 1])
def test_room_of_a_size_that_buffers_are_given_none_of(size: int) -> None:
    assert Pool(changing=True).buffer_room(size) is None


def test_room_where_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    for pool in (Pool(shares=False, changing=True), Pool(changing=True)):
        for size in (MIB, 5 * MIB, 20 * MIB):
            rooms = [each for _ in range(4) if (each := pool.buffer_room(size)) is not None]
            assert [len(each) for each in rooms] == [size] * 4
            assert not any(each.ctypes.data % 128 or pool.find(each.data) for each in rooms)
            for number, each in enumerate(rooms):
                each[:] = number
            assert all((each == number).all() for number, each in enumerate(rooms))


def test_so_many_memories_for_what_changes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "changing_memories_max", 2)
    pool = Pool(changing=True)

    def shared(room: npt.NDArray[np.uint8] | None) -> bool:
        assert room is not None
        return pool.find(room.data) is not None

    first, second, third = (pool.buffer_room(20 * MIB) for _ in range(3))
    assert shared(first) and shared(second) and not shared(third)
    del first
    assert shared(pool.buffer_room(20 * MIB))


def test_what_is_idle_of_what_changes_has_a_limit_of_its_own() -> None:
    before = set(os.listdir("/proc/self/fd"))
    pool = Pool(changing=True)
    rooms = [pool.buffer_room(80 * MIB) for _ in range(2)]
    rooms.clear()
    pool.trim()
    assert len(os.listdir("/proc/self/fd")) == len(before) + 2


def test_bytes_are_at_their_own_place_only() -> None:
    memory = memoryview(bytearray(10))
    assert is_at(memory[2:6], memory[2:6]) and is_at(memory[2:6], memory[2:])
    assert not is_at(memory[3:6], memory[2:6]) and not is_at(bytes(10), memory)
