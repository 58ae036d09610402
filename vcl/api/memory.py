"""Memory objects: buffers and regions of them (OpenCL 3.0 API, 5.2).

Owns: `Memory`, and the checks of flags and sizes. Must not know: commands, images' pixels, the
host memory of a program.
"""

from __future__ import annotations

from typing import Any

from vcl.api.context import Context
from vcl.api.errors import fail
from vcl.api.lifetimes import REFERENCES, Owner
from vcl.api.runtime import Runtime
from vcl.constants import CLASSES
from vcl.wire.messages import session

_INFO = CLASSES["mem_info"]
FLAGS = CLASSES["mem_flags"]
TYPES = CLASSES["mem_object_type"]
ACCESS = FLAGS["READ_WRITE"] | FLAGS["READ_ONLY"] | FLAGS["WRITE_ONLY"]
WRITTEN = FLAGS["READ_WRITE"] | FLAGS["WRITE_ONLY"]
HOST_ACCESS = FLAGS["HOST_READ_ONLY"] | FLAGS["HOST_WRITE_ONLY"] | FLAGS["HOST_NO_ACCESS"]
HOST_PTR = FLAGS["USE_HOST_PTR"] | FLAGS["ALLOC_HOST_PTR"] | FLAGS["COPY_HOST_PTR"]
GIVEN = FLAGS["USE_HOST_PTR"] | FLAGS["COPY_HOST_PTR"]
"""The flags that come with host memory."""


