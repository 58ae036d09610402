"""Listening sockets that stay calm when the process has no descriptors left.

Owns: what happens to a connection that can't be taken. Must not know a WebSocket library: both
take their connections from such a socket.

An event loop whose `accept` fails for want of descriptors tries again and again, with a traceback
each time, because the connection stays in the queue. Here it is taken and closed at once: its peer
knows, connections that are there go on, and new ones are taken as soon as there is room.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import time
from contextlib import suppress
from types import ModuleType
from typing import Any

resource: ModuleType | None
try:
    import resource
except ImportError:  # not everywhere are descriptors counted so
    resource = None

DESCRIPTORS_SPARED = 16
"""Descriptors that connections leave to the rest of the process: logs, libraries, its end."""

LOG_INTERVAL_S = 60.0
"""Connections that couldn't be taken are told of in the log this often, in one line."""

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)

log = logging.getLogger(__name__)


class ListeningSocket(socket.socket):
    """Closes connections for which there are no descriptors, instead of failing.

    `accept` raises BlockingIOError then, which loops take for "nobody is there".
    """

    def __init__(self, family: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        # Given up for a moment to take a connection when there is no other descriptor.
        self._reserve = os.open(os.devnull, os.O_RDONLY)  # which children don't inherit (PEP 446)
        self._logged_s: float | None = None
        self._closed_count = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """As of every socket; see the class."""
        try:
            connection, address = super().accept()
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS:
                raise
            self._take_with_reserve()
        else:
            # The kernel gives the lowest free number, so a high one means that few are left.
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource else -1
            if limit < 0 or connection.fileno() < limit - DESCRIPTORS_SPARED:
                return connection, address
            connection.close()
        self._tell()
        raise BlockingIOError(errno.EAGAIN, "no descriptor is left for this connection")

    def _take_with_reserve(self) -> None:
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1
        with suppress(OSError):  # another thread took it first: the next attempt is as good
            super().accept()[0].close()
        with suppress(OSError):
            self._reserve = os.open(os.devnull, os.O_RDONLY)

    def _tell(self) -> None:
        self._closed_count += 1
        now_s = time.monotonic()
        if self._logged_s is None or now_s - self._logged_s >= LOG_INTERVAL_S:
            log.error(
                "closed new connections (%d): this process has no descriptors left for them; raise "
                "its limit (ulimit -n, or LimitNOFILE= of its unit)",
                self._closed_count,
            )
            self._logged_s, self._closed_count = now_s, 0

    def close(self) -> None:
        """As of every socket."""
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1
        super().close()


async def listen(host: str, port: int) -> ListeningSocket:
    """A socket bound to one address; of a name with several, to one of IPv4 if there is any.

    Raises OSError.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    listening = ListeningSocket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening
