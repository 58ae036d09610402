"""A guard by tokens: may the kernels of one OpenCL C program be launched in parts (*merge*)?

Owns the verdict for a whole program from its source and build options, and finding its faults. Must
not know devices, launches or buffers, or which kernels go free of a fault (`functions`). Under
*merge* each part runs with a global offset against whole buffers and the changed bytes are merged;
so a program may split unless it can tell a part from the launch, or its work-groups can meet by
other means than a data race. What isn't understood is refused.

Tokens are raw: nothing is expanded and every #if branch counts, so whatever the device's own
preprocessor does, each identifier that the compiler gets is one seen here. The ways around:

* Names made from pieces: ``##``, digraphs, ``??`` (trigraphs), ``\\u`` and other stray backslashes,
  ``$`` and non-ASCII letters are refused. Line splices are undone first, inside names too.
* Text that compilers lex differently is refused: lone CR, control characters, splices with blanks
  in comments, literals and before #, prefixed (raw) literals, open quotes and comments, #warning.
* Text from elsewhere: unknown directives, pragmas and options are refused, and #include but of a
  literal name of a file that came along. Its tokens are read where it stands, though a condition
  or its own guard may leave none of them: so it must stand where a call can't have begun, and what
  is read only once, or includes itself, must leave nothing open at its end. -D bodies are tokens,
  also with their quotes removed (drivers don't agree on quoting), and hold no comments.
* Symbols from elsewhere: ``extern`` and calls of functions without a body here are refused, as a
  prototype could name a mangled builtin or a function of the host; so are reserved names.
* Strings that become code: asm, _Pragma and attributes outside a short list are refused; macros
  can't replace the listed ones, nor bring lone parentheses.
* Names inside other names (``_Z12get_group_idj``, ``_cl_atomic_add``): rules match parts of names.
* Program-scope variables: OpenCL C 1.x has only constants (6.5). Without -cl-std the language is
  1.x (clBuildProgram), and any later -cl-std is refused.
* Addresses as integers: no pointer outlives its launch in 1.x, and within one part they agree.

Builtins that no list here knows (vendors') are refused where they are called, also through an
object-like macro or in parentheses. What stays open is an unknown builtin with a harmless name
whose call is assembled by several macros, or whose name the source defines as well.

A refused name or an unknown call in the code is a fault of the function in which it stands
(`functions` says when that is known), unless it means more than this function: then, and wherever
else a rule refuses, it's a fault of the whole program.

Long because the rules stand or fall together.

The caller answers for: joining source strings exactly as the driver does, judging every program
that is linked in, options that a node adds by itself, and devices that agree on tested macros.
"""

import re
import shlex
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from master.access.files import Files
from master.access.functions import Parts, Token


@dataclass(frozen=True)
class Verdict:
    """Whether a program's kernels may run in parts; `reason` is one sentence for the user."""

    may_split: bool
    reason: str


class Examined(NamedTuple):
    """A verdict, and what `functions` needs to tell kernels apart: None if nothing can."""

    verdict: Verdict
    parts: Parts | None


def judge(source: str | None, options: str, files: Files | None = None) -> Verdict:
    """Judge all kernels of one program; raises nothing. `source` None: binaries, IL, built-ins.

    files: that came with it.
    """
    return examine(source, options, files).verdict


def examine(source: str | None, options: str, files: Files | None = None) -> Examined:
    """The same as `judge`, with what was read."""
    names = _Names()
    reading = _Reading(names, files or Files())
    try:
        if source is None:
            raise _Refused("no source to read", "a binary, intermediate language or built-in")
        _read_options(options, names)
        reading.read_all(source)
        for tokens, uncallable in names.runs:
            _check_run(tokens, uncallable, names, tokens is reading.code)
    except _Refused as refused:
        return Examined(Verdict(False, names.first_fault or str(refused)), None)
    reason = names.first_fault or "nothing in the program tells a part from the whole launch"
    return Examined(
        Verdict(not names.first_fault, reason),
        Parts(reading.code, reading.marks, names.macros, names.faults),
    )


faults_max = 1000
"""Faults of single functions; with more, kernels aren't told apart."""

