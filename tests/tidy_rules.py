"""The rules of the code, each a function from source text to complaints.

Owns: the tables of layers, forbidden imports, words and suffixes, and the functions that check one
module against them. Must not know: which files exist (`test_tidy` finds them).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

PACKAGES = ("vcl", "master", "node_agent")

PURE, WIRE, CORE, SHELL, FACE = range(5)

LAYERS: tuple[tuple[str, int], ...] = (
    # The first pattern that fits counts. What none fits is a core: a new module is held to be
    # without I/O until it is listed here.
    ("vcl", FACE),
    ("vcl.api", SHELL),
    ("vcl.api.*", SHELL),
    ("vcl.pyopencl_cl", FACE),
    ("vcl.pyopencl_cl.*", FACE),
    ("vcl.cli", FACE),
    ("vcl.cli.*", FACE),
    ("vcl.faces", FACE),
    ("vcl.startup", FACE),
    ("vcl.startup.*", FACE),
    ("vcl.swap", FACE),
    ("vcl.constants", PURE),
    ("vcl.errors", PURE),
    ("vcl.ids", PURE),
    ("vcl.ndrange", PURE),
    ("vcl.region", PURE),
    ("vcl.text", PURE),
    ("vcl.wire", WIRE),
    ("vcl.wire.*", WIRE),
    ("vcl.transport", SHELL),
    ("vcl.transport.*", SHELL),
    ("vcl.direct", SHELL),
    ("vcl.direct.*", SHELL),
    ("vcl.runtime", SHELL),
    ("vcl.control_socket", SHELL),
    ("vcl.embedded", SHELL),
    ("vcl.ending", SHELL),
    ("vcl.family", SHELL),
    ("vcl.garbage", SHELL),
    ("vcl.holder", SHELL),
    ("vcl.lifeline", SHELL),
    ("vcl.links", SHELL),
    ("vcl.logs", FACE),
    ("vcl.losses", SHELL),
    ("vcl.options", FACE),
    ("vcl.progress", SHELL),
    ("vcl.running", SHELL),
    ("vcl.local", SHELL),
    ("vcl.settings", SHELL),
    ("vcl.signals", SHELL),
    ("vcl.changes", SHELL),
    ("vcl.sockets", SHELL),
    ("vcl.split", PURE),
    ("vcl.stdout", SHELL),
    ("vcl.tokens", SHELL),
    ("vcl.totals", SHELL),
    ("master.__main__", FACE),
    ("master.access.explain", FACE),
    ("master.access.reader", SHELL),
    ("master.judging", SHELL),
    ("master.leg", SHELL),
    ("master.loop_meter", SHELL),
    ("master.relay", SHELL),
    ("master.server", SHELL),
    ("master.turns", SHELL),
    ("node_agent.__main__", FACE),
    ("node_agent.daemon", SHELL),
    ("node_agent.driver", SHELL),
    ("node_agent.driver.*", SHELL),
    ("node_agent.environment", SHELL),
    ("node_agent.host", SHELL),
    ("node_agent.executor", SHELL),
    ("node_agent.includes", SHELL),
    ("node_agent.inventory", SHELL),
    ("node_agent.printed", SHELL),
    ("node_agent.processes", SHELL),
)

# What would bring a clock, randomness, threads or I/O into the layers up to the cores.
IMPURE = frozenset({
    "asyncio", "concurrent", "multiprocessing", "os", "random", "secrets", "select", "selectors",
    "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "uuid",
    "picows", "platformdirs", "psutil", "pydantic_settings", "pyopencl", "rich", "typer", "uvloop",
    "websockets",
})  # fmt: skip

# What a face of OpenCL knows, and OpenCL's rules must not, but for these modules of theirs.
FACES_OWN: dict[str, tuple[str, ...]] = {"pyopencl": (), "numpy": ("vcl.api.boxes",)}

ONLY_IN: dict[str, tuple[str, ...]] = {
    "msgpack": ("vcl.wire", "vcl.wire.*"),
    "lz4": ("vcl.direct.compressed",),
    "picows": ("vcl.transport.fast",),
    "websockets": ("vcl.transport.websocket",),
    "pyopencl": ("vcl", "vcl.*", "node_agent.driver.*"),
    "vcl": ("*",),
    "master": ("master", "master.*"),
    "node_agent": ("node_agent", "node_agent.*"),
}

FORBIDDEN_WORDS = frozenset({"task", "tasks", "job", "jobs", "worker", "workers"})

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

LIMIT_SUFFIXES = (
    "_bits", "_bytes", "_count", "_max", "_min", "_ms", "_ratio", "_s", "_version",
)  # fmt: skip

# In two pieces, so that this file doesn't break the rule.
MACHINE_PATH = re.compile(r"(?<!\w)/(?:wor" r"k/|tmp/" r"w(?:/|\b))")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A parsed module: its dotted name, whether it is a package's __init__, text and tree."""

    name: str
    source: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.name)

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def layer_of(name: str) -> int:
    """The layer of a module of our packages."""
    return next((layer for pattern, layer in LAYERS if fnmatchcase(name, pattern)), CORE)


