# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.bitonic_sort_templates import *
from pyopencl.bitonic_sort_templates import LOCAL_MEM_FACTOR as LOCAL_MEM_FACTOR
from pyopencl.bitonic_sort_templates import ParallelBitonic_A as ParallelBitonic_A
from pyopencl.bitonic_sort_templates import ParallelBitonic_B16 as ParallelBitonic_B16
from pyopencl.bitonic_sort_templates import ParallelBitonic_B2 as ParallelBitonic_B2
from pyopencl.bitonic_sort_templates import ParallelBitonic_B4 as ParallelBitonic_B4
from pyopencl.bitonic_sort_templates import ParallelBitonic_B8 as ParallelBitonic_B8
from pyopencl.bitonic_sort_templates import ParallelBitonic_C4 as ParallelBitonic_C4
from pyopencl.bitonic_sort_templates import ParallelBitonic_Local as ParallelBitonic_Local
from pyopencl.bitonic_sort_templates import ParallelBitonic_Local_Optim as ParallelBitonic_Local_Optim
from pyopencl.bitonic_sort_templates import ParallelMerge_Local as ParallelMerge_Local
from pyopencl.bitonic_sort_templates import defines as defines