apart_tokens_max = 2**16
"""Of code in which kernels are told apart: past it, reading ends at the first fault."""

identifier_chars_max = 1000
"""A longer name isn't read: what rules cost may grow faster than the name."""


class _Refused(Exception):
    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")


# Searched for in every identifier; {} is the identifier. First those that one function may have
# while others go without; the rest means more than the function in which it stands.
_REFUSED_NAMES = (
    (
        "get_(?:global_size|num_groups|group_id|global_offset|global_linear_id)",
        "{}() would answer differently in a part",
    ),
    ("(?:^|_)atom(?:ic)?_", "{} may let work-groups of different parts reach each other"),
    ("memory_(?:order|scope)|_fence", "{} orders memory beyond one work-group"),
    ("^volatile$", "{} memory may be watched by other work-groups"),
    ("sub_group", "{} depends on the device's sub-groups"),
    # That name is an extension's, in a #pragma; what is called so is neither defined nor known.
    ("^(?!cl_amd_printf$)\\w*?printf", "{} output would lose its order"),
    # (?>...): one "image" is enough, and looking on from each of many takes quadratic time.
    (
        "^(?>\\w*?image)\\w*_t$|(?:read|write|get)_image|sampler_t$",
        "{}: images are split in variants only",
    ),
    ("^goto$", "{} is not followed"),
    ("enqueue_|ndrange_|clk_event|queue_t$|default_queue", "{} launches from the device"),
    ("(?:^|_)pipe(?:_|$)|reserve_id|(?:read|write)_channel", "{}: pipes can't be split"),
    ("intptr_t$", "{} can hold an address, which differs between devices"),
    ("^(?:to_global|to_local|to_private|get_fence|generic)$", "{} hides an address space"),
    ("^(?:asm|extern|nosvm)$", "{} is not followed"),
)
_OF_A_FUNCTION = 8
"""How many of these may be the fault of one function."""

_REFUSED_NAME = re.compile("|".join(f"({pattern})" for pattern, _ in _REFUSED_NAMES))
_OF_ALL = re.compile("|".join(pattern for pattern, _ in _REFUSED_NAMES[_OF_A_FUNCTION:]))
_RESERVED = re.compile("__|_[A-Z]")

