"""`python -m master.access.explain`, which `vcl explain` runs: what kernels of a file touch.

Owns: its flags, and the words for what the analysis found. Must not know: clusters; what is said
here is what a master would do with equal devices.

Long because flags, what follows from them, and how it is told are of no use apart.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from master.access import tree
from master.access.analyser.analysis import Analyser
from master.access.analyser.text import Unreadable
from master.access.extents import Runs, extents, in_order
from master.access.kernels import BUFFER, OTHER, Footprint
from master.access.loops import inside
from master.access.sharing import Sharing, sharing
from master.access.standing import Standing
from master.access.words import access
from master.plan.regions import runs_together_max
from master.plan.runs import parts_meet
from master.plan.worth import run_bytes
from vcl.ndrange import (
    NDRange,
    axes_told,
    boxes,
    choose_local_size,
    counts_of_boxes,
    counts_of_slabs,
)

DEVICE = {
    "ADDRESS_BITS": "64",
    "ENDIAN_LITTLE": "1",
    "EXTENSIONS": "cl_khr_fp64 cl_khr_global_int32_base_atomics cl_khr_local_int32_base_atomics"
    " cl_khr_global_int32_extended_atomics cl_khr_local_int32_extended_atomics"
    " cl_khr_byte_addressable_store",
    "OPENCL_C_VERSION": "OpenCL C 1.2",
    "VERSION": "OpenCL 3.0",
}
"""What is taken for a device's answers."""

size_assumed, integer_assumed, bytes_assumed = 64, 64, 2**30
"""Of each dimension; of integers by value; of buffers: where nothing else was given."""

Rows = dict[int, list[tuple[Runs, Runs]]]
"""By argument, what each part reads and writes."""


@dataclass(frozen=True, slots=True)
class BufferAnswer:
    """Of one buffer, or image: read, regions, merge, reduce or untouched.

    parts: bytes (read, written) of each.
    """

    name: str
    answer: str
    reads: list[str]
    writes: list[str]
    parts: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class KernelAnswer:
    """Of one kernel: regions, merge, reduce or whole, and why.

    assumed: whether its launch was made up.

    Sizes are empty if the kernel can't be read: then they matter to nobody.
    """

    kernel: str
    answer: str
    reason: str
    global_size: list[int]
    local_size: list[int]
    assumed: bool
    buffers: list[BufferAnswer] = field(default_factory=list)


class Wrong(Exception):
    """Flags that don't fit the source: what, and how to mend it."""


def explain(
    unit: list[Any],
    kernel: str | None = None,
    global_size: tuple[int, ...] = (),
    local_size: tuple[int, ...] = (),
    given: dict[str, str] | None = None,
    parts: int = 2,
) -> list[KernelAnswer]:
    """The answers for the kernels of a source, or for one.

    unit: as `vcl.wire.units` has it. given: by argument's name a number or buffer:BYTES.
    Raises Wrong, also for a source that doesn't parse.
    """
    analyser = Analyser()
    parsed = analyser.parsed([unit], DEVICE)
    if isinstance(parsed, str):
        raise Wrong(parsed)
    kernels = parsed.kernels
    if kernel is not None and kernel not in kernels:
        raise Wrong(f"there is no kernel {kernel!r}; there are {', '.join(kernels) or 'none'}")
    standing = Standing(analyser, unit, DEVICE)
    answers = []
    for name in kernels if kernel is None else [kernel]:
        try:
            program = parsed.program(name)
        except Unreadable as why:
            answers.append(_unread(name, standing.why_whole(name), str(why)))
            continue
        function = program.functions[name]
        answers.append(
            _of_kernel(
                analyser, unit, program, function, standing, global_size, local_size,
                given or {}, parts,
            )
        )  # fmt: skip
    return answers


def _unread(name: str, whole: str | None, why: str) -> KernelAnswer:
    mode, reason = ("merge", why) if whole is None else ("whole", whole)
    return KernelAnswer(name, mode, reason, [], [], assumed=False)


