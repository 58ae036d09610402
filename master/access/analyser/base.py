"""What an OpenCL C compiler declares before it reads a program, for a parser that has no headers.

Owns these declarations: types and constants by the OpenCL C specification, sections 6.1 to 6.15;
the parser itself knows the builtin functions once it has the types. Must not know any program.
"""

from __future__ import annotations

import re
from functools import cache

_SCALARS = {
    **dict.fromkeys(("char", "uchar"), 8),
    **dict.fromkeys(("short", "ushort", "half"), 16),
    **dict.fromkeys(("int", "uint", "float"), 32),
    **dict.fromkeys(("long", "ulong", "double"), 64),
}
_WIDTHS = (2, 3, 4, 8, 16)

# Whose value each implementation chooses: constants of enums, as some must be constants to C.
_CHOSEN = """
CLK_LOCAL_MEM_FENCE CLK_GLOBAL_MEM_FENCE CLK_IMAGE_MEM_FENCE FP_ILOGB0 FP_ILOGBNAN
CLK_NORMALIZED_COORDS_FALSE CLK_NORMALIZED_COORDS_TRUE CLK_ADDRESS_NONE CLK_ADDRESS_CLAMP_TO_EDGE
CLK_ADDRESS_CLAMP CLK_ADDRESS_REPEAT CLK_ADDRESS_MIRRORED_REPEAT CLK_FILTER_NEAREST
CLK_FILTER_LINEAR CLK_SNORM_INT8 CLK_SNORM_INT16 CLK_UNORM_INT8 CLK_UNORM_INT16
CLK_UNORM_SHORT_565 CLK_UNORM_SHORT_555 CLK_UNORM_INT_101010 CLK_SIGNED_INT8 CLK_SIGNED_INT16
CLK_SIGNED_INT32 CLK_UNSIGNED_INT8 CLK_UNSIGNED_INT16 CLK_UNSIGNED_INT32 CLK_HALF_FLOAT CLK_FLOAT
CLK_UNORM_INT24 CLK_UNORM_INT_101010_2 CLK_R CLK_A CLK_RG CLK_RA CLK_RGB CLK_RGBA CLK_BGRA CLK_ARGB
CLK_INTENSITY CLK_LUMINANCE CLK_Rx CLK_RGx CLK_RGBx CLK_DEPTH CLK_DEPTH_STENCIL CLK_sRGB CLK_sRGBx
CLK_sRGBA CLK_sBGRA CLK_ABGR
""".split()

_NUMBERS = """
CHAR_BIT 8
CHAR_MAX 127
CHAR_MIN ((int)0xffffff80)
SCHAR_MAX 127
SCHAR_MIN ((int)0xffffff80)
UCHAR_MAX 255
SHRT_MAX 32767
SHRT_MIN ((int)0xffff8000)
USHRT_MAX 65535
INT_MAX 2147483647
INT_MIN ((int)0x80000000)
UINT_MAX 0xffffffffU
LONG_MAX 0x7fffffffffffffffL
LONG_MIN ((long)0x8000000000000000UL)
ULONG_MAX 0xffffffffffffffffUL
FLT_DIG 6
FLT_MANT_DIG 24
FLT_MAX_10_EXP 38
FLT_MAX_EXP 128
FLT_RADIX 2
FLT_MAX 0x1.fffffep127f
FLT_MIN 0x1.0p-126f
FLT_EPSILON 0x1.0p-23f
MAXFLOAT 0x1.fffffep127f
DBL_DIG 15
DBL_MANT_DIG 53
DBL_MAX_10_EXP 308
DBL_MAX_EXP 1024
DBL_MAX 0x1.fffffffffffffp1023
DBL_MIN 0x1.0p-1022
DBL_EPSILON 0x1.0p-52
NULL ((void*)0)
INFINITY (__builtin_inff())
HUGE_VALF (__builtin_inff())
HUGE_VAL (__builtin_inf())
NAN (__builtin_nanf(""))
"""

_REALS = {
    "E": 2.718281828459045,
    "LOG2E": 1.4426950408889634,
    "LOG10E": 0.4342944819032518,
    "LN2": 0.6931471805599453,
    "LN10": 2.302585092994046,
    "PI": 3.141592653589793,
    "PI_2": 1.5707963267948966,
    "PI_4": 0.7853981633974483,
    "1_PI": 0.3183098861837907,
    "2_PI": 0.6366197723675814,
    "2_SQRTPI": 1.1283791670955126,
    "SQRT2": 1.4142135623730951,
    "SQRT1_2": 0.7071067811865476,
}