_ATTRIBUTE = (
    "(?:reqd_work_group_size|work_group_size_hint|vec_type_hint|aligned|packed|unused"
    "|max_constant_size|always_inline|noinline|opencl_unroll_hint)"
)
_WORDS = r"[\w ,.+*/<>-]"
_ATTRIBUTES = re.compile(
    rf"\( \((?: (?:,|{_ATTRIBUTE}|__{_ATTRIBUTE}__)"
    rf"(?: \( (?:{_WORDS}|\( {_WORDS}* \))* \))?)* \) \)"
)
_KNOWN_RESERVED = re.compile(
    "__(?:kernel|global|local|constant|private|attribute__|restrict(?:__)?|inline(?:__)?|const"
    "|signed__|LINE__|func__|VA_ARGS__|cplusplus|OPENCL_(?:C_)?VERSION__|ENDIAN_LITTLE__"
    "|IMAGE_SUPPORT__|FAST_RELAXED_MATH__|EMBEDDED_PROFILE__)|_Bool|_[A-Z0-9_]+_H_*"
    f"|__{_ATTRIBUTE}__"
)
_NUMBER = "(?:bool|u?char|u?short|u?int|u?long|half|float|double|size_t)"
_WIDTH = "(?:2|3|4|8|16)"
_ROUND = "(?:_rt[ezpn])?"
# What may stand before "(": keywords, types, and builtins that answer alike in a part.
_CALLABLE = re.compile(
    f"(?:__)?{_ATTRIBUTE}(?:__)?|{_NUMBER}{_WIDTH}?|as_{_NUMBER}{_WIDTH}?"
    f"|convert_{_NUMBER}{_WIDTH}?(?:_sat)?{_ROUND}"
    f"|v(?:load|store){_WIDTH}|v(?:load|store)a?_half{_WIDTH}?{_ROUND}"
    "|if|for|while|switch|return|sizeof|case|else|do|defined|__attribute__|const|restrict"
    "|void|unsigned|signed|event_t|__restrict|__restrict__|__const|__signed__|_Bool"
    "|(?:__)?(?:global|local|constant|private)"
    "|(?:half|native)_(?:cos|divide|exp|exp2|exp10|log|log2|log10|powr|recip|rsqrt|sin|sqrt|tan)"
    "|a?(?:sin|cos|tan)(?:h|pi)?|atan2(?:pi)?|sincos|cbrt|ceil|copysign|erfc?|exp(?:2|10|m1)?"
    "|fabs|fdim|floor|fma|fmax|fmin|fmod|fract|frexp|hypot|ilogb|ldexp|[lt]gamma|lgamma_r"
    "|log(?:2|10|1p|b)?|mad|maxmag|minmag|modf|nan|nextafter|pow[nr]?|remainder|remquo"
    "|rint|rootn|round|r?sqrt|trunc|abs|abs_diff|(?:add|sub|mad)_sat|r?hadd|clamp|clz|ctz"
    "|(?:mad|mul)_hi|(?:mad|mul)24|max|min|rotate|upsample|popcount|degrees|radians|mix"
    "|step|smoothstep|sign|cross|dot|(?:fast_)?(?:distance|length|normalize)|isfinite"
    "|is(?:inf|nan|normal|ordered|unordered|equal|notequal|less|lessequal|lessgreater)"
    "|isgreater|isgreaterequal|signbit|any|all|bitselect|select|vec_step|shuffle2?"
    "|barrier|work_group_barrier|prefetch|async_work_group_(?:strided_)?copy"
    "|wait_group_events|get_(?:global_id|local_id|local_size|work_dim|local_linear_id)"
)
_DIRECTIVE = re.compile(
    "(?:undef|if|ifdef|ifndef|elif|else|endif|error|line)(?: .*)?"
    "|pragma OPENCL EXTENSION (?:all : disable|cl_(?:khr|amd|nv|intel|arm|ext)_\\w+ : \\w+)"
    "|pragma OPENCL FP_CONTRACT \\w+|pragma (?:no)?unroll(?: \\w+| \\( \\w+ \\))?"
)
_HARMLESS_OPTION = re.compile(
    r"-cl-std=CL1\.[012]|-w|-Werror|-g|-cl-(?:mad-enable|fast-relaxed-math|finite-math-only"
    "|unsafe-math-optimizations|no-signed-zeros|denorms-are-zero|single-precision-constant"
    "|opt-disable|strict-aliasing|fp32-correctly-rounded-divide-sqrt|kernel-arg-info)"
)


_NO_TOKEN = Token("none", "", "", 0, False)


@dataclass
class _Names:
    """What the program defines; the code outside directives and the macro bodies (`runs`), each
    with the names that it can't call."""

    functions_and_types: set[str] = field(default_factory=set)
    function_macros: set[str] = field(default_factory=set)
    macros: dict[str, list[list[Token]]] = field(default_factory=dict)
    """All bodies of each."""
    object_macros: dict[str, set[str]] = field(default_factory=dict)
    """With what may stand before a "(" that follows one: the last names of its bodies."""
    runs: list[tuple[list[Token], set[str]]] = field(default_factory=list)
    callable: set[str] = field(default_factory=set)
    """What was found to be known, with all that it may be expanded to, where all can be called."""
    not_callable: set[str] = field(default_factory=set)
    checked: dict[str, tuple[str, bool] | None] = field(default_factory=dict)
    """What the rules are against: why, and whether it may be the fault of one function."""
    first_fault: str = ""
    faults: list[tuple[int, str]] = field(default_factory=list)
    """In functions, perhaps: (index in the code, reason)."""

    def note_fault(self, where: str, why: str) -> str:
        """A fault that doesn't end the reading."""
        reason = f"{where}: {why}"
        self.first_fault = self.first_fault or reason
        if len(self.faults) >= faults_max:
            raise _Refused(where, why)
        return reason


_OPENING, _CLOSING = frozenset("({["), frozenset(")}]")
_NESTED_MAX = 100
_AGAIN_MAX = 2**20
"""Characters of files that are read more than once."""

