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
from collections.abc import Sequence

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')
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
    if _LATER.search(options):
        return False
    return all(_keeps_const(text) for text in texts)


def _keeps_const(source: str) -> bool:
    text = _STRING.sub('""', _COMMENT.sub(" ", _SPLICE.sub("", source)))
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
        head = _HEAD.match(text, kernel.end())
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
    for found in _GLOBAL.finditer(text):
        start, end = _declarator(text, found)
        segment = text[start:end]
        if "*" not in segment and "[" not in segment:
            return False  # a variable, or a type whose end isn't in sight
        if segment.count("*") > 1 or not _points_to_const(segment):
            inside = any(a <= found.start() and found.end() <= b for a, b in allowed)
            if not inside or segment.count("*") > 1:
                return False
    calls = any(len(re.findall(rf"\b{name}\b", text)) > 1 for name in set(names))
    assigned = any(re.search(rf"(?<![\w.>*])\b{n}\s*=(?!=)", text) for n in writable)
    return not calls and not assigned


def _points_to_const(declarator: str) -> bool:
    """Of `const T *const p` the first const counts."""
    return _CONST.search(declarator.partition("*")[0]) is not None


def _declarator(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Where the declarator or cast around a match begins and ends."""
    start = max(text.rfind(c, 0, found.start()) for c in ",;(){}") + 1
    ends = [at for at in (text.find(c, found.end()) for c in ",;){}=(") if at >= 0]
    return start, min(ends, default=len(text))
