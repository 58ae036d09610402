"""Kernels drawn at random: indices of all kinds, guards, loops, helpers; always inside buffers.

Where they touch these never depends on what is in them, so nor does which work-items race.

Owns: which kernels and launches there are. Must not know: the analysis. Every loop ends: what
bounds it is small, and what it counts grows or shrinks each time round; or it is left after so many
rounds.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from vcl.ndrange import NDRange

ELEMENTS = 512
"""Of each buffer."""

SIZE = 4 * ELEMENTS
"""Bytes of each buffer."""

TYPES = ["char", "uchar", "short", "ushort", "int", "uint", "long", "ulong"]


class Maker:
    """Draws one program with a kernel k(a, b, n, m)."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.depth = 0
        self.names = ["x", "y", "n", "m"]
        self.count = 0
        self.helpers = ""

    def new(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def make(self) -> str:
        body = "".join(self.statement(2) for _ in range(self.rng.randint(1, 4)))
        touch = self.touch()
        lines = [
            "kernel void k(global int *a, global const int *b, int n, int m) {",
            "int x = get_global_id(0), y = get_global_id(1), s = 0;",
            body + touch,
            "}",
        ]
        return self.helpers + "\n".join(lines)

    def atom(self) -> str:
        rng = self.rng
        if rng.random() < 0.25:
            return str(rng.randint(-3, 40))
        if rng.random() < 0.15:
            return rng.choice(
                ["get_local_id(0)", "get_group_id(0)", "get_local_id(1)", "get_group_id(1)",
                 "get_global_size(0)", "get_local_size(0)", "get_num_groups(0)"]
            ).join(["(int)", ""])  # fmt: skip
        return rng.choice(self.names)

    def expression(self, depth: int = 3) -> str:
        rng = self.rng
        if depth == 0 or rng.random() < 0.25:
            return self.atom()
        a = self.expression(depth - 1)
        b = self.expression(depth - 1)
        small = rng.randint(1, 9)
        kinds = [
            f"({a} + {b})", f"({a} - {b})", f"({a} + {b})", f"({a} * {small})",
            f"({a} / {small})", f"({a} % {small})", f"({a} * {b})", f"({a} << {rng.randint(0, 3)})",
            f"({a} >> {rng.randint(0, 3)})", f"({a} & {rng.choice([1, 3, 7, 15, 31, 5, -4])})",
            f"({a} | {rng.randint(0, 7)})", f"({a} ^ {rng.choice([1, 2, 4, 8, 3])})",
            f"min({a}, {b})", f"max({a}, {b})", f"clamp({a}, 0, {small * 8})",
            f"(- {a})", f"(~{a})",
            f"({self.condition(depth - 1)} ? {a} : {b})", f"(int)(uchar){a}", f"(int)(short){a}",
            f"(int)(long){a}", f"(int)((uint){a} / {small})", f"(int)((uint){a} >> {small % 4})",
            f"(int)abs({a})", f"({self.condition(depth - 1)})", f"(int)((long){a} * {small})",
        ]  # fmt: skip
        if depth == 3 and rng.random() < 0.1:
            return self.helper(a, b)
        return rng.choice(kinds)

    def helper(self, a: str, b: str) -> str:
        name = self.new("h")
        names, self.names = self.names, ["p", "q"]
        body = f"if ({self.condition(1)}) return {self.expression(2)}; "
        if self.rng.random() < 0.3:
            body = f"for (int i = 0; i < 3; i++) p += {self.expression(1)}; " + body
        text = f"int {name}(int p, int q) {{ {body}return {self.expression(2)}; }}\n"
        self.names = names
        self.helpers += text
        return f"{name}({a}, {b})"

    def condition(self, depth: int = 2) -> str:
        rng = self.rng
        a, b = self.expression(min(depth, 1)), self.expression(min(depth, 1))
        relation = rng.choice(["<", ">", "<=", ">=", "==", "!="])
        plain = f"{a} {relation} {b}"
        if depth and rng.random() < 0.3:
            joint = rng.choice(["&&", "||"])
            return f"({plain}) {joint} ({self.condition(depth - 1)})"
        return f"!({plain})" if rng.random() < 0.1 else plain

    def index(self) -> str:
        if self.rng.random() < 0.5:
            return f"clamp({self.expression()}, 0, {ELEMENTS - 1})"
        return f"(({self.expression()}) & {ELEMENTS - 1})"

    def touch(self) -> str:
        kind = self.rng.random()
        if kind < 0.5:
            return f"a[{self.index()}] = 1;\n"
        if kind < 0.7:
            return f"s += b[{self.index()}];\n"
        if kind < 0.8:
            return f"a[{self.index()}] += s;\n"
        if kind < 0.9:
            name = self.new("p")
            return f"{{ global int *{name} = a + {self.index()}; *{name} = s; }}\n"
        return f"((global short *)a)[{self.index()}] = 7;\n"

    def block(self, depth: int) -> str:
        names = list(self.names)
        text = "".join(self.statement(depth - 1) for _ in range(self.rng.randint(1, 3)))
        self.names = names
        return "{ " + text + "}"

    def statement(self, depth: int) -> str:
        rng = self.rng
        kind = rng.random()
        if depth == 0 or kind < 0.3:
            return self.touch()
        if kind < 0.5:
            return self.declaration()
        if kind < 0.55:
            return f"s = {self.expression(2)};\n"
        if kind < 0.7:
            other = f" else {self.block(depth)}" if rng.random() < 0.4 else ""
            return f"if ({self.condition()}) {self.block(depth)}{other}\n"
        if kind < 0.8:
            return self.counted(depth)
        if kind < 0.93:
            return self.loop(depth)
        cases = "".join(
            f"case {n}: {self.touch()}" + rng.choice(["break; ", ""]) for n in range(2)
        )
        return f"switch ({self.expression(1)} & 3) {{ {cases} default: {self.touch()} }}\n"

    def declaration(self) -> str:
        rng = self.rng
        kind, name = rng.random(), self.new("v")
        value = self.expression()
        if kind < 0.7:
            text = f"int {name} = {value};\n"
            if rng.random() < 0.4:
                text += f"if ({self.condition()}) {name} = {self.expression()};\n"
            if rng.random() < 0.3:
                operator = rng.choice(["+", "-", "*", "/", "&", "|", "^", "<<", ">>"])
                text += f"{name} {operator}= {rng.randint(1, 3)};\n"
        elif kind < 0.75:
            small = rng.choice(TYPES)
            text = f"{small} t{name} = {value}; t{name} {rng.choice(['+=', '-=', '*='])} 77;\n"
            text += f"int {name} = t{name};\n"
        elif kind < 0.8:
            text = f"int2 w{name} = (int2)({value}, {self.atom()}); "
            text += rng.choice(["", f"w{name}.y++; ", f"w{name}.x = w{name}.y; "])
            text += f"int {name} = w{name}.{rng.choice('xy')};\n"
        elif kind < 0.9:
            text = f"int t{name}[2]; t{name}[1] = {value}; int {name} = t{name}[1];\n"
        else:
            text = f"uint u{name} = {value}; u{name} += 5; int {name} = (int)(u{name} >> 1);\n"
        self.names.append(name)
        return text

    def counted(self, depth: int) -> str:
        """A loop whose counter may wrap around in its type, or be far from its bound."""
        rng = self.rng
        name, fuel, kind = self.new("w"), self.new("f"), rng.choice(TYPES)
        start, bound = self.expression(1), self.expression(1)
        relation = rng.choice(["<", ">", "<=", ">=", "!="])
        condition = f"{name} {relation} ({rng.choice(TYPES)})({bound})"
        step = rng.choice(
            [f"{name}++", f"--{name}", f"{name} += 3", f"{name} -= x", f"{name} <<= 1",
             f"{name} = {name} * 3 + 1"]
        )  # fmt: skip
        end = f"if (++{fuel} > {rng.choice([2, 9, 300])}) break; "
        names = list(self.names)
        self.names.append(f"(int){name}")
        text = end + self.block(depth)[1:-1]
        if rng.random() < 0.3:
            text += f"if ({self.condition(1)}) {rng.choice(['break', 'continue'])};\n"
        text += f"a[{name} & {ELEMENTS - 1}] = 3;\n"
        self.names = names
        head = f"int {fuel} = 0; {kind} {name} = {start};\n"
        shape = rng.random()
        if shape < 0.5:
            return f"{{ {head}for (; {condition}; {step}) {{ {text} }} }}\n"
        if shape < 0.75:
            return f"{{ {head}while ({condition}) {{ {step}; {text} }} }}\n"
        return f"{{ {head}do {{ {text} {step}; }} while ({condition}); }}\n"

    def loop(self, depth: int) -> str:
        rng = self.rng
        name, step = self.new("j"), rng.randint(1, 3)
        names = list(self.names)
        self.names.append(name)
        self.depth += 1
        inner = self.block(depth)[1:-1]
        if rng.random() < 0.2:
            inner += f"if ({self.condition(1)}) {rng.choice(['break', 'continue'])};\n"
        grown = self.new("g")
        if rng.random() < 0.4:
            by = rng.choice(["3", "-2", name, "x"])
            inner = f"{grown} += {by};\n{inner}a[{grown} & {ELEMENTS - 1}] = 2;\n"
        self.names = names
        bound = f"clamp({self.expression(1)}, 0, {rng.randint(1, 6)})"
        start = self.expression(1) if rng.random() < 0.3 else str(rng.randint(0, 2))
        head = f"int {grown} = {self.atom()};\n"
        shape = rng.random()
        if shape < 0.6:
            end = f"{start} + {bound}" if rng.random() < 0.5 else bound
            start = start if end.startswith(start) else f"clamp({start}, 0, 2)"
            text = f"for (int {name} = {start}; {name} < {end}; {name} += {step}) {{ {inner} }}\n"
        elif shape < 0.8:
            text = (
                f"for (int {name} = {bound}; {name} > 0; {name} = {name} "
                f"{rng.choice(['/ 2', '- 1', '>> 1'])}) {{ {inner} }}\n"
            )
        else:
            # What counts is changed where no `continue` leaves it out.
            text = f"int {name} = {bound}; do {{ {inner} }} while (--{name} > 0);\n"
        self.depth -= 1
        return f"{{ {head}{text} }}\n"


class Drawn(NamedTuple):
    """A launch of a kernel k(a, b, n, m). numbers: n and m."""

    source: str
    ndrange: NDRange
    numbers: tuple[int, int]


def draw(rng: Random) -> Drawn:
    """A random kernel in a random launch of few work-items, whose local size divides its global
    one."""
    source = Maker(rng).make()
    dimensions = rng.choice([1, 1, 2])
    local = tuple(rng.choice([1, 2, 4]) for _ in range(dimensions))
    size = tuple(n * rng.randint(1, 4) for n in local)
    offset = tuple(rng.choice([0, 0, 3]) for _ in range(dimensions))
    return Drawn(source, NDRange(offset, size, local), (rng.randint(-5, 70), rng.randint(-5, 70)))