_SPLICE = re.compile(r"\\([ \t\f\v]*)\n")
_UNREADABLE = re.compile(r"[^\t\n\f\v\x20-\x7e\x80-\U0010ffff]|\?\?")
_LEXEME = re.compile(
    r"""(?P<newline>\n)|(?P<blank>[ \t\f\v]+)
    |(?P<comment>//[^\n]*|/\*[\s\S]*?\*/)
    |(?P<literal>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
    |(?P<number>\.?[0-9][A-Za-z0-9_.]*)
    |(?P<identifier>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>[][(){}.,;:?~!%^&*+=|<>\#/-])""",
    re.VERBOSE,
)
_REFUSED_PAIRS = {
    "##": "## makes names out of pieces",
    "/*": "a comment is not closed",
    **{pair: f"the digraph {pair} is not read" for pair in ("%:", "<:", ":>", "<%", "%>")},
}


class _Text:
    """Source with its line splices undone, which still knows the lines of the original."""

    def __init__(self, source: str, where: str | None, file: str) -> None:
        source = source.replace("\r\n", "\n")
        self._where = where
        self._file = file
        if bad := _UNREADABLE.search(source):
            line = source.count("\n", 0, bad.start()) + 1
            raise _Refused(where or f"{file}line {line}", f"{bad[0]!r} is not read")
        splices = list(_SPLICE.finditer(source))
        removed = [0, *accumulate(len(splice[0]) for splice in splices)]
        self._splices = [at.start() - n for at, n in zip(splices, removed, strict=False)]
        self._loose = [at for at, splice in zip(self._splices, splices, strict=True) if splice[1]]
        self.text = _SPLICE.sub("", source)
        self._newlines = [match.start() for match in re.finditer("\n", self.text)]

    def where(self, offset: int) -> str:
        if self._where:
            return self._where
        before = bisect_left(self._newlines, offset) + bisect_right(self._splices, offset)
        return f"{self._file}line {before + 1}"

    def has_loose_splice(self, start: int, end: int) -> bool:
        """True if a backslash and newline with blanks between them stood past `start`."""
        return bisect_right(self._loose, start) < bisect_right(self._loose, end)


def _lex(source: str, where: str | None = None, file: str = "") -> Iterator[Token]:
    text = _Text(source, where, file)
    offset, token_end, starts_line = 0, 0, True
    while offset < len(text.text):
        match = _LEXEME.match(text.text, offset)
        if match is None:
            raise _Refused(text.where(offset), f"{text.text[offset]} is not read, or not closed")
        kind, found, start, offset = str(match.lastgroup), match[0], offset, match.end()
        if kind == "blank":
            continue
        if kind == "newline":
            starts_line = True
            continue
        if why := _REFUSED_PAIRS.get(text.text[start : start + 2]) if kind == "mark" else None:
            raise _Refused(text.where(start), why)
        ambiguous = kind in ("comment", "literal") and text.has_loose_splice(start, offset)
        if ambiguous or (found == "#" and text.has_loose_splice(token_end, start)):
            why = "blanks between a backslash and its newline can be read two ways"
            raise _Refused(text.where(start), why)
        if kind == "literal" and start and re.match(r"\w", text.text[start - 1]):
            raise _Refused(text.where(start), f"the literal {found:.40} has a prefix")
        if kind != "comment":
            token = Token(kind, found, text.where(start), start, starts_line)
            starts_line, token_end = False, offset
            yield token


def _lex_strictly(source: str, where: str, names: _Names) -> list[Token]:
    """All tokens; no name is refused for one function only."""
    tokens = []
    for token in _lex(source, where):
        _check_name(token, names, False)
        tokens.append(token)
    return tokens


def _check_name(token: Token, names: _Names, in_code: bool) -> str:
    """Refuse an identifier that a rule is against, or say why a function can't have it.

    in_code: functions may be what it is in.
    """
    name = token.text
    if token.kind != "identifier":
        return ""
    if name not in names.checked:
        names.checked[name] = _why_refused(name)
    found = names.checked[name]
    if found is None:
        return ""
    why, of_a_function = found
    if not (in_code and of_a_function):
        raise _Refused(token.where, why)
    return names.note_fault(token.where, why)


