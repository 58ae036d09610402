"""What the sockets that vcl serves itself are set up with.

Owns: that. Must not know: what they are for.
"""

from __future__ import annotations

import socket

silence_s_max = 20
"""A peer whose host doesn't answer for so long is gone."""


def set_up(connected: socket.socket) -> None:
    """Small frames leave at once, and a host that doesn't answer is noticed."""
    connected.setblocking(False)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", silence_s_max // 2),
        ("TCP_KEEPINTVL", silence_s_max // 4),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", 1000 * silence_s_max),
    ):
        if hasattr(socket, name):  # not every system has all of them
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
