"""One client's session: its objects, its commands, and its executors' reports.

Owns: carrying out the client's messages, completing commands from executors' reports, freeing
what was released, and what the loss of a node means for the session. Must not know: connections'
transport, other sessions, or tokens.

Long because every message of a client ends up here; what they mean in detail is in `commands`,
`planner`, `launches`, `builds`, `questions` and `checks`, what executors say in `ends`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from master.access.kernels import Footprint
from master.access.programs import Judgement, Variant
from master.builds import Builds
from master.checks import (
    check_build,
    check_fill,
    check_launch,
    check_rect,
    check_write,
    context_devices,
    regions,
)
from master.commands import COMPLETE, WAITING, Command, CommandGraph
from master.direct import DirectLinks
from master.ends import Ends
from master.inbox import CLIENT, Inbox
from master.joining import Joining
from master.kept_reports import KeptReports
from master.ledger import Ledger
from master.objects import Context, Program, Queue
from master.places import NONE_CONNECTED, Place, PlanFailed
from master.plan import commit
from master.plan.asked import NotAnalysed
from master.plan.commit import Committer
from master.plan.plan import Kind, Plan, Region, Step
from master.plan.planner import Planner
from master.plan.residency import Buffer, Contents
from master.plan.templates import key_of
from master.plan.view import DEFAULT_POLICY, Policy, View
from master.questions import Questions
from master.totals import Totals
from vcl.errors import DEVICE_NOT_AVAILABLE, RemoteProtocolError
from vcl.text import failure_length_max, plain
from vcl.wire.direct import Way
from vcl.wire.limits import (
    commands_max,
    objects_max,
    operations_max,
    rows_max,
    shape_bytes_max,
    sources_bytes_max,
    waits_added_max,
    waits_max,
    waits_together_max,
)
from vcl.wire.messages import part, session
from vcl.wire.messages.direct import Linked, Listening
from vcl.wire.shapes import ShapesTold, Told, size_of

failures_held_max = 2**18
"""Events of failed commands that a client holds: what waits for one of them has to fail."""

operations_by_device = 2
"""As `operations_max`, for each device of a context of very many: all have work, and the next."""

OUT_OF_ORDER = 1


class Session:
    """The state of one session.

    What is said to it waits until `advance` is called; after that `ledger.for_client` and
    `ledger.for_nodes` hold what is to be sent, and `ledger.for_guard` what is to be judged.
    """

    def __init__(
        self,
        number: int,
        places: Callable[[Sequence[int]], list[Place]],
        why_none: Callable[[Sequence[int]], str] = lambda devices: NONE_CONNECTED,
        policy: Policy = DEFAULT_POLICY,
        secret: str = "",
        status: Callable[[], tuple[list[Any], list[Any]]] = lambda: ([], []),
    ) -> None:
        """secret: for the tickets of direct links. status: of the cluster, for who asks."""
        self.number = number
        """The session's id."""
        self.ledger = Ledger()
        self.graph = CommandGraph()
        self.contexts: dict[int, Context] = {}
        self.queues: dict[int, Queue] = {}
        self.buffers: dict[int, Buffer] = {}
        self.programs: dict[int, Program] = {}
        self.commands: dict[int, Command] = {}
        self._status = status
        self._reports = KeptReports(self.ledger)
        self._totals = Totals()
        self._unfinished = 0  # commands, user events among them
        self._waits = 0  # entries of their wait lists
        self._sources_bytes = 0
        self._unreleased: set[int] = set()  # objects; what commands still use may be more
        self._inbox = Inbox()
        self._shapes = ShapesTold()
        self._operations_most = 0
        # What is being carried out in turns, nothing else meanwhile.
        self._half_done: tuple[Command, Plan, Iterator[None]] | None = None
        self._losses: dict[int, Iterator[None]] = {}  # what is left to do of them, by node
        self.suspects: list[tuple[int, str]] = []
        """Nodes whose executors lost a direct link, and how: they are gone, or bytes are."""
        self.culprit: tuple[int, str] | None = None
        """Who said what no honest peer says (CLIENT, or a node for its executor), and what."""
        self._places = places
        self._view = View(
            self.ledger, self.buffers, self.programs, places, why_none, policy
        )
        self._planner = Planner(self._view)
        self._direct = DirectLinks(secret, self.ledger.endpoint, self.ledger.say)
        self._committer = Committer(self.ledger, self._view, self._direct)
        self._ends = Ends(
            self.ledger, self.graph, self.buffers, self._direct, self._view.links,
            self._planner.forget_plans,
        )  # fmt: skip
        self._builds = Builds(self.ledger, places, why_none)
        self._questions = Questions(self.ledger, self._builds, self.programs)
        self._joining = Joining(self.ledger, self._builds, self.contexts, self.programs)

    def offer(self, node: int, devices: Sequence[int]) -> None:
        """A node came with devices of models that the session knows from its beginning."""
        self._joining.offer(node, devices)
        self._go_on_joining()

    def node_gone(self, node: int) -> None:
        """A node isn't connected any more; if it had an executor, `executor_lost` tells of that."""
        self._joining.node_gone(node)

    def _go_on_joining(self) -> None:
        if self._joining.go_on():
            self._let_more_run(max((len(c.devices) for c in self.contexts.values()), default=0))
            self._planner.places_changed()
        let_go, self._joining.let_go = self._joining.let_go, []
        for program in let_go:
            self._free_program(program)

    def take_declined(self) -> list[tuple[int, str]]:
        """Nodes of which the devices that were offered weren't taken, and why, since then."""
        declined, self._joining.declined = self._joining.declined, []
        return declined

    def places_changed(self) -> None:
        """A node came or went."""
        self._planner.places_changed()

    # ---- from the client

    @property
    def unfinished(self) -> int:
        """Commands that haven't ended, and user events that aren't set."""
        return self._unfinished

    def from_client(self, messages: Sequence[Any]) -> None:
        """Take a batch in; `advance` carries it out."""
        self._inbox.put(CLIENT, messages)

    def _new(self, number: int) -> int:
        if (
            number <= 0
            or number in self.commands
            or number in self.buffers
            or number in self.programs
            or number in self.queues
            or number in self.contexts
        ):
            raise RemoteProtocolError(f"id {number} can't be given to a new object")
        return number

    def _new_object(self, number: int) -> int:
        if len(self._unreleased) >= objects_max:
            raise RemoteProtocolError(f"a session has at most {objects_max} objects")
        self._new(number)
        self._unreleased.add(number)
        return number

    def _new_command(
        self,
        number: int,
        message: Any,
        queue: Queue | None,
        buffers: tuple[Buffer, ...] = (),
    ) -> Command:
        if self._unfinished >= commands_max:
            raise RemoteProtocolError(f"a session has at most {commands_max} commands under way")
        if len(self.commands) - self._unfinished >= failures_held_max:
            raise RemoteProtocolError(f"at most {failures_held_max} failed commands may be held")
        command = Command(self._new(number), message, (), queue, buffers)
        self.commands[number] = command
        self._unfinished += 1
        return command

    def _find(self, table: dict[int, Any], number: int, kind: str) -> Any:
        found = table.get(number)
        if found is None:
            raise RemoteProtocolError(f"there is no {kind} {number}")
        return found

    def _create_context(self, m: session.CreateContext) -> None:
        devices = context_devices(m)
        if m.split:
            joined = (d for each in self._joining.joined.values() for d in each)
            devices = list(dict.fromkeys([*devices, *joined]))
        self._let_more_run(len(devices))
        self.contexts[self._new_object(m.context)] = Context(m.context, devices, m.split)

    def _let_more_run(self, devices: int) -> None:
        self._operations_most = max(self._operations_most, operations_by_device * devices)

    def _create_queue(self, m: session.CreateQueue) -> None:
        context = self._find(self.contexts, m.context, "context")
        if m.device and m.device not in context.devices:
            raise RemoteProtocolError(f"device {m.device} isn't of context {m.context}")
        in_order = not m.properties & OUT_OF_ORDER
        self.queues[self._new_object(m.queue)] = Queue(m.queue, context, m.device, in_order)

    def _create_buffer(self, m: session.CreateBuffer) -> None:
        self._find(self.contexts, m.context, "context")
        if m.size <= 0:
            raise RemoteProtocolError(f"buffer of {m.size} bytes")
        self.buffers[self._new_object(m.buffer)] = Buffer(m.buffer, m.context, m.size, m.shared)

    def _build_program(self, m: session.BuildProgram) -> None:
        context = self._find(self.contexts, m.context, "context")
        size = check_build(m)
        number = self._new_object(m.program)
        program = Program(number, context, m.step, m.units, m.link_options, size)
        self._sources_bytes += size
        # Of programs that are let go of and still used a client can't know the sum.
        if self._sources_bytes > 2 * sources_bytes_max:
            raise RemoteProtocolError(f"more than {sources_bytes_max} bytes of sources")
        self.programs[m.program] = program
        self._builds.start(program, m.request)

    def _create_user_event(self, m: session.CreateUserEvent) -> None:
        self._find(self.contexts, m.context, "context")
        self.graph.add(self._new_command(m.event, None, None), ())

    def _set_user_event(self, m: session.SetUserEvent) -> None:
        command: Command = self._find(self.commands, m.event, "user event")
        if command.message is not None or command.state != WAITING or m.status > 0:
            raise RemoteProtocolError(f"event {m.event} can't be set to {m.status}")
        if m.status < 0:
            command.fail(m.status, f"the program set a user event to {m.status}")
            command.by_program = True
        self.graph.planned(command)

    def _enqueue_told(self, m: session.Launch) -> None:
        told = None
        if m.shape:
            if size_of(m) > shape_bytes_max:
                raise RemoteProtocolError(f"a shape of more than {shape_bytes_max} bytes")
            told = Told(m)
            self._shapes.tell(m.shape, told)
        self._enqueue_launch(m, told)

    def _enqueue_repeat(self, m: session.Repeat) -> None:
        told = self._shapes.find(m.shape)
        if self._replay(m, told):
            return
        event, _, waits, values = m
        _, queue, _, program, kernel, offset, size, local, _, declared, shape = told.message
        arguments = told.arguments(values)
        launch = session.Launch(
            event, queue, waits, program, kernel, offset, size, local, arguments, declared, shape
        )
        self._enqueue_launch(launch, told)

    def _replay(self, m: session.Repeat, told: Told) -> bool:
        """Enqueue, plan and commit a launch that does just what the last one of its shape did.

        It does what the general way would, and decides nothing: wherever there would be something
        to decide, to bring, to build, to wait for or to refuse, it answers False, having changed
        nothing.
        """
        graph = self.graph
        queue = self.queues.get(told.message.queue)
        if (
            m.waits
            or queue is None
            or not queue.in_order
            or graph.ready
            or len(self.ledger.live) >= max(operations_max, self._operations_most)
            or len(m.values) > len(told.where)
        ):
            return False
        before = queue.last
        if before is not None and before.state == WAITING:
            return False
        templates = self._planner.templates
        template = templates.repeated(told, m.values, queue)
        if template is None:
            return False
        replay = self._committer.replay(template, told)
        if replay is None:
            return False
        command = self._new_command(m.event, told.message, queue)
        templates.use(template)
        graph.add_planned(command, before)
        queue.last = command
        replay.commit(command, m.values, self.ledger)
        return True

    def _enqueue_launch(self, m: session.Launch, told: Told | None) -> None:
        queue: Queue = self._find(self.queues, m.queue, "queue")
        key = key_of(queue, m, told)
        known = self._planner.templates.named(key, queue, self.programs, self.buffers)
        if known is not None:  # and found right when it was planned
            command = self._new_command(m.event, m, queue, known.buffers)
            command.program = known.program
        else:
            program: Program = self._find(self.programs, m.program, "program")
            facts = program.kernels.get(m.kernel)
            if facts is None or len(facts.arguments) != len(m.arguments):
                name = plain(m.kernel, 60)
                raise RemoteProtocolError(f"kernel '{name}' isn't built, or has other arguments")
            check_launch(m)
            command = self._new_command(m.event, m, queue, self._named(m))
            command.program = program
        command.program.users += 1
        command.key, command.told = key, told
        self._enter(command)

    def _enqueue_rect(self, m: session.CopyRect) -> None:
        check_rect(m)
        self._enqueue(m)

    def _enqueue_fill(self, m: session.Fill) -> None:
        check_fill(m)
        self._enqueue(m)

    def _enqueue_write(self, m: session.Write) -> None:
        check_write(m)
        self._enqueue(m)
        self.ledger.new_staging(m.staging)

    def _enqueue(self, m: Any) -> None:
        queue: Queue = self._find(self.queues, m.queue, "queue")
        self._enter(self._new_command(m.event, m, queue, self._named(m)))

    def _named(self, m: Any) -> tuple[Buffer, ...]:
        """The buffers that a command names, as often as it does."""
        buffers = []
        for number, start, size in regions(m):
            buffer: Buffer = self._find(self.buffers, number, "buffer")
            if start < 0 or size <= 0 or start + size > buffer.size:
                raise RemoteProtocolError(f"region {start}+{size} is outside buffer {number}")
            buffers.append(buffer)
        return tuple(buffers)

    def _enter(self, command: Command) -> None:
        m = command.message
        for buffer in command.buffers:
            buffer.users += 1
        if m.waits:
            if len(m.waits) > waits_max + waits_added_max:
                raise RemoteProtocolError(f"a wait list of more than {waits_max} events")
            if self._waits >= waits_together_max:
                most = waits_together_max
                raise RemoteProtocolError(f"{most} entries of wait lists are under way")
            self._waits += len(m.waits)
            # An unknown event of a wait list is one that is complete and was released.
            command.waits = [self.commands[w] for w in m.waits if w in self.commands]
        self.graph.add(command, self._order(command.queue, command, m))

    def _order(self, queue: Queue, command: Command, m: Any) -> list[Command]:
        """What queue order makes the command depend on (OpenCL 3.0 API, 5.11 and 5.12)."""
        if queue.in_order:
            before = [] if queue.last is None else [queue.last]
            queue.last = command
            return before
        marker = isinstance(m, session.Marker)
        if marker and not m.waits:
            before = list(queue.recent.values())
        else:
            before = []
        if queue.barrier is not None:
            before.append(queue.barrier)
        if marker and not m.waits:
            queue.recent.clear()  # whoever waits for this one waits for all of them
        if marker and m.barrier:
            queue.barrier = command
        if not (marker and m.barrier and not m.waits):
            queue.recent[command.event] = command
        return before

    def _ask_report(self, m: session.AskReport) -> None:
        under_way = m.event in self.commands and self.commands[m.event].state != COMPLETE
        self._reports.ask(m.event, m.request, under_way)

    def _ask_totals(self, m: session.AskTotals) -> None:
        self.ledger.for_client.append(session.Totals(m.request, self._totals.as_message()))

    def _ask_status(self, m: session.AskStatus) -> None:
        self.ledger.for_client.append(session.ClusterStatus(m.request, *self._status()))

    def _ask_way(self, m: session.AskWay) -> None:
        ends = {p.device: p.node for p in self._places([m.device, m.other])} | {0: CLIENT}
        one, other = ends.get(m.device), ends.get(m.other)
        if one is None or other is None:
            found = session.WayFound(m.request, Way.RELAY, "the node isn't connected")
            self.ledger.for_client.append(found)
        elif one == other:
            raise RemoteProtocolError("a way is asked for whose two ends are one")
        else:
            self._direct.ask(m.request, one, other)
            self._answer_ways()

    def _answer_ways(self) -> None:
        for request, way, why in self._direct.take_answers():
            found = session.WayFound(request, way, plain(why, failure_length_max))
            self.ledger.for_client.append(found)

    # ---- release

    def _release(self, number: int) -> None:
        self._unreleased.discard(number)
        if number in self.commands:
            command = self.commands[number]
            command.released = True
            if command.state == COMPLETE:
                del self.commands[number]
            elif command.message is None and command.state == WAITING and not (
                command.dependents or self._reports.is_asked_for(number)
            ):
                # A user event that nobody can set any more: it never ends, and nothing waits.
                del self.commands[number]
                self._unfinished -= 1
        elif number in self.buffers:
            self.buffers[number].released = True
            self._free_buffer(self.buffers[number])
        elif number in self.programs:
            self.programs[number].released = True
            self._free_program(self.programs[number])
        elif self.queues.pop(number, None) is None and self.contexts.pop(number, None) is not None:
            self._planner.places_changed()  # what is kept for it

    def _free_buffer(self, buffer: Buffer) -> None:
        if not buffer.released or buffer.users:
            return
        writes = (Region(buffer.id, 0, buffer.size),)
        places = self._places(sorted(buffer.touched))
        plan = Plan(tuple(Step(Kind.FREE, place, writes=writes) for place in places))
        self._committer.commit(plan, None)
        del self.buffers[buffer.id]
        self.ledger.drop_stagings(buffer.unneeded_stagings() + buffer.stagings)

    def _free_program(self, program: Program) -> None:
        if not program.released or program.users:
            return
        del self.programs[program.id]
        self._sources_bytes -= program.source_bytes
        self._committer.forget(program)
        variant = self._questions.forget(program)
        if variant is not None:
            self._committer.forget(variant)

    def take_apart(self, over: Callable[[], bool]) -> bool:
        """The session has ended: let go of what it has, in turns, too, as it may be much.

        Answers whether there is more. Nothing else may be called afterwards.
        """
        graph, ledger = self.graph, self.ledger
        self._losses.clear()
        self._half_done = None
        queues: tuple[deque[Any], ...] = (self._inbox.kept, graph.ready, graph.unsettled)
        tables: tuple[dict[Any, Any], ...] = (
            self.commands, ledger.live, ledger.transfers, self.programs, self.buffers,
            self.queues, self.contexts, self._totals.rows, *self._reports.tables,
            *self._questions.tables,
        )  # fmt: skip
        for kept in queues:
            while kept:
                kept.popleft()
                if over():
                    return True
        for table in tables:
            while table:
                _, one = table.popitem()
                if isinstance(one, Command):
                    one.waits = ()
                    one.dependents.clear()
                elif isinstance(one, Queue):
                    one.last = one.barrier = None
                    one.recent.clear()
                if over():
                    return True
        return False

    # ---- planning

    def advance(self, over: Callable[[], bool] = lambda: False) -> bool:
        """Carry out what was said, plan what is ready, tell the client what is complete.

        over: whether the turn is. Answers whether there is more to do. Sets `culprit`, and does
        no more, if somebody said what no honest peer says.
        """
        graph, losses, live = self.graph, self._losses, self.ledger.live
        ready, unsettled, inbox = graph.ready, graph.unsettled, self._inbox.kept
        more = self.culprit is None
        while more:
            if self._half_done is not None:
                self._go_on(*self._half_done)
            elif losses:
                # Before all else, as it changes where everything is.
                node, loss = next(iter(losses.items()))
                if next(loss, True):
                    del losses[node]
            elif unsettled:
                graph.settle()
            elif ready and len(live) < max(operations_max, self._operations_most):
                self._plan(ready[0])
            elif inbox:
                self._carry_out(*inbox.popleft())
            else:
                more = False
            if over() or self.culprit is not None:
                break
        for node in self._losses:
            self.ledger.for_nodes.pop(node, None)  # what another has to tell one that is lost, too
        self._tell_completed()
        return more and self.culprit is None

    def _carry_out(self, source: int, item: Any) -> None:
        try:
            if source == CLIENT:
                _HANDLERS[type(item)](self, item)
            else:
                self._from_executor(source, item)
        except RemoteProtocolError as error:
            self.culprit = (source, str(error))

    def _plan(self, command: Command) -> None:
        failed = [w for w in command.waits if w.status < 0] if command.waits else None
        if failed:
            # Now, not when it is complete: what waits for this command may be planned before.
            command.fail_by(failed[0])
            command.by_program = all(w.by_program for w in failed)
        elif command.status == 0:  # else something that was brought for it failed already
            try:
                plan = self._planner.plan(command)
            except PlanFailed as error:
                command.fail(error.code, error.message)
            except NotAnalysed as missing:
                # The others that are ready needn't wait for what this one has to.
                self.graph.ready.popleft()
                self._questions.ask(command, missing)
                return
            else:
                if len(plan.steps) > commit.steps_in_turn_max:
                    turns = self._committer.commit_in_turns(plan, command)
                    self._half_done = command, plan, turns
                    return
                self._committer.commit(plan, command)
                if not plan.complete:
                    return  # it is the first that is ready, still
        self._planned(command)

    def _go_on(self, command: Command, plan: Plan, turns: Iterator[None]) -> None:
        """With a plan that is being carried out."""
        if next(turns, True):
            self._half_done = None
            if plan.complete:
                self._planned(command)

    def _planned(self, command: Command) -> None:
        """The first command that was ready is planned, or has failed."""
        m = command.message
        self.graph.ready.popleft()
        command.key = command.told = None  # a failed one may be held for long
        if type(m) is session.Write:
            self.ledger.refuse_staging(m.staging)
        if command.status < 0 and not command.by_program:
            self._lose_results(command)
        buffers, command.buffers = command.buffers, ()
        for buffer in buffers:
            buffer.users -= 1
            if buffer.has_unneeded:
                self._ends.drop_stagings(buffer)
            if buffer.released:
                self._free_buffer(buffer)
        program, command.program = command.program, None
        if program is not None:
            program.users -= 1
            if program.released:
                self._free_program(program)
        self.graph.planned(command)

    def _lose_results(self, command: Command) -> None:
        """What a command should have written isn't there: nobody shall take old bytes for it."""
        for buffer, start, end in self._planner.written(command.message):
            version = self.ledger.new_version()
            buffer.supersede(start, end, Contents(version, lost=command.failure))

    def _tell_completed(self) -> None:
        completed, self.graph.completed = self.graph.completed, []
        ended: list[list[Any]] = []
        for command in completed:
            self._unfinished -= 1
            self._waits -= 0 if command.message is None else len(command.message.waits)
            ended.append(
                [command.event, command.status, command.start, command.end, command.failure]
            )
            queue: Queue | None = command.queue
            if queue is not None:
                if queue.last is command:
                    queue.last = None
                if not queue.in_order:
                    if queue.barrier is command:
                        queue.barrier = None
                    queue.recent.pop(command.event, None)
            if command.released or command.status >= 0:
                # Of those that the client still holds, only a failure is of interest later.
                self.commands.pop(command.event, None)
            command.message = None  # a failure may be held for long
            if command.record is not None and command.status >= 0:
                self._totals.add(command.record, command.end - command.start)
            self._reports.completed(command.event, command.record)
            command.record = None
        for start in range(0, len(ended), rows_max):
            rows = ended[start : start + rows_max]
            self.ledger.for_client.append(session.EventsDone(rows))

    def judged(self, request: int, judgement: Judgement) -> None:
        """The guard has read the program of a build."""
        self._builds.judged(request, judgement)
        self._go_on_joining()

    def analysed(self, number: int, found: Footprint | str, passing: bool = False) -> None:
        """What a launch touches is known, or why it isn't, which may be passing."""
        self.graph.ready.extend(self._questions.analysed(number, found, passing))

    def rewritten(self, number: int, found: Variant | str, passing: bool = False) -> None:
        """A program is rewritten, or why it isn't, which may be passing."""
        self.graph.ready.extend(self._questions.rewritten(number, found, passing))

    def tick(self) -> None:
        """Time has passed: what wasn't known for a passing reason may be asked again."""
        if self._questions.tick():
            self._planner.forget_plans()

    # ---- from executors

    def from_executor(self, node: int, messages: Sequence[Any]) -> None:
        """Take reports in; `advance` carries them out."""
        self._inbox.put(node, messages)

    def _from_executor(self, node: int, item: Any) -> None:
        if type(item) is list:
            self._ends.ended(node, *item)
        elif isinstance(item, part.Printed):
            self._ends.printed(node, item)
        elif isinstance(item, Listening):
            self._direct.listens(node, item)
        elif isinstance(item, Linked):
            self._linked(item, node)
        else:
            assert isinstance(item, part.BuildDone)
            if not self._joining.answered(node, item):
                self._builds.answered(node, item)
                self.graph.ready.extend(self._questions.built())
            self._go_on_joining()

    def take_unlinked(self) -> list[tuple[int, int, str]]:
        """Ends (nodes, or CLIENT) between which no direct link came to be, and why, since then."""
        failed, self._direct.failed = self._direct.failed, []
        return failed

    def _linked(self, m: Linked, node: int = CLIENT) -> None:
        """An end of a direct link tells what has become of it."""
        suspect = self._direct.linked(node, m)
        self._answer_ways()
        if suspect is not None:
            self.suspects.append((suspect, plain(m.message, failure_length_max)))

    def executor_lost(self, node: int, reason: str) -> None:
        """This session's executor on a node is gone with all that it held.

        The node itself may still be there: a later command gets a new executor, in whose life
        nothing of the old one exists. `advance` does what that takes.
        """
        if self.culprit is not None and self.culprit[0] == node:
            self.culprit = None
            self._inbox.take_all(node)
        self._losses[node] = self._lose(node, reason)

    def _lose(self, node: int, reason: str) -> Iterator[None]:
        for item in self._inbox.take_all(node):  # what it had said before still holds
            try:
                self._from_executor(node, item)
            except RemoteProtocolError:
                break  # and costs it nothing any more
            yield None
        for buffer in list(self.buffers.values()):
            for device in [d for d, n in buffer.nodes.items() if n == node]:
                del buffer.touched[device]
                del buffer.nodes[device]
                buffer.drop_holder(device, 0, buffer.size, lambda _: True, reason)
            yield None
        for number, operation in list(self.ledger.live.items()):
            if operation.node == node:
                self._ends.ended(node, number, DEVICE_NOT_AVAILABLE, 0, 0, reason, None)
                yield None
        for number, transfer in list(self.ledger.transfers.items()):
            if transfer.sender_node == node:
                # All was handed to a connection, but perhaps it never left the node.
                self._ends.sender_gone(number, reason)
                yield None
        self.ledger.for_client.append(session.EndpointLost(self.ledger.endpoint(node), reason))
        self._committer.endpoint_lost(self.ledger.endpoint(node))
        self._direct.forget(node)
        self._answer_ways()
        self._view.links.forget(node)
        self.ledger.renew_endpoint(node)
        for program in [*self.programs.values(), *self._questions.variants.values()]:
            program.nodes.discard(node)
            yield None
        self._joining.executor_lost(node)
        self._builds.node_lost(node, reason)
        self._go_on_joining()
        self.graph.ready.extend(self._questions.built())
        self.ledger.for_nodes.pop(node, None)


# Not of each session: bound methods would refer to it, and be a cycle.
_HANDLERS: dict[type, Callable[[Session, Any], None]] = {
    session.CreateContext: Session._create_context,
    session.CreateQueue: Session._create_queue,
    session.CreateBuffer: Session._create_buffer,
    session.BuildProgram: Session._build_program,
    session.CreateUserEvent: Session._create_user_event,
    session.SetUserEvent: Session._set_user_event,
    int: Session._release,
    session.AskReport: Session._ask_report,
    session.AskWay: Session._ask_way,
    session.AskTotals: Session._ask_totals,
    session.AskStatus: Session._ask_status,
    Linked: Session._linked,
    session.Launch: Session._enqueue_told,
    session.Repeat: Session._enqueue_repeat,
    session.Write: Session._enqueue_write,
    session.Read: Session._enqueue,
    session.Copy: Session._enqueue,
    session.CopyRect: Session._enqueue_rect,
    session.Fill: Session._enqueue_fill,
    session.Marker: Session._enqueue,
}
