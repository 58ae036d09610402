"""What executors are given: which variables, and which user."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from node_agent import environment as subject
from node_agent.environment import ExecutorUser, child_environment, executor_user

IS_ROOT = os.geteuid() == 0
SECRETS = [
    "VCL_TOKEN", "VCL_AGENT_TOKEN", "VCL_MASTER", "VCL_RUN", "VCL_EMBEDDED", "PYOPENCL_CTX",
    "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "DATABASE_URL",
    "NVIDIA_API_KEY", "INTEL_PASSWORD", "CL_SECRET", "NEO4J_AUTH", "ROCKET_CHAT", "LD_PRELOAD",
    "PYTHONSTARTUP", "CREDENTIALS_DIRECTORY",
]  # fmt: skip
NEEDED = [
    "PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "OCL_ICD_FILENAMES",
    "OPENCL_VENDOR_PATH", "POCL_DEVICES", "CL_CONFIG_USE_VTUNE", "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES", "AMD_LOG_LEVEL", "ROCR_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION",
    "GPU_MAX_HEAP_SIZE", "HIP_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR", "SYCL_CACHE_DIR",
    "ZE_AFFINITY_MASK", "NEOReadDebugKeys", "IGC_ShaderDumpEnable", "OCLGRIND_LOG",
    "RUSTICL_ENABLE", "VCL_TRANSPORT", "XDG_CACHE_HOME", "SSL_CERT_FILE",
]  # fmt: skip


@pytest.fixture(autouse=True)
def all_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SECRETS, *NEEDED, "OWN_DRIVER"):
        monkeypatch.setenv(name, f"the {name}")


# The environment


def test_only_what_drivers_need() -> None:
    environment = child_environment(())
    assert not set(SECRETS) & set(environment)
    assert {n: environment[n] for n in NEEDED} == {n: f"the {n}" for n in NEEDED}
    assert "OWN_DRIVER" not in environment


def test_what_is_passed_by_name() -> None:
    environment = child_environment((), ("OWN_DRIVER", "ABSENT", "VCL_TOKEN", "VCL_AGENT_TOKEN"))
    assert environment["OWN_DRIVER"] == "the OWN_DRIVER"
    assert not {"ABSENT", "VCL_TOKEN", "VCL_AGENT_TOKEN"} & set(environment)


def test_poc_l_uses_the_cores_that_there_are() -> None:
    assert child_environment((2, 5))["POCL_MAX_PTHREAD_COUNT"] == "2"
    assert "POCL_MAX_PTHREAD_COUNT" not in child_environment(())


# The user


def test_the_agent_s_own_user() -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    assert executor_user(own) is None


def test_a_user_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no user 'no-such'"):
        executor_user("no-such")


@pytest.mark.skipif(IS_ROOT, reason="of agents that aren't root's")
def test_only_root_has_a_choice() -> None:
    assert executor_user(None) is None
    with pytest.raises(ValueError, match="only root"):
        executor_user("root")


@pytest.mark.skipif(not IS_ROOT, reason="only root can start processes as another user")
def test_executors_of_root_s_agent_run_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    user = executor_user(None)
    assert user is not None and user.name == subject.DEFAULT_USER and user.uid != 0
    status = os.stat(user.home)
    assert status.st_uid == user.uid and status.st_mode & 0o077 == 0
    environment = child_environment((), (), user)
    shown = subprocess.run(
        ["sh", "-c", "id -u; id -g; id -G; echo $USER $LOGNAME; cd && pwd && touch mine"],
        env=environment, capture_output=True, text=True, check=True, **user.arguments(),
    ).stdout.splitlines()  # fmt: skip
    assert shown[:2] == [str(user.uid), str(user.gid)]
    assert sorted(map(int, shown[2].split())) == sorted({user.gid, *user.groups})
    assert shown[3:] == ["nobody nobody", user.home]


def test_another_user_gets_none_of_the_agent_s_own_folders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = ExecutorUser("them", 65534, 65534, (), "/theirs")
    own = {"HOME": "/theirs", "USER": "them", "LOGNAME": "them"}
    folders = [
        "XDG_CACHE_HOME", "TMPDIR", "TEMP", "TMP", "PYTHONPYCACHEPREFIX", "POCL_CACHE_DIR",
        "CUDA_CACHE_PATH", "SYCL_CACHE_DIR",
    ]  # fmt: skip
    for name in [*own, *folders]:
        monkeypatch.setenv(name, f"/root/{name}")
    environment = child_environment((), (), user)
    assert not set(folders) & set(environment)
    assert {n: environment[n] for n in own} == own
    assert environment["OCLGRIND_LOG"] == "the OCLGRIND_LOG"
    assert set(folders) <= set(child_environment(()))
    for name in [*own, *folders]:
        assert child_environment((), (name,), user)[name] == f"/root/{name}"
    monkeypatch.delenv("HOME")
    assert child_environment((), ("HOME",), user)["HOME"] == "/theirs"


@pytest.mark.skipif(not IS_ROOT, reason="only root can start processes as another user")
def test_a_home_that_was_made_goes_with_the_agent() -> None:
    source = (
        "from node_agent.environment import executor_user as u; h = u(None).home;"
        "open(h + '/kept', 'w'); print(h)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], env={"PYTHONPATH": os.getcwd()}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    home = done.stdout.strip()
    assert home == pwd.getpwnam("nobody").pw_dir or not os.path.exists(home)
