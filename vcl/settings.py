"""Where settings come from: flags, then environment, then files of the user.

Owns: names of environment variables, the default address, the state directory and its token file.
Must not know: connections.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import platformdirs
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_PORT = 7470


class Environment(BaseSettings):
    """VCL_MASTER, VCL_TOKEN and VCL_LOCAL_NODES as the process has them now."""

    model_config = SettingsConfigDict(env_prefix="VCL_")

    master: str | None = None
    token: str | None = None
    local_nodes: int = 2


def state_dir() -> Path:
    """The user's directory for the master's state."""
    return Path(platformdirs.user_state_dir("vcl"))


def make_token(directory: Path) -> str:
    """The token in a state directory; made there on first use, readable by its user only.

    Raises OSError when the directory can't be used.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / "token"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    token = secrets.token_urlsafe(24)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    return token


def find_token(given: str | None = None) -> str:
    """The token to present: given, or VCL_TOKEN, or this user's master's on this host, or ""."""
    if given is not None:
        return given
    environment = Environment()
    if environment.token:
        return environment.token
    path = state_dir() / "token"
    return path.read_text().strip() if path.exists() else ""


def master_url(text: str) -> str:
    """A URL from what a user wrote: adds ws:// and the default port where they're missing.

    Raises ValueError with a text for the user.
    """
    url = text if "://" in text else f"ws://{text}"
    scheme, _, rest = url.partition("://")
    if scheme not in ("ws", "wss") or not rest:
        raise ValueError(f"{text!r} isn't the address of a vcl-master: write ws://HOST:{DEFAULT_PORT}")
    address = rest.split("/", 1)[0]
    has_port = address.rpartition("]")[2].count(":") if "]" in address else address.count(":")
    return url if has_port else url.replace(address, f"{address}:{DEFAULT_PORT}", 1)
