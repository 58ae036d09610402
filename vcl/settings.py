"""Where settings come from: flags, then environment, then files of the user.

Owns: names of environment variables, the default address, where the state directory is. Must not
know: connections, or what is in that directory (`vcl.tokens`).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from vcl.errors import ConnectionProblem
from vcl.split import Split

DEFAULT_PORT = 7470


class Environment(BaseSettings):
    """VCL_MASTER, VCL_TOKEN, VCL_AGENT_TOKEN, VCL_LOCAL_NODES, VCL_SPLIT, VCL_TRUST,
    VCL_CHECK_ACCESS, VCL_QUIET, VCL_REQUIRE_CLUSTER and VCL_REPORT as the process has them now;
    empty is unset."""

    model_config = SettingsConfigDict(env_prefix="VCL_", env_ignore_empty=True)

    def __init__(self) -> None:
        """Raises ConnectionProblem, with a line for each variable that has no sensible value."""
        try:
            super().__init__()
        except ValidationError as error:
            wrong = [
                f"VCL_{str(found['loc'][0]).upper()} is {found['input']!r}: "
                f"{found['msg'].partition(',')[0].lower()}"
                for found in error.errors()
            ]
            raise ConnectionProblem("; ".join(wrong)) from None

    master: str | None = None
    token: str | None = None
    agent_token: str | None = None
    local_nodes: int = Field(2, ge=1)
    split: Split = Split.pays
    trust: bool = True
    check_access: bool = False
    quiet: bool = False
    require_cluster: bool = False
    report: str | None = None


def state_dir() -> Path:
    """The user's directory for the master's state."""
    return Path(platformdirs.user_state_dir("vcl"))


def master_url(text: str) -> str:
    """A URL from what a user wrote: adds ws:// and the default port where they're missing.

    Raises ValueError with a text for the user.
    """
    try:
        parts = urlsplit(text if "://" in text else f"ws://{text}")
        port = parts.port or DEFAULT_PORT
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(
            f"{text!r} isn't the address of a vcl-master: write ws://HOST:{DEFAULT_PORT}"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}{parts.path}"
