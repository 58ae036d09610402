"""Whether a program can write through a pointer that is declared const, read by tokens.

Owns: `keeps_const`. Must not know: devices, launches or buffers.

`const` is a promise that C lets a program break: by a cast, or by a conversion that compilers only
warn of. Whoever takes a const argument for unwritten needs to know that neither happens. What
isn't understood counts as if it did: then a launch is only slower. A pointer loses const if it
becomes one without: by a cast, an initialisation, an assignment or a call. All of these need a type
or variable "pointer to global memory without const" to go to, and in OpenCL C 1.x such a type can't
be written without `global`. So nowhere but in the parameters of kernels may `global` and `*` stand
in one declarator without `const`, and these parameters are never assigned to; no typedef, macro,
option or operator may hide one; and no builtin that writes through its argument may be called.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

source_bytes_max = 1 << 18
"""A longer source isn't read: its kernels' const counts for nothing."""

_declaration_bytes_max = 4096

_COMMENT = re.compile(r"/\*(?:.*?\*/|(?P<open>.*))|//[^\n]*", re.DOTALL)
_STRING = re.compile(r'"(?:\\.|[^"\\\n])*(?:"|(?P<open>))')
_SPLICE = re.compile(r"(?:\\|\?\?/)[ \t]*\r?\n")
_GLOBAL = re.compile(r"\b(?:__)?global\b")
_CONST = re.compile(r"\b(?:__)?const(?:__)?\b")
# Types without their name, ways to call a kernel or builtin unseen, and builtins that write.
_HIDDEN = re.compile(
    r"\b(?:typeof|__typeof|__typeof__|__auto_type|auto|generic|__generic"
    r"|vstore\w*|atom_\w+|atomic_\w+|async_work_group_\w*copy|fract|frexp|modf|sincos|remquo"
    r"|lgamma_r|asm|__asm|__asm__|_Pragma)\b"
)
_LATER = re.compile(r"-cl-std=(?!CL1)|-x\b|-D\s*\S*(?:global|const|kernel)|-include|-Dconst")
_KERNEL = re.compile(r"\b(?:__)?kernel\b")
_ATTRIBUTES = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
_HEAD = re.compile(r"[^;{}()]*?\b(\w+)\s*\(([^()]*)\)")
_DIRECTIVE = re.compile(r"^[ \t]*#[^\n]*$", re.MULTILINE)
_REDEFINES = re.compile(r"\b(?:(?:__)?global|(?:__)?const(?:__)?|(?:__)?kernel|restrict)\b|##|\*")


def keeps_const(texts: Sequence[str], options: str) -> bool:
    """Whether no pointer to const in these sources (all of a unit's files) loses its const."""
    if _LATER.search(options) or sum(map(len, texts)) > source_bytes_max:
        return False
    return all(_keeps_const(text) for text in texts)


def _keeps_const(source: str) -> bool:
    # What isn't closed stays as it is: it is found once, and not again from each place within it.
    text = _COMMENT.sub(lambda m: " " if m["open"] is None else m[0], _SPLICE.sub("", source))
    text = _STRING.sub(lambda m: '""' if m["open"] is None else m[0], text)
    if '"' in text.replace('""', "") or "/*" in text or re.search(r"\\|%:|\?\?", text):
        return False  # not read as a compiler would
    for directive in _DIRECTIVE.findall(text):
        if directive.split("#", 1)[1].strip().startswith("define") and _REDEFINES.search(
            directive.split("define", 1)[1]
        ):
            return False
    text = _DIRECTIVE.sub(";", text)
    text = _ATTRIBUTES.sub(" ", text)
    if _HIDDEN.search(text):
        return False
    allowed, names, writable = [], [], []
    for kernel in _KERNEL.finditer(text):
        head = _HEAD.match(text, kernel.end(), kernel.end() + _declaration_bytes_max)
        if head is None:
            return False
        allowed.append(head.span(2))
        names.append(head[1])
        for parameter in head[2].split(","):
            if _GLOBAL.search(parameter) and not _points_to_const(parameter):
                found = re.search(r"\*\s*(?:\w+\s+)*?(\w+)\s*$", parameter)
                if found is None or parameter.count("*") > 1:
                    return False
                writable.append(found[1])
    inside = 0  # the last kernel's parameters that begin before what was found
    for found in _GLOBAL.finditer(text):
        segment = _declarator(text, found)
        if "*" not in segment and "[" not in segment:
            return False  # a variable, or a type whose end isn't in sight
        if segment.count("*") > 1:
            return False
        if not _points_to_const(segment):
            while inside < len(allowed) and allowed[inside][1] < found.end():
                inside += 1
            if inside == len(allowed) or found.start() < allowed[inside][0]:
                return False
    words = Counter(re.findall(r"\w+", text))
    assigned = set(re.findall(r"(?<![\w.>*])(\w+)\s*=(?!=)", text))
    return all(words[name] == 1 for name in names) and assigned.isdisjoint(writable)


def _points_to_const(declarator: str) -> bool:
    """Of `const T *const p` the first const counts."""
    return _CONST.search(declarator.partition("*")[0]) is not None


def _declarator(text: str, found: re.Match[str]) -> str:
    """The declarator or cast around a match; "" if it's longer than any that is understood."""
    first = max(0, found.start() - _declaration_bytes_max)
    last = found.end() + _declaration_bytes_max
    start = max(text.rfind(c, first, found.start()) for c in ",;(){}") + 1
    if start == 0 and first > 0:
        return ""
    ends = [at for at in (text.find(c, found.end(), last) for c in ",;){}=(") if at >= 0]
    return text[start : min(ends, default=last)]