# Imports


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    )


def _running_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below this one but those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if _is_type_checking(child):
            assert isinstance(child, ast.If)
            for branch in child.orelse:
                yield branch
                yield from _running_nodes(branch)
            continue
        yield child
        yield from _running_nodes(child)


def _from_base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    parts = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def imports(module: Module, known: Iterable[str] = ()) -> list[tuple[int, str]]:
    """Line and dotted name of all that a module imports at run time, in functions too.

    `from a import b` is an import of a.b where that is one of the `known` modules, else of a.
    """
    known = frozenset(known)
    found = []
    for node in _running_nodes(module.tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _from_base(module, node)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                found.append((node.lineno, name if name in known else base))
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func)
            in ("import_module", "importlib.import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.append((node.lineno, str(node.args[0].value)))
    return found


def import_complaints(module: Module, known: Iterable[str] = ()) -> list[str]:
    """Imports against the layers, of what a core must not know, or outside their one place."""
    layer = layer_of(module.name)
    complaints = []
    for line, name in imports(module, known):
        where, top = f"{module.name}:{line} imports {name}", name.partition(".")[0]
        if layer <= CORE and top in IMPURE:
            complaints.append(f"{where}: not in a module without I/O")
        allowed = ONLY_IN.get(top, ("*",))
        if not any(fnmatchcase(module.name, pattern) for pattern in allowed):
            complaints.append(f"{where}: only {', '.join(allowed)} may")
        is_rules = f"{module.name}.".startswith("vcl.api.")
        if is_rules and module.name not in FACES_OWN.get(top, (module.name,)):
            complaints.append(f"{where}: OpenCL's rules know no face")
        if top in PACKAGES and layer_of(name) > layer:
            complaints.append(f"{where}: from layer {layer}, which is below {layer_of(name)}")
    return complaints


def import_circles(modules: Iterable[Module]) -> list[tuple[str, ...]]:
    """Modules that import each other in a circle, also by imports in functions; sorted.

    A package isn't counted as imported by its modules.
    """
    modules = list(modules)
    known = frozenset(module.name for module in modules)
    graph = {
        module.name: {name for _, name in imports(module, known) if name in known}
        for module in modules
    }
    circles = {name: _reached(graph, name) for name in graph}
    return sorted({
        tuple(sorted(other for other in below if name in circles[other]))
        for name, below in circles.items()
        if name in below
    })


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    """All that a module leads to."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = graph[waiting.pop()] - found
        found |= fresh
        waiting += fresh
    return found


# Names


def words_of(name: str) -> list[str]:
    """The words of a snake_case or CamelCase name, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def _names_bound(target: ast.AST) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _names_bound(element)


def _arguments(node: Function) -> Iterator[str]:
    arguments = node.args
    rest = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *rest):
        yield argument.arg


