# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.invoker import *
from pyopencl.invoker import BUF_PACK_TYPECHARS as BUF_PACK_TYPECHARS
from pyopencl.invoker import generate_enqueue_and_set_args as generate_enqueue_and_set_args
from pyopencl.invoker import generate_generic_arg_handling_body as generate_generic_arg_handling_body
from pyopencl.invoker import generate_specific_arg_handling_body as generate_specific_arg_handling_body
from pyopencl.invoker import invoker_cache as invoker_cache
