"""Accesses in words, for people.

Owns: `access`. Must not know: launches, or what follows from an access.
"""

from __future__ import annotations

from master.access.builtins import IMAGE
from master.access.forms import Form
from master.access.memory import Touch
from master.access.symbols import Definition, Kind


def access(touch: Touch, definitions: tuple[Definition, ...]) -> str:
    """An access in words: byte 4*x + 256*y, 4 bytes, line 7."""
    if touch.atomic == IMAGE:
        return f"pixels (line {touch.line})"
    if touch.form is None:
        return f"anywhere (line {touch.line})"
    return f"byte {_words(touch.form, definitions)}, {touch.size} bytes (line {touch.line})"


def _words(form: Form, definitions: tuple[Definition, ...]) -> str:
    terms = []
    for symbol, coefficient in form.terms:
        what = definitions[symbol]
        if what.kind is Kind.ITEM:
            name = "xyz"[what.number]
        elif what.kind is Kind.UNKNOWN:
            low, high = what.range
            name = f"({low}..{high})" if max(-low, high) < 2**31 else "?"
        elif what.kind is Kind.QUOTIENT:
            name = f"({_words(what.forms[0], definitions)})/{what.number}"
        elif what.kind is Kind.REMAINDER:
            name = f"({_words(what.forms[0], definitions)})%{what.number}"
        else:
            inner = ", ".join(_words(f, definitions) for f in what.forms)
            name = f"{what.kind.name.lower()}({inner})"
        terms.append(name if coefficient == 1 else f"{coefficient}*{name}")
    if form.constant or not terms:
        terms.append(str(form.constant))
    return " + ".join(terms).replace("+ -", "- ")
