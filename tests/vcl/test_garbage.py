"""Garbage that isn't collected for a while."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from vcl.garbage import no_garbage_collection


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_afterwards_as_it_was_before(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(KeyError), no_garbage_collection():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_of_several_threads_the_last_one_has_it_collected_again() -> None:
    inside, leave = threading.Event(), threading.Event()

    def within() -> None:
        with no_garbage_collection():
            inside.set()
            leave.wait(30)

    assert gc.isenabled()
    other = threading.Thread(target=within)
    other.start()
    assert inside.wait(30)
    with no_garbage_collection():
        pass
    assert not gc.isenabled()
    child = os.fork()
    if not child:
        os._exit(0 if gc.isenabled() else 1)
    assert os.waitpid(child, 0)[1] == 0, "in a child the other thread isn't there"
    leave.set()
    other.join()
    assert gc.isenabled()
