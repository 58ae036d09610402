# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.compyte.dtypes import *
from pyopencl.compyte.dtypes import ArgTypeT as ArgTypeT
from pyopencl.compyte.dtypes import DTYPE_TO_NAME as DTYPE_TO_NAME
from pyopencl.compyte.dtypes import DTypeRegistry as DTypeRegistry
from pyopencl.compyte.dtypes import NAME_TO_DTYPE as NAME_TO_DTYPE
from pyopencl.compyte.dtypes import TYPE_REGISTRY as TYPE_REGISTRY
from pyopencl.compyte.dtypes import TypeNameNotKnown as TypeNameNotKnown
from pyopencl.compyte.dtypes import dtype_to_ctype as dtype_to_ctype
from pyopencl.compyte.dtypes import fill_registry_with_c99_complex_types as fill_registry_with_c99_complex_types
from pyopencl.compyte.dtypes import fill_registry_with_c99_stdint_types as fill_registry_with_c99_stdint_types
from pyopencl.compyte.dtypes import fill_registry_with_c_types as fill_registry_with_c_types
from pyopencl.compyte.dtypes import fill_registry_with_opencl_c_types as fill_registry_with_opencl_c_types
from pyopencl.compyte.dtypes import get_or_register_dtype as get_or_register_dtype
from pyopencl.compyte.dtypes import parse_c_arg_backend as parse_c_arg_backend
from pyopencl.compyte.dtypes import register_dtype as register_dtype
