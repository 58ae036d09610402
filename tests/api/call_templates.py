"""Which calls there are, right and wrong: templates with slots, and what may stand in each slot.

Owns: a template for every `enqueue_*` and constructor of pyopencl, the values for their slots, and
drawing calls from a seed. Must not know: what the names in the calls are (`call_world`), or how
calls are carried out.

A call is the text of one Python expression. Most have one value that is wrong; some none, so that
effects are compared too, and some two.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

_COUNTS = "-1 1 3 5 255 256 257 1<<20 1<<40 (1<<64)-1 1<<64 -(1<<63) 1.5 None '4' True".split()
_COUNTS += ["np.int32(4)", "np.uint64(8)", "np.float64(4)", "[4]"]
_TRIPLES = (
    "() (0,0) (1,) (-1,0,0) (0,0,0,0) (0,0,1<<64) (300,0,0) (8,0,0) (1.5,0,0) 0 'xyz' "
    "('0',0,0) (None,0,0) np.zeros(3,int) [0,0,0] np.int64(0)"
).split()
_REGIONS = (
    "() (4,) (4,2) (0,1,1) (4,0,1) (4,1,0) (-4,1,1) (4,1,1,1) (1<<64,1,1) (1<<40,1,1) (300,1,1) "
    "(9,1,1) (1.5,1,1) 4 'xyz' (None,1,1) [4,2,1] np.array([4,2,1])"
).split()
_PITCHES = "(16,) (2,) (16,24) (16,8) (3,0) (16,64,1) (-1,0) (1.5,0) 16 'ab' (1<<40,0)".split()
_BUFFERS = "released foreign None 5 'text' queue ctx nothing img2d host svm".split()
_IMAGES = "img_released img_foreign None 5 'text' queue buf host".split()
_HOSTS = "gaps nothing None 5 'text' [1,2] 1.5 queue np.int32(3) b'1234' fortran".split()
_FORMATS = (
    "cl.ImageFormat(ORDER.RGBA,TYPE.FLOAT) cl.ImageFormat(ORDER.R,TYPE.UNSIGNED_INT8) "
    "cl.ImageFormat(ORDER.RGBA,TYPE.UNORM_INT8) cl.ImageFormat(ORDER.RG,TYPE.SIGNED_INT16)"
).split()

# name: (values that are right with the template's others, or nearly; values that are wrong)
SLOTS: dict[str, tuple[list[str], list[str]]] = {
    "ctx": (["ctx"], "None 5 'text' queue dev".split()),
    "queue": (["queue", "queue", "unordered"], "foreign_queue None 5 'text' ctx".split()),
    "buf": ("buf big sub buf read_only".split(), _BUFFERS),
    "other": ("big small sub".split(), [*_BUFFERS, "buf"]),
    "plain": ("big small".split(), "host_never foreign".split()),
    "done": (["0"], ["1"]),
    "read": ("buf big sub host_reads".split(), [*_BUFFERS, "host_writes", "host_never"]),
    "write": ("buf big sub host_writes".split(), [*_BUFFERS, "host_reads", "host_never"]),
    "into": ("host_small host_int two_d bytearray(8) fortran".split(), [*_HOSTS, "constant"]),
    "from": ("host_small host_int two_d b'1234' constant fortran".split(), _HOSTS),
    "offset": ("0 0 4 8 16".split(), _COUNTS),
    "count": ("4 8 16 12".split(), ["0", *_COUNTS]),
    "size": ("4 64 256 1000".split(), ["0", *_COUNTS]),
    "bool": (["True", "False"], ["True"]),
    "waits": (
        "None [] [marker] [done] (marker,) [marker,done]".split(),
        "[foreign_marker] ['event'] [None] 5 marker 'text' [marker,5]".split(),
    ),
    "pattern": (
        "np.int32(7) np.uint8(3) b'ab' np.float64(2) np.arange(4,dtype=np.int32)".split(),
        "b'' b'abc' np.zeros(64,np.float32) 5 None 'text' [1] gaps 1.5 nothing".split(),
    ),
    "fill_offset": ("0 0 64 32".split(), _COUNTS),
    "fill_size": ("64 128 32".split(), ["0", *_COUNTS]),
    "origin": ("(0,0,0) (4,0,0) (0,1,0) (1,2,0)".split(), _TRIPLES),
    "region": ("(4,2,1) (8,1,1) (4,2,2) (3,1,1)".split(), _REGIONS),
    "pitches": ("None (0,0) (8,0) (16,64)".split(), _PITCHES),
    "host_pitches": ("None (0,0) (8,0)".split(), _PITCHES),
    "rect_host": ("host numbers(1000) two_d".split(), ["host_small", *_HOSTS]),
    "rect_into": ("host numbers(1000) two_d".split(), ["host_small", "constant", *_HOSTS]),
    "img": ("img2d img3d img2d_array".split(), [*_IMAGES, "img1d"]),
    "img_same": ("img2d img3d img2d_array".split(), [*_IMAGES, "img_float", "img1d"]),
    "img_origin": ("(0,0,0) (0,0) (1,1,0) (2,0,0)".split(), _TRIPLES),
    "img_region": ("(4,2,1) (6,1,1) (1,1,1) (2,2)".split(), ["(8,1,1)", *_REGIONS]),
    "img_pitches": ("(0,0) (32,0) (32,)".split(), ["(4,0)", "(3,0)", "(-1,0)", "(32,8)", "5"]),
    "colour": (
        "np.array([1,2,3,4],np.uint32) np.zeros(4,np.uint32)".split(),
        "None 5 'text' np.zeros(3,np.uint32)".split(),
    ),
    "map_flags": (
        "MAP.READ MAP.WRITE MAP.READ|MAP.WRITE MAP.WRITE_INVALIDATE_REGION".split(),
        "0 64 MAP.READ|MAP.WRITE_INVALIDATE_REGION -1 1<<64 None 'r' 1.5".split(),
    ),
    "shape": (
        "(4,) (2,3) 4 (16,)".split(),
        "() 0 (0,) (-1,) (100,) (1<<40,) (1<<64,) 1.5 None 'ab' (1.5,) [4]".split(),
    ),
    "dtype": ("np.int32 np.uint8 'f4'".split(), "None 'nonsense' 5".split()),
    "order": ("'C' 'F'".split(), "'X' None 5".split()),
    "strides": ("None (4,)".split(), "(8,) (-4,) (0,) (4,4) 4 'x' (1.5,)".split()),
    "kernel": (["count_set"], "count count_foreign None 'count' 5 prog fixed_set".split()),
    "fixed": (["fixed_set"], ["fixed_set"]),
    "global": (
        "(8,) (64,) (8,8) (4,2,2) [16] (8,1,1)".split(),
        (
            "() (1,1,1,1) 8 'eight' None (0,) (8,0) (-8,) (1.5,) (1<<64,) ('8',) (None,) ((8,),) "
            "np.array([8]) (np.int64(8),) np.int32(8) 'ab'"
        ).split(),
    ),
    "one_d": ("(8,) (16,) (64,)".split(), "(4,) (0,) (7,) (2,) (8,1)".split()),
    "local": (
        "None None (4,) (2,) (8,)".split(),
        (
            "(7,) (0,) (16,) (128,) (1<<20,) (1<<64,) (-1,) (8,1) (4,1,1) () (1,1,1,1) 4 'x' "
            "(1.5,) (None,) ('4',) [4] np.array([4])"
        ).split(),
    ),
    "start": (
        "None None (0,) (4,)".split(),
        "(-1,) (0,0) (1<<64,) ((1<<64)-4,) 4 'x' () (1.5,) (None,) [4] (0,0,0,0)".split(),
    ),
    "true_once": (["False", "False", "True"], ["True"]),
    "objects": (
        "[buf] [buf,big] (sub,) [img2d]".split(),
        "[] None 5 [None] ['text'] [released] [foreign] [buf,5] buf [queue] [svm]".split(),
    ),
    "migrate": ("0 1 2 3".split(), "4 128 -1 1<<64 None 'x' 1.5".split()),
    "svm": ("svm svm svm_big".split(), "svm_released None 5 'text' queue buf".split()),
    "svm_or_host": ("svm_big host svm".split(), "svm_released None 5 'text' gaps small".split()),
    "svms": ("[svm] [svm,svm_big]".split(), "[] None 5 [None] [buf] svm [5]".split()),
    "bytes": ("None 16 64".split(), "0 -1 257 1<<40 1<<64 1.5 'x'".split()),
    "mem_flags": (
        "0 MF.READ_WRITE MF.READ_ONLY MF.WRITE_ONLY|MF.HOST_READ_ONLY MF.ALLOC_HOST_PTR".split(),
        (
            "MF.READ_ONLY|MF.WRITE_ONLY 7 MF.HOST_READ_ONLY|MF.HOST_NO_ACCESS 1<<20 -1 1<<64 None "
            "'rw' 1.5 MF.USE_HOST_PTR MF.COPY_HOST_PTR MF.USE_HOST_PTR|MF.ALLOC_HOST_PTR"
        ).split(),
    ),
    "host_flags": (
        "MF.COPY_HOST_PTR MF.USE_HOST_PTR MF.COPY_HOST_PTR|MF.ALLOC_HOST_PTR".split(),
        "0 MF.READ_WRITE MF.USE_HOST_PTR|MF.COPY_HOST_PTR 1<<20 -1 None".split(),
    ),
    "buffer_size": (
        "4 256 1000".split(),
        "0 -1 1<<50 1<<63 (1<<64)-1 1<<64 1.5 None 'x' np.int32(16) True [4]".split(),
    ),
    "copied_size": ("0 16 8".split(), "-1 17 1000 1<<64 1.5 'x'".split()),
    "host_whole": (
        "host_small host_int bytearray(16) two_d".split(), [*_HOSTS, "constant"]
    ),
    "sub_flags": (
        "0 MF.READ_ONLY MF.READ_WRITE MF.HOST_READ_ONLY".split(),
        "7 MF.USE_HOST_PTR MF.COPY_HOST_PTR MF.ALLOC_HOST_PTR 1<<20 -1 None 'x' 1.5".split(),
    ),
    "aligned": ("0 128 256".split(), "1 64 100 -1 256 1024 1023 1<<40 1<<64 1.5 None".split()),
    "parent": ("big buf".split(), "sub released read_only host_never".split()),
    "slice": (
        "0:128 :256 128:256 -128:".split(),
        "4:8 128:128 200:100 0:256:2 ::-1 5 'x' None 1.5: :1<<70 (0,4)".split(),
    ),
    "format": (["rgba", "rgba", *_FORMATS], [
        "None", "5", "cl.ImageFormat(0,0)", "cl.ImageFormat(ORDER.RGBA,1)",
        "cl.ImageFormat(1,TYPE.FLOAT)", "cl.ImageFormat(ORDER.RGB,TYPE.UNSIGNED_INT8)",
        "cl.ImageFormat(ORDER.RGB,TYPE.UNORM_SHORT_565)",
    ]),
    "img_shape": (
        "(8,4) (8,) (4,4,2) (1,1)".split(),
        (
            "() (0,4) (8,0) (-1,4) (4,4,0) (1<<20,4) (4,1<<20) (1<<64,1) (1.5,4) 8 'x' None "
            "(1,1,1,1)"
        ).split(),
    ),
    "img_copied_shape": ("(4,1) (2,2) (4,)".split(), "(5,1) (100,100) (0,4) () None".split()),
    "img_host": (
        "host_small host bytearray(64)".split(),
        ["bytearray(3)", *(one for one in _HOSTS if one != "None")],  # None: no contents
    ),
    "img_buffer": ("buf big".split(), "small released foreign 5 host".split()),
    "create_pitches": ("None (16,)".split(), "(3,) (1000,) (16,16) (-1,) (0,) 5".split()),
    "is_array": ("True False".split(), ["True"]),
    "normalized": (["True", "False"], ["None", "5", "'x'"]),
    "addressing": (
        "cl.addressing_mode.CLAMP cl.addressing_mode.NONE cl.addressing_mode.CLAMP_TO_EDGE".split(),
        "0 5 -1 None 'x' 1<<40 cl.addressing_mode.REPEAT".split(),
    ),
    "filter": (
        "cl.filter_mode.NEAREST cl.filter_mode.LINEAR".split(), "0 5 -1 None 'x' 1<<40".split()
    ),
    "source": (["'kernel void a(){}'", "''"], ["5", "None", "'kernel void a('", "b'ab'", "[]"]),
    "options": ("[] '' ['-DA=1'] '-w'".split(), "5 '-nonsense' [5] ['-nonsense']".split()),
    "name": ("'count' 'mixed'".split(), "'none' '' 5 None b'count'".split()),
    "program": (["prog", "prog.count.program"], "None 5 'prog' ctx unbuilt".split()),
    "index": (["0"], "1 -1 5 1<<32 1<<64 None 'x' 1.5 np.int32(0) True".split()),
    "pointer": (
        "buf sub None svm".split(),
        "np.int32(1) 1 'text' local released foreign img2d sampler gaps b'12345678' 1.5".split(),
    ),
    "int": (
        "np.int32(5) np.uint32(7) np.float32(1) b'1234'".split(),
        "np.int64(1) np.int8(1) 1 1.5 'text' None buf local pair [1] host queue svm".split(),
    ),
    "scratch": (
        ["local"], "buf None np.int32(1) 64 cl.LocalMemory(0) pair svm img2d sampler".split(),
    ),
    "pair": (["pair"], "None np.int32(1) buf local 5 float4 b'12345678'".split()),
    "vector": (["float4"], "float2 None np.float32(1) buf 5 np.zeros(4,np.float32)".split()),
    "image": (["img2d"], "buf None img3d img_released img_foreign sampler np.int32(1)".split()),
    "sampler": (["sampler"], "None buf img2d np.int32(1) local 5".split()),
    "out16": (["buf"], ["small", "None", "released"]),
    "local_size": ("4 64".split(), "-1 1.5 None 'x' 1<<64 0 np.int32(4)".split()),
    "status": ("0 0 -1".split(), "1 3 -(1<<31) -(1<<40) 1<<31 None 'x' 1.5".split()),
    "event": (["marker"], ["user", "done"]),
    "events": ("[marker] [done] [marker,done] []".split(), "None 5 ['x'] [None] marker".split()),
    "devices": (["[dev]", "(dev,)"], "[] [None] [5] dev 'x' [ctx]".split()),
    "dev": (["dev", "None"], ["5", "'x'", "ctx"]),
    "ctx_properties": (["None", "[]"], ["5", "'x'", "1.5"]),
    "properties": (
        "0 None QUEUE.PROFILING_ENABLE QUEUE.OUT_OF_ORDER_EXEC_MODE_ENABLE 3".split(),
        "1<<20 -1 1<<64 4 8 12 'x' 1.5 16".split(),
    ),
    "svm_flags": ("SVM.READ_WRITE SVM.READ_ONLY".split(), "-1 None 'x' 1.5 1<<64 7".split()),
    "alignment": ("0 4 64".split(), "3 -1 None 'x' 1.5 1<<20".split()),
    "svm_size": ("256 4".split(), "0 -1 None 'x' 1.5 1<<64".split()),
    "pool_size": ("4 256 1000".split(), "-1 None 'x' 1.5 1<<64".split()),
    "bits": ("4 0 2".split(), "-1 None 'x' 1.5".split()),
    "allocator": (["allocator"], "None 5 ctx".split()),
    "object_type": ("OBJECT.IMAGE2D OBJECT.IMAGE3D".split(), "0 5 OBJECT.BUFFER None -1".split()),
    "channel": ("ORDER.R ORDER.RGBA".split(), "0 1 None 'x' 1.5 -1".split()),
    "type": ("TYPE.FLOAT TYPE.UNSIGNED_INT8".split(), "0 1 None 'x' 1.5 -1".split()),
}  # fmt: skip

# Each template stands for one form of a call.
TEMPLATES = (
    # Linear copies
    "cl.enqueue_copy({queue}, {write}, {from}, dst_offset={offset}, is_blocking={bool}, "
    "wait_for={waits})",
    "[cl.enqueue_copy({queue}, {into}, {read}, src_offset={offset}, is_blocking={bool}, "
    "wait_for={waits})]",
    "cl.enqueue_copy({queue}, {other}, {buf}, src_offset={offset}, dst_offset={offset}, "
    "byte_count={count}, wait_for={waits})",
    "cl.enqueue_copy({queue}, {other}, {buf})",
    "cl.enqueue_copy({queue}, buf, buf, src_offset={offset}, dst_offset={offset}, "
    "byte_count={count})",
    "cl.enqueue_copy({queue}, {from}, {into})",
    # Boxes
    "cl.enqueue_copy({queue}, {write}, {rect_host}, buffer_origin={origin}, host_origin={origin}, "
    "region={region}, buffer_pitches={pitches}, host_pitches={host_pitches}, wait_for={waits})",
    "cl.enqueue_copy({queue}, {rect_into}, {read}, buffer_origin={origin}, host_origin={origin}, "
    "region={region}, buffer_pitches={pitches}, host_pitches={host_pitches}, is_blocking={bool})",
    "cl.enqueue_copy({queue}, {other}, {buf}, src_origin={origin}, dst_origin={origin}, "
    "region={region}, src_pitches={pitches}, dst_pitches={pitches}, wait_for={waits})",
    "cl.enqueue_copy({queue}, buf, buf, src_origin={origin}, dst_origin={origin}, "
    "region={region}, src_pitches={pitches}, dst_pitches={pitches})",
    # Images
    "cl.enqueue_copy({queue}, {rect_into}, {img}, origin={img_origin}, region={img_region}, "
    "pitches={img_pitches}, is_blocking={bool}, wait_for={waits})",
    "cl.enqueue_copy({queue}, {img}, {rect_host}, origin={img_origin}, region={img_region}, "
    "pitches={img_pitches}, is_blocking={bool}, wait_for={waits})",
    "cl.enqueue_copy({queue}, {img_same}, {img}, src_origin={img_origin}, "
    "dest_origin={img_origin}, region={img_region}, wait_for={waits})",
    "cl.enqueue_copy({queue}, img2d, img2d, src_origin={img_origin}, dest_origin={img_origin}, "
    "region={img_region})",
    "cl.enqueue_copy({queue}, {buf}, {img}, offset={offset}, origin={img_origin}, "
    "region={img_region}, wait_for={waits})",
    "cl.enqueue_copy({queue}, {img}, {buf}, offset={offset}, origin={img_origin}, "
    "region={img_region}, wait_for={waits})",
    "cl.enqueue_fill_image({queue}, {img}, {colour}, {img_origin}, {img_region}, "
    "wait_for={waits})",
    # Fills
    "cl.enqueue_fill_buffer({queue}, {buf}, {pattern}, {fill_offset}, {fill_size}, {waits})",
    "cl.enqueue_fill({queue}, {buf}, {pattern}, {fill_size}, offset={fill_offset}, "
    "wait_for={waits})",
    "cl.enqueue_fill({queue}, {svm}, {pattern}, {fill_size})",
    # Maps
    "mapped(cl.enqueue_map_buffer({queue}, {read}, MAP.READ, {offset}, {shape}, {dtype}, "
    "wait_for={waits}, is_blocking={bool}), 1)",
    "mapped(cl.enqueue_map_buffer({queue}, {write}, MAP.WRITE, {offset}, {shape}, {dtype}, "
    "{order}), 2)",
    "mapped(cl.enqueue_map_buffer({queue}, buf, {map_flags}, {offset}, (4,), np.int32, 'C', "
    "{strides}), {map_flags})",
    "mapped(cl.enqueue_map_image({queue}, {img}, {map_flags}, {img_origin}, (4,1,1), (4,4), "
    "np.uint8, wait_for={waits}, is_blocking={bool}), {map_flags})",
    "mapped(cl.enqueue_map_image({queue}, img2d, MAP.READ, (0,0,0), {img_region}, (4,), "
    "np.uint8), 1)",
    # Launches
    "cl.enqueue_nd_range_kernel({queue}, {kernel}, {global}, {local}, {start}, {waits})",
    "cl.enqueue_nd_range_kernel({queue}, {kernel}, {one_d}, {local}, {start})",
    "cl.enqueue_nd_range_kernel({queue}, count_set, {one_d}, {local}, g_times_l={true_once})",
    "cl.enqueue_nd_range_kernel({queue}, count_set, {global}, None, {start}, "
    "allow_empty_ndrange={true_once})",
    "cl.enqueue_nd_range_kernel({queue}, {fixed}, {one_d}, {local})",
    "count({queue}, {global}, {local}, {pointer}, global_offset={start}, wait_for={waits})",
    "mixed({queue}, {one_d}, (4,), buf, {int}, {scratch}, {pair}, {vector})",
    "pixels({queue}, (1,), None, {image}, {sampler}, {out16})",
    # Order
    "cl.enqueue_marker({queue}, {waits})",
    "cl.enqueue_barrier({queue}, {waits})",
    "cl.enqueue_migrate_mem_objects({queue}, {objects}, {migrate}, {waits})",
    # Shared virtual memory
    "cl.enqueue_copy({queue}, {svm}, {svm_or_host}, byte_count={bytes}, is_blocking={bool}, "
    "wait_for={waits})",
    "cl.enqueue_copy({queue}, {svm_or_host}, {svm}, byte_count={bytes}, is_blocking={bool})",
    "cl.enqueue_svm_memfill({queue}, {svm}, {pattern}, {bytes}, {waits})",
    "cl.enqueue_svm_migrate_mem({queue}, {svms}, {migrate}, {waits})",
    "mapped_svm(cl.SVM(svm).map({queue}, flags={map_flags}, is_blocking=True, wait_for={waits}))",
    "cl.SVM({from})",
    "content(cl.SVMAllocation({ctx}, {svm_size}, {alignment}, {svm_flags})).__len__()",
    "cl.tools.SVMAllocator({ctx}, flags={svm_flags}, alignment={alignment})({svm_size})",
    "svm_pool({pool_size})",
    # Memory objects
    "cl.Buffer({ctx}, {mem_flags}, {buffer_size})",
    "content(cl.Buffer({ctx}, {host_flags}, {copied_size}, hostbuf={host_whole}))",
    "content({parent}.get_sub_region({aligned}, {size}, {sub_flags}))",
    "content({parent}[{slice}])",
    "gone({parent})",
    "cl.create_image({ctx}, {mem_flags}, {format}, shape={img_shape}, is_array={is_array})",
    "cl.Image({ctx}, {mem_flags}, {format}, {img_shape})",
    "content(cl.create_image(ctx, {host_flags}, rgba, shape={img_copied_shape}, "
    "hostbuf={img_host}, pitches={create_pitches}))",
    "content(cl.create_image(ctx, {mem_flags}, {format}, shape=(8,), buffer={img_buffer}))",
    "cl.ImageFormat({channel}, {type})",
    "len(cl.get_supported_image_formats({ctx}, {mem_flags}, {object_type})) > 0",
    "cl.Sampler({ctx}, {normalized}, {addressing}, {filter})",
    "cl.LocalMemory({local_size})",
    # Pools
    "cl.tools.MemoryPool({allocator}, {bits}).allocate({pool_size}).size",
    "pool({pool_size}).release()",
    "cl.tools.DeferredAllocator({ctx}, {mem_flags})({pool_size})",
    "cl.tools.ImmediateAllocator({queue}, {mem_flags})({pool_size})",
    # Contexts, queues, programs, kernels
    "cl.Context({devices})",
    "cl.Context({devices}, {ctx_properties})",
    "cl.CommandQueue({ctx}, {dev}, {properties})",
    "cl.Program({ctx}, {source}).build({options})",
    "cl.Kernel({program}, {name})",
    "count.set_arg({index}, {pointer})",
    "mixed.set_arg({index}, buf)",
    "mixed.set_arg(1, {int})",
    "mixed.set_args(buf, {int}, {scratch}, {pair}, {vector})",
    "count.set_args(*[{pointer}] * {index})",
    "pixels.set_args({image}, {sampler}, {out16})",
    # Events
    "cl.UserEvent({ctx})",
    "(user.set_status({status}), user.command_execution_status)",
    "(done.set_status({status}),)",
    "cl.wait_for_events({events})",
    "[cl.enqueue_fill_buffer({queue}, {plain}, b'ab', 0, 16, [user]), user.set_status({done})]",
    "[cl.enqueue_copy({queue}, {plain}, sub, wait_for=[user]), user.set_status(0)]",
)

ABSENT = {
    "enqueue_acquire_gl_objects": "no sharing with OpenGL",
    "enqueue_release_gl_objects": "no sharing with OpenGL",
    "enqueue_copy_buffer_p2p_amd": "an extension of AMD's that PoCL lacks",
}
"""The `enqueue_*` that no template calls, and why."""

_SLOT = re.compile(r"\{(\w+)\}")
FAULTS = (0, 0, 1, 1, 1, 1, 2)
"""How many values of a call are drawn from the wrong ones: one of these."""


@dataclass(frozen=True)
class Call:
    """text: the expression. template: its index. faults: how many values may be wrong."""

    text: str
    template: int
    faults: int


def draw(seed: int, count: int) -> list[Call]:
    """The first calls of a seed; each template's turn comes equally often."""
    source = random.Random(seed)
    calls: list[Call] = []
    while len(calls) < count:
        turn = list(range(len(TEMPLATES)))
        source.shuffle(turn)
        calls += [_fill(index, source) for index in turn]
    return calls[:count]


def _fill(index: int, source: random.Random) -> Call:
    template = TEMPLATES[index]
    names = _SLOT.findall(template)
    faults = min(source.choice(FAULTS), len(names))
    wrong = set(source.sample(range(len(names)), faults))
    values = [source.choice(SLOTS[name][at in wrong]) for at, name in enumerate(names)]
    if names.count("map_flags") == 2:  # the second tells `mapped` what the first was
        values[len(values) - 1] = values[names.index("map_flags")]
    filled = iter(values)
    return Call(_SLOT.sub(lambda _: next(filled), template), index, faults)
