"""The holder of an embedded cluster: what it loads; how it ends is in `test_embedded`."""

from __future__ import annotations

from tests.processes import loaded_by

SLOW = {"pydantic", "pydantic_settings", "numpy", "pyopencl", "typer", "websockets", "rich"}


def test_it_loads_nothing_that_takes_long() -> None:
    loaded = loaded_by("vcl.holder")
    assert "vcl" in loaded and not loaded & SLOW
