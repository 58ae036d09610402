# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.algorithm import *
from pyopencl.algorithm import BuiltList as BuiltList
from pyopencl.algorithm import KeyValueSorter as KeyValueSorter
from pyopencl.algorithm import ListOfListsBuilder as ListOfListsBuilder
from pyopencl.algorithm import RADIX_SORT_OUTPUT_STMT_TPL as RADIX_SORT_OUTPUT_STMT_TPL
from pyopencl.algorithm import RADIX_SORT_PREAMBLE_TPL as RADIX_SORT_PREAMBLE_TPL
from pyopencl.algorithm import RADIX_SORT_SCAN_PREAMBLE_TPL as RADIX_SORT_SCAN_PREAMBLE_TPL
from pyopencl.algorithm import RadixSort as RadixSort
from pyopencl.algorithm import copy_if as copy_if
from pyopencl.algorithm import partition as partition
from pyopencl.algorithm import remove_if as remove_if
from pyopencl.algorithm import unique as unique
