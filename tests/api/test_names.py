"""Every name that pyopencl's Python layer takes from `_cl` is known here, and there.

Owns: finding those names in pyopencl's sources, the list of them, and which are absent on purpose.
A pyopencl that takes a new name makes this say which.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

import vcl  # noqa: F401  # makes pyopencl mean the cluster
from tests.api import run_pyopencl_suite as suite
from tests.api.suite_outcomes import version_key
from vcl.pyopencl_cl import module

PINNED = "2026.1.4"
"""The newest pyopencl that NAMES was compared with."""

NAMES = frozenset(
    """
    _create_program_with_il _enqueue_barrier _enqueue_barrier_with_wait_list _enqueue_copy_buffer
    _enqueue_copy_buffer_rect _enqueue_copy_buffer_to_image _enqueue_copy_image
    _enqueue_copy_image_to_buffer _enqueue_fill_buffer _enqueue_marker
    _enqueue_marker_with_wait_list _enqueue_read_buffer _enqueue_read_buffer_rect
    _enqueue_read_image _enqueue_svm_map _enqueue_svm_memcpy _enqueue_svm_memfill
    _enqueue_svm_migrate_mem _enqueue_svm_migratemem _enqueue_svm_unmap _enqueue_wait_for_events
    _enqueue_write_buffer _enqueue_write_buffer_rect _enqueue_write_image _ErrorRecord _Program
    _sizeof_size_t addressing_mode AllocatorBase bitlog2 Buffer channel_order channel_type
    command_execution_status command_queue_info command_queue_properties command_type CommandQueue
    Context context_info context_properties DeferredAllocator Device device_affinity_domain
    device_atomic_capabilities device_device_enqueue_capabilities device_exec_capabilities
    device_fp_config device_info device_local_mem_type device_mem_cache_type
    device_partition_property device_svm_capabilities device_topology_type_amd device_type
    DeviceTopologyAmd enqueue_acquire_gl_objects enqueue_copy_buffer_p2p_amd enqueue_fill_image
    enqueue_map_buffer enqueue_map_image enqueue_migrate_mem_objects enqueue_nd_range_kernel
    enqueue_release_gl_objects Error Event event_info filter_mode get_apple_cgl_share_group
    get_cl_header_version get_platforms get_supported_image_formats gl_context_info gl_object_type
    gl_texture_info GLBuffer GLRenderBuffer GLTexture have_gl Image image_info ImageDescriptor
    ImageFormat ImmediateAllocator Kernel kernel_arg_access_qualifier kernel_arg_address_qualifier
    kernel_arg_info kernel_arg_type_qualifier kernel_info kernel_sub_group_info
    kernel_work_group_info khronos_vendor_id LocalMemory LogicError map_flags mem_flags mem_info
    mem_migration_flags mem_object_type MemoryError MemoryMap MemoryObject MemoryObjectHolder
    MemoryPool NannyEvent Pipe pipe_info pipe_properties Platform platform_info PooledBuffer
    PooledSVM profiling_info program_binary_type program_build_info program_info program_kind
    queue_properties RuntimeError Sampler sampler_info sampler_properties status_code SVM
    svm_mem_flags SVMAllocation SVMAllocator SVMPointer SVMPool unload_platform_compiler UserEvent
    version_bits wait_for_events
""".split()
)
"""What pyopencl 2024.3 to PINNED take from `_cl`."""

ABSENT = frozenset(
    """
    enqueue_acquire_gl_objects enqueue_release_gl_objects get_apple_cgl_share_group gl_object_type
    gl_texture_info GLBuffer GLRenderBuffer GLTexture
    _enqueue_svm_migratemem
""".split()
)
"""Not supplied on purpose: OpenGL sharing, which pyopencl takes only where `have_gl()` says so, and
a name that was misspelt in pyopencl's Python layer, so that its own `_cl` lacks it too."""

DROPPED = frozenset({"_enqueue_svm_migratemem"})
"""Names that only an older pyopencl than PINNED takes."""


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below this one but those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for branch in child.orelse:
                yield branch
                yield from _running(branch)
        else:
            yield child
            yield from _running(child)


