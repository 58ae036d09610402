"""The guard by tokens: good kernels pass, each rule refuses, and no spelling gets around it.

Long because each rule has its cases, as the guard has them all in one place.
"""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.access.guard import judge

VECTOR_ADD = """\
// Unlike get_group_id(0), the id below is right in a part. It's fine /* really
__kernel void add(__global const float *a, __global const float *b, __global float *c, const int n)
{
    /* get_num_groups(0) and atomic_add()
       are mentioned here only: "unclosed */
    int i = get_global_id(0);
    if (i < n)
        c[i] = a[i] + b[i];
}
"""
MANDELBROT = """\
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#pragma OPENCL EXTENSION cl_amd_printf : enable
#ifdef USE_DOUBLE
typedef double real;
#else
typedef float real;
#endif
#define SQUARE(x) ((x) * (x))
#define LIMIT (4.0f)
inline int escape(real x, real y, int iterations);
int escape(real x, real y, int iterations)
{
    real u = (real)(0), v = 0;
    for (int i = 0; i < iterations; i++) {
        real t = SQUARE(u) - SQUARE(v) + x;
        v = 2 * u * v + y;
        u = t;
        if (SQUARE(u) + SQUARE(v) > LIMIT) return i;
    }
    return iterations;
}
kernel void mandelbrot(global ushort *out, float2 low, float2 step_size, int width)
{
    size_t x = get_global_id(0), y = get_global_id(1);
    out[y * width + x] = convert_ushort_sat(escape(low.x + x * step_size.x, low.y, 256));
}
"""
CONVOLUTION = """\
__constant float weights[9] = {1, 2, 1, 2, 4, 2, 1, 2, 1};
__kernel void convolve(__global float4 *restrict in, __global float4 *out, int w, int h) {
  const int x = get_global_id(0), y = get_global_id(1);
  float4 sum = (float4)(0.0f);
  #pragma unroll 3
  for (int j = -1; j <= 1; ++j)
    for (int i = -1; i <= 1; ++i)
      sum = mad(in[clamp(y + j, 0, h - 1) * w + clamp(x + i, 0, w - 1)],
                (float4)(weights[(j + 1) * 3 + i + 1]), sum);
  vstore4(sum / 16, y * w + x, (__global float *)(out));
}
"""
SOBEL = """\
#ifndef _SOBEL_H_
#define _SOBEL_H_
#define AT(x, y) \\
    convert_int(in[(y) * w + (x)])   \\
        + 0
#endif
__kernel void sobel(__global uchar *in, __global uchar *out, uint w) {
    int x = get_global_id(0) + 1, y = get_global_id(1) + 1;
    int gx = AT(x + 1, y) - AT(x - 1, y), gy = AT(x, y + 1) - AT(x, y - 1);
    char quote = '"', other = '\\'';
    __constant char *text = "get_group_id() // \\" /* atomic_add";
    out[y * w + x] = (uchar)min(255.0f, native_sqrt((float)(gx * gx ^ (gy * gy))));
}
"""
MATMUL = """\
#define TILE 16
#define BOTH (CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
__kernel __attribute__((reqd_work_group_size(TILE, TILE, 1)))
void matmul(__global const float *a, __global const float *b, __global float *c, int n,
            __constant float *scale __attribute__((max_constant_size(TILE))), __local float *tile)
{
    __local float other[TILE][TILE] __attribute__((__aligned__(sizeof(float) * (4)), unused));
    int group_id = get_global_id(0) / get_local_size(0);
    ptrdiff_t x = get_local_id(0), y = get_local_id(1);
    event_t e = async_work_group_copy(tile, a + group_id * n, n, 0);
    wait_group_events(1, &e);
    float sum = 0;
    for (int t = 0; t < n / TILE; t++) {
        other[y][x] = b[(t * TILE + y) * n + get_global_id(0)];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < TILE; k++) sum += tile[k] * other[k][x];
        barrier(BOTH);
    }
    c[get_global_id(1) * n + get_global_id(0)] = sum;
}
"""
GOOD = {
    "vector add": VECTOR_ADD,
    "mandelbrot": MANDELBROT,
    "convolution": CONVOLUTION,
    "sobel": SOBEL,
    "matmul": MATMUL,
    "CRLF": VECTOR_ADD.replace("\n", "\r\n"),
    "non-ASCII in comments and strings": "// größe ≠ ∅\n" + SOBEL.replace("//", "µ"),
    "empty": "",
}
_REFUSED = """
get_global_size get_num_groups get_group_id get_global_offset get_global_linear_id
get_sub_group_id sub_group_barrier get_num_sub_groups get_enqueued_num_sub_groups
atomic_add atom_inc atomic_int atomic_work_item_fence memory_order_relaxed memory_scope_device
mem_fence read_mem_fence write_mem_fence volatile printf goto asm __asm __asm__
enqueue_kernel enqueue_marker get_default_queue ndrange_t ndrange_1D clk_event_t queue_t
pipe read_pipe work_group_reserve_read_pipe reserve_id_t get_pipe_num_packets
read_channel_intel __builtin_trap __sync_fetch_and_add __c11_atomic_load __opencl_atomic_load
__atomic_load __spirv_BuiltInWorkgroupId __nvvm_membar_gl __amdgcn_workgroup __hsail_x
uintptr_t intptr_t to_global to_local to_private get_fence generic
image2d_t image1d_buffer_t read_imagef write_imageui get_image_width sampler_t nosvm __block
extern _Pragma _Atomic __volatile__ _Z12get_group_idj _cl_get_group_id _cl_atomic_add _Z9foo
"""
REFUSED = _REFUSED.split()


