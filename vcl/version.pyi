# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.version import *
from pyopencl.version import VERSION as VERSION
from pyopencl.version import VERSION_STATUS as VERSION_STATUS
from pyopencl.version import VERSION_TEXT as VERSION_TEXT
