"""Carrying out calls given as text, natively or on a cluster, and saying what came of them.

Owns: the objects that calls may name, made anew for each call as it names them; the outcome of a
call as plain data; and the program that carries out a list of calls on the native driver:

    python -m tests.api.call_world FD < calls.json

reads a list of calls, and writes one line of JSON to the file descriptor after each. Must not
know: which calls there are (`call_templates`), or which differences matter (`native_calls`).
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from contextlib import suppress
from typing import Any

import numpy as np

Outcome = list[Any]
"""["ok", result, {name: contents}] or ["error", class, status or None, text, {name: contents}]."""

SOURCE = """
typedef struct { int a, b; } Pair;
__kernel void count(__global int *out)
{
    size_t i = get_global_id(0) - get_global_offset(0);
    if (i < 4 && get_global_id(1) == 0 && get_global_id(2) == 0) out[i] += get_global_id(0) + 1;
}
__kernel void mixed(__global int *out, int number, __local int *scratch, Pair pair, float4 v)
{
    if (get_global_id(0) < 4) out[get_global_id(0)] = number + (int)v.y;
}
__kernel __attribute__((reqd_work_group_size(4, 1, 1))) void fixed(__global int *out)
{
    if (get_global_id(0) < 4) out[get_global_id(0)] = 7;
}
__kernel void pixels(read_only image2d_t image, sampler_t sampler, __global uint4 *out)
{
    if (get_global_id(0) < 1) out[0] = read_imageui(image, sampler, (int2)(1, 1));
}
"""

OBJECTS = {
    # Queues
    "queue": "cl.CommandQueue(ctx)",
    "unordered": "cl.CommandQueue(ctx, properties=QUEUE.OUT_OF_ORDER_EXEC_MODE_ENABLE)",
    "timed": "cl.CommandQueue(ctx, properties=QUEUE.PROFILING_ENABLE)",
    "foreign_queue": "cl.CommandQueue(other)",
    # Buffers; all have contents
    "buf": "buffer(256)",
    "big": "buffer(1024)",
    "small": "buffer(16)",
    "read_only": "buffer(256, MF.READ_ONLY)",
    "host_reads": "buffer(256, MF.HOST_READ_ONLY)",
    "host_writes": "buffer(256, MF.HOST_WRITE_ONLY)",
    "host_never": "buffer(256, MF.HOST_NO_ACCESS)",
    "sub": "big.get_sub_region(128, 256)",
    "released": "gone(buffer(256))",
    "foreign": "cl.Buffer(other, MF.COPY_HOST_PTR, hostbuf=numbers(256))",
    # Host memory
    "host": "numbers(256, 100)",
    "host_small": "numbers(16, 50)",
    "host_int": "np.arange(16, dtype=np.int32)",
    "two_d": "numbers(64, 7).reshape(8, 8)",
    "fortran": "np.asfortranarray(numbers(64, 7).reshape(8, 8))",
    "constant": "locked(numbers(16))",
    "gaps": "numbers(64)[::2]",
    "nothing": "np.zeros(0, np.uint8)",
    # Images of 8 columns of RGBA bytes; all have contents
    "rgba": "cl.ImageFormat(ORDER.RGBA, TYPE.UNSIGNED_INT8)",
    "floats": "cl.ImageFormat(ORDER.R, TYPE.FLOAT)",
    "img1d": "image((8,))",
    "img2d": "image((8, 4))",
    "img3d": "image((8, 4, 2))",
    "img2d_array": "image((8, 4, 2), is_array=True)",
    "img_float": "image((8, 4), floats)",
    "img_released": "gone(image((8, 4)))",
    "img_foreign": "cl.Image(other, MF.COPY_HOST_PTR, rgba, shape=(8, 4), hostbuf=numbers(128))",
    "sampler": "cl.Sampler(ctx, False, cl.addressing_mode.CLAMP_TO_EDGE, cl.filter_mode.NEAREST)",
    # Programs and kernels
    "unbuilt": "cl.Program(ctx, 'kernel void nothing() {}')",
    "count": "cl.Kernel(prog, 'count')",
    "mixed": "cl.Kernel(prog, 'mixed')",
    "fixed": "cl.Kernel(prog, 'fixed')",
    "pixels": "cl.Kernel(prog, 'pixels')",
    "count_set": "with_arguments(cl.Kernel(prog, 'count'), buf)",
    "fixed_set": "with_arguments(cl.Kernel(prog, 'fixed'), buf)",
    "count_foreign": "with_arguments(cl.Kernel(other_prog, 'count'), foreign)",
    "pair": "np.zeros((), np.dtype([('a', np.int32), ('b', np.int32)]))[()]",
    "float4": "cl.cltypes.make_float4(1, 2, 3, 4)",
    "float2": "cl.cltypes.make_float2(1, 2)",
    "local": "cl.LocalMemory(64)",
    # Events
    "marker": "cl.enqueue_marker(queue)",
    "foreign_marker": "cl.enqueue_marker(foreign_queue)",
    "user": "cl.UserEvent(ctx)",
    "done": "complete(cl.UserEvent(ctx))",
    # Shared virtual memory, and pools
    "svm": "shared(256)",
    "svm_big": "shared(512)",
    "svm_released": "gone(cl.SVMAllocation(ctx, 256, 0, SVM.READ_WRITE))",
    "allocator": "cl.tools.ImmediateAllocator(queue)",
    "pool": "cl.tools.MemoryPool(allocator)",
    "svm_allocator": "cl.tools.SVMAllocator(ctx)",
    "svm_pool": "cl.tools.SVMPool(svm_allocator)",
}


class World(dict[str, Any]):
    """The names that one call may use. What isn't there yet is made as it is named.

    lasting: contexts, programs and helpers, the same for all calls.
    """

    def __init__(self, cl: Any, lasting: dict[str, Any]) -> None:
        super().__init__(lasting)
        self.cl = cl
        self.no_more: list[Any] = []
        helpers = (
            self.numbers, self.buffer, self.image, self.gone, self.locked, self.with_arguments,
            self.complete, self.shared, self.content, self.mapped, self.mapped_svm,
        )  # fmt: skip
        self.update({helper.__name__: helper for helper in helpers})

    def __missing__(self, name: str) -> Any:
        if name not in OBJECTS:
            raise KeyError(name)  # one of Python's own names
        self[name] = self.evaluate(OBJECTS[name])
        return self[name]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression over the names."""
        return eval(expression, {}, self)

    # Helpers that the expressions use

    def numbers(self, count: int, first: int = 0) -> np.ndarray:
        """count bytes."""
        return (np.arange(count) + first).astype(np.uint8)

    def buffer(self, size: int, flags: int = 0) -> Any:
        """A buffer with contents."""
        flags |= self.cl.mem_flags.COPY_HOST_PTR
        return self.cl.Buffer(self["ctx"], flags, hostbuf=self.numbers(size))

    def image(self, shape: tuple[int, ...], format: Any = None, **kwargs: Any) -> Any:
        """An image with contents, of 4 bytes per pixel."""
        flags = self.cl.mem_flags.READ_WRITE | self.cl.mem_flags.COPY_HOST_PTR
        pixels = self.numbers(4 * int(np.prod(shape)))
        format = format or self["rgba"]
        make = self.cl.create_image
        return make(self["ctx"], flags, format, shape=shape, hostbuf=pixels, **kwargs)

    def shared(self, size: int) -> Any:
        """Shared memory with contents."""
        flags = self.cl.svm_mem_flags.READ_WRITE
        memory = self.cl.SVMAllocation(self["ctx"], size, 0, flags)
        self.cl.enqueue_copy(self["reader"], memory, self.numbers(size))
        return memory

    def gone(self, thing: Any) -> Any:
        """The thing after its release."""
        self.no_more.append(thing)
        thing.release()
        return thing

    def locked(self, array: np.ndarray) -> np.ndarray:
        """The array, not to be written."""
        array.flags.writeable = False
        return array

    def with_arguments(self, kernel: Any, *arguments: Any) -> Any:
        """The kernel with its arguments set."""
        kernel.set_args(*arguments)
        return kernel

    def complete(self, event: Any) -> Any:
        """The user event, completed."""
        event.set_status(0)
        return event

    def content(self, memory: Any) -> Any:
        """A memory object and its contents, where these are defined."""
        return [memory, self.bytes_of(memory)]

    def mapped(self, answer: Any, flags: int) -> Any:
        """What a map answers; then its memory is changed if it may be, and unmapped."""
        array, event, *pitches = answer
        event.wait()
        reads = flags & (self.cl.map_flags.READ | self.cl.map_flags.WRITE)
        pitches = [bool(pitch) for pitch in pitches]  # how large is the implementation's choice
        told = [event, pitches, list(array.shape), list(array.strides), str(array.dtype)]
        if reads:
            told.append(array.tobytes().hex())
        if flags & ~self.cl.map_flags.READ:
            array[...] = 5
        told.append(array.base.release(self["queue"]))
        return told

    def mapped_svm(self, map: Any) -> Any:
        """What a map of shared memory shows; then unmapped."""
        with map as array:
            array[:1] = 5
            return [str(array.dtype), array.tobytes().hex()]

    # What came of it

    def bytes_of(self, thing: Any) -> Any:
        """Contents as hexadecimal digits; None of what has none, or isn't there any more."""
        cl = self.cl
        if isinstance(thing, np.ndarray):
            return thing.tobytes().hex()
        if not isinstance(thing, (cl.MemoryObjectHolder, cl.SVMAllocation)):
            return None
        with suppress(cl.Error):
            if isinstance(thing, cl.SVMAllocation):
                if not thing.svm_ptr:
                    return None
                found = np.zeros(thing.size, np.uint8)
                cl.enqueue_copy(self["reader"], found, thing)
            elif isinstance(thing, cl.Image):
                extent = [max(1, getattr(thing, name)) for name in ("width", "height", "depth")]
                dimensions = {
                    cl.mem_object_type.IMAGE1D_ARRAY: 1, cl.mem_object_type.IMAGE2D_ARRAY: 2
                }  # fmt: skip
                if thing.type in dimensions:
                    extent[dimensions[thing.type]] = thing.array_size
                found = np.zeros(int(np.prod(extent)) * thing.element_size, np.uint8)
                queue = cl.CommandQueue(thing.context)
                # Its public face, enqueue_copy, refuses images of one dimension.
                cl._cl._enqueue_read_image(queue, thing, (0, 0, 0), tuple(extent), found)
            else:
                size = thing.get_info(cl.mem_info.SIZE)
                queue = cl.CommandQueue(thing.get_info(cl.mem_info.CONTEXT))
                plain = cl.Buffer(queue.context, 0, size)
                found = np.zeros(size, np.uint8)
                cl.enqueue_copy(queue, plain, thing)
                cl.enqueue_copy(queue, found, plain)
            return found.tobytes().hex()
        return None

    def told(self, value: Any) -> Any:
        """A result as plain data that doesn't depend on where it was computed."""
        cl = self.cl
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if any(value is thing for thing in self.no_more):
            return "released"
        if isinstance(value, (tuple, list)):
            return [self.told(one) for one in value]
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, cl.UserEvent):
            return ["UserEvent", value.command_execution_status]
        if isinstance(value, cl.Event):
            value.wait()
            return ["Event", cl.command_type.to_string(value.command_type)]
        # Here READ_WRITE is added where flags say nothing of access; natively only to no flags.
        plain = ~cl.mem_flags.READ_WRITE
        if isinstance(value, cl.Image):
            names = ("type", "width", "height", "depth", "array_size", "element_size")
            facts = [int(getattr(value, name)) for name in names]
            return ["Image", int(value.flags) & plain, *facts]
        if isinstance(value, cl.MemoryObjectHolder):
            names = (cl.mem_info.TYPE, cl.mem_info.SIZE, cl.mem_info.OFFSET)
            flags = int(value.get_info(cl.mem_info.FLAGS)) & plain
            return ["Memory", flags, *(int(value.get_info(name)) for name in names)]
        if isinstance(value, cl.CommandQueue):
            return ["CommandQueue", int(value.properties)]
        if isinstance(value, cl.Context):
            return ["Context", len(value.devices)]
        if isinstance(value, cl.Kernel):
            return ["Kernel", value.function_name, value.num_args]
        if isinstance(value, cl.Sampler):
            names = ("normalized_coords", "addressing_mode", "filter_mode")
            return ["Sampler", *(int(getattr(value, name)) for name in names)]
        if isinstance(value, cl.ImageFormat):
            return ["ImageFormat", value.channel_order, value.channel_data_type]
        if isinstance(value, (cl.LocalMemory, cl.SVMPointer)):
            return [type(value).__name__, value.size]
        if isinstance(value, cl.Program):
            return ["Program", sorted(k.function_name for k in value.all_kernels())]
        if isinstance(value, np.ndarray):
            return ["array", str(value.dtype), list(value.shape), value.tobytes().hex()]
        return type(value).__name__

    def carry_out(self, call: str) -> Outcome:
        """The call's outcome, and the contents of all that it named."""
        outcome: Outcome
        try:
            outcome = ["ok", self.told(self.evaluate(call))]
        except Exception as error:
            status = None
            if isinstance(error, self.cl.Error):
                with suppress(AttributeError):  # some of pyopencl's own have a text only
                    status = self.cl.status_code.to_string(error.code, "%d")
            outcome = ["error", type(error).__name__, status, str(error)[:300]]
        with suppress(self.cl.Error):
            if "user" in self:
                self["user"].set_status(0)
        for name in ("queue", "unordered", "timed", "foreign_queue"):
            if name in self:
                with suppress(self.cl.Error):
                    self[name].finish()
        named = [name for name in OBJECTS if name in self]
        named = [name for name in named if all(self[name] is not thing for thing in self.no_more)]
        contents = {name: self.bytes_of(self[name]) for name in named}
        return [*outcome, {name: found for name, found in contents.items() if found is not None}]