def public_names(body: Iterable[ast.stmt]) -> Iterator[tuple[int, str]]:
    """Line and name of what a module or class body makes public: classes, functions, their
    arguments, constants and fields."""
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from ((node.lineno, name) for name in _names_bound(target))
        elif isinstance(node, ast.ClassDef | Function):
            yield node.lineno, node.name
            if node.name.startswith("_") and not node.name.startswith("__"):
                continue
            if isinstance(node, ast.ClassDef):
                yield from public_names(node.body)
            else:
                yield from ((node.lineno, name) for name in _arguments(node))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            branches = [getattr(node, part, []) for part in ("body", "orelse", "finalbody")]
            for branch in branches:
                yield from public_names(branch)


def _wire_strings(module: Module) -> Iterator[tuple[int, str]]:
    """The one-word texts of a wire module: kinds, keys and enumerated values of messages."""
    for node in ast.walk(module.tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"[A-Za-z][\w.-]*", text):
            assert isinstance(node, ast.Constant)
            yield node.lineno, text


def vocabulary_complaints(module: Module) -> list[str]:
    """Public names, and texts that go over the wire, with a word that isn't ours."""
    names = [(1, module.name), *public_names(module.tree.body)]
    if layer_of(module.name) == WIRE:
        names += _wire_strings(module)
    return [
        f"{module.name}:{line} {name}: says {word!r}"
        for line, name in names
        if name.startswith("__") or not name.startswith("_")
        for word in words_of(name)
        if word in FORBIDDEN_WORDS
    ]


def limit_complaints(module: Module) -> list[str]:
    """Numeric constants of a module of limits whose names don't end with a unit."""
    complaints = []
    nodes = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
    ]
    for node in nodes:
        value = node.value
        assert value is not None
        numbers = [leaf.value for leaf in ast.walk(value) if isinstance(leaf, ast.Constant)]
        if not numbers or not all(type(number) in (int, float) for number in numbers):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for name in (name for target in targets for name in _names_bound(target)):
            if not name.lower().endswith(LIMIT_SUFFIXES):
                complaints.append(f"{module.name}:{node.lineno} {name}: ends with no unit")
    return complaints


# Docstrings and sizes


def _explains_length(docstring: str | None) -> bool:
    return any(line.strip().startswith("Long because") for line in (docstring or "").splitlines())


def docstring_complaints(module: Module) -> list[str]:
    """A module without a docstring."""
    return [] if ast.get_docstring(module.tree) else [f"{module.name}: has no docstring"]


def length_complaints(module: Module) -> list[str]:
    """A module or function that is too long and doesn't say why."""
    complaints = []
    lines = len(module.source.splitlines())
    if lines > MODULE_LINES_MAX and not _explains_length(ast.get_docstring(module.tree)):
        complaints.append(f"{module.name}: {lines} lines, and no 'Long because' in its docstring")
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES_MAX and not _explains_length(ast.get_docstring(node)):
                complaints.append(
                    f"{module.name}:{node.lineno} {node.name}: {lines} lines, and no "
                    "'Long because' in its docstring"
                )
    return complaints


def machine_path_complaints(name: str, text: str) -> list[str]:
    """Paths that exist only on the machine where somebody wrote the text."""
    return [
        f"{name}:{number} {line.strip()[:80]}"
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]


# Tests that mirror modules


def needs_mirror(module: Module) -> bool:
    """A package's __init__ that only names and re-exports has nothing to test."""
    return not module.is_package or any(
        isinstance(node, ast.ClassDef | Function) for node in module.tree.body
    )


def mirrors(module: Module) -> list[str]:
    """Where the tests of a module may be: for vcl.wire.frame, tests/vcl/wire/test_frame.py or
    tests/vcl/test_wire_frame.py."""
    top, *inner, last = [*module.name.split("."), *(["init"] if module.is_package else [])]
    nested = "/".join(["tests", top, *inner, f"test_{last}.py"])
    flat = f"tests/{top}/test_{'_'.join([*inner, last])}.py"
    return list(dict.fromkeys((nested, flat)))