def refusal(source: str | None, options: str = "") -> str:
    verdict = judge(source, options)
    assert not verdict.may_split
    assert "\n" not in verdict.reason
    return verdict.reason


@pytest.mark.parametrize("name", GOOD)
def test_good_kernels_may_split(name: str) -> None:
    verdict = judge(GOOD[name], "-DN=3")
    assert verdict.may_split, verdict.reason


def test_reason_names_token_and_line() -> None:
    source = "kernel void f() {\n" * 11 + "int g = get_group_id(0); }"
    assert refusal(source) == "line 12: get_group_id() would answer differently in a part"


def test_no_source_runs_whole() -> None:
    assert "no source" in refusal(None)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_names(name: str) -> None:
    assert refusal(f"\n\nint x; {name} y;").startswith(f"line 3: {name}")
    assert refusal(f"#if 0\n{name}\n#endif").startswith(f"line 2: {name}")
    assert refusal(f"#define F {name}").startswith(f"line 1: {name}")
    assert name in refusal("", f"-D F={name}")
    assert name in refusal("", f"'-DF={name[:2]}\"\"{name[2:]}'")


@pytest.mark.parametrize(
    ("source", "line", "token"),
    [
        ("int a;\n#define P(x, y) x##y", 2, "##"),
        ("#define P(x, y) x#\\\n#y", 1, "##"),
        ("\n\n%:define x", 3, "%:"),
        ("#define P(x, y) x%:%:y", 1, "%:"),
        ("int a<:3:>;", 1, "<:"),
        ("\n// what??/\nget", 2, "??"),
        ("x = y ??' 1;", 1, "??"),
        ('\n#include "x.cl"', 2, "#include"),
        ("\n # /* a */ incl\\\nude <x.cl>", 2, "#include"),
        ("#import <x>", 1, "#import"),
        ("#include_next <x>", 1, "#include_next"),
        ("#warning /*\nget()/* */", 1, "#warning"),
        ("#warning careful", 1, "#warning"),
        ('# 1 "file.cl"', 1, "#1"),
        ("#pragma once", 1, "#pragma once"),
        ("#pragma OPENCL EXTENSION cl_clang_storage_class_specifiers : enable", 1, "cl_clang"),
        ("#pragma OPENCL EXTENSION all : enable", 1, "all"),
        ("kernel void k() {\ncl_amd_printf(1); }", 2, "cl_amd_printf"),
        ("void my_cl_amd_printf(int);", 1, "my_cl_amd_printf output"),
        ("\n#define F _Pragma", 2, "_Pragma"),
        ("int \\u0067et;", 1, "\\"),
        ("int a; \\", 1, "\\"),
        ("int get$x;", 1, "$"),
        ("int größe;", 1, "ö"),
        ("\ufeffint x;", 1, "\ufeff"),
        ("int\u00a0x;", 1, "\u00a0"),
        ("int a;\n/* never closed\n", 2, "comment"),
        ("/\\\n* never closed", 1, "comment"),
        ('\nx = "never closed;', 2, '"'),
        ("x = 'never closed;", 1, "'"),
        ('x = "closed\n";', 1, '"'),
        ('x = R"( " )" f ")";', 1, "prefix"),
        ("x = 1'000'000;", 1, "prefix"),
        ("x; // a\rget_group_id(0);", 1, "\\r"),
        ("// a\0b", 1, "\\x00"),
        ("a;\n// b \\ \nget_group_id(0);", 2, "two ways"),
        ('/* *\\ \n/ " */ get_group_id(0); /* " */', 1, "two ways"),
        ("#define A 1 \\ \n#include <x>", 2, "two ways"),
        ("int a; # b", 1, "#"),
        ("__attribute__((overloadable)) int f();", 1, "overloadable"),
        ('int f __attribute__((alias("_Z12get_group_idj")));', 1, "alias"),
        ('__attribute__((unused, __annotate__("x"))) int f;', 1, "__annotate__"),
        ("#define A __attribute__", 1, "__attribute__"),
        ("#define A(x) __attribute__((x))", 1, "__attribute__"),
        ("#define unused weak", 1, "unused"),
        ("#define N 16), alias P, aligned(4", 1, "N"),
        ("#define OPEN (", 1, "OPEN"),
        ("[[clang::weak]] int x;", 1, "[["),
        ("x = ^{ return 1; };", 1, "^"),
        ("x = a ^ {", 1, "^"),
        ("x = (\n^(int x) { });", 2, "^"),
        ("int (^b)(int);", 1, "^"),
        ("return ^(int a) {};", 1, "^"),
        ("\nint rand(void);", 2, "rand()"),
        ("int (rand)(void);", 1, "rand()"),
        ("x = (vendor)(0);", 1, "vendor()"),
        ("x = ((vendor))(0);", 1, "vendor()"),
        ("x =\nvendor(0);", 2, "vendor()"),
        ("#define F vendor\nx = F(0);", 2, "F()"),
        ("#define F G\n#define G (vendor)\nx = F(0);", 3, "F()"),
        ("#define EMPTY\nx = vendor EMPTY (0);", 2, "EMPTY()"),
        ("#define CALL(f) f(0)", 1, "f()"),
        ("#define vendor(x) vendor(x)", 1, "vendor()"),
        ("#define ID(x) x\nx = ID(vendor)(0);", 2, "ID"),
    ],
)
def test_each_rule_refuses_with_its_line(source: str, line: int, token: str) -> None:
    reason = refusal(source)
    assert reason.startswith(f"line {line}: "), reason
    assert token in reason, reason


