# ruff: noqa
# Says to type checkers that these names are pyopencl's, with its types; it is never run.
# Made by tests/types/make_stubs.py from the names of pyopencl 2026.1.4: change that, not this.
from pyopencl.cache import *
from pyopencl.cache import C_INCLUDE_RE as C_INCLUDE_RE
from pyopencl.cache import CacheLockManager as CacheLockManager
from pyopencl.cache import CleanupBase as CleanupBase
from pyopencl.cache import CleanupManager as CleanupManager
from pyopencl.cache import ModuleCacheDirManager as ModuleCacheDirManager
from pyopencl.cache import check_dependencies as check_dependencies
from pyopencl.cache import create_built_program_from_source_cached as create_built_program_from_source_cached
from pyopencl.cache import get_cache_key as get_cache_key
from pyopencl.cache import get_dependencies as get_dependencies
from pyopencl.cache import get_device_cache_id as get_device_cache_id
from pyopencl.cache import get_file_md5sum as get_file_md5sum
from pyopencl.cache import logger as logger
from pyopencl.cache import new_hash as new_hash
from pyopencl.cache import retrieve_from_cache as retrieve_from_cache
from pyopencl.cache import update_checksum as update_checksum
