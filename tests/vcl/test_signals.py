"""Handlers that are put off, with signals that this process sends itself."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from vcl import signals
from vcl.signals import PutOff, Signalled

ONE, OTHER = signal.SIGUSR1, signal.SIGUSR2


class Came(Exception):
    """A handler was called."""


def raises(number: int, frame: FrameType | None) -> None:
    raise Came(number)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [(number, signal.signal(number, raises)) for number in (ONE, OTHER)]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_a_handler_is_called_when_it_is_over() -> None:
    done = []
    with pytest.raises(Came), PutOff() as put_off:
        assert not put_off.noted
        send(ONE)
        done.append(1)
        assert put_off.noted
        done.append(2)
    assert done == [1, 2] and signal.getsignal(ONE) is raises


def test_all_handlers_are_called_whatever_one_raises() -> None:
    seen: list[Any] = []

    def notes(number: int, frame: FrameType | None) -> None:
        seen.append((number, frame))
        raise Came(number)

    signal.signal(ONE, notes)
    signal.signal(OTHER, notes)
    with pytest.raises(Came) as caught, PutOff():
        send(ONE)
        send(OTHER)
    assert [number for number, _ in seen] == [ONE, OTHER]
    assert all(isinstance(frame, FrameType) for _, frame in seen)
    assert isinstance(caught.value.__context__, Came)


def test_what_was_raised_within_goes_up_if_no_handler_raises() -> None:
    signal.signal(ONE, lambda number, frame: None)
    with pytest.raises(KeyError), PutOff():
        send(ONE)
        raise KeyError


def test_it_may_be_entered_again_within() -> None:
    put_off = PutOff()
    with pytest.raises(Came), put_off:
        with put_off:
            send(ONE)
        assert signal.getsignal(ONE) is not raises, "it isn't over"
    assert signal.getsignal(ONE) is raises


def test_signals_without_a_handler_are_left_alone() -> None:
    signal.signal(ONE, signal.SIG_IGN)
    with PutOff() as put_off:
        send(ONE)
        assert not put_off.noted and signal.getsignal(ONE) is signal.SIG_IGN
    assert signal.getsignal(ONE) is signal.SIG_IGN


def test_handlers_that_the_program_sets_are_seen() -> None:
    put_off, seen = PutOff(), []
    for each in ("first", "second"):
        signal.signal(ONE, partial(lambda each, number, frame: seen.append(each), each))
        with put_off:
            send(ONE)
    assert seen == ["first", "second"]


def test_a_signal_ends_what_only_waits() -> None:
    """Before it begins, and while it goes on."""
    idle, _ = os.pipe()

    def wait() -> Any:
        timer.start()
        return select.select([idle], [], [], 30)

    for early in (True, False):
        timer = threading.Timer(0.05, lambda: send(ONE))
        ended = False
        with pytest.raises(Came), PutOff() as put_off:
            if early:
                send(ONE)
            try:
                put_off.ended_by_one(wait)
            except Signalled:
                ended = True
        assert ended
    timer.join()


def test_on_another_thread_it_does_nothing() -> None:
    put_off, found = PutOff(), []

    def elsewhere() -> None:
        with put_off as entered:
            found.append((signal.getsignal(ONE), entered.ended_by_one(lambda: 3)))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [(raises, 3)]


def test_what_other_threads_wait_for_is_no_reason_to_raise() -> None:
    put_off, waits, go_on = PutOff(), threading.Event(), threading.Event()

    def wait() -> bool:
        waits.set()
        return go_on.wait(30)

    other = threading.Thread(target=lambda: put_off.ended_by_one(wait))
    other.start()
    assert waits.wait(30)
    done = []
    with pytest.raises(Came), put_off:
        send(ONE)
        done.append(1)
        elsewhere = threading.Thread(target=lambda: done.append(put_off.noted))
        elsewhere.start()
        elsewhere.join()
    go_on.set()
    other.join()
    assert done == [1, False]


@pytest.mark.parametrize("leaving", [False, True])
def test_a_handler_that_enters_it_while_handlers_change_loses_none(leaving: bool) -> None:
    """As one does that waits for the cluster, for a checkpoint."""
    put_off, entered, seen = PutOff(), [False], []

    def enters(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        entered[0] = True
        with put_off:
            pass

    signal.signal(OTHER, enters)
    signal.signal(ONE, lambda number, frame: seen.append(number))
    change = signals._set

    def at_that_moment(number: int, handler: Any) -> Any:
        if number == OTHER and (handler is enters) is leaving and not entered[0]:
            # ONE is another's now already, or still; OTHER is about to be.
            enters(OTHER, None)
        return change(number, handler)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "_set", at_that_moment)
        with put_off:
            pass
    assert entered[0] and signal.getsignal(OTHER) is enters
    send(ONE)
    assert seen == [OTHER, ONE], "its own handler was called"


def test_a_child_that_another_thread_forks_has_the_handlers() -> None:
    found: list[int] = []

    def fork() -> None:
        child = os.fork()
        if not child:
            same = signal.getsignal(ONE) is raises and not signals.PUT_OFF.noted
            os._exit(0 if same else 1)
        found.append(os.waitpid(child, 0)[1])

    with signals.PUT_OFF:
        forking = threading.Thread(target=fork)
        forking.start()
        forking.join()
    assert found == [0]


STORM = """
import os, signal, sys, threading, time
from vcl.signals import PutOff

class Came(Exception): pass

def raises(number, frame):
    global armed
    if armed:
        armed = False
        raise Came

def storm():
    for turn in range(3000):
        os.kill(os.getpid(), kinds[turn % 3])
        time.sleep(0)  # lets the main thread go on

kinds = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM]
sys.setswitchinterval(1e-4)
put_off, came, cut, done, armed = PutOff(), 0, 0, 0, False
for kind in kinds: signal.signal(kind, raises)
storming = threading.Thread(target=storm)
storming.start()
while storming.is_alive():
    whole = [0, 0]
    try:
        armed = True
        with put_off:
            whole[0] = 1
            for _ in range(20): pass
            whole[1] = 1
        armed = False
    except Came:
        came += 1
    cut += whole[0] != whole[1]
    done += whole[1]
storming.join()
assert [signal.getsignal(kind) for kind in kinds] == [raises] * 3
assert came > 10 and done > 10 and cut == 0, (came, done, cut)
print("whole")
"""


def test_nothing_is_cut_in_half_in_a_storm_of_signals() -> None:
    """By which another thread is hit as well, and with several kinds of them."""
    done = subprocess.run(
        [sys.executable, "-c", STORM], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "whole\n", done.stderr
