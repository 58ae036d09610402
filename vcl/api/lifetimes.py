"""What the nodes keep lives as long as something here refers to it.

Owns: `Owner`. Must not know: what the numbers stand for.
"""

from __future__ import annotations

import weakref

from vcl.api.runtime import Runtime


class Owner:
    """Holds a number of the session's; it is released when the last reference to this goes.

    At the end of the process nothing is released: the session ends then, with all that it has.
    """

    def __init__(self, runtime: Runtime, number: int) -> None:
        self.number = number
        weakref.finalize(self, runtime.release, number).atexit = False