def _why_refused(name: str) -> tuple[str, bool] | None:
    """As `_Names.checked` has it."""
    if len(name) > identifier_chars_max:
        return f"the name {name:.40}... is longer than {identifier_chars_max} characters", False
    reserved = _RESERVED.match(name) and not _KNOWN_RESERVED.fullmatch(name)
    if match := _REFUSED_NAME.search(name):
        assert match.lastindex
        why = _REFUSED_NAMES[match.lastindex - 1][1].format(name)
        return why, not reserved and not _OF_ALL.search(name)
    if reserved:
        return f"{name} is a compiler's own name, and not a known one", False
    return None


def _read_options(options: str, names: _Names) -> None:
    where = "build options"
    if bad := re.search(r"[^\t\x20-\x7e]", options):
        raise _Refused(where, f"the character {bad[0]!r} is not read")
    try:
        arguments = iter(shlex.split(options))
    except ValueError as error:
        raise _Refused(where, f"{error}".lower()) from None
    for argument in arguments:
        if argument[:2] in ("-D", "-I"):
            value = argument[2:] or next(arguments, "")
            # A driver that ignores quotes would see one more option here.
            if not value or re.search(r"(?:^|\s)-", value):
                raise _Refused(where, f"{argument} is not read")
            if argument[:2] == "-D":
                _read_definition(value, where, names)
        elif not _HARMLESS_OPTION.fullmatch(argument):
            raise _Refused(where, f"{argument} is not a known option")


def _read_definition(value: str, where: str, names: _Names) -> None:
    name, _, body = value.partition("=")
    unquoted = re.sub(r"[\"'\\]", "", body)
    comment = re.search(r"/[/*]|\*/", f"{body} {unquoted}")
    if comment or not re.fullmatch(r"[A-Za-z_]\w*(?:\([\w ,.]*\))?", name):
        raise _Refused(where, f"-D {value} is not read")
    # What a driver reads that ignores quotes is one more body.
    names.macros.setdefault(name.partition("(")[0], []).append(
        _lex_strictly(unquoted, where, names)
    )
    _read_define(_lex_strictly(f"{name} {body}", where, names), names)


class _Reading:
    """Reads a source, and each file that it includes where that is included."""

    def __init__(self, names: _Names, files: Files) -> None:
        self._names = names
        self._files = files
        self.code: list[Token] = []
        self.marks: list[tuple[int, str]] = []
        """As `Parts` has them."""
        self._depth = 0
        """Of brackets of any kind around what is read."""
        self._closed: dict[str, bool] = {}
        """Whether what was read of a file left nothing open: it may be left out, or come again."""
        self._within: list[str] = []
        self._within_itself: set[str] = set()
        self._again = 0

    def read_all(self, source: str) -> None:
        """Add to the names what the program defines, and its code as a run."""
        self._read(source, "", None)
        self._names.runs.append((self.code, set()))
        _find_definitions(self.code, self._names)

    def _read(self, text: str, file: str, folder: str | None) -> None:
        directive: list[Token] = []
        for token in _lex(text, file=file):
            fault = _check_name(token, self._names, token.starts_line or not directive)
            if token.starts_line:
                self._end_directive(directive, folder)
                directive = []
            if directive or (token.starts_line and token.text == "#"):
                directive.append(token)
            elif token.text == "#":
                raise _Refused(token.where, "# outside a directive")
            else:
                if fault:
                    self._names.faults.append((len(self.code), fault))
                self.code.append(token)
                if self._names.first_fault and len(self.code) > apart_tokens_max:
                    raise _Refused(token.where, "too much code to tell kernels apart")
                if token.kind == "mark":
                    self._depth += (token.text in _OPENING) - (token.text in _CLOSING)
        self._end_directive(directive, folder)

    def _end_directive(self, tokens: list[Token], folder: str | None) -> None:
        texts = [token.text for token in tokens[1:3]]
        if texts[:1] == ["include"]:
            self._include(tokens, folder)
        elif not (self._within and texts == ["pragma", "once"] and len(tokens) == 3):
            _read_directive(tokens, self._names)
            if mark := _CONDITIONALS.get(texts[0] if texts else ""):
                self.marks.append((len(self.code), mark))

    def _include(self, tokens: list[Token], folder: str | None) -> None:
        where, name = tokens[0].where, _included_name(tokens[2:])
        beside = folder if tokens[2:] and tokens[2].kind == "literal" else None
        found = self._files.find(name, beside) if name else None
        if not found:
            text = " ".join(token.text for token in tokens[1:])
            raise _Refused(where, f"#{text:.60} is not read")
        self.marks.append((len(self.code), "include"))
        self._include_found(name, where, *found)
        self.marks.append((len(self.code), "end"))

    def _include_found(self, name: str, where: str, path: str, folder: str) -> None:
        previous = self.code[-1] if self.code else _NO_TOKEN
        if previous.text not in ("", ";", "}", "{", ","):
            raise _Refused(where, f"what {name:.60} has may go on with what stands before it")
        if path in self._within:
            self._within_itself.add(path)
            return
        text = self._files.text(path)
        if path in self._closed:
            if self._closed[path] and not self._depth and previous.text not in ("{", ","):
                return  # nothing that hasn't been read
            self._again += len(text)
        if len(self._within) >= _NESTED_MAX or self._again > _AGAIN_MAX:
            raise _Refused(where, f"{name:.60} is included too often")
        self._within.append(path)
        start, depth = len(self.code), self._depth
        self._read(text, f"{path}, ", folder)
        self._within.pop()
        own = self.code[start:]
        balance = accumulate((t.text in _OPENING) - (t.text in _CLOSING) for t in own)
        closed = self._depth == depth and min(balance, default=0) >= 0
        self._closed[path] = closed and (not own or own[-1].text in (";", "}"))
        if path in self._within_itself and not self._closed[path]:
            raise _Refused(where, f"{name:.60} includes itself, and its end is open")


