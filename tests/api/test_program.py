"""Programs: building, options, headers, errors and logs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vcl as cl
from vcl.api import headers
from vcl.api import program as program_api
from vcl.api.headers import make_unit

Read = Callable[..., np.ndarray]
# OpenCL 3.0 API, cl_build_status; pyopencl has no names for them.
BUILD_STATUS_SUCCESS, BUILD_STATUS_NONE, BUILD_STATUS_ERROR = 0, -1, -2
STORE = "__kernel void store(__global int *a) { a[get_global_id(0)] = VALUE; }"


def stored(ctx: Any, queue: Any, read: Read, source: str, options: Any = None) -> int:
    """What the kernel `store` of a program writes."""
    built = cl.Program(ctx, source).build(options=options)
    buffer = cl.Buffer(ctx, 0, 64)
    built.store(queue, (16,), (4,), buffer)
    (value,) = set(read(queue, buffer).tolist())
    return value


@pytest.mark.parametrize(
    "options", ["-DVALUE=42", "-D VALUE=42", ["-D", "VALUE=42"], ["-DVALUE=(40+2)"], "-DVALUE='42'"]
)
def test_defines(ctx: Any, queue: Any, read: Read, options: Any) -> None:
    assert stored(ctx, queue, read, STORE, options) == 42


def test_options_are_told_back(ctx: Any) -> None:
    options = ["-DVALUE=1", "-cl-fast-relaxed-math"]
    program = cl.Program(ctx, STORE).build(options=options)
    device = ctx.devices[0]
    told = program.get_build_info(device, cl.program_build_info.OPTIONS)
    assert all(option in told for option in options)
    status = program.get_build_info(device, cl.program_build_info.STATUS)
    assert status == BUILD_STATUS_SUCCESS


def test_source_as_bytes(ctx: Any, queue: Any, read: Read) -> None:
    assert stored(ctx, queue, read, STORE.replace("VALUE", "7").encode()) == 7  # type: ignore[arg-type]


def test_program_answers(ctx: Any) -> None:
    source = "__kernel void one(void) {} __kernel void two(void) {}"
    program = cl.Program(ctx, source).build()
    assert program.num_kernels == 2
    assert sorted(program.kernel_names.split(";")) == ["one", "two"]
    assert sorted(k.function_name for k in program.all_kernels()) == ["one", "two"]
    assert program.context == ctx
    assert program.devices == ctx.devices
    assert source in program.source
    assert cl.Program.from_int_ptr(program.int_ptr).num_kernels == 2


def test_a_kernel_that_is_not_there(ctx: Any) -> None:
    program = cl.Program(ctx, STORE).build("-DVALUE=1")
    with pytest.raises(AttributeError, match="absent"):
        _ = program.absent
    with pytest.raises(cl.LogicError, match="absent") as raised:
        cl.Kernel(program, "absent")
    assert raised.value.code == cl.status_code.INVALID_KERNEL_NAME
    assert not hasattr(program, "_nothing_like_it")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "__kernel void broken(__global int *a) {\n  a[0] = undeclared_name;\n}",
            "undeclared_name",
        ),
        ("__kernel void broken(", "error"),
        ("#error the user's own words\n", "the user's own words"),
        ('#include "no_such_header.h"\n__kernel void f(void) {}', "no_such_header.h"),
    ],
)
def test_a_source_that_does_not_compile(ctx: Any, source: str, said: str) -> None:
    program = cl.Program(ctx, source)
    with pytest.raises(cl.RuntimeError) as raised:
        program.build()
    assert raised.value.code == cl.status_code.BUILD_PROGRAM_FAILURE
    assert raised.value.routine == "clBuildProgram"
    assert said in str(raised.value)


def test_a_failed_build_names_the_node(cluster_ctx: Any) -> None:
    with pytest.raises(cl.RuntimeError, match=r"local[01]"):
        cl.Program(cluster_ctx, "nonsense").build()


def test_the_log_of_a_failed_build_can_be_asked_for(ctx: Any) -> None:
    raw = cl._cl._Program(ctx, "__kernel void f(void) {\n  undeclared();\n  return 1 +;\n}")
    device = ctx.devices[0]
    info = cl.program_build_info
    assert raw.get_build_info(device, info.STATUS) == BUILD_STATUS_NONE
    with pytest.raises(cl.RuntimeError):
        raw._build(b"")
    assert raw.get_build_info(device, info.STATUS) == BUILD_STATUS_ERROR
    assert "error" in raw.get_build_info(device, info.LOG)
    with pytest.raises(cl.LogicError) as raised:
        cl.Kernel(raw, "f")
    assert raised.value.code == cl.status_code.INVALID_PROGRAM_EXECUTABLE
    with pytest.raises(cl.LogicError) as raised:
        raw.get_build_info(device, 1)


def test_the_session_goes_on_after_a_failed_build(ctx: Any, queue: Any, read: Read) -> None:
    with pytest.raises(cl.RuntimeError):
        cl.Program(ctx, "nonsense").build()
    assert stored(ctx, queue, read, STORE, "-DVALUE=9") == 9


def test_a_kernel_of_a_program_that_is_not_built(ctx: Any) -> None:
    with (
        pytest.warns(UserWarning, match="Pre-build"),
        pytest.raises(cl.LogicError) as raised,
    ):
        cl.Kernel(cl.Program(ctx, STORE), "store")
    assert raised.value.code == cl.status_code.INVALID_PROGRAM_EXECUTABLE


def test_an_unknown_option_is_an_error(ctx: Any) -> None:
    with pytest.raises(cl.Error) as raised:
        cl.Program(ctx, STORE).build("-DVALUE=1 --no-such-option")
    assert raised.value.code in (
        cl.status_code.BUILD_PROGRAM_FAILURE,
        cl.status_code.INVALID_BUILD_OPTIONS,
    )


def test_build_for_a_device_of_another_context(ctx: Any, platform: Any) -> None:
    with pytest.raises(cl.Error) as raised:
        cl.Program(ctx, STORE).build("-DVALUE=1", devices=platform.get_devices()[2:])
    assert raised.value.code == cl.status_code.INVALID_DEVICE


def test_warnings_are_in_the_log_and_no_error(ctx: Any, queue: Any, read: Read) -> None:
    source = "#warning mind the gap\n" + STORE.replace("VALUE", "3")
    with pytest.warns(cl.CompilerWarning):
        assert stored(ctx, queue, read, source) == 3


def test_headers_travel(ctx: Any, queue: Any, read: Read, tmp_path: Path) -> None:
    """Headers on the program's disk, in folders of -I, which include others beside them."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "outer.h").write_text('#pragma once\n#include "deep/inner.h"\n#define FACTOR 2\n')
    (tmp_path / "deep" / "inner.h").write_text(
        '#ifndef INNER\n#define INNER\n#include "sibling.h"\nint base(void) { return SIBLING; }\n'
        "#endif\n"
    )
    (tmp_path / "deep" / "sibling.h").write_text("#define SIBLING 21\n")
    source = '#include "outer.h"\n#include <outer.h>\n#include "deep/inner.h"\n'
    source += STORE.replace("VALUE", "FACTOR * base()")
    for options in ([f"-I{tmp_path}"], ["-I", str(tmp_path)], f"-I {tmp_path}"):
        assert stored(ctx, queue, read, source, options) == 42


