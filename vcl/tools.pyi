# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.tools import *
from pyopencl.tools import AllocatorBase as AllocatorBase
from pyopencl.tools import ArgDType as ArgDType
from pyopencl.tools import ArgType as ArgType
from pyopencl.tools import Argument as Argument
from pyopencl.tools import DeferredAllocator as DeferredAllocator
from pyopencl.tools import DeviceOrPlatformT as DeviceOrPlatformT
from pyopencl.tools import DtypedArgument as DtypedArgument
from pyopencl.tools import HashableT as HashableT
from pyopencl.tools import ImmediateAllocator as ImmediateAllocator
from pyopencl.tools import KernelTemplateBase as KernelTemplateBase
from pyopencl.tools import MemoryPool as MemoryPool
from pyopencl.tools import OtherArg as OtherArg
from pyopencl.tools import P as P
from pyopencl.tools import PooledBuffer as PooledBuffer
from pyopencl.tools import PooledSVM as PooledSVM
from pyopencl.tools import RetT as RetT
from pyopencl.tools import SVMAllocator as SVMAllocator
from pyopencl.tools import SVMPool as SVMPool
from pyopencl.tools import ScalarArg as ScalarArg
from pyopencl.tools import TypeNameNotKnown as TypeNameNotKnown
from pyopencl.tools import VectorArg as VectorArg
from pyopencl.tools import array_module as array_module
from pyopencl.tools import bitlog2 as bitlog2
from pyopencl.tools import clear_first_arg_caches as clear_first_arg_caches
from pyopencl.tools import context_dependent_memoize as context_dependent_memoize
from pyopencl.tools import dtype_to_c_struct as dtype_to_c_struct
from pyopencl.tools import dtype_to_ctype as dtype_to_ctype
from pyopencl.tools import first_arg_dependent_memoize as first_arg_dependent_memoize
from pyopencl.tools import first_arg_dependent_memoize_nested as first_arg_dependent_memoize_nested
from pyopencl.tools import get_arg_list_arg_types as get_arg_list_arg_types
from pyopencl.tools import get_arg_list_scalar_arg_dtypes as get_arg_list_scalar_arg_dtypes
from pyopencl.tools import get_arg_offset_adjuster_code as get_arg_offset_adjuster_code
from pyopencl.tools import get_gl_sharing_context_properties as get_gl_sharing_context_properties
from pyopencl.tools import get_or_register_dtype as get_or_register_dtype
from pyopencl.tools import get_pyopencl_fixture_arg_names as get_pyopencl_fixture_arg_names
from pyopencl.tools import get_pyopencl_fixture_arg_values as get_pyopencl_fixture_arg_values
from pyopencl.tools import get_test_platforms_and_devices as get_test_platforms_and_devices
from pyopencl.tools import is_spirv as is_spirv
from pyopencl.tools import match_dtype_to_c_struct as match_dtype_to_c_struct
from pyopencl.tools import parse_arg_list as parse_arg_list
from pyopencl.tools import parse_c_arg as parse_c_arg
from pyopencl.tools import pytest_generate_tests_for_pyopencl as pytest_generate_tests_for_pyopencl
from pyopencl.tools import register_dtype as register_dtype