_HARMLESS_OPTIONS = """
-cl-std=CL1.0 -cl-std=CL1.1 -cl-std=CL1.2 -cl-mad-enable -cl-fast-relaxed-math
-cl-finite-math-only -cl-unsafe-math-optimizations -cl-no-signed-zeros -cl-denorms-are-zero
-cl-single-precision-constant -cl-opt-disable -cl-strict-aliasing -cl-kernel-arg-info
-cl-fp32-correctly-rounded-divide-sqrt -w -Werror -g
"""
HARMLESS_OPTIONS = _HARMLESS_OPTIONS.split()


@pytest.mark.parametrize(
    "options",
    [
        *HARMLESS_OPTIONS,
        " ".join(HARMLESS_OPTIONS),
        "  ",
        "-DREAL=float -D N=16 -D DEBUG -DEMPTY=",
        "-D 'SQUARE(x)=((x)*(x))' -I/usr/lib -I include",
        '-I "/home/get_group_id dir/cl" -DTITLE="\\"it is\\""',
    ],
)
def test_known_options_may_split(options: str) -> None:
    verdict = judge(VECTOR_ADD, options)
    assert verdict.may_split, verdict.reason


@pytest.mark.parametrize(
    ("options", "token"),
    [
        ("-cl-std=CL2.0", "-cl-std=CL2.0"),
        ("-cl-std=CL3.0", "-cl-std=CL3.0"),
        ("-cl-std=CLC++", "-cl-std=CLC++"),
        ("-cl-std CL1.2", "-cl-std"),
        ("-include x.h", "-include"),
        ("-x spir", "-x"),
        ("-cl-made-up", "-cl-made-up"),
        ("file.cl", "file.cl"),
        ("''", "option"),
        ("-D", "-D"),
        ("-D 1=2", "1=2"),
        ("-D -cl-std=CL2.0", "-D"),
        ("-I", "-I"),
        ("-I -cl-std=CL2.0", "-I"),
        ("-DF='get_group_id", "quotation"),
        ('-I "x -DF=get_group_id"', "-I"),
        ('-DF="\\"get_group_id\\""', "get_group_id"),
        ("-D get_group_id=f", "get_group_id"),
        ("-DA=/* -DB=*/get_group_id", "/*"),
        ("-DA=/'/'x", "//"),
        ("-DA=x##y", "##"),
        ("-DA=x#\\\"\\\"#y", "##"),
        ("-DA=x%:%:y", "%:"),
        ("-DA=??=", "??"),
        ("-DA=x\\\\y", "\\"),
        ("-DA=1\n-DB=2", "\\n"),
        ("-DA=é", "é"),
        ("-DF=vendor(0)", "vendor()"),
    ],
)
def test_other_options_are_refused(options: str, token: str) -> None:
    reason = refusal(VECTOR_ADD, options)
    assert reason.startswith("build options: "), reason
    assert token in reason, reason


def test_an_alias_in_the_options_is_followed() -> None:
    assert judge("x = F(0);", "-DF=sin").may_split
    assert "F()" in refusal("x = F(0);", "-DF=vendor")


