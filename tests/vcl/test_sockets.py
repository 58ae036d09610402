"""What a socket of ours is set up with."""

from __future__ import annotations

import socket

import pytest

from tests.master.test_leg import tcp_pair
from vcl.sockets import set_up, silence_s_max


def test_a_host_that_does_not_answer_is_noticed() -> None:
    near, far = tcp_pair()
    with near, far:
        set_up(near)
        assert near.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000 * silence_s_max
        idle, interval, count = (
            near.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + interval * count == silence_s_max


def test_small_frames_leave_at_once_and_nothing_blocks() -> None:
    near, far = tcp_pair()
    with near, far:
        set_up(near)
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        with pytest.raises(BlockingIOError):
            near.recv(1)


def test_what_a_system_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT")
    near, far = tcp_pair()
    with near, far:
        set_up(near)
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 2
