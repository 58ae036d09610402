"""Where settings come from: flags, then environment, then files of the user.

Owns: names of environment variables, the default address, the state directory and its token file.
Must not know: connections.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_PORT = 7470


class Environment(BaseSettings):
    """VCL_MASTER, VCL_TOKEN and VCL_LOCAL_NODES as the process has them now; empty is unset."""

    model_config = SettingsConfigDict(env_prefix="VCL_", env_ignore_empty=True)

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
    if not path.exists():
        # Written whole under another name first: a crash or a second master never leaves half.
        descriptor, name = tempfile.mkstemp(prefix="token-", dir=directory)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
        os.unlink(name)
    token = path.read_text().strip()
    if not token:
        raise OSError(f"{path} is empty; delete it to have a new token made")
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