def lasting(cl: Any, device: Any) -> dict[str, Any]:
    """What all calls on a device share: two contexts, programs, and short names."""
    ctx, other = cl.Context([device]), cl.Context([device])
    return {
        "cl": cl, "np": np, "ctx": ctx, "other": other, "dev": device,
        "prog": cl.Program(ctx, SOURCE).build(), "other_prog": cl.Program(other, SOURCE).build(),
        "reader": cl.CommandQueue(ctx), "MF": cl.mem_flags, "MAP": cl.map_flags,
        "QUEUE": cl.command_queue_properties, "ORDER": cl.channel_order, "TYPE": cl.channel_type,
        "SVM": cl.svm_mem_flags, "OBJECT": cl.mem_object_type, "MIGRATE": cl.mem_migration_flags,
    }  # fmt: skip


def main() -> None:
    """Carry out the calls of standard input on PoCL."""
    import pyopencl as cl
    import pyopencl.tools

    warnings.simplefilter("ignore")
    platforms = cl.get_platforms()
    (platform,) = (p for p in platforms if p.name == "Portable Computing Language")
    shared = lasting(cl, platform.get_devices()[0])
    calls = json.load(sys.stdin)
    with open(int(sys.argv[1]), "w", encoding="utf-8") as answers:
        print(json.dumps("ready"), file=answers, flush=True)
        for call in calls:
            print(json.dumps(World(cl, shared).carry_out(call)), file=answers, flush=True)
    # Not the driver's own end, which may wait for commands of broken calls.
    os._exit(0)


if __name__ == "__main__":
    main()
