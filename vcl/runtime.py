"""The client's shell: one session with a master, on a thread of its own.

Owns: the connections, the event loop's thread, the lock around the core, waiting. Must not know:
OpenCL objects (`vcl.pyopencl_cl`), or how a cluster is started (`vcl.local`).

Once Python begins to end, threads like the session's can't run any more, but the program's
destructors still do, and may use the cluster. So when the exit handlers are called the session's
thread ends, and whoever waits afterwards runs the event loop meanwhile (`lead_to_end`).

Long because one lock, one loop and one core hold sending, waiting and ending together.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import platform
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from vcl import losses, stdout, transport
from vcl.client_core import (
    COMPLETE,
    SUBMITTED,
    Answered,
    ClientCore,
    Copy,
    Destination,
    Effect,
    Ended,
    Enqueued,
    EventState,
)
from vcl.contents import Repeats, Sending, digest_of, sample_of, sampled_bytes_min
from vcl.control_socket import CAN_LEND, ControlSocket
from vcl.direct.pool import Pool, is_at
from vcl.direct.relayed import RelayLink, dial_bulk
from vcl.direct.stream import placed_bytes_min
from vcl.direct.ways import Ways
from vcl.errors import (
    DEVICE_NOT_AVAILABLE,
    INVALID_OPERATION,
    INVALID_VALUE,
    OUT_OF_HOST_MEMORY,
    ConnectionProblem,
    OperatingError,
    RemoteProtocolError,
)
from vcl.garbage import no_garbage_collection
from vcl.ids import CLIENT
from vcl.links import ControlLink, dial
from vcl.numbering import Numbering
from vcl.progress import PROGRESS
from vcl.release import VERSION
from vcl.text import counted, sized
from vcl.transfers import GrantCredit, Stream
from vcl.transport import ConnectionClosed
from vcl.wire import codec
from vcl.wire.direct import Way
from vcl.wire.frame import BulkFrame, Bytes, Encoder, too_many_values, values_in
from vcl.wire.limits import (
    close_timeout_s,
    control_bytes_max,
    handshake_timeout_s,
    message_bytes_max,
    message_values_max,
    staging_bytes_max,
)
from vcl.wire.messages import session
from vcl.wire.messages.direct import Linked, OpenLink
from vcl.wire.messages.handshake import Hello, RemoteDevice, Welcome, name_length_max
from vcl.wire.units import unit_bytes

connect_timeout_s = 3 * handshake_timeout_s

stalled_timeout_s = 5.0
"""A program that has too many commands behind a user event waits as long as some end this often."""

released_count = 1024
"""Objects and events let go of after which that is said without being asked to."""

_CREATING = (
    session.CreateContext,
    session.CreateQueue,
    session.CreateBuffer,
    session.BuildProgram,
)

idle_at_exit_timeout_s = 5.0
"""How long the end of Python may be put off by commands that nobody has waited for."""


_own_pid = os.getpid()
"""Of this process. Each command looks at it twice, and to ask the system took a twelfth of all."""


def _forked() -> None:
    global _own_pid
    _own_pid = os.getpid()


if hasattr(os, "register_at_fork"):  # not everywhere are there forks
    os.register_at_fork(after_in_child=_forked)


class _Encoded(NamedTuple):
    """A message as it travels. event: of the command that it is, else 0."""

    event: int
    data: bytes


class Runtime:
    """One session. Everything public may be called from any thread."""

    def __init__(self, url: str, token: str) -> None:
        """Connect; raises ConnectionProblem with a text for the user."""
        self.url = url
        """Where the master is."""
        self.session: int | None = None
        """Its number."""
        self.pid = os.getpid()
        """The process that owns the session; a forked child must not use it."""
        self.devices: list[RemoteDevice] = []
        """The cluster's devices when the session began."""
        self.lock = threading.RLock()
        """Guards the core."""
        self.core = ClientCore(staging_bytes_max)
        self.dead: str | None = None
        """Why the session is over, or None."""
        self._changed = threading.Condition(self.lock)
        self._encoder = Encoder()
        self._released: deque[int] = deque()
        self._answers: dict[int, Future[Any]] = {}
        self._to_submit: list[tuple[int, Callable[[int], None]]] = []
        self._callbacks: dict[int, tuple[EventState, list[Callable[[int], None]]]] = {}
        self._pool = Pool()
        self._repeats = Repeats()
        self._sending = Sending(self._repeats.sent)
        self._flushing = False
        self._draining: asyncio.Task[None] | None = None
        self._leader: int | None = None  # the thread that runs the loop while it waits, at exit
        self._loop = asyncio.SelectorEventLoop()  # the usual one of Windows watches no sockets
        self._thread = threading.Thread(target=self._loop.run_forever, name="vcl", daemon=True)
        self._thread.start()
        self._readers: asyncio.Future[Any] | None = None
        connecting = asyncio.run_coroutine_threadsafe(self._connect(token), self._loop)
        try:
            connecting.result(connect_timeout_s)
        except BaseException:
            self._stop_loop()
            raise

    async def _connect(self, token: str) -> None:
        control, welcome = await dial(
            self.url,
            Hello(software=VERSION, role="client", token=token, name=_program(), host=_user()),
        )
        self.session = welcome.session
        self._control = self._serve(control)
        try:
            await self._connect_bulk(welcome)
        except BaseException:
            if isinstance(self._control, ControlSocket):
                self._control.drop()
            raise
        self._read()

    async def _connect_bulk(self, welcome: Welcome) -> None:
        self.devices = welcome.devices
        self._bulk = await dial_bulk(
            self.url,
            Hello(
                software=VERSION,
                role="client-bulk",
                token=welcome.key,
                session=welcome.session,
            ),
            CLIENT,
            self._streamed,
            self._pool,
            self._place,
        )
        self._ways = Ways(
            self._bulk, CLIENT, self._take_bulk, self._streamed, self._tell,
            self._pool, transport.is_encrypted(self.url), self._place,
        )  # fmt: skip

    def _serve(self, control: transport.Connection) -> ControlLink | ControlSocket:
        """The control connection, on its socket where that can be had."""
        numbering = Numbering(trusted=True)
        # The master says nothing before it has heard what this session wants.
        connected = control.take_socket()
        if connected is None:
            return ControlLink(control, session.TO_CLIENT, numbering)
        try:
            return ControlSocket(connected, session.TO_CLIENT, numbering, self.lock)
        except OSError as error:  # some systems set nothing on a socket whose peer has gone
            connected.close()
            problem = f"the connection to {self.url} can't be used: {error}"
            raise ConnectionProblem(problem) from error

    def _take_ends(self, messages: Sequence[Any]) -> bool:
        """As of ControlSocket: what most waits are for, and nothing that the loop has to do."""
        with self.lock:
            if self.core.holds_printed or any(type(m) is not session.EventsDone for m in messages):
                return False
            self._carry_out(self.core.from_master(messages, time.time_ns()))
            return True

    def _take_control(self, messages: list[Any]) -> Awaitable[None] | None:
        """What the master says; answers what is to be waited for before it says more."""
        with self.lock:
            text = self.core.printed(messages)
        if text:
            return self._print_before(text, messages)
        self._take_in(self.core.from_master, messages, time.time_ns())
        self._pool.trim()
        return None

    async def _print_before(self, text: str, messages: list[Any]) -> None:
        await self._print(text)
        self._take_in(self.core.from_master, messages, time.time_ns())
        self._pool.trim()

    async def _print(self, text: str) -> None:
        """Write what kernels printed, without the lock and beside the loop.

        It may take as long as the reader at the other end likes, or be code of the program's; the
        connections must be kept alive meanwhile.
        """
        written = self._loop.create_future()

        def write() -> None:
            PROGRESS.make_way()
            stdout.write(text)
            with contextlib.suppress(RuntimeError):  # the session was closed meanwhile
                self._loop.call_soon_threadsafe(_settle, written)

        if self._leader is None:
            with contextlib.suppress(RuntimeError):  # Python is ending: no thread can be started
                threading.Thread(target=write, name="vcl-printed", daemon=True).start()
                await written
                return
        stdout.write(text)

    def _take_bulk(self, frames: Sequence[BulkFrame]) -> None:
        """What came, by whichever way; an error ends the session."""
        try:
            for each in frames:
                self._take_in(self.core.from_endpoint, each)
        except Exception as error:
            if not self._broken.done():
                self._broken.set_exception(error)

    def _place(self, frame: BulkFrame, size: int) -> memoryview | None:
        """As of StreamLink."""
        with self.lock:
            return self.core.place(frame, size)

    def _tell(self, message: Linked) -> None:
        """Say something to the master that no program asked for."""
        with self.lock:
            self.core.say(message)
            self.flush()

    def _take_in(self, take: Callable[..., list[Effect]], *arguments: Any) -> None:
        """On the loop's thread, which alone ends reads: so it copies without the lock."""
        with self.lock:
            effects = take(*arguments)
            copies = self.core.take_copies()
            if not copies:
                self._carry_out(effects)
                return
        try:
            for copy in copies:
                _copy(copy)
        except BaseException:
            with self.lock:
                self._carry_out(effects)
            raise
        with self.lock:
            self._carry_out([*effects, *self.core.copied(copies)])

    def _ended(self, readers: asyncio.Future[Any]) -> None:
        if readers.cancelled():
            reason = "it was closed"
        else:
            error = readers.exception()
            reason = error.reason if isinstance(error, ConnectionClosed) else ""
            reason = reason or str(error)
        self._ways.close()
        with self.lock:
            if self.dead is None:
                self.dead = f"the session with {self.url} is over: {reason}"
            self._carry_out(self.core.abandon(DEVICE_NOT_AVAILABLE, self.dead))
            for answer in self._answers.values():
                answer.set_exception(OperatingError(DEVICE_NOT_AVAILABLE, self.dead))
            self._answers.clear()
            self._tell_waiting()

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        """On the loop's thread but for ends, with the lock held."""
        for effect in effects:
            if isinstance(effect, Ended):
                self._run_callbacks(effect.events)
            elif isinstance(effect, Stream):
                if self._ways.way(effect.endpoint) is not Way.SHARED_MEMORY:
                    size = sum(map(len, effect.data))
                    self._sending.began(effect.transfer, size, time.perf_counter())
                self._ways.stream(effect)
            elif isinstance(effect, GrantCredit):
                self._ways.grant(effect)
            elif isinstance(effect, OpenLink):
                self._ways.open(effect)
            elif isinstance(effect, Answered):
                for message in effect.messages:
                    answer = self._answers.pop(message.request, None)
                    if answer is None:
                        raise RemoteProtocolError(f"request {message.request} isn't under way")
                    answer.set_result(message)
        self._tell_waiting()

    def _streamed(self, transfer: int) -> None:
        """On the loop's thread: its bytes have left."""
        with self.lock:
            self._sending.streamed(transfer, time.perf_counter())

    # ---- waiting

    def _tell_waiting(self) -> None:
        self._changed.notify_all()
        if isinstance(self._control, ControlSocket):
            self._control.look()
        if self._leader is not None:
            self._loop.stop()

    def _may_wait(self) -> bool:
        """Whether this isn't code that the event loop runs, for which nobody could wait."""
        if self._leader == threading.get_ident():
            return not self._loop.is_running()
        if isinstance(self._control, ControlSocket) and self._control.is_read_here:
            return False
        return threading.current_thread() is not self._thread

    def _wait_until(
        self,
        reached: Callable[[], bool],
        timeout_s: float | None = None,
        what: Callable[[], str] | None = None,
    ) -> None:
        """Send the batch and wait, with the lock held, until the core is as wanted, or the time is
        over.

        what: is waited for, for the terminal.
        """
        if not self._may_wait():
            raise OperatingError(
                INVALID_OPERATION,
                "this destructor or callback runs within the session's own event loop, which "
                "can't wait for itself",
            )
        if self._leader != threading.get_ident():
            with PROGRESS.waiting(what or self._under_way):
                lends = CAN_LEND and self._leader is None
                if lends and isinstance(self._control, ControlSocket):
                    self._control.wait(reached, timeout_s, self._drain)
                else:
                    self.flush()
                    self._changed.wait_for(reached, timeout_s)
            return
        self.flush()
        end = None if timeout_s is None else self._loop.time() + timeout_s
        timer = None if end is None else self._loop.call_at(end, self._loop.stop)
        while not reached() and (end is None or self._loop.time() < end):
            with no_garbage_collection():
                self._loop.run_forever()  # until something has changed
        if timer is not None:
            timer.cancel()

    def _under_way(self) -> str:
        """What is waited for, without the lock."""
        text = f"waiting for {counted(self.core.in_flight, 'command')}"
        bytes_staged = self.core.staged_bytes
        return f"{text}, {sized(bytes_staged)} of writes on their way" if bytes_staged else text

    def lead_to_end(self) -> bool:
        """Python is ending: from now on this thread runs the event loop while it waits.

        The links are handed on while nothing is under way. False if that doesn't come to be
        within a while (a user event isn't set, a kernel runs on), or if they can't be.
        """
        if os.getpid() != self.pid or self._loop.is_closed():
            return False
        if self._leader is not None:
            return True
        with self.lock:
            self.flush()
            idle = self._changed.wait_for(self._is_idle, idle_at_exit_timeout_s)
            if not idle or self.dead is not None:
                return False
        if not asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result():
            return False
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._leader = threading.get_ident()
        with no_garbage_collection():
            self._loop.run_until_complete(self._join())
        return True

    def _is_idle(self) -> bool:
        """Whether the master has nothing left to say (or the session is over)."""
        idle = self.core.is_idle and not self._flushing and not self._answers
        return self.dead is not None or idle

    async def _leave(self) -> bool:
        """The loop's thread is about to be another. Whether the connections can be handed on."""
        if not (isinstance(self._control, ControlSocket) and isinstance(self._bulk, RelayLink)):
            return False
        await self._control.keep()
        assert self._readers is not None
        self._readers.remove_done_callback(self._ended)
        self._readers.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._readers
        await self._ways.leave()
        self._bulk.leave()
        return True

    async def _join(self) -> None:
        assert isinstance(self._bulk, RelayLink)
        self._bulk.join()
        self._ways.join()
        self._read()

    def _read(self) -> None:
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        control = self._control
        self._readers = asyncio.gather(
            control.run(self._take_control, self._take_ends)
            if isinstance(control, ControlSocket)
            else control.run(self._take_control),
            self._bulk.run(self._take_bulk),
            self._broken,
        )
        self._readers.add_done_callback(self._ended)

    # ---- sending

    def check(self) -> None:
        """Raise OperatingError when the session can't be used any more."""
        if _own_pid != self.pid:
            raise OperatingError(
                DEVICE_NOT_AVAILABLE,
                "this process was forked from one that is connected to the cluster, and can't use "
                "its connection; start children by spawn or forkserver, as with "
                "multiprocessing.set_start_method('spawn'): they reach the same cluster",
            )
        if self.dead is not None:
            raise OperatingError(DEVICE_NOT_AVAILABLE, self.dead)

    def new_id(self) -> int:
        """An id for a new object or request."""
        with self.lock:
            return self.core.new_id()

    def say(self, message: Any) -> None:
        """Put a message into the batch; waits while too many bytes haven't left.

        Raises OperatingError if it can't be encoded: nothing was said then.
        """
        self.check()
        with self.lock:
            self._wait_to_say()
            creates = type(message) in _CREATING
            if creates:
                builds = type(message) is session.BuildProgram
                size = sum(map(unit_bytes, message.units)) if builds else 0
                problem = self.core.create(message[0], size)
                if problem is not None:
                    raise OperatingError(OUT_OF_HOST_MEMORY, problem)
            try:
                self._say(message, 0)
            except OperatingError:
                if creates:
                    self.core.withdraw_object(message[0])
                raise

    def _say(self, message: Any, event: int, enqueued: Enqueued | None = None) -> None:
        shape = None
        if type(message) is session.Launch:
            message, shape = self.core.shaped(message, enqueued)
        try:
            data = self._encoder.pack(codec.pack(message))
        except ValueError as error:
            text = f"a value can't be sent to the cluster: {error}"
            raise OperatingError(INVALID_VALUE, text) from error
        if len(data) > control_bytes_max:
            _check_long(message, len(data))
        if event:
            self.core.waits_for(event, message.waits)
        full = self.core.say(_Encoded(event, data), len(data))
        # Not before: a signal's handler may raise anywhere, and what isn't said isn't told.
        if shape is not None:
            self.core.told(shape)
        if full:
            self.flush()

    def enqueue(self, queue: int, make: Callable[[int], Any]) -> int:
        """Put a command into the batch; `make(event)` makes its message. Answers the event.

        Raises OperatingError if it can't be encoded: nothing was enqueued then.
        """
        return self._enqueue(queue, make, None)

    def launch(self, queue: int, launch: Enqueued, waits: list[int]) -> int:
        """As `enqueue`, of a launch that may have been enqueued before."""
        return self._enqueue(queue, lambda event: launch.message(event, waits), launch)

    def _enqueue(
        self, queue: int, make: Callable[[int], Any], launch: Enqueued | None
    ) -> int:
        self.check()
        with self.lock:
            core = self.core
            if not core.has_room:
                self.wait_for_room()
            event = core.begin(queue, time.time_ns())
            try:
                self._say(make(event), event, launch)
            except BaseException:
                core.withdraw(event)
                raise
            return event

    def _wait_to_say(self) -> None:
        """Wait, with the lock held, while too much of what was said hasn't left."""
        if self.core.may_say or not self._may_wait():
            return
        self._wait_until(lambda: self.dead is not None or self.core.may_say)
        self.check()

    def wait_for_room(self) -> None:
        """Wait, with the lock held, while too many commands haven't ended, or haven't left."""
        core = self.core
        if core.has_room:
            return
        self._wait_to_say()
        if core.may_enqueue or not self._may_wait():
            return
        if not core.waits_for_program:
            self._wait_until(lambda: self.dead is not None or core.may_enqueue)
            self.check()
            return
        # What waits for a user event may never end, but the rest does.
        count = core.in_flight + 1
        while not core.may_enqueue and core.in_flight < count and self.dead is None:
            count = core.in_flight
            self._wait_until(lambda: core.may_enqueue, stalled_timeout_s)
        self.check()
        if not core.may_enqueue:
            raise OperatingError(
                OUT_OF_HOST_MEMORY,
                f"{core.in_flight} commands haven't ended, and no more do: they wait for a user "
                "event that isn't set",
            )

    def user_event_set(self, event: int) -> None:
        """The program has set a user event."""
        with self.lock:
            self.core.set_user(event)

    def keep(self, data: memoryview) -> Bytes:
        """A copy of bytes that the program may change, for `write`."""
        # First, as a forked child has the very memory in which its parent's copies are.
        self.check()
        return self._pool.keep(data)

    def write(self, queue: int, data: Bytes, make: Callable[[int, int, bytes], Any]) -> int:
        """As `enqueue`, for a Write of bytes that nobody will change: make(event, staging,
        digest)."""
        self.check()
        digest = self._digest(data)
        with self.lock:
            core = self.core
            if not core.may_stage(len(data)) and self._may_wait():
                self._wait_until(lambda: self.dead is not None or core.may_stage(len(data)))
                self.check()
            staging = core.stage(data)
            try:
                return self.enqueue(queue, lambda event: make(event, staging, digest))
            except BaseException:
                core.unstage(staging)
                raise

    def _digest(self, data: Bytes) -> bytes:
        """Of bytes to be written, where it pays to look whether nodes have them; else empty."""
        if len(data) < sampled_bytes_min:
            return b""
        sample = sample_of(data)
        with self.lock:
            if not self._repeats.wants(sample):
                return b""
        began = time.perf_counter()
        digest = digest_of(data)
        seconds = time.perf_counter() - began
        with self.lock:
            self._repeats.hashed(len(data), seconds)
        return digest

    def read(self, queue: int, destination: Destination, make: Callable[[int], Any]) -> int:
        """As `enqueue`, for a Read into `destination`, which must live until it's complete."""
        self.check()
        with self.lock:

            def make_and_expect(event: int) -> Any:
                self.core.expect_read(event, destination)
                return make(event)

            return self.enqueue(queue, make_and_expect)

    def release(self, number: int) -> None:
        """The program holds an object or event no longer. Safe in destructors of any thread."""
        self._released.append(number)
        if len(self._released) >= released_count and not self._flushing and self.dead is None:
            self.flush()

    def flush(self) -> None:
        """Send the batch, soon and from the session's thread."""
        if not self._flushing and _own_pid == self.pid and not self._loop.is_closed():
            self._flushing = True
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        with self.lock:
            self._flushing = False
            # Released ids are taken first: whatever refers to them is in the batch already.
            released = []
            while self._released:
                released.append(self._released.popleft())
            batch = self.core.take_batch(released, time.time_ns())
            if batch and self.dead is None:
                try:
                    self._control.send_encoded(
                        [m.data if type(m) is _Encoded else self._encoder.pack(codec.pack(m))
                         for m in batch]
                    )
                    if self._to_submit:
                        self._tell_submitted()
                except ConnectionClosed:
                    pass  # the reading side is about to end the session with the reason
            self._look_at_unsent()
            self._tell_waiting()  # the end of the program may wait for just this

    def _look_at_unsent(self) -> None:
        self.core.unsent_bytes = self._control.unsent_bytes
        if not self.core.may_say:
            self._loop.call_soon_threadsafe(self._begin_draining)

    def _begin_draining(self) -> None:
        if self._draining is None:
            self._draining = self._loop.create_task(self._await_drained())

    async def _await_drained(self) -> None:
        with contextlib.suppress(ConnectionClosed):  # as above
            await self._control.drained()
            with self.lock:
                self.core.unsent_bytes = self._control.unsent_bytes
                self._tell_waiting()
        self._draining = None

    def ask(self, message: Any) -> Any:
        """Send a request and wait for its answer."""
        return self.ask_all([message])[0]

    def ask_all(self, messages: Sequence[Any]) -> list[Any]:
        """Send requests and wait for their answers, in the same order."""
        self.check()
        answers: list[Future[Any]] = []
        with self.lock:
            for message in messages:
                self.say(message)
                answer = self._answers[message.request] = Future()
                answers.append(answer)
            builds = any(type(message) is session.BuildProgram for message in messages)
            what = "building a program" if builds else "asking the master"
            self._wait_until(lambda: all(answer.done() for answer in answers), what=lambda: what)
        return [answer.result() for answer in answers]

    # ---- events

    def state(self, event: int) -> EventState:
        """What is known of an event that the program holds."""
        with self.lock:
            return self.core.events[event]

    def has_ended(self, event: int) -> bool:
        """Whether an event has ended, or was released since."""
        with self.lock:
            state = self.core.events.get(event)
            return state is None or state.status <= COMPLETE

    def wait(self, event: int) -> EventState:
        """Wait until an event has ended."""
        with self.lock:
            state = self.core.events[event]
            self._wait_for_state(state)
        losses.warn(self.core.losses)
        return state

    def _wait_for_state(self, state: EventState) -> None:
        if state.status > COMPLETE:
            self.check()
            self._wait_until(lambda: state.status <= COMPLETE)

    def wait_for_queue(self, queue: int) -> None:
        """Wait until the command that was enqueued last in an in-order queue has ended."""
        with self.lock:
            state = self.core.last.get(queue)
            if state is not None:
                self._wait_for_state(state)
        losses.warn(self.core.losses)

    def wait_for_last_words(self, event: int) -> None:
        """As `wait`, for a destructor: it must neither raise nor stand in its own way.

        The garbage collector may call it anywhere: on the session's own thread, which would wait
        for itself, and while this thread holds the lock, in the middle of something. It collects
        only what was unreachable before, so that nobody can have counted on the moment.
        """
        if (
            os.getpid() != self.pid
            or not self._may_wait()
            or self.lock._is_owned()  # type: ignore[attr-defined]
        ):
            return
        with self.lock:
            state = self.core.events.get(event)
            if state is not None and self.dead is None:
                self._wait_for_state(state)

    def when_submitted(self, event: int, callback: Callable[[int], None]) -> None:
        """Call callback(status) once the event's command was sent, on a thread of its own."""
        with self.lock:
            if self.core.events[event].status > SUBMITTED:
                self._to_submit.append((event, callback))
                return
        self._call_apart([callback], SUBMITTED)

    def _tell_submitted(self) -> None:
        waiting, self._to_submit = self._to_submit, []
        for event, callback in waiting:
            state = self.core.events.get(event)
            status = SUBMITTED if state is None else min(state.status, SUBMITTED)
            self._call_apart([callback], status)

    def when_ended(self, event: int, callback: Callable[[int], None]) -> None:
        """Call callback(status) once the event has ended, on a thread of its own."""
        with self.lock:
            state = self.core.events[event]
            if state.status > COMPLETE:
                self._callbacks.setdefault(event, (state, []))[1].append(callback)
                return
        _call([callback], state.status)

    def _run_callbacks(self, events: Sequence[int]) -> None:
        for event in events:
            waiting = self._callbacks.pop(event, None)
            if waiting is not None:
                state, callbacks = waiting
                self._call_apart(callbacks, state.status)

    def _call_apart(self, callbacks: Sequence[Callable[[int], None]], status: int) -> None:
        """On a thread of its own: a callback may enqueue, or wait."""
        if self._leader is not None:  # no thread can be started any more
            self._loop.call_soon(_call, callbacks, status)
            return
        threading.Thread(target=_call, args=(callbacks, status), daemon=True).start()

    # ---- end

    def close(self) -> None:
        """End the session. Idempotent; does nothing in a forked child."""
        if os.getpid() != self.pid or self._loop.is_closed():
            return
        with self.lock:
            if self.dead is None:
                self.dead = f"the session with {self.url} was closed by the program"
        if self._leader is not None:
            self._leader = None  # nobody waits any more
            self._loop.run_until_complete(asyncio.wait_for(self._close(), 2 * close_timeout_s))
            self._loop.close()
            return
        closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        try:
            closing.result(2 * close_timeout_s)
        finally:
            self._stop_loop()

    async def _close(self) -> None:
        self._ways.close()
        await self._control.close(1000, "the program ended its session")
        await self._bulk.end()
        if self._readers is not None:
            await asyncio.wait([self._readers])

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(close_timeout_s)
        if not self._thread.is_alive():
            self._loop.close()