def test_folders_with_blanks_in_their_names(
    ctx: Any, queue: Any, read: Read, tmp_path: Path
) -> None:
    folder = tmp_path / "my headers"
    folder.mkdir()
    (folder / "value.h").write_text("#define VALUE 5\n")
    assert stored(ctx, queue, read, '#include "value.h"\n' + STORE, ["-I", f'"{folder}"']) == 5


def test_the_first_folder_wins(ctx: Any, queue: Any, read: Read, tmp_path: Path) -> None:
    for value in (1, 2):
        (tmp_path / str(value)).mkdir()
        (tmp_path / str(value) / "value.h").write_text(f"#define VALUE {value}\n")
    options = ["-I", str(tmp_path / "1"), "-I", str(tmp_path / "2")]
    assert stored(ctx, queue, read, "#include <value.h>\n" + STORE, options) == 1


def test_a_changed_header_is_a_changed_program(
    ctx: Any, queue: Any, read: Read, tmp_path: Path
) -> None:
    for value in (1, 2):
        (tmp_path / "value.h").write_text(f"#define VALUE {value}\n")
        source = '#include "value.h"\n' + STORE
        assert stored(ctx, queue, read, source, ["-I", str(tmp_path)]) == value


def test_pyopencl_s_own_headers(ctx: Any, queue: Any, read: Read) -> None:
    source = "#include <pyopencl-complex.h>\n"
    source += STORE.replace("VALUE", "(int)cfloat_mul(cfloat_new(3, 0), cfloat_new(4, 0)).real")
    assert stored(ctx, queue, read, source) == 12


def test_line_numbers_of_the_log_are_the_user_s(ctx: Any, tmp_path: Path) -> None:
    (tmp_path / "long.h").write_text("#define A 1\n" * 30)
    source = '#include "long.h"\n\n__kernel void f(void)\n{\n  wrong_name = 1;\n}\n'
    with pytest.raises(cl.RuntimeError) as raised:
        cl.Program(ctx, source).build(["-I", str(tmp_path)])
    assert ":5:" in str(raised.value), str(raised.value)
    (tmp_path / "bad.h").write_text("\n\nint f(void) { return wrong_name; }\n")
    with pytest.raises(cl.RuntimeError) as raised:
        cl.Program(ctx, '#include "bad.h"\n').build(["-I", str(tmp_path)])
    assert "bad.h:3:" in str(raised.value), str(raised.value)


