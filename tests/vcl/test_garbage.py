"""Garbage that isn't collected for a while."""

from __future__ import annotations

import gc

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
