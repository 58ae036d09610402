"""What the nodes keep is released with the last reference, and only then."""

from __future__ import annotations

from tests.vcl.api.world import StubRuntime
from vcl.api.lifetimes import Owner


def test_a_number_is_released_with_its_last_reference(runtime: StubRuntime) -> None:
    one = Owner(runtime, 7)
    other = one
    del one
    assert not runtime.released
    del other
    assert runtime.released == [7]