def _program() -> str:
    """What the master's log and `vcl status` call this process."""
    return os.path.basename(sys.argv[0] if sys.argv else "")[:name_length_max] or "python"


def _user() -> str:
    """USER@HOST, as far as they are known."""
    try:
        user = getpass.getuser()
    except (KeyError, ImportError, OSError):  # a user without a name, as in a container
        user = str(os.getuid()) if hasattr(os, "getuid") else ""
    return f"{user}@{platform.node()}"[:name_length_max]


def _check_long(message: Any, length: int) -> None:
    """Raise OperatingError for what the master wouldn't take, so that the session lives on."""
    text = None
    if values_in(message) + 1 > message_values_max:  # and its code
        text = f"{too_many_values(message_values_max)}, which is the most that one call may have"
    elif length > message_bytes_max:
        text = f"a message of {length} bytes; one call may have at most {message_bytes_max}"
    if text is not None:
        raise OperatingError(INVALID_VALUE, text)


def _settle(written: asyncio.Future[None]) -> None:
    if not written.done():  # whoever waited may have been cancelled
        written.set_result(None)


def _call(callbacks: Sequence[Callable[[int], None]], status: int) -> None:
    for callback in callbacks:
        callback(status)


def _copy(copy: Copy) -> None:
    """Unless they are there already."""
    to, where, data = copy.destination, copy.where, copy.data
    if isinstance(to, memoryview) and len(data) >= placed_bytes_min and is_at(data, to[where]):
        return
    to[where] = data
