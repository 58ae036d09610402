"""Where an executor takes direct links from other hosts: `--data-listen`.

Owns: that setting. Must not know: links, nor anything that takes long to import: agents check it.
"""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class DataListen:
    """Where an executor takes dials from other hosts: at the first free port of these."""

    host: str
    low: int = 0
    high: int = 0

    @classmethod
    def parse(cls, text: str) -> DataListen:
        """HOST[:PORT[-PORT]], IPv6 in brackets; raises ValueError with a text for the user."""
        found = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+)(?::(\d{1,5})(?:-(\d{1,5}))?)?", text)
        if found is None:
            raise ValueError(f"{text!r} isn't HOST, HOST:PORT or HOST:PORT-PORT")
        host, first, last = found.groups()
        low = int(first or 0)
        high = int(last or low)
        if not low <= high < 2**16 or (first and not low):
            raise ValueError(f"{text!r} has no ports from 1 to 65535 in ascending order")
        return cls(host.strip("[]"), low, high)

    @classmethod
    def towards(cls, url: str) -> DataListen | None:
        """Any port of the address that this host has towards a master; None if it has none."""
        target = urlsplit(url)
        for family, kind, _, _, address in socket.getaddrinfo(
            target.hostname, target.port or 80, type=socket.SOCK_DGRAM
        ):
            with contextlib.suppress(OSError), socket.socket(family, kind) as towards:
                towards.connect(address)  # which sends nothing
                host: str = towards.getsockname()[0]
                return cls(host)
        return None
