"""pyopencl's classes of memory objects, and the host memory that they are given.

Owns: `MemoryObjectHolder`, `MemoryObject`, `Buffer`, `LocalMemory`, keeping host memory, and seeing
it as bytes. Must not know: commands, or OpenCL's rules of flags and sizes (`vcl.api.memory`).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from vcl.api import memory as api
from vcl.api.integers import size as size_t
from vcl.api.memory import (
    ACCESS,
    FLAGS,
    GIVEN,
    HOST_ACCESS,
    WRITTEN,
    check_flags,
    check_host_ptr,
    check_not_empty,
    with_access,
)
from vcl.api.svm import shadow_of
from vcl.constants import CLASSES
from vcl.pyopencl_cl.context import Context, expect
from vcl.pyopencl_cl.errors import fail, translated
from vcl.pyopencl_cl.handles import Handle

_INFO = CLASSES["mem_info"]


class MemoryObjectHolder(Handle):
    """What has a memory object: one itself, or a pool's allocation."""

    _invalid = "INVALID_MEM_OBJECT"
    _released = False
    _hostbuf: Any = None
    _host: memoryview | None = None
    """The program's own memory that the object was made to use (USE_HOST_PTR), as bytes."""

    def _memory(self, routine: str) -> Buffer:
        """The buffer that commands work on; raises if it was released."""
        raise NotImplementedError

    @translated("clGetMemObjectInfo")
    def get_info(self, param: int) -> Any:
        """Answer a memory object query."""
        memory = self._memory("clGetMemObjectInfo")
        if param == _INFO["HOST_PTR"]:
            fail("MemoryObject.get_info", "INVALID_VALUE", "Use MemoryObject.get_host_array.")
        return memory._query(param)

    def get_host_array(self, shape: Any, dtype: Any, order: Any = "C") -> Any:
        """The host memory of an object made with USE_HOST_PTR, as an array."""
        memory = self._memory("MemoryObject.get_host_array")
        if not memory._flags & FLAGS["USE_HOST_PTR"]:
            fail(
                "MemoryObject.get_host_array",
                "INVALID_VALUE",
                "Only MemoryObject with USE_HOST_PTR is supported.",
            )
        dtype = np.dtype(dtype)
        count = int(np.prod(shape))
        if count * dtype.itemsize > memory._size:
            fail(
                "MemoryObject.get_host_array",
                "INVALID_VALUE",
                "Resulting array is larger than memory object.",
            )
        host = np.frombuffer(memory._hostbuf, np.uint8)
        plain = np.ndarray(shape, dtype, buffer=host, order=order)
        # numpy takes the array's base from whoever has this attribute: the memory object.
        memory.__array_interface__ = plain.__array_interface__  # type: ignore[attr-defined]
        try:
            return np.asarray(memory)
        finally:
            del memory.__array_interface__  # type: ignore[attr-defined]


class MemoryObject(MemoryObjectHolder):
    """A memory object that the program made."""

    def release(self) -> None:
        """Let go of it now; using it afterwards is an error."""
        if self._released:
            fail("MemoryObject.free", "INVALID_VALUE", "trying to double-unref mem object")
        self._released = True
        self._let_go()

    def _let_go(self) -> None:
        raise NotImplementedError

    @property
    def hostbuf(self) -> Any:
        """The host memory that the object was made with, if it keeps it."""
        return self._hostbuf


