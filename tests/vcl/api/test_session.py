"""The process's session: when it begins, and how long it lasts."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from tests.vcl.api.world import StubRuntime, refused, remotes
from vcl import embedded
from vcl.api.lifetimes import Living
from vcl.api.platform import Platform
from vcl.api.session import ProcessSession
from vcl.errors import ConnectionProblem


class StubConnection(StubRuntime):
    """A session that can begin and end. devices: of those that begin from now on."""

    devices_now: Any = remotes(1)
    refusal: ConnectionProblem | None = None

    def __init__(self, url: str, token: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        super().__init__(self.devices_now)
        self.url, self.token = url, token
        self.closed = 0
        self.leads = True

    def close(self) -> None:
        self.closed += 1

    def lead_to_end(self) -> bool:
        return self.leads


@pytest.fixture
def contexts() -> Living:
    """The contexts of a process."""
    return Living()


@pytest.fixture
def process(contexts: Living, monkeypatch: pytest.MonkeyPatch) -> ProcessSession:
    """A process that has no session yet, and VCL_MASTER."""
    monkeypatch.setenv("VCL_MASTER", "master.example")
    monkeypatch.setenv("VCL_TOKEN", "secret")
    connection: Any = StubConnection
    return ProcessSession(contexts, connection)


def current(process: ProcessSession) -> Any:
    """The connection of the process's session."""
    process.current_platform(Platform)
    return process.runtime


def test_it_connects_on_first_use_and_once(process: ProcessSession) -> None:
    assert process.runtime is None
    platform = process.current_platform(Platform)
    assert (current(process).url, current(process).token) == ("ws://master.example:7470", "secret")
    assert platform._runtime is process.runtime
    assert process.current_platform(Platform) is platform


def test_what_is_given_comes_before_the_environment(process: ProcessSession) -> None:
    platform = process.connect(Platform, "ws://other:1", "own")
    assert (platform._runtime.url, platform._runtime.token) == ("ws://other:1", "own")
    assert process.current_platform(Platform) is platform


def test_without_an_address_it_joins_the_embedded_cluster(
    process: ProcessSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VCL_MASTER")
    monkeypatch.setenv("VCL_LOCAL_NODES", "3")
    monkeypatch.setattr(embedded, "join", lambda nodes: (f"ws://local:{nodes}", "embedded"))
    found = current(process)
    assert (found.url, found.token) == ("ws://local:3", "embedded")


def test_an_earlier_session_is_ended(process: ProcessSession) -> None:
    first = current(process)
    process.connect(Platform)
    assert first.closed == 1 and current(process) is not first


def test_after_a_session_that_died_comes_another(process: ProcessSession) -> None:
    first = current(process)
    first.dead = "lost"
    assert current(process) is not first
    assert not first.closed


def test_nobody_there(process: ProcessSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StubConnection, "refusal", ConnectionProblem("nobody listens"))
    with pytest.raises(ConnectionProblem, match="nobody listens"):
        process.connect(Platform)
    with refused("clGetPlatformIDs", "DEVICE_NOT_AVAILABLE", "nobody listens"):
        process.current_platform(Platform)
    with pytest.raises(ConnectionProblem, match="isn't the address of a vcl-master"):
        process.connect(Platform, "http://master")


def test_a_cluster_without_agents_is_asked_anew(
    process: ProcessSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StubConnection, "devices_now", [])
    connected: Any = process.connect(Platform)._runtime
    with refused("clGetDeviceIDs", "DEVICE_NOT_FOUND", "`vcl-agent ws://master.example:7470`"):
        process.current_platform(Platform)
    assert connected.closed == 1 and process.runtime is None
    monkeypatch.setattr(StubConnection, "devices_now", remotes(1))
    assert process.current_platform(Platform)._devices()


def test_disconnecting(process: ProcessSession) -> None:
    found = current(process)
    process.disconnect()
    process.disconnect()
    assert found.closed == 1 and process.runtime is None and process.platform is None


def test_threads_that_need_it_at_once_find_the_same(process: ProcessSession) -> None:
    found = []
    begin = threading.Barrier(4)

    def look() -> None:
        begin.wait()
        found.append(process.current_platform(Platform))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(map(id, found))) == 1


def test_without_contexts_it_ends_when_python_does(process: ProcessSession) -> None:
    found = current(process)
    assert not process.outlasts_exit()
    assert not process.outlasts_exit()
    assert found.closed == 1


def test_it_lasts_until_the_last_context_has_gone(
    process: ProcessSession, contexts: Living
) -> None:
    found = current(process)
    first, second = contexts.add(), contexts.add()
    assert process.outlasts_exit() and process.outlasts_exit()
    contexts.discard(first)
    assert not found.closed
    contexts.discard(second)
    assert found.closed == 1 and not process.outlasts_exit()


def test_while_python_goes_on_it_lasts_without_contexts(
    process: ProcessSession, contexts: Living
) -> None:
    found = current(process)
    contexts.discard(contexts.add())
    assert not found.closed


def test_a_session_that_cannot_be_led_to_its_end_is_ended_at_once(
    process: ProcessSession, contexts: Living
) -> None:
    found = current(process)
    found.leads = False
    contexts.add()
    assert not process.outlasts_exit()
    assert found.closed == 1


def test_a_process_without_a_session_ends(process: ProcessSession, contexts: Living) -> None:
    contexts.add()
    assert not process.outlasts_exit()


def test_a_forked_child_does_not_wait_for_threads_that_it_has_not(
    process: ProcessSession,
) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with process._lock:
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    process.forked()  # in the child that thread isn't
    process.disconnect()
    done.set()
    thread.join()


def test_forked_children_are_told() -> None:
    from vcl.api.session import PROCESS

    lock = PROCESS._lock
    child = os.fork()
    if child == 0:
        os._exit(0 if PROCESS._lock is not lock else 1)
    assert os.waitpid(child, 0)[1] == 0
