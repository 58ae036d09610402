# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.ipython_ext import *
from pyopencl.ipython_ext import PyOpenCLMagics as PyOpenCLMagics
from pyopencl.ipython_ext import load_ipython_extension as load_ipython_extension