def test_lines_count_splices() -> None:
    source = "#define A 1 \\\n + 2 \\ \t\n + 3\nint ato\\\nmic_\\\nadd;"
    assert refusal(source).startswith("line 4: atomic_add")


@pytest.mark.parametrize(
    "source",
    [
        "(" * 100_000,
        ")(" * 50_000,
        "typedef " * 50_000,
        "/*" * 100_000,
        "\\ \n" * 50_000,
        "__attribute__((unused(" * 10_000,
        "".join(f"#define a{i} a{i + 1}\n" for i in range(10_000)),
        "#define a (" + "f(x)(y)" * 10_000 + ")",
        "image" * 88_000,
        ("image" * 199 + "\n") * 2_000,
        "".join("_" * 900 + f"{i}_a;\n" for i in range(2_000)),
        "#define a0 sin\n" * 20_000 + "a0(1);\n" * 2_000,
        "".join(f"#define a{i} a{i + 1}\n" for i in range(5_000)) + "a0(1);\n" * 5_000,
    ],
    ids=["open", "pairs", "typedef", "comment", "splices", "attributes", "aliases", "calls",
         "name", "names", "reserved", "again", "chain"],
)
def test_hostile_text_takes_linear_time(source: str) -> None:
    start = time.process_time()
    judge(source + "\na0(1);", "")
    assert time.process_time() - start < 20


def test_names_that_are_too_long_are_refused() -> None:
    assert judge("int " + "a" * 1000 + ";", "").may_split
    reason = f"line 2: the name {'a' * 40}... is longer than 1000 characters"
    assert refusal("\nint " + "a" * 1001 + ";") == reason


FRAGMENTS = [*REFUSED, *VECTOR_ADD.split(), *SOBEL.split(" ")]
FRAGMENTS += [*"#\\\n\r\t\"'/*?%:<>^{}()[],;=\0$é ", "##", "??=", "/*", "*/", "//", "\\\n", "(("]
FRAGMENTS += ["#define ", "#pragma ", "__attribute__", "typedef ", "-D", "-I", "-cl-std=", "))"]


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text() | st.lists(st.sampled_from(FRAGMENTS)).map("".join), st.text())
def test_random_text_never_raises(source: str, options: str) -> None:
    for verdict in (judge(source, options), judge(source, ""), judge("", source)):
        assert verdict.reason


def _gaps(source: str) -> list[int]:
    """Offsets of the blanks of `source` that stand outside comments and literals."""
    gaps, i = [], 0
    while i < len(source):
        if source.startswith("//", i):
            i = source.index("\n", i) + 1
        elif source.startswith("/*", i):
            i = source.index("*/", i) + 2
        elif source[i] in "\"'":
            quote, i = source[i], i + 1
            while source[i] != quote:
                i += 2 if source[i] == "\\" else 1
            i += 1
        else:
            # Behind a backslash a blank would still leave a splice.
            if source[i] in " \n" and source[i - 1] != "\\":
                gaps.append(i)
            i += 1
    return gaps


good_sources = st.sampled_from([VECTOR_ADD, MANDELBROT, CONVOLUTION, SOBEL, MATMUL])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(good_sources, st.sampled_from(REFUSED), st.data())
def test_a_refused_name_anywhere_is_refused(source: str, name: str, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(_gaps(source)))
    line = source.count("\n", 0, at) + 1
    verdict = judge(f"{source[:at]} {name}(0) {source[at:]}", "")
    assert not verdict.may_split
    assert verdict.reason.startswith(f"line {line}: {name}"), verdict.reason


@settings(derandomize=True, deadline=None, max_examples=300)
@given(good_sources, st.sampled_from(REFUSED), st.data())
def test_a_spliced_name_is_refused(source: str, name: str, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(_gaps(source)))
    splices = st.lists(st.sampled_from(["\\\n", "\\\r\n", "\\ \n", "\\ \t\f\n"]), max_size=2)
    spelled = "".join(letter + "".join(data.draw(splices)) for letter in name)
    verdict = judge(f"{source[:at]} {spelled}(0) {source[at:]}", "")
    assert not verdict.may_split
    assert verdict.reason.startswith(f"line {source.count(chr(10), 0, at) + 1}: {name}")


@settings(derandomize=True, deadline=None, max_examples=100)
@given(good_sources, st.data())
def test_harmless_splices_change_nothing(source: str, data: st.DataObject) -> None:
    # Behind a backslash it would undo a splice of the source.
    places = [at for at in range(len(source)) if at == 0 or source[at - 1] != "\\"]
    at = data.draw(st.sampled_from(places))
    splice = data.draw(st.sampled_from(["\\\n", "\\\r\n"]))
    verdict = judge(source[:at] + splice + source[at:], "")
    assert verdict.may_split, verdict.reason
