"""The id of a host: whose it is, how long it stays, that it isn't the machine's own; its load."""

from __future__ import annotations

import builtins
import io
import socket
from typing import Any

import psutil
import pytest

from node_agent.host import host_id, load

MACHINE, BOOT = "/etc/machine-id", "/proc/sys/kernel/random/boot_id"


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What this host's files say; one that isn't among them isn't there."""
    real = builtins.open
    found = {MACHINE: b"11aa\n", BOOT: b"first boot\n"}

    def opening(path: Any, *arguments: Any, **keywords: Any) -> Any:
        if path not in (MACHINE, BOOT):
            return real(path, *arguments, **keywords)
        if path not in found:
            raise FileNotFoundError(path)
        return io.BytesIO(found[path])

    monkeypatch.setattr(builtins, "open", opening)
    return found


def test_it_is_the_machine_s_and_stays_with_the_next_boot(files: dict[str, bytes]) -> None:
    first = host_id()
    files[BOOT] = b"second boot\n"
    assert host_id() == first
    files[MACHINE] = b"22bb\n"
    second = host_id()
    assert second != first and len(second) == len(first) == 64
    assert "11aa" not in first and "22bb" not in second


@pytest.mark.parametrize("content", [b"", b"uninitialized\n", None])
def test_a_machine_without_an_id_has_one_until_its_next_boot(
    files: dict[str, bytes], content: bytes | None
) -> None:
    known = host_id()
    if content is None:
        del files[MACHINE]
    else:
        files[MACHINE] = content
    first = host_id()
    assert first == host_id() != known and "first boot" not in first
    files[BOOT] = b"second boot\n"
    assert host_id() != first


def test_a_host_that_tells_nothing_is_known_by_its_name(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    files.clear()
    monkeypatch.setattr(socket, "gethostname", lambda: "me")
    assert host_id() == "me"


def test_how_busy_it_is() -> None:
    load()
    percent, used, memory = load()
    assert 0 <= percent <= 100 and 0 < used < memory == psutil.virtual_memory().total