_CONDITIONALS = {
    **dict.fromkeys(("if", "ifdef", "ifndef"), "if"),
    **dict.fromkeys(("elif", "else"), "branch"),
    "endif": "endif",
}


def _included_name(tokens: list[Token]) -> str:
    """What #include says literally, or ""."""
    texts = [token.text for token in tokens]
    if len(tokens) == 1 and tokens[0].kind == "literal":
        name = texts[0][1:-1]
        return "" if texts[0][0] == "'" or "\\" in name else name
    ends = [token.offset + len(token.text) for token in tokens]
    adjacent = all(token.offset == end for token, end in zip(tokens[1:], ends, strict=False))
    bracketed = len(tokens) > 2 and texts[0] == "<" and texts[-1] == ">" and texts.count(">") == 1
    return "".join(texts[1:-1]) if bracketed and adjacent else ""


def _read_directive(tokens: list[Token], names: _Names) -> None:
    text = " ".join(token.text for token in tokens[1:])
    if text.startswith("define "):
        _read_define(tokens[2:], names)
    elif text and not _DIRECTIVE.fullmatch(text):
        raise _Refused(tokens[0].where, f"#{text:.60} is not read")


def _read_define(tokens: list[Token], names: _Names) -> None:
    if not tokens or tokens[0].kind != "identifier":
        return  # malformed: no compiler gets past it
    name, *body = tokens
    parentheses = sum(token.text in ("(", ")") for token in body)
    if parentheses != 2 * len(_pairs(body)) or re.fullmatch(f"_*{_ATTRIBUTE}_*", name.text):
        raise _Refused(name.where, f"#define {name.text} could hide a call or an attribute")
    if not body or body[0].text != "(" or body[0].offset != name.offset + len(name.text):
        names.object_macros.setdefault(name.text, set()).add(_last_name(body))
        names.runs.append((body, set()))
        names.macros.setdefault(name.text, []).append(body)
        return
    end = next((i for i, token in enumerate(body) if token.text == ")"), len(body))
    names.function_macros.add(name.text)
    # Within its own body a macro isn't expanded: there its name would be a function's.
    uncallable = {name.text, *(token.text for token in body[1:end])}
    names.runs.append((body[end + 1 :], uncallable))
    names.macros.setdefault(name.text, []).append(body[end + 1 :])


