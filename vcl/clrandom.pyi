# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.clrandom import *
from pyopencl.clrandom import PhiloxGenerator as PhiloxGenerator
from pyopencl.clrandom import Random123GeneratorBase as Random123GeneratorBase
from pyopencl.clrandom import ThreefryGenerator as ThreefryGenerator
from pyopencl.clrandom import fill_rand as fill_rand
from pyopencl.clrandom import rand as rand
