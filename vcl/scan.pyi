# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.scan import *
from pyopencl.scan import DEBUG_SCAN_TEMPLATE as DEBUG_SCAN_TEMPLATE
from pyopencl.scan import ExclusiveScanKernel as ExclusiveScanKernel
from pyopencl.scan import GenericDebugScanKernel as GenericDebugScanKernel
from pyopencl.scan import GenericScanKernel as GenericScanKernel
from pyopencl.scan import GenericScanKernelBase as GenericScanKernelBase
from pyopencl.scan import InclusiveScanKernel as InclusiveScanKernel
from pyopencl.scan import SCAN_INTERVALS_SOURCE as SCAN_INTERVALS_SOURCE
from pyopencl.scan import SHARED_PREAMBLE as SHARED_PREAMBLE
from pyopencl.scan import ScanPerformanceWarning as ScanPerformanceWarning
from pyopencl.scan import ScanTemplate as ScanTemplate
from pyopencl.scan import UPDATE_SOURCE as UPDATE_SOURCE
from pyopencl.scan import generic_scan_kernel_cache as generic_scan_kernel_cache
from pyopencl.scan import get_cumsum_kernel as get_cumsum_kernel
from pyopencl.scan import logger as logger
