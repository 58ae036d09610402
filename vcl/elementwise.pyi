# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.elementwise import *
from pyopencl.elementwise import ArgumentKind as ArgumentKind
from pyopencl.elementwise import ElementwiseKernel as ElementwiseKernel
from pyopencl.elementwise import ElementwiseTemplate as ElementwiseTemplate
from pyopencl.elementwise import complex_dtype_to_name as complex_dtype_to_name
from pyopencl.elementwise import get_arange_kernel as get_arange_kernel
from pyopencl.elementwise import get_argument_kind as get_argument_kind
from pyopencl.elementwise import get_array_binop_kernel as get_array_binop_kernel
from pyopencl.elementwise import get_array_comparison_kernel as get_array_comparison_kernel
from pyopencl.elementwise import get_array_scalar_binop_kernel as get_array_scalar_binop_kernel
from pyopencl.elementwise import get_array_scalar_comparison_kernel as get_array_scalar_comparison_kernel
from pyopencl.elementwise import get_axpbyz_kernel as get_axpbyz_kernel
from pyopencl.elementwise import get_axpbz_kernel as get_axpbz_kernel
from pyopencl.elementwise import get_bessel_kernel as get_bessel_kernel
from pyopencl.elementwise import get_binary_func_kernel as get_binary_func_kernel
from pyopencl.elementwise import get_copy_kernel as get_copy_kernel
from pyopencl.elementwise import get_decl_and_access_for_kind as get_decl_and_access_for_kind
from pyopencl.elementwise import get_diff_kernel as get_diff_kernel
from pyopencl.elementwise import get_divide_kernel as get_divide_kernel
from pyopencl.elementwise import get_elwise_kernel as get_elwise_kernel
from pyopencl.elementwise import get_elwise_kernel_and_types as get_elwise_kernel_and_types
from pyopencl.elementwise import get_elwise_program as get_elwise_program
from pyopencl.elementwise import get_fill_kernel as get_fill_kernel
from pyopencl.elementwise import get_float_binary_func_kernel as get_float_binary_func_kernel
from pyopencl.elementwise import get_fmod_kernel as get_fmod_kernel
from pyopencl.elementwise import get_frexp_kernel as get_frexp_kernel
from pyopencl.elementwise import get_hankel_01_kernel as get_hankel_01_kernel
from pyopencl.elementwise import get_if_positive_kernel as get_if_positive_kernel
from pyopencl.elementwise import get_ldexp_kernel as get_ldexp_kernel
from pyopencl.elementwise import get_logical_not_kernel as get_logical_not_kernel
from pyopencl.elementwise import get_minmaximum_kernel as get_minmaximum_kernel
from pyopencl.elementwise import get_modf_kernel as get_modf_kernel
from pyopencl.elementwise import get_multiply_kernel as get_multiply_kernel
from pyopencl.elementwise import get_pow_kernel as get_pow_kernel
from pyopencl.elementwise import get_put_kernel as get_put_kernel
from pyopencl.elementwise import get_rdivide_elwise_kernel as get_rdivide_elwise_kernel
from pyopencl.elementwise import get_reverse_kernel as get_reverse_kernel
from pyopencl.elementwise import get_take_kernel as get_take_kernel
from pyopencl.elementwise import get_take_put_kernel as get_take_put_kernel
from pyopencl.elementwise import get_unary_func_kernel as get_unary_func_kernel
from pyopencl.elementwise import get_unop_kernel as get_unop_kernel
from pyopencl.elementwise import real_dtype as real_dtype
