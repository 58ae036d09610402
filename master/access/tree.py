"""OpenCL C as a small typed tree: what the analysis of a kernel walks.

Owns the shape of a program: pure data, equal when two programs mean the same, wherever their
lines are. Must not know where it came from (`analyser.frontend` makes it), nor what it means for
a launch.

A tree is complete: what can't be said in it is no tree at all, so whoever walks it needs no case
for "something else". Implicit conversions are `Cast`s; reading a variable is not a node. What C
leaves to the reader: arithmetic is done in the type of its node, to which both operands were
converted already (but in comparisons and shifts: in that of the operands), and that of a compound
assignment in the common type of target and value (a shift: in the promoted type of the target).

Long because OpenCL C has that many kinds of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

# Types. Qualifiers of what a pointer points to are the pointer's, those of a variable `Declared`'s.


class Space(Enum):
    """Where an object lies; `GENERIC` may be private, local or global."""

    PRIVATE = "private"
    LOCAL = "local"
    GLOBAL = "global"
    CONSTANT = "constant"
    GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class Void:
    @property
    def size(self) -> int:
        """Arithmetic on pointers to void counts bytes."""
        return 1


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number; bool has 1 bit: what is converted to it becomes 0 or 1. Enums are integers."""

    bits: int
    signed: bool
    floating: bool = False

    @property
    def size(self) -> int:
        """In bytes."""
        return (self.bits + 7) // 8


@dataclass(frozen=True, slots=True)
class Vector:
    element: Scalar
    count: int

    @property
    def size(self) -> int:
        """In bytes: one of 3 takes as many as one of 4."""
        return self.element.size * (4 if self.count == 3 else self.count)


@dataclass(frozen=True, slots=True)
class Pointer:
    """`space`, `const` and `volatile` are those of what it points to."""

    to: Type
    space: Space
    const: bool
    volatile: bool
    size: int
    """In bytes: the device's address width."""


@dataclass(frozen=True, slots=True)
class Array:
    element: Type
    count: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.element.size * self.count


@dataclass(frozen=True, slots=True)
class Field:
    """`name` is "" for an anonymous struct or union, whose own fields are members of it."""

    name: str
    offset: int
    """In bytes, from the start of the struct in which it is declared."""
    type: Type
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct, or a union, whose fields may lie over each other. `name` is "" if it has none."""

    name: str
    size: int
    """In bytes, with the padding at its end."""
    fields: tuple[Field, ...]
    union: bool = False


@dataclass(frozen=True, slots=True)
class Opaque:
    """An image (`image2d_t`), `sampler_t`, `event_t`, `queue_t`, `reserve_id_t`, ..."""

    name: str
    access: str
    """Of an image: read_only, write_only or read_write; else ""."""
    size: int
    """In bytes, as an argument is passed: the device's address width."""


Type = Void | Scalar | Vector | Pointer | Array | Struct | Opaque


@dataclass(frozen=True, slots=True)
class Declared:
    """A variable: its place in `Program.variables` is its number."""

    name: str
    type: Type
    space: Space
    address_taken: bool
    """By & or by an array that becomes a pointer, other than to be indexed at once."""
    const: bool = False
    volatile: bool = False


# Expressions.


@dataclass(frozen=True, slots=True)
class _Expression:
    type: Type
    line: int = field(compare=False)
    """The user's, in the source or the file that it includes."""


@dataclass(frozen=True, slots=True)
class Literal(_Expression):
    """A constant, also what sizeof and enum constants stand for."""

    value: int | float | str
    """In the range of `type`; text is that between the quotes, escapes as written."""


@dataclass(frozen=True, slots=True)
class Named(_Expression):
    """A constant whose value each implementation chooses: CLK_LOCAL_MEM_FENCE, ..."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable(_Expression):
    number: int


@dataclass(frozen=True, slots=True)
class Unary(_Expression):
    """operator: + - ~ !"""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(_Expression):
    """operator: * / % + - << >> < > <= >= == != & ^ | && ||

    + and - may have a pointer and an integer, - two pointers. Between vectors, comparisons and
    logical operators give 0 or -1 a lane, and && and || evaluate both sides.
    """

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Assign(_Expression):
    """operator: "" or that of a compound assignment, such as +."""

    operator: str
    target: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Increment(_Expression):
    by: int
    """1 or -1."""
    prefix: bool
    target: Expression


@dataclass(frozen=True, slots=True)
class Call(_Expression):
    """Of a function of the program if there's one of that name, else of a builtin."""

    function: str
    arguments: tuple[Expression, ...]
    used: bool
    """Whether anything is made of the result."""


