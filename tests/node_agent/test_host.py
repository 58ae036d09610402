"""The id of a host: the same each time, and never the machine's own id."""

from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import Any

import pytest

from node_agent.host import host_id


def test_it_stays_and_does_not_tell_the_machines_own() -> None:
    known = host_id()
    assert known == host_id() and known
    machine_id = Path("/etc/machine-id")
    if machine_id.exists() and machine_id.read_text().strip():
        assert machine_id.read_text().strip() not in known


@pytest.mark.parametrize("content", [b"", b"uninitialized\n"])
def test_a_machine_without_an_id(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    real, opened = builtins.open, []

    def opening(path: Any, *arguments: Any, **keywords: Any) -> Any:
        opened.append(path)
        if path == "/etc/machine-id":
            read, write = os.pipe()
            with real(write, "wb") as file:
                file.write(content)
            return real(read, "rb")
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(builtins, "open", opening)
    assert host_id()
    assert opened == ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"]