def _find_definitions(code: list[Token], names: _Names) -> None:
    """Add the functions that have a body, and the types named by typedef."""
    for end, start in _pairs(code).items():
        if start and end + 1 < len(code) and code[end + 1].text == "{":
            names.functions_and_types.add(code[start - 1].text)
    depth, last, in_typedef = 0, "", False
    for token in code:
        depth += (token.text in "({[") - (token.text in ")}]")
        if token.text == "typedef":
            depth, last, in_typedef = 0, "", True
        elif in_typedef and depth == 0 and token.text == ";":
            names.functions_and_types.add(last)
            in_typedef = False
        elif depth == 0 and token.kind == "identifier":
            last = token.text


def _pairs(tokens: list[Token]) -> dict[int, int]:
    """Index of each ")" -> index of its "("."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token.text == "(":
            opened.append(i)
        elif token.text == ")" and opened:
            pairs[i] = opened.pop()
    return pairs


def _check_run(
    tokens: list[Token], uncallable: set[str], names: _Names, in_code: bool
) -> None:
    """in_code: functions may be what these are in."""
    pairs = _pairs(tokens)
    previous, operand = _NO_TOKEN, True
    for i, token in enumerate(tokens):
        callee = _NO_TOKEN
        if token.text == "__attribute__":
            listed = " ".join(other.text for other in tokens[i + 1 : i + 40])
            if not _ATTRIBUTES.match(listed):
                raise _Refused(token.where, f"__attribute__ {listed:.40} is not known")
        elif token.text == "[" == previous.text:
            raise _Refused(token.where, "the attribute after [[ is not known")
        elif previous.text == "^" and (token.text == "{" or not operand):
            raise _Refused(token.where, "^ begins a block, and blocks are not followed")
        elif token.text == "(" and previous.kind == "identifier":
            callee = previous
        elif token.text == "(" and previous.text == ")":
            callee = _callee_within(tokens, pairs.get(i - 1, 0), i - 1, names)
        if callee.text not in ("", "*") and not _is_callable(callee, uncallable, names):
            why = f"{callee.text}() is neither defined here nor known"
            if not in_code or len(tokens) > apart_tokens_max:
                raise _Refused(callee.where, why)
            names.faults.append((i, names.note_fault(callee.where, why)))
        if token.text == "^":
            operand = previous.kind not in ("mark", "none") or previous.text in (")", "]")
            operand = operand and previous.text != "return"
        previous = token


def _callee_within(tokens: list[Token], start: int, end: int, names: _Names) -> Token:
    """Of "( ... ) (" the token that may be a callee: the last one, or the keyword before."""
    before = tokens[start - 1] if start else _NO_TOKEN
    if before.text in names.function_macros:
        raise _Refused(before.where, f"{before.text} may be expanded to the name of a function")
    if before.text in ("if", "for", "while", "switch"):
        return before
    while end > start and tokens[end].text == ")":
        end -= 1
    return tokens[end]


def _is_callable(token: Token, uncallable: set[str], names: _Names) -> bool:
    """Whether `token` before "(", and all that it may be expanded to, is known."""
    if token.text in names.not_callable:
        return False
    # Shared where nothing is uncallable.
    known = set() if uncallable else names.callable
    seen: set[str] = set()
    todo = [token.text]
    while todo:
        name = todo.pop()
        if name in seen or name in known:
            continue
        seen.add(name)
        bodies = names.object_macros.get(name, set())
        todo += bodies
        own = bodies or name in names.functions_and_types or name in names.function_macros
        if name in uncallable or not (own or _CALLABLE.fullmatch(name)):
            if not uncallable:
                names.not_callable.add(token.text)
            return False
    if not uncallable:
        known |= seen
    return True


def _last_name(body: list[Token]) -> str:
    """What stands before a "(" that follows the macro: "name" of `... name` and `(... name)`."""
    texts = [token.text for token in body]
    if len(texts) > 2 and texts[0] == "(" and texts[-1] == ")":
        texts = texts[1:-1]
        return "" if "(" in texts else texts[-1]
    return texts[-1] if texts else ""