def _of_kernel(
    analyser: Analyser,
    unit: list[Any],
    program: tree.Program,
    function: tree.Function,
    standing: Standing,
    global_size: tuple[int, ...],
    local_size: tuple[int, ...],
    given: dict[str, str],
    parts: int,
) -> KernelAnswer:
    size = global_size or (size_assumed,) * _dimensions(program, function)
    local = local_size or choose_local_size(size, 64, [64] * len(size))
    if len(local) != len(size) or any(s % n for s, n in zip(size, local, strict=False)):
        raise Wrong(f"the local size {local} doesn't divide the global size {size}")
    ndrange = NDRange((0,) * len(size), size, local)
    declared = [program.variables[n] for n in function.parameters]
    values, sizes = _arguments(declared, given)

    def answer(mode: str, reason: str, buffers: list[BufferAnswer] | None = None) -> KernelAnswer:
        return KernelAnswer(
            function.name, mode, reason, list(size), list(local), not global_size, buffers or []
        )

    if (why := standing.why_whole(function.name)) is not None:
        return answer("whole", why)
    why_apart = standing.why_apart(function.name)
    found = analyser.analyse([unit], DEVICE, function.name, values, [[0] * len(size), size, local])
    if isinstance(found, str):
        return answer("merge", found) if why_apart is None else answer("whole", found)
    ways = [*counts_of_slabs(ndrange, parts)]
    if not ways:
        return answer("whole", "one work-group is all there is")
    in_boxes = [*counts_of_boxes(ndrange, parts)]
    made = {w: _touched(found, ndrange, boxes(ndrange, w), sizes) for w in (*ways, *in_boxes)}
    apart = [way for way in made if not any(map(parts_meet, made[way].values()))]
    best = min((w for w in apart if w in ways), key=lambda w: _bytes(made[w]), default=ways[0])
    if best in apart:
        few = [w for w in apart if w in in_boxes and _runs(made[w]) <= runs_together_max]
        weight = {w: _bytes(made[w]) + run_bytes * _runs(made[w]) for w in (best, *few)}
        best = min(weight, key=weight.__getitem__)
    shared = {} if why_apart is None else _shared(found, sizes)
    buffers = [
        _of_buffer(declared[i].name, found, i, made[best][i], shared) for i in sorted(sizes)
    ]
    if best in apart:
        why = f"each part writes bytes of its own, cut along {axes_told(best)}"
        return answer("regions", why, buffers)
    why = "its parts touch the same bytes"
    meeting = [i for i in sizes if parts_meet(made[best][i])]
    if why_apart is not None and not shared.keys() >= set(meeting):
        return answer("whole", f"{why_apart} ({why})")
    reduced = all(i in shared and shared[i].how != "image" for i in meeting)
    return answer("reduce" if reduced else "merge", why, buffers)


def _shared(found: Footprint, sizes: dict[int, int]) -> dict[int, Sharing]:
    """By argument, what parts may share, if each was given a buffer of its own."""
    shared = {}
    for index, size in sizes.items():
        touches = [t for t in found.touches if t.argument == index]
        if touches and (how := sharing(touches, {index: (0, size)})) is not None:
            shared[index] = how
    return shared


def _touched(
    found: Footprint, ndrange: NDRange, pieces: list[NDRange], sizes: dict[int, int]
) -> Rows:
    rows: Rows = {index: [] for index in sizes}
    for piece in pieces:
        for index, extent in extents(found, ndrange, piece, sizes).items():
            anywhere = [(0, sizes[index])]
            reads = anywhere if extent.reads is None else extent.reads
            writes = anywhere if extent.writes is None else extent.writes
            rows[index].append((reads, writes))
    return rows


def _bytes(made: Rows) -> int:
    return sum(_length(in_order(r + w)) for rows in made.values() for r, w in rows)


def _runs(made: Rows) -> int:
    return sum(len(r) + len(w) for rows in made.values() for r, w in rows)


def _length(runs: Runs) -> int:
    return sum(end - start for start, end in runs)


def _of_buffer(
    name: str,
    found: Footprint,
    index: int,
    rows: list[tuple[Runs, Runs]],
    shared: dict[int, Sharing],
) -> BufferAnswer:
    touches = [t for t in found.touches if t.argument == index]
    reads, writes = (
        sorted({access(t, found.definitions) for t in touches if t.writes is written})
        for written in (False, True)
    )
    if not touches:
        answer = "untouched"
    elif not writes:
        answer = "read"
    elif not parts_meet(rows):
        answer = "regions"
    else:
        answer = "reduce" if index in shared and shared[index].how != "image" else "merge"
    return BufferAnswer(name, answer, reads, writes, [(_length(r), _length(w)) for r, w in rows])


def _dimensions(program: tree.Program, function: tree.Function) -> int:
    """How many dimensions a kernel asks about, itself or through others."""
    highest, seen, waiting = 0, set(), [function.name]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in program.functions:
            continue
        seen.add(name)
        nodes: list[object] = [program.functions[name].body]
        while nodes:
            node = nodes.pop()
            if isinstance(node, tree.Call):
                waiting.append(node.function)
                for argument in node.arguments if node.function.startswith("get_") else ():
                    inner = argument.value if isinstance(argument, tree.Cast) else argument
                    if isinstance(inner, tree.Literal) and isinstance(inner.value, int):
                        highest = max(highest, inner.value)
            nodes.extend(inside(node))
    return min(highest, 2) + 1


