"""How a host is told from others, and how busy it is.

Owns: the host's id, its load and memory. Must not know: who is told.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import socket

import psutil


def host_id() -> str:
    """What agents on one host have in common, and others haven't, for the master only.

    The same after the host has booted anew if it has a machine-id(5), so that its node's name stays
    its own; else it is of one boot only, and a master that knew the name from the boot before
    refuses it. A hash, because machine-id(5) isn't to leave the host.
    """
    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            text = file.read().strip()
            if text and text != b"uninitialized":
                return hmac.new(text, b"vcl", hashlib.sha256).hexdigest()
    return socket.gethostname()


def load() -> tuple[int, int, int]:
    """Of all processors together since the last call, in percent, 0 at the first; the bytes of
    memory that couldn't be had, and of all memory."""
    memory = psutil.virtual_memory()
    percent = round(psutil.cpu_percent(interval=None))
    return percent, memory.total - memory.available, memory.total