class Memory:
    """A buffer, or a region of one: its root, of which the nodes know.

    _origin: of the region in the root, in bytes. _root: what the root's memory on the nodes lives
    by; None once this object was let go of. _type: of mem_object_type.
    """

    _parent: Any = None
    _origin = 0
    _type = TYPES["BUFFER"]
    _size: int
    _flags: int
    _context: Any
    _runtime: Runtime
    _root_id: int
    _root: Owner | None

    def __init__(
        self,
        context: Context,
        flags: int,
        size: int,
        data: memoryview | None = None,
        *,
        shared: bool = False,
        routine: str = "clCreateBuffer",
    ) -> None:
        """A buffer of `size` bytes. flags: as `check_flags` lets pass.

        data: the initial contents, copied at once; as many bytes. shared: it counts as the host's,
        so that launches that use it aren't split. Raises CallError, OperatingError.
        """
        check_not_empty(size, routine)
        limit = min(d._info("MAX_MEM_ALLOC_SIZE") for d in context._devices)
        if size > limit:
            fail(
                routine,
                "INVALID_BUFFER_SIZE",
                f"{size} bytes; the smallest device of the context takes at most {limit} "
                "(MAX_MEM_ALLOC_SIZE)",
            )
        self._context = context
        self._flags = with_access(flags)
        self._size = size
        self._runtime = context._runtime
        self._root_id = self._runtime.new_id()
        self._runtime.say(session.CreateBuffer(self._root_id, context._id, size, shared))
        self._root = Owner(self._runtime, self._root_id)
        if data is not None:
            self._fill_from(data)

    def _fill_from(self, data: memoryview) -> None:
        """The initial contents: a write that nothing waits for, on no queue of the program's."""
        queue = self._context._initial_queue()
        size = self._size
        event = self._runtime.write(
            queue,
            self._runtime.keep(data),
            lambda event, staging, digest: session.Write(
                event, queue, [], self._root_id, 0, size, staging, digest
            ),
        )
        self._runtime.release(event)

    def _be_region_of(self, parent: Memory, origin: int, size: int, flags: int) -> None:
        """Be the region [origin, origin + size) of another's bytes, whose root then lives as long
        as this."""
        self._context, self._runtime = parent._context, parent._runtime
        self._flags, self._size = flags, size
        self._origin, self._parent = parent._origin + origin, parent
        self._root_id, self._root = parent._root_id, parent._root

    def _query(self, param: int) -> Any:
        """Answer a query. param: of mem_info; HOST_PTR is the face's to answer.

        Raises CallError for what isn't any.
        """
        if param == _INFO["TYPE"]:
            return self._type
        if param == _INFO["FLAGS"]:
            return self._flags
        if param == _INFO["SIZE"]:
            return self._size
        if param == _INFO["MAP_COUNT"]:
            return 0
        if param == _INFO["REFERENCE_COUNT"]:
            return REFERENCES
        if param == _INFO["CONTEXT"]:
            return self._context
        if param == _INFO["ASSOCIATED_MEMOBJECT"]:
            return self._parent
        if param == _INFO["OFFSET"]:
            return 0 if self._parent is None else self._origin - self._parent._origin
        if param == _INFO["USES_SVM_POINTER"]:
            return False
        if param == _INFO["PROPERTIES"]:
            return []
        fail("clGetMemObjectInfo", "INVALID_VALUE")

    def _sub_buffer_flags(self, origin: int, size: int, flags: int) -> int:
        """The flags that a sub-buffer has, given these. Raises CallError if there can't be one."""
        routine = "clCreateSubBuffer"
        if self._parent is not None:
            fail(routine, "INVALID_MEM_OBJECT", "a sub-buffer of a sub-buffer")
        if flags & (HOST_PTR | ~(ACCESS | HOST_ACCESS | HOST_PTR)):
            fail(routine, "INVALID_VALUE", "these flags aren't allowed for a sub-buffer")
        check_flags(flags, routine)
        if size == 0:
            fail(routine, "INVALID_BUFFER_SIZE")
        if origin + size > self._size:
            fail(routine, "INVALID_VALUE", f"{origin}+{size} is outside {self._size} bytes")
        align = max(d._info("MEM_BASE_ADDR_ALIGN") for d in self._context._devices)
        if origin % (align // 8):
            fail(
                routine,
                "MISALIGNED_SUB_BUFFER_OFFSET",
                f"origin {origin} isn't a multiple of {align // 8} (MEM_BASE_ADDR_ALIGN)",
            )
        # Inherited where not given (OpenCL 3.0 API, 5.2.1).
        own, wanted = self._flags & ACCESS, flags & ACCESS
        if wanted and own != FLAGS["READ_WRITE"] and wanted != own:
            fail(routine, "INVALID_VALUE", "the flags contradict the buffer's")
        host = flags & HOST_ACCESS or self._flags & HOST_ACCESS
        return (wanted or own) | host | (self._flags & HOST_PTR)


def with_access(flags: int) -> int:
    """The flags of a buffer that was made with these: kernels may read and write it if they don't
    say (OpenCL 3.0 API, 5.2.1)."""
    return flags if flags & ACCESS else flags | FLAGS["READ_WRITE"]


def check_flags(flags: int, routine: str) -> None:
    """Raise CallError for mem_flags that aren't any, or contradict each other."""
    known = 0
    for value in FLAGS.values():
        known |= value
    too_many = [(flags & group).bit_count() > 1 for group in (ACCESS, HOST_ACCESS)]
    use = FLAGS["USE_HOST_PTR"]
    contradiction = flags & use and flags & (FLAGS["ALLOC_HOST_PTR"] | FLAGS["COPY_HOST_PTR"])
    if flags & ~known or any(too_many) or contradiction:
        fail(routine, "INVALID_VALUE", f"mem_flags {flags:#x} contradict each other")


def check_host_ptr(flags: int, is_given: bool, routine: str) -> None:
    """Raise CallError unless host memory is given if and only if the flags make use of it."""
    if is_given and not flags & GIVEN:
        text = "give COPY_HOST_PTR (or USE_HOST_PTR) with hostbuf"
        fail(routine, "INVALID_HOST_PTR", text)
    if not is_given and flags & GIVEN:
        fail(routine, "INVALID_HOST_PTR")


def check_not_empty(size: int, routine: str) -> None:
    """Raise CallError for a size of 0."""
    if size == 0:
        fail(routine, "INVALID_BUFFER_SIZE", "a buffer of 0 bytes")


def check_host_reads(memory: Memory, routine: str) -> None:
    """Raise CallError if the host may not read the buffer."""
    if memory._flags & (FLAGS["HOST_WRITE_ONLY"] | FLAGS["HOST_NO_ACCESS"]):
        fail(routine, "INVALID_OPERATION", "the buffer's flags don't allow the host to read it")


def check_host_writes(memory: Memory, routine: str) -> None:
    """Raise CallError if the host may not write the buffer."""
    if memory._flags & (FLAGS["HOST_READ_ONLY"] | FLAGS["HOST_NO_ACCESS"]):
        fail(routine, "INVALID_OPERATION", "the buffer's flags don't allow the host to write it")


def region_start(memory: Memory, offset: int, count: int, routine: str) -> int:
    """The offset in the root. Raises CallError unless the region lies inside."""
    if offset + count > memory._size:
        fail(
            routine,
            "INVALID_VALUE",
            f"bytes {offset} to {offset + count} are outside a buffer of {memory._size}",
        )
    return memory._origin + offset