def test_a_header_that_includes_itself_without_end(ctx: Any, tmp_path: Path) -> None:
    (tmp_path / "endless.h").write_text('#include "endless.h"\n')
    with pytest.raises(cl.RuntimeError, match=rf"{tmp_path}/endless\.h:1:.*nested") as raised:
        cl.Program(ctx, '#include "endless.h"\n').build(["-I", str(tmp_path)])
    assert raised.value.code == cl.status_code.BUILD_PROGRAM_FAILURE


@pytest.fixture
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is gone once the client has read it: the agents' hosts don't have it."""
    folder = tmp_path / "hidden"
    folder.mkdir()

    def make_and_hide(*arguments: Any) -> Any:
        unit = make_unit(*arguments)
        folder.rename(tmp_path / "moved")
        return unit

    monkeypatch.setattr(program_api, "make_unit", make_and_hide)
    return folder


ONCE = "#pragma once\n/* doc */\ntypedef int real;\n"


@pytest.mark.parametrize(
    "source",
    [
        '#ifdef FAST\n#include "t.h"\n#else\n#include "t.h"\n#endif\n',
        '/* was:\n#include "none.h"\n*/\n#include "t.h"\n',
        '#include "t.h" /* two\nlines */\n',
        '#define H "t.h"\n#include H\n',
        "#define STR(x) #x\n#include STR(t.h)\n",
        '#include \\\n"t.h"\n',
        '#if __has_include("t.h")\n#include <t.h>\n#endif\n',
        '#include "deep/../t.h"\n#include "deep/u.h"\n',
        '#include "HIDDEN/t.h"\n',
        '#include "t.h"\n#include "link.h"\n#include "crlf.h"\n#include "empty.h"\n',
        '#include "odd.h"\n',
    ],
)
def test_includes_as_one_host_reads_them(
    ctx: Any, queue: Any, read: Read, hidden: Path, source: str
) -> None:
    (hidden / "deep").mkdir()
    (hidden / "t.h").write_text(ONCE)
    (hidden / "deep" / "u.h").write_text('#include "../t.h"\n')
    (hidden / "link.h").symlink_to("t.h")
    (hidden / "crlf.h").write_bytes(b'#include "t.h"\r\n#define \\\r\n OTHER 1\r\n')
    (hidden / "empty.h").write_bytes(b"")
    (hidden / "odd.h").write_bytes(b"// \xff\xe9\n" + ONCE.encode())
    source = source.replace("HIDDEN", str(hidden)) + STORE.replace("VALUE", "(real)7")
    assert stored(ctx, queue, read, source, ["-I", str(hidden)]) == 7
    assert not hidden.exists()


def test_a_missing_header_is_the_compiler_s_error(ctx: Any, hidden: Path) -> None:
    (hidden / "t.h").write_text('\n#include "none.h"\n')
    with pytest.raises(cl.RuntimeError) as raised:
        cl.Program(ctx, '#include "t.h"\n' + STORE).build(["-I", str(hidden)])
    assert f"{hidden}/t.h:2:10: 'none.h' file not found" in str(raised.value)


@pytest.mark.filterwarnings("ignore:Pre-build attribute")
def test_headers_that_are_programs(ctx: Any, queue: Any, read: Read, hidden: Path) -> None:
    (hidden / "t.h").write_text(ONCE)
    given = cl.Program(ctx, '#include "t.h"\n#define VALUE (real)6\n')
    unit = cl.Program(ctx, '#include "sub/given.h"\n' + STORE)
    unit.compile(["-I", str(hidden)], headers=[("sub/given.h", given)])
    buffer = cl.Buffer(ctx, 0, 64)
    linked = cl.link_program(ctx, [unit])
    linked.store(queue, (16,), (4,), buffer)
    assert read(queue, buffer).tolist() == [6] * 16


def test_a_binary_has_its_headers_with_it(
    ctx: Any, queue: Any, read: Read, hidden: Path
) -> None:
    (hidden / "t.h").write_text("#define VALUE 9\n")
    built = cl.Program(ctx, '#include "t.h"\n' + STORE).build(["-I", str(hidden)])
    again = cl.Program(ctx, ctx.devices, built.get_info(cl.program_info.BINARIES)).build()
    buffer = cl.Buffer(ctx, 0, 64)
    again.store(queue, (16,), (4,), buffer)
    assert read(queue, buffer).tolist() == [9] * 16


def test_more_headers_than_can_be_sent(
    ctx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.h").write_text("int a;")
    monkeypatch.setattr(headers, "source_bytes_max", 3)
    with pytest.raises(cl.Error, match=r"t\.h among them") as raised:
        cl.Program(ctx, '#include "t.h"\n' + STORE).build(["-I", str(tmp_path)])
    assert raised.value.code == cl.status_code.INVALID_VALUE


def test_a_launch_with_headers_is_split(
    cluster_ctx: Any, cluster_queue: Any, hidden: Path
) -> None:
    (hidden / "t.h").write_text(ONCE)
    source = '#include "t.h"\n__kernel void f(__global real *a) { a[get_global_id(0)] = 1; }'
    built = cl.Program(cluster_ctx, source).build(["-I", str(hidden)])
    event = built.f(cluster_queue, (4096,), None, cl.Buffer(cluster_ctx, 0, 4 * 4096))
    event.wait()
    assert cl.launch_report(event).mode == "regions", cl.launch_report(event).reason


def test_many_programs_come_and_go(ctx: Any, queue: Any, read: Read) -> None:
    for value in range(6):
        assert stored(ctx, queue, read, STORE, [f"-DVALUE={value % 2}"]) == value % 2


@pytest.mark.filterwarnings("ignore:Pre-build attribute")
def test_compile_and_link(ctx: Any, queue: Any, read: Read) -> None:
    unit = cl.Program(ctx, "int more(int x) { return x + PLUS; }").compile("-DPLUS=2")
    source = "int more(int x);\n" + STORE.replace("VALUE", "more(40)")
    linked = cl.link_program(ctx, [unit, cl.Program(ctx, source).compile()])
    buffer = cl.Buffer(ctx, 0, 64)
    linked.store(queue, (16,), (4,), buffer)
    assert read(queue, buffer).tolist() == [42] * 16


@pytest.mark.filterwarnings("ignore:Pre-build attribute")
def test_linking_what_does_not_fit(ctx: Any) -> None:
    source = "int nowhere(int x);\n" + STORE.replace("VALUE", "nowhere(1)")
    with pytest.raises(cl.RuntimeError) as raised:
        cl.link_program(ctx, [cl.Program(ctx, source).compile()])
    assert "nowhere" in str(raised.value) or raised.value.code < 0


def test_binaries_are_a_program_again(ctx: Any, queue: Any, read: Read) -> None:
    built = cl.Program(ctx, STORE).build("-DVALUE=4")
    binaries = built.get_info(cl.program_info.BINARIES)
    assert [len(b) for b in binaries] == built.get_info(cl.program_info.BINARY_SIZES)
    again = cl.Program(ctx, ctx.devices, binaries).build()
    buffer = cl.Buffer(ctx, 0, 64)
    again.store(queue, (16,), (4,), buffer)
    assert read(queue, buffer).tolist() == [4] * 16


def test_a_binary_that_is_none(ctx: Any) -> None:
    for wrong in (b"", b"nothing", b"VCL program 1\n", b"VCL program 2\n\x93\0\0\x91\xc0"):
        with pytest.raises(cl.LogicError) as raised:
            cl.Program(ctx, ctx.devices, [wrong]).build()
        codes = (cl.status_code.INVALID_BINARY, cl.status_code.INVALID_VALUE)
        assert raised.value.code in codes


def test_built_in_kernels_that_no_device_has(ctx: Any) -> None:
    with pytest.raises(cl.LogicError, match="no_such_kernel") as raised:
        cl.create_program_with_built_in_kernels(ctx, ctx.devices, "no_such_kernel")
    assert raised.value.code == cl.status_code.INVALID_VALUE


@pytest.mark.filterwarnings("ignore:Pre-build attribute access")
def test_a_source_that_is_too_long(ctx: Any) -> None:
    compiling = cl.Program(ctx, " " * 5_000_000)
    for build in (cl.Program(ctx, " " * 5_000_000).build, compiling.compile):
        with pytest.raises(cl.Error) as caught:
            build()
        text = str(caught.value)
        assert text.count("failed: INVALID_VALUE") == 1, text
        assert "5000000 bytes of source and headers" in text.replace("5000040", "5000000")
        assert "at most 4194304" in text and "include" not in text.partition("Build on")[0]


def test_a_failed_build_names_its_routine_once(ctx: Any) -> None:
    with pytest.raises(cl.RuntimeError) as caught:
        cl.Program(ctx, "not a kernel").build()
    text = str(caught.value)
    assert text.count("clBuildProgram failed: BUILD_PROGRAM_FAILURE - ") == 1, text
