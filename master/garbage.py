"""When the interpreter of vcl-master looks for reference cycles.

Owns: the collector's settings. Must not know: what becomes garbage.

A full collection looks at every object of every session: with many commands under way that is
tens of milliseconds in which nobody is served, and the interpreter decides when. Nothing of a
session or of a connection is left in a cycle when it ends. So young objects are looked at often and
little at a time, what was imported never, and all the rest now and then when nobody waits, in case
of an error that refers to itself.
"""

from __future__ import annotations

import gc

young_max = 700
young_rounds = 4
never = 2**31 - 1


def set_up() -> None:
    """Once, when all is imported and nothing has happened yet."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(young_max, young_rounds, never)


def collect() -> None:
    """Look at everything that isn't frozen."""
    gc.collect()
