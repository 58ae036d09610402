# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.compyte.array import *
from pyopencl.compyte.array import ArrayFlags as ArrayFlags
from pyopencl.compyte.array import ArrayIsh as ArrayIsh
from pyopencl.compyte.array import as_strided as as_strided
from pyopencl.compyte.array import c_contiguous_strides as c_contiguous_strides
from pyopencl.compyte.array import equal_strides as equal_strides
from pyopencl.compyte.array import f_contiguous_strides as f_contiguous_strides
from pyopencl.compyte.array import get_common_dtype as get_common_dtype
from pyopencl.compyte.array import is_c_contiguous_strides as is_c_contiguous_strides
from pyopencl.compyte.array import is_f_contiguous_strides as is_f_contiguous_strides
