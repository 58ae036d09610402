"""The tokens of a cluster: how they are kept on disk, and to whom this user's own are presented.

Owns: the master's state directory (two tokens, and the address at which the master listens), the
checks of everything that is read from there, and the rule that says for which URL a token is taken
from there. Must not know: connections, or what a token lets its holder do.

Two tokens, so that who may launch isn't thereby able to join as an agent and be given the bytes
and kernels of others: USERS for clients, AGENTS for agents.

A loopback port belongs to whoever binds it first, which may be another user of the host. So the
master writes down where it listens and which process it is, and its tokens are presented to that
very address only, while that process lives: as long as it does, nobody else can listen there.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import secrets
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from vcl.errors import ConnectionProblem
from vcl.family import started

Kind = Literal["token", "agent-token"]
USERS: Kind = "token"
AGENTS: Kind = "agent-token"
_ADDRESS = "address"

token_bytes_max = 1024


class Tokens(NamedTuple):
    """users: what clients present. agents: what agents do."""

    users: str
    agents: str


def make_tokens(directory: Path) -> Tokens:
    """The tokens in a state directory; made there on first use, readable by its user only.

    Raises OSError when the directory can't be used, or what is there can't be trusted; the text
    says how to mend it.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _opened(directory) as folder:
        made = Tokens(_make(directory, folder, USERS), _make(directory, folder, AGENTS))
    if made.users == made.agents:
        raise PermissionError(
            f"{directory / USERS} and {directory / AGENTS} hold the same token, so every user "
            "could join as an agent: delete one of them to have it made anew"
        )
    return made


def find_token(url: str, kind: Kind, given: str | None = None) -> str:
    """The token to present to a master: given, or the environment's (VCL_TOKEN, for agents
    VCL_AGENT_TOKEN), or that of this user's own master if the URL is its address, or "".

    Raises ConnectionProblem if there is one that can't be trusted.
    """
    if given is not None:
        return given
    from vcl import settings  # the process that holds an embedded cluster needs none

    environment = settings.Environment()
    chosen = environment.token if kind == USERS else environment.agent_token
    if chosen:
        return chosen
    directory = settings.state_dir()
    if sys.platform != "linux":  # no master runs here
        return ""
    if not may_be_own(url) or not directory.is_dir():
        return ""
    try:
        with _opened(directory) as folder:
            return _read(directory, folder, kind) if _is_own(url, directory, folder) else ""
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConnectionProblem(f"this user's own token for {url} can't be used: {error}") from None


def read_token_file(path: Path) -> str:
    """The token in a file that the user named. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PermissionError(f"{path} isn't a regular file")
        return _content(descriptor, path)
    finally:
        os.close(descriptor)


def write_address(directory: Path, host: str, port: int) -> None:
    """Note that this process, a master with its tokens in `directory`, listens there."""
    pid = os.getpid()
    with _opened(directory) as folder:
        fresh = _write(folder, _ADDRESS, f"{host} {port} {pid} {started(pid)}")
        os.replace(fresh, _ADDRESS, src_dir_fd=folder, dst_dir_fd=folder)


def forget_address(directory: Path) -> None:
    """This process is about to listen no longer; another master's note is left alone."""
    with contextlib.suppress(OSError), _opened(directory) as folder:
        if _read(directory, folder, _ADDRESS).split()[2:3] == [str(os.getpid())]:
            os.unlink(_ADDRESS, dir_fd=folder)


# ---- whose master


def may_be_own(url: str) -> bool:
    """Whether a URL is one of this host by number, at which this user's own master may listen."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_own(url: str, directory: Path, folder: int) -> bool:
    """Whether a URL for which `may_be_own` holds names the address at which the master that
    wrote into this directory listens now."""
    fields = _read(directory, folder, _ADDRESS).split()
    try:
        listens = ipaddress.ip_address(fields[0])
        port, pid, start = map(int, fields[1:])
    except (ValueError, IndexError):
        raise PermissionError(
            f"{directory / _ADDRESS} is damaged: delete it and start vcl-master again"
        ) from None
    target = urlsplit(url)
    if target.port != port or started(pid) != start:
        return False
    if target.hostname == "localhost":
        # It may mean 127.0.0.1 and ::1, and another user may listen at the one that isn't ours.
        host = "127.0.0.1" if listens == ipaddress.IPv4Address(0) else str(listens)
        shown = f"[{host}]" if ":" in host else host
        raise PermissionError(
            f"write {target.scheme}://{shown}:{port} rather than localhost, which may be more "
            "than one address, or give a token"
        )
    address = ipaddress.ip_address(target.hostname or "")
    return listens == address or (
        listens.is_unspecified and listens.version == address.version
    )


# ---- files


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    """A descriptor of the directory, which is its user's own. The directory itself may be a link:
    with systemd's DynamicUser it is one."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status, quoted = os.fstat(descriptor), shlex.quote(str(directory))
        _check_owner(status, directory)
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(
                f"others may write into {directory}: chmod go-w {quoted}, and delete the tokens in "
                "it if you don't know who made them"
            )
        yield descriptor
    finally:
        os.close(descriptor)


def _read(directory: Path, folder: int, name: str) -> str:
    """What a file in the directory says; it must be its user's own, and nobody else's to read."""
    path = directory / name
    try:
        # NONBLOCK: the opening of a FIFO would wait for whoever writes into it.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _irregular(path) from None
        raise
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _irregular(path)
        _check_owner(status, path)
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            quoted = shlex.quote(str(path))
            raise PermissionError(
                f"others may use {path}: chmod 600 {quoted}, or delete it to have a new one made "
                "if others have used this host since"
            )
        return _content(descriptor, path)
    finally:
        os.close(descriptor)


def _irregular(path: Path) -> PermissionError:
    return PermissionError(
        f"{path} isn't a regular file: rm -r {shlex.quote(str(path))} to have it made anew"
    )


def _check_owner(status: os.stat_result, path: Path) -> None:
    own = os.geteuid()
    if status.st_uid != own:
        command = f"chown {_user(own)} {shlex.quote(str(path))}"
        raise PermissionError(
            f"{path} belongs to {_user(status.st_uid)}, not to {_user(own)}, whose process this "
            f"is: {command} (as root), or delete it to have it made anew"
        )


def _user(number: int) -> str:
    import pwd  # which only Linux, where there are masters, need have

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _content(descriptor: int, path: Path) -> str:
    data = os.read(descriptor, token_bytes_max + 1)
    if len(data) > token_bytes_max:
        raise PermissionError(f"{path} is too long for a token ({token_bytes_max} bytes at most)")
    text = data.decode("ascii", "replace").strip()
    if not text:
        raise PermissionError(f"{path} is empty; delete it to have a new token made")
    if not text.isascii() or not text.isprintable():
        raise PermissionError(f"{path} holds something else than one line of text")
    return text


def _make(directory: Path, folder: int, name: Kind) -> str:
    try:
        return _read(directory, folder, name)
    except FileNotFoundError:
        # Written whole under another name first: a crash or a second master never leaves half.
        fresh = _write(folder, name, secrets.token_urlsafe(24))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.unlink(fresh, dir_fd=folder)
        return _read(directory, folder, name)


def _write(folder: int, name: str, text: str) -> str:
    """A new file in the directory, for its user only; answers its name, made from `name`."""
    fresh = f"{name}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(fresh, flags, 0o600, dir_fd=folder), "w") as file:
        file.write(text + "\n")
    return fresh