def _arguments(
    declared: list[tree.Declared], given: dict[str, str]
) -> tuple[list[bytes | str], dict[int, int]]:
    """The arguments as the analysis takes them, and the sizes of buffers by index."""
    unknown = given.keys() - {d.name for d in declared}
    if unknown:
        names = ", ".join(d.name for d in declared)
        raise Wrong(f"there is no argument {sorted(unknown)[0]!r}; there are {names}")
    values: list[bytes | str] = []
    sizes: dict[int, int] = {}
    for index, one in enumerate(declared):
        text = given.get(one.name)
        if isinstance(one.type, tree.Pointer):
            if one.type.space in (tree.Space.GLOBAL, tree.Space.CONSTANT):
                values.append(BUFFER)
                sizes[index] = _buffer_bytes(one.name, text)
            else:
                values.append(OTHER)
        elif isinstance(one.type, tree.Opaque) and one.type.name.startswith("image"):
            values.append(BUFFER)
            sizes[index] = _buffer_bytes(one.name, text)
        elif isinstance(one.type, tree.Scalar) and not one.type.floating:
            values.append(_integer(one.name, one.type, text))
        else:
            values.append(OTHER)
    return values, sizes


def _buffer_bytes(name: str, text: str | None) -> int:
    if text is None:
        return bytes_assumed
    kind, _, size = text.partition(":")
    if kind != "buffer" or not size.isdigit() or not int(size):
        raise Wrong(f"{name!r} is a buffer: --arg {name}=buffer:BYTES")
    return int(size)


def _integer(name: str, type_: tree.Scalar, text: str | None) -> bytes:
    try:
        value = integer_assumed if text is None else int(text, 0)
        return value.to_bytes(type_.size, "little", signed=type_.signed)
    except (ValueError, OverflowError):
        raise Wrong(f"{name!r} is an integer of {type_.size} bytes, not {text!r}") from None


# ---- the command


def _sizes(text: str | None, flag: str) -> tuple[int, ...]:
    if text is None:
        return ()
    numbers = text.split(",")
    if not 1 <= len(numbers) <= 3 or not all(n.strip().isdigit() and int(n) for n in numbers):
        raise Wrong(f"{flag} {text}: one to three positive numbers, such as 1024,64")
    return tuple(map(int, numbers))


def _table(answer: KernelAnswer) -> Table:
    size = " x ".join(map(str, answer.global_size))
    local = " x ".join(map(str, answer.local_size))
    launch = f"{'assuming ' if answer.assumed else ''}global {size}, local {local}"
    table = Table(
        title=f"{escape(answer.kernel)}: {answer.answer} ({launch})", title_justify="left",
        caption=escape(answer.reason), caption_justify="left",
    )  # fmt: skip
    for column in ("buffer", "answer", "reads", "writes", "bytes per part (read / written)"):
        table.add_column(column, overflow="fold")
    for one in answer.buffers:
        parts = "\n".join(f"{read:,} / {written:,}" for read, written in one.parts)
        table.add_row(
            escape(one.name), one.answer, escape("\n".join(one.reads)),
            escape("\n".join(one.writes)), parts,
        )  # fmt: skip
    return table


def run(
    file: Annotated[Path, typer.Argument(help="OpenCL C source.", exists=True, dir_okay=False)],
    define: Annotated[
        list[str], typer.Option("-D", metavar="NAME[=VALUE]", help="As for the compiler.")
    ] = [],  # noqa: B006
    kernel: Annotated[str | None, typer.Option(help="This kernel only.")] = None,
    global_size: Annotated[
        str | None, typer.Option("--global", metavar="N[,M[,K]]", help="Global size of a launch.")
    ] = None,
    local_size: Annotated[
        str | None, typer.Option("--local", metavar="N[,M[,K]]", help="Local size of it.")
    ] = None,
    arg: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE", help="An argument: a number, or buffer:BYTES."),
    ] = [],  # noqa: B006
    parts: Annotated[int, typer.Option(min=2, max=1024, help="Equal devices.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how launches of the kernels in FILE would be split, and why.

    *regions*: each part writes bytes of its own, which stay where they are. *merge*: what
    parts changed of what they may write is merged. *whole*: on one device.
    """
    try:
        given = {}
        for one in arg:
            name, equals, value = one.partition("=")
            if not equals:
                raise Wrong(f"--arg {one}: NAME=VALUE is wanted")
            given[name] = value
        options = " ".join(f"-D {d}" for d in define)
        unit = [file.read_text(errors="surrogateescape"), options, [], []]
        sizes = _sizes(global_size, "--global"), _sizes(local_size, "--local")
        answers = explain(unit, kernel, *sizes, given, parts)
    except Wrong as wrong:
        typer.echo(f"vcl explain: {file}: {wrong}", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps([asdict(answer) for answer in answers], indent=1))
        return
    console = Console()
    for answer in answers:
        if answer.buffers:
            console.print(_table(answer))
        else:
            console.print(escape(f"{answer.kernel}: {answer.answer}: {answer.reason}"))
    if not answers:
        console.print("no kernels")


def main() -> None:
    """The command."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(run)
    app(prog_name="vcl explain")


if __name__ == "__main__":
    main()