# Which builtins there are follows from these macros, and some are declared with these types.
_LATER = """
#if __OPENCL_C_VERSION__ == 200
#define __opencl_c_generic_address_space 1
#define __opencl_c_program_scope_global_variables 1
#define __opencl_c_atomic_order_acq_rel 1
#define __opencl_c_atomic_order_seq_cst 1
#define __opencl_c_atomic_scope_device 1
#define __opencl_c_atomic_scope_all_devices 1
#define __opencl_c_device_enqueue 1
#define __opencl_c_pipes 1
#define __opencl_c_read_write_images 1
#define __opencl_c_work_group_collective_functions 1
#endif
#if __OPENCL_C_VERSION__ < 300
#define __opencl_c_images 1
#define __opencl_c_3d_image_writes 1
#define __opencl_c_fp64 1
#define __opencl_c_int64 1
#endif
#ifndef __opencl_c_generic_address_space
#define __opencl_c_named_address_space_builtins 1
#endif
typedef enum memory_order { memory_order_relaxed, memory_order_acquire, memory_order_release,
  memory_order_acq_rel, memory_order_seq_cst } memory_order;
typedef enum memory_scope { memory_scope_work_item, memory_scope_work_group, memory_scope_device,
  memory_scope_all_svm_devices, memory_scope_sub_group } memory_scope;
#if __OPENCL_C_VERSION__ >= 120
int printf(__constant const char *, ...) __attribute__((format(printf, 1, 2)));
#endif
"""


chosen = frozenset([*_CHOSEN, *re.findall(r"\bmemory_\w+(?=[ ,])", _LATER)])
"""Constants whose value isn't the same everywhere."""


@cache
def declarations() -> str:
    """The text to read before a program."""
    lines = [
        "#pragma OPENCL EXTENSION cl_khr_fp16 : enable",
        "#pragma OPENCL EXTENSION cl_khr_fp64 : enable",
        "#pragma OPENCL EXTENSION cl_khr_3d_image_writes : enable",
        *(f"typedef unsigned {name} u{name};" for name in ("char", "short", "int", "long")),
        "typedef __SIZE_TYPE__ size_t; typedef __PTRDIFF_TYPE__ ptrdiff_t;",
        "typedef __INTPTR_TYPE__ intptr_t; typedef __UINTPTR_TYPE__ uintptr_t;",
        "typedef uint cl_mem_fence_flags;",
    ]
    lines += [
        f"typedef {name} {name}{width} __attribute__((ext_vector_type({width})));"
        for name in _SCALARS
        for width in _WIDTHS
    ]
    values = ", ".join(f"{name} = {1 << i % 31}" for i, name in enumerate(_CHOSEN))
    lines.append(f"enum {{ {values} }};")
    lines += [f"#define {line}" for line in _NUMBERS.strip().splitlines()]
    for name, value in _REALS.items():
        lines += [f"#define M_{name} {value!r}", f"#define M_{name}_F {value!r}f"]
    lines.append(_LATER)
    return "\n".join(lines) + "\n"


_AS_TYPE = re.compile(rf"\bas_({'|'.join(_SCALARS)})(2|3|4|8|16)?\b")


def reinterpretations(text: str) -> str:
    """Declarations of those as_type() that `text` may call; there are too many for all of them."""
    lines = []
    for name, width in sorted({(match[1], match[2] or "") for match in _AS_TYPE.finditer(text)}):
        lines += [
            f"__attribute__((overloadable, const)) {name}{width} as_{name}{width}({source});"
            for source in _of_the_same_size(name, width)
        ]
    return "\n".join(lines) + "\n"


@cache
def _of_the_same_size(name: str, width: str) -> tuple[str, ...]:
    def size(scalar: str, count: int) -> int:
        return _SCALARS[scalar] * (4 if count == 3 else count)

    wanted = size(name, int(width or 1))
    counts = (1, *_WIDTHS)
    sources = [(s, c) for s in _SCALARS for c in counts if size(s, c) == wanted]
    return tuple(f"{s}{c if c > 1 else ''}" for s, c in sources)
