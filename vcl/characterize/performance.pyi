# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.characterize.performance import *
from pyopencl.characterize.performance import DeviceToDeviceTransfer as DeviceToDeviceTransfer
from pyopencl.characterize.performance import DeviceToHostTransfer as DeviceToHostTransfer
from pyopencl.characterize.performance import HostDeviceTransferBase as HostDeviceTransferBase
from pyopencl.characterize.performance import HostToDeviceTransfer as HostToDeviceTransfer
from pyopencl.characterize.performance import Timer as Timer
from pyopencl.characterize.performance import WallTimer as WallTimer
from pyopencl.characterize.performance import get_add_rate as get_add_rate
from pyopencl.characterize.performance import get_empty_kernel_time as get_empty_kernel_time
from pyopencl.characterize.performance import get_profiling_overhead as get_profiling_overhead
from pyopencl.characterize.performance import transfer_bandwidth as transfer_bandwidth
from pyopencl.characterize.performance import transfer_latency as transfer_latency
