"""Clients whose programs are made to take long to read or to compile.

Owns: these attacks. Must not know: who reads the programs.
"""

from __future__ import annotations

from typing import Any

from tests.hostile.raw import CONTEXT, FIRST, Attacker, is_a, packed
from vcl.wire.limits import source_bytes_max, source_files_max
from vcl.wire.messages import session

KERNEL = "kernel void k(global int *x) { x[0] = 1; }\n"


async def _build(attacker: Attacker, source: str, files: list[Any] | None = None) -> str:
    attacking = await attacker.session()
    units = [[source, "", [], files or []]]
    build = session.BuildProgram(FIRST, CONTEXT, FIRST + 1, session.BUILD, units, "")
    built = await attacking.send_and_read([packed(build)], is_a(session.Built))
    return f"built with status {built.status}"


async def image_words(attacker: Attacker) -> str:
    """The source `"image" * 88000`."""
    return await _build(attacker, "image" * 88_000)


async def many_macros(attacker: Attacker) -> str:
    """50,000 macros, and one that doubles 16 times."""
    lines = [f"#define M{i} {i}\n" for i in range(50_000)]
    lines += ["#define D0 ;\n", *(f"#define D{i} D{i - 1} D{i - 1}\n" for i in range(1, 17))]
    return await _build(attacker, "".join(lines) + "kernel void k(global int *x) { D16 }")


async def many_parentheses(attacker: Attacker) -> str:
    """The source `"(" * 2000000`."""
    return await _build(attacker, "(" * 2_000_000)


async def many_files(attacker: Attacker) -> str:
    """A program of nearly 4 MiB, most of it in as many files as there may be."""
    each = source_bytes_max // source_files_max - 100
    files = [["file", f"/include/{i}.h", b"\n" * each] for i in range(source_files_max)]
    return await _build(attacker, KERNEL, files)
