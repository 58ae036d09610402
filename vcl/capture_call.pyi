# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.capture_call import *
from pyopencl.capture_call import capture_kernel_call as capture_kernel_call