class Buffer(MemoryObject, api.Memory):
    """A buffer, or a sub-buffer: a region of its root."""

    @translated("clCreateBuffer")
    def __init__(
        self,
        context: Context,
        flags: int,
        size: int = 0,
        hostbuf: Any = None,
        *,
        _shadow: bool = False,
    ) -> None:
        routine = "create_buffer"
        expect(context, Context, "context")
        flags, size = size_t(flags, "flags"), size_t(size, "size")
        check_flags(flags, routine)
        data = None
        if hostbuf is not None and not flags & GIVEN:
            warnings.warn(
                "'hostbuf' was passed, but no memory flags to make use of it.",
                stacklevel=3,
            )
        check_host_ptr(flags, hostbuf is not None, routine)
        if hostbuf is not None:
            written = flags & FLAGS["USE_HOST_PTR"] and flags & WRITTEN
            data = contiguous_bytes(hostbuf, writable=bool(written))
            if size > data.nbytes:
                fail("Buffer", "INVALID_VALUE", "Specified size is greater than host buffer size")
            size = size or data.nbytes
        check_not_empty(size, routine)
        if flags & FLAGS["USE_HOST_PTR"] and self._share(context, flags, size, data):
            assert data is not None
            self._hostbuf, self._host = hostbuf, data[:size]
            return
        if flags & FLAGS["USE_HOST_PTR"]:
            assert data is not None
            self._hostbuf = hostbuf
            self._host = None if data.readonly else data[:size]
        # A shadow of shared memory counts as the host's: launches that use it aren't split.
        shared = _shadow or bool(flags & FLAGS["USE_HOST_PTR"])
        contents = None if data is None else data[:size]
        api.Memory.__init__(
            self, context, flags, size, contents, shared=shared, routine=routine
        )

    def _share(self, context: Context, flags: int, size: int, data: Any) -> bool:
        """If the host memory is of an SVMAllocation, be a region of its buffer."""
        found = shadow_of(context, np.frombuffer(data, np.uint8).ctypes.data, size)
        if found is None:
            return False
        self._be_region_of(*found, size, with_access(flags))
        self._parent = None  # the program knows of no shadow: to it this is no sub-buffer
        return True

    def _memory(self, routine: str) -> Buffer:
        if self._released:
            fail(routine, "INVALID_MEM_OBJECT", "the memory object was released")
        return self

    def _let_go(self) -> None:
        self._root = None

    @translated("clCreateSubBuffer")
    def get_sub_region(self, origin: int, size: int, flags: int = 0) -> Buffer:
        """A sub-buffer of [origin, origin + size) bytes."""
        routine = "clCreateSubBuffer"
        self._memory(routine)
        origin, size = size_t(origin, "origin"), size_t(size, "size")
        flags = size_t(flags, "flags")
        access = self._sub_buffer_flags(origin, size, flags)
        sub = Buffer.__new__(Buffer)
        # The parent keeps the root alive, as OpenCL does.
        sub._be_region_of(self, origin, size, access)
        if self._host is not None:
            sub._hostbuf, sub._host = self._hostbuf, self._host[origin : origin + size]
        return sub

    def __getitem__(self, region: slice) -> Buffer:
        """buf[a:b]: the sub-buffer of these bytes."""
        if region is None:
            raise TypeError("a buffer is sliced: buf[start:stop]")
        if not isinstance(region, slice):
            fail("Buffer.__getitem__", "INVALID_VALUE", "a buffer is sliced: buf[start:stop]")
        start, stop, stride = region.indices(self._size)
        if stride != 1:
            fail("Buffer.__getitem__", "INVALID_VALUE", "Buffer slice must have stride 1")
        if stop <= start:
            fail("Buffer.__getitem__", "INVALID_VALUE", "Buffer slice have end > start")
        return self.get_sub_region(start, stop - start, self._flags & (ACCESS | HOST_ACCESS))


class LocalMemory:
    """A kernel argument: that many bytes of local memory."""

    def __init__(self, size: int) -> None:
        self._size = size_t(size, "size of local memory in bytes")

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size


def contiguous_bytes(data: Any, writable: bool = False) -> memoryview:
    """A flat view of the bytes of anything with the buffer protocol.

    C- or Fortran-contiguous memory is taken as it lies. Raises what NumPy's and Python's own
    buffers raise for the rest: ValueError or BufferError for memory that is read-only or isn't
    contiguous, TypeError for what has no memory.
    """
    if not isinstance(data, (np.ndarray, np.generic)):
        try:
            view = memoryview(data)
        except TypeError:
            hint = ""
            if isinstance(getattr(data, "data", None), MemoryObjectHolder):
                hint = "; perhaps you meant to pass array.data"
            raise TypeError(
                f"a bytes-like object is required, not {type(data).__name__!r}{hint}"
            ) from None
        if not view.contiguous:
            raise BufferError("memoryview: underlying buffer is not C-contiguous")
        if writable and view.readonly:
            raise BufferError("Object is not writable.")
        data = np.asarray(view)
    if writable and isinstance(data, np.generic):
        raise BufferError("scalar buffer is readonly")
    array = np.asarray(data)
    if writable and not array.flags.writeable:
        raise ValueError("buffer source array is read-only")
    if not array.flags.forc:
        raise ValueError("ndarray is not contiguous")
    if not array.flags.c_contiguous:
        array = array.T  # the same bytes, in the order in which they lie
    return array.reshape(-1).view(np.uint8).data