@dataclass(frozen=True, slots=True)
class Conditional(_Expression):
    """With a vector as condition both sides are evaluated and lanes are chosen by its sign bits."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Subscript(_Expression):
    """`base` is a pointer or a vector, `index` an integer."""

    base: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Dereference(_Expression):
    pointer: Expression


@dataclass(frozen=True, slots=True)
class AddressOf(_Expression):
    operand: Expression


@dataclass(frozen=True, slots=True)
class Member(_Expression):
    base: Expression
    """A struct, or a pointer to one."""
    name: str
    offset: int
    """In bytes, from the start of that struct."""
    through_pointer: bool


@dataclass(frozen=True, slots=True)
class Lanes(_Expression):
    """Lanes of a vector, or, where `base` is a pointer (v->x), of that at which it points."""

    base: Expression
    lanes: tuple[int, ...]
    """From 0; may name lane 3 of a vector of 3 (by .hi or .odd), which then is undefined."""


@dataclass(frozen=True, slots=True)
class Cast(_Expression):
    """To `type`; a scalar cast to a vector fills all lanes, an array becomes its first address."""

    value: Expression
    implicit: bool


@dataclass(frozen=True, slots=True)
class Compose(_Expression):
    """(float4)(a, b) or an initialiser list.

    Of a vector: lane after lane, from scalars and vectors. Of arrays and structs: element after
    element, and what is left is zero; of a union the first field.
    """

    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Comma(_Expression):
    left: Expression
    right: Expression


Expression = (
    Literal
    | Named
    | Variable
    | Unary
    | Binary
    | Assign
    | Increment
    | Call
    | Conditional
    | Subscript
    | Dereference
    | AddressOf
    | Member
    | Lanes
    | Cast
    | Compose
    | Comma
)


# Statements.


@dataclass(frozen=True, slots=True)
class _Statement:
    line: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Block(_Statement):
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Declare(_Statement):
    """Brings a variable to life each time that it is reached; without `initial` it is undefined."""

    variable: int
    initial: Expression | None


@dataclass(frozen=True, slots=True)
class If(_Statement):
    condition: Expression
    then: Statement
    otherwise: Statement | None


@dataclass(frozen=True, slots=True)
class For(_Statement):
    """`initial` are declarations or one expression; None as condition is true."""

    initial: tuple[Statement, ...]
    condition: Expression | None
    step: Expression | None
    body: Statement


@dataclass(frozen=True, slots=True)
class While(_Statement):
    condition: Expression
    body: Statement


@dataclass(frozen=True, slots=True)
class DoWhile(_Statement):
    body: Statement
    condition: Expression


@dataclass(frozen=True, slots=True)
class Switch(_Statement):
    """Goes on at the `Case` or `Default` in `body`, at any depth but within no inner switch."""

    value: Expression
    body: Statement


@dataclass(frozen=True, slots=True)
class Case(_Statement):
    """A place to go on at: those that follow in its block follow it."""

    value: int
    statement: Statement


@dataclass(frozen=True, slots=True)
class Default(_Statement):
    statement: Statement


@dataclass(frozen=True, slots=True)
class Return(_Statement):
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Break(_Statement):
    pass


@dataclass(frozen=True, slots=True)
class Continue(_Statement):
    pass


@dataclass(frozen=True, slots=True)
class Express(_Statement):
    """An expression for its effects."""

    expression: Expression


Statement = (
    Block
    | Declare
    | If
    | For
    | While
    | DoWhile
    | Switch
    | Case
    | Default
    | Return
    | Break
    | Continue
    | Express
)


# Programs.


@dataclass(frozen=True, slots=True)
class Attribute:
    """reqd_work_group_size(8, 8, 1): the name without underscores, and the arguments' text."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    parameters: tuple[int, ...]
    """The numbers of these variables."""
    result: Type
    body: Block
    is_kernel: bool
    attributes: tuple[Attribute, ...]
    line: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Program:
    """Every function has its body here; none calls itself, not even by way of another."""

    functions: dict[str, Function]
    globals: tuple[Declare, ...]
    """Variables of program scope, initialised before any kernel runs, else zero."""
    variables: tuple[Declared, ...]
    """By their numbers."""
    builtins: frozenset[str]
    """The names of those that are called."""
    address_bits: int
    """The address width that it was read for: 32 or 64."""