def _aliases(nodes: list[ast.AST]) -> set[str]:
    """What a module calls `pyopencl._cl`."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module, node.level) in (
            ("pyopencl", 0), (None, 1),
        ):  # fmt: skip
            found |= {alias.asname or "_cl" for alias in node.names if alias.name == "_cl"}
        elif isinstance(node, ast.Import):
            found |= {a.asname or a.name for a in node.names if a.name == "pyopencl._cl"}
    return found


def taken(source: str) -> set[str]:
    """The names that a module of pyopencl takes from `_cl`: imported, as attributes, by getattr
    or hasattr, and in the text of Python code that it makes."""
    nodes = list(_running(ast.parse(source)))
    aliases = _aliases(nodes)
    docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module, node.level) in (
            ("pyopencl._cl", 0), ("_cl", 1),
        ):  # fmt: skip
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in aliases:
            found.add(node.attr)
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            name = node.args[1]
            called = ast.unparse(node.func) in ("getattr", "hasattr")
            if called and ast.unparse(node.args[0]) in aliases and isinstance(name, ast.Constant):
                found.add(str(name.value))
        elif isinstance(node, ast.Constant) and node not in docstrings:
            found |= set(re.findall(r"(?<![\w.])_cl\.([A-Za-z_]\w*)", str(node.value)))
    return found


def _taken_by(folder: Path) -> set[str]:
    files = sorted(folder.rglob("*.py"))
    assert files
    return set().union(*(taken(path.read_text(encoding="utf-8")) for path in files))


def _taken_by_pyopencl() -> set[str]:
    """By the installed one, found without importing it."""
    return _taken_by(Path(str(distribution("pyopencl").locate_file("pyopencl"))))


def test_every_name_is_supplied() -> None:
    missing = {name for name in _taken_by_pyopencl() if not hasattr(module.build(), name)}
    assert missing <= ABSENT, f"pyopencl takes from _cl, and vcl lacks: {sorted(missing - ABSENT)}"


def test_no_absent_name_is_supplied() -> None:
    assert not {name for name in ABSENT if hasattr(module.build(), name)}
    assert ABSENT | DROPPED <= NAMES


def test_the_names_are_those_that_are_listed() -> None:
    found = _taken_by_pyopencl()
    new = sorted(found - NAMES)
    assert not new, f"pyopencl {version('pyopencl')} takes new names from _cl: {new}"


def test_no_listed_name_is_dropped() -> None:
    if version_key(version("pyopencl")) < version_key(PINNED):
        pytest.skip(f"{PINNED} takes names that an older pyopencl doesn't know")
    dropped = NAMES - DROPPED - _taken_by_pyopencl()
    assert not dropped, f"pyopencl {version('pyopencl')} takes no longer: {sorted(dropped)}"


@pytest.mark.long
@pytest.mark.parametrize("option", ["--oldest", "--newest"])
def test_the_oldest_and_the_newest_take_no_other_names(option: str) -> None:
    try:
        supported = suite.chosen(suite.parse([option]))
        sources = suite.fetch(supported).parent / "pyopencl"
    except suite.Unreachable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    new = _taken_by(sources) - NAMES
    assert not new, f"pyopencl {supported} takes other names from _cl: {sorted(new)}"


@pytest.mark.parametrize(
    "source",
    [
        "from pyopencl._cl import f",
        "from ._cl import f as g",
        "try:\n    from pyopencl._cl import (\n        f)\nexcept ImportError: pass",
        "from pyopencl import _cl\ndef g(): return _cl.f(1)",
        "from pyopencl import _cl as low\nx: low.f",
        "import pyopencl._cl as _cl\nclass C(_cl.f): pass",
        "import pyopencl._cl\npyopencl._cl.f",
        "from . import _cl\nif hasattr(_cl, 'f'): pass",
        "from pyopencl import _cl\ngetattr(_cl, 'f', None)",
        "gen('import pyopencl._cl as _cl')\ngen(f'x = _cl.f({n})')",
    ],
)
def test_names_are_found(source: str) -> None:
    assert taken(source) == {"f"}


@pytest.mark.parametrize(
    "source",
    [
        "import pyopencl as _cl\n_cl.f",
        "from pyopencl import _cl\ngetattr(_cl, name)",
        "'''Makes a _cl.f.'''",
        "def g():\n    '''As :class:`pyopencl._cl.f`, or _cl.f.'''",
        "if TYPE_CHECKING:\n    from pyopencl._cl import f",
    ],
)
def test_nothing_else_is_found(source: str) -> None:
    assert taken(source) == set()
