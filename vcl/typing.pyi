# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.typing import *
from pyopencl.typing import Allocator as Allocator
from pyopencl.typing import DTypeT as DTypeT
from pyopencl.typing import HasBufferInterface as HasBufferInterface
from pyopencl.typing import KernelArg as KernelArg
from pyopencl.typing import SVMInnerT as SVMInnerT
from pyopencl.typing import WaitList as WaitList
