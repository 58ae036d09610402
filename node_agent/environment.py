"""What processes that load a driver get from the agent: an environment, and a user to run as.

Owns: the list of environment variables that drivers need, and the user that executors run as where
the agent is root. Must not know: what the processes do.

A kernel on a CPU device is native code of whoever launched it. What the agent's environment holds
is therefore given to it by name only: what drivers and Python read, never the rest, which may hold
secrets (cluster tokens, cloud credentials).
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vcl import family

DEFAULT_USER = "nobody"

_NAMES = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP",
    "XDG_CACHE_HOME", "LD_LIBRARY_PATH",
    "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV",
    "VCL_TRANSPORT", "SSL_CERT_FILE", "SSL_CERT_DIR",
})  # fmt: skip

# OpenCL's loader and tools; then PoCL, NVIDIA, AMD, Intel, Mesa. NEO_ and NEORead rather than NEO:
# other programs begin with that too.
_PREFIXES = (
    "LC_", "OCL_", "OPENCL_", "CL_", "LIBOCL", "OCLGRIND_", "POCL_", "CUDA_", "NVIDIA_", "AMD_",
    "ROC_", "ROCR_", "ROCM_", "HSA_", "HSAKMT_", "GPU_", "HIP_", "INTEL_", "ONEAPI_", "SYCL_",
    "ZE_", "ZES_", "ZET_", "NEO_", "NEORead", "IGC_", "RUSTICL_", "MESA_", "GALLIUM_",
)  # fmt: skip

# Some bear a vendor's prefix: NVIDIA_API_KEY.
_SECRETS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "_KEY")

# What root has set for itself is of no use to another user, who may not write there.
_OF_ONE_USER = (
    "HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "TMPDIR", "TEMP", "TMP", "PYTHONPYCACHEPREFIX",
    "POCL_CACHE_DIR", "CUDA_CACHE_PATH", "SYCL_CACHE_DIR",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExecutorUser:
    """A user that isn't the agent's. home: a folder of its own, where drivers keep caches."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    def arguments(self) -> dict[str, Any]:
        """For subprocess's functions."""
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}


def executor_user(name: str | None) -> ExecutorUser | None:
    """Whom executors run as; None for the agent's own user.

    name: what the command line said; without it "nobody" where the agent is root. Raises
    ValueError with a text for the user.
    """
    own = os.geteuid()
    if own != 0 and name is None:
        return None
    try:
        entry = pwd.getpwnam(name or DEFAULT_USER)
    except KeyError:
        raise ValueError(
            f"there is no user {name or DEFAULT_USER!r} for the executors: name one with "
            "--executor-user"
        ) from None
    if entry.pw_uid == own:
        return None
    if own != 0:
        raise ValueError(
            f"only root can start executors as {entry.pw_name!r}: leave --executor-user out"
        )
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return ExecutorUser(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, _home(entry))


def _home(entry: pwd.struct_passwd) -> str:
    """The user's own, or one that lasts as long as this process: system users have none."""
    if os.path.isdir(entry.pw_dir) and os.stat(entry.pw_dir).st_uid == entry.pw_uid:
        return entry.pw_dir
    made = tempfile.mkdtemp(prefix="vcl-executors-")
    os.chown(made, entry.pw_uid, entry.pw_gid)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def child_environment(
    cores: Sequence[int], passed: Sequence[str] = (), user: ExecutorUser | None = None
) -> dict[str, str]:
    """The environment of processes that load a driver.

    Only what is in the list above, and the names in `passed`; for another user without the folders
    of the agent's own that aren't in `passed`; without what a program that started
    this cluster may have set for itself; with PoCL told to use as many threads as there are cores,
    since it counts those of the machine.
    """
    found = family.outside(os.environ)
    environment = {n: value for n, value in found.items() if n in passed or _is_needed(n)}
    environment["PYOPENCL_NO_CACHE"] = "1"  # the driver's own cache serves; ours would be stale
    if cores:
        environment["POCL_MAX_PTHREAD_COUNT"] = str(len(cores))
        environment["POCL_CPU_MAX_CU_COUNT"] = str(len(cores))
    if user is not None:
        for name in _OF_ONE_USER:
            if name not in passed:
                environment.pop(name, None)
        own = {"HOME": user.home, "USER": user.name, "LOGNAME": user.name}
        environment = own | environment
    return environment


def _is_needed(name: str) -> bool:
    if name in _NAMES:
        return True
    return name.startswith(_PREFIXES) and not any(word in name for word in _SECRETS)
