# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.reduction import *
from pyopencl.reduction import KERNEL as KERNEL
from pyopencl.reduction import ReductionKernel as ReductionKernel
from pyopencl.reduction import ReductionTemplate as ReductionTemplate
from pyopencl.reduction import get_all_kernel as get_all_kernel
from pyopencl.reduction import get_any_kernel as get_any_kernel
from pyopencl.reduction import get_dot_kernel as get_dot_kernel
from pyopencl.reduction import get_minmax_kernel as get_minmax_kernel
from pyopencl.reduction import get_minmax_neutral as get_minmax_neutral
from pyopencl.reduction import get_reduction_kernel as get_reduction_kernel
from pyopencl.reduction import get_subset_dot_kernel as get_subset_dot_kernel
from pyopencl.reduction import get_subset_minmax_kernel as get_subset_minmax_kernel
from pyopencl.reduction import get_sum_kernel as get_sum_kernel
