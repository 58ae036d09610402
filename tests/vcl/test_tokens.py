"""Tokens on disk: what is made, what is refused, and to which URL this user's own are presented."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vcl import settings, tokens
from vcl.errors import ConnectionProblem
from vcl.tokens import AGENTS, USERS, find_token, make_tokens, write_address

NOT_ROOT = os.geteuid() != 0


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """This user's state directory; nothing is there yet."""
    for name in ("VCL_TOKEN", "VCL_AGENT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "state_dir", lambda: tmp_path / "state")
    return tmp_path / "state"


# Made and read


def test_tokens_are_made_once_and_for_their_user_only(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "state"
    made = make_tokens(directory)
    assert len(made.users) >= 32 and len(made.agents) >= 32 and made.users != made.agents
    assert make_tokens(directory) == made
    assert (directory / "token").read_text() == made.users + "\n"
    assert (directory / "agent-token").read_text() == made.agents + "\n"
    assert sorted(path.name for path in directory.iterdir()) == ["agent-token", "token"]
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert not set(make_tokens(tmp_path / "b")) & set(made)


def test_a_directory_of_an_earlier_version_gets_the_agents_token(state: Path) -> None:
    state.mkdir(mode=0o700)
    (state / "token").touch(0o600)
    (state / "token").write_text("as before\n")
    made = make_tokens(state)
    assert made.users == "as before" and len(made.agents) >= 32


def test_the_directory_may_be_a_link(tmp_path: Path) -> None:
    """As systemd's StateDirectory is with DynamicUser."""
    made = make_tokens(tmp_path / "private")
    (tmp_path / "link").symlink_to("private")
    assert make_tokens(tmp_path / "link") == made


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        make_tokens(tmp_path / "file")
    with pytest.raises(OSError):
        make_tokens(tmp_path / "file" / "state")


def test_both_tokens_are_the_same(state: Path) -> None:
    made = make_tokens(state)
    (state / "agent-token").write_text(made.users)
    with pytest.raises(PermissionError, match="the same token"):
        make_tokens(state)


# Refused


def refusal(state: Path) -> str:
    """What both the master and its user's programs say of a directory; the same."""
    with pytest.raises(PermissionError) as made:
        make_tokens(state)
    write = state / "address"
    if not os.path.lexists(write):
        write.touch(0o600)
        write.write_text(f"127.0.0.1 7470 {os.getpid()} {tokens.started(os.getpid())}\n")
    with pytest.raises(ConnectionProblem) as found:
        find_token("ws://127.0.0.1:7470", USERS)
    assert str(made.value) in str(found.value)
    return str(made.value)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_directory_that_others_may_write_into(state: Path, mode: int) -> None:
    made = make_tokens(state)
    state.chmod(mode)
    assert f"chmod go-w {state}" in refusal(state)
    state.chmod(0o755)
    assert make_tokens(state) == made


@pytest.mark.skipif(NOT_ROOT, reason="only root can give files away")
def test_what_belongs_to_another_user(state: Path) -> None:
    make_tokens(state)
    os.chown(state / "token", 65534, -1)
    text = refusal(state)
    assert f"{state / 'token'} belongs to" in text and "chown root" in text
    os.chown(state, 65534, -1)
    assert f"{state} belongs to" in refusal(state)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_token_that_others_may_use(state: Path, mode: int) -> None:
    make_tokens(state)
    (state / "token").chmod(mode)
    assert f"chmod 600 {state / 'token'}" in refusal(state)


def test_what_is_no_regular_file(state: Path, tmp_path: Path) -> None:
    made = make_tokens(state)
    path, kept = state / "token", tmp_path / "kept"
    path.rename(kept)
    makers = {
        "a FIFO, which must not hang": lambda: os.mkfifo(path, 0o600),
        "a link to a good one": lambda: path.symlink_to(kept),
        "a folder": lambda: path.mkdir(0o700),
        "a link to nothing": lambda: path.symlink_to("absent"),
    }
    for what, make in makers.items():
        make()
        text = refusal(state)
        assert "isn't a regular file" in text and f"rm -r {path}" in text, what
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    kept.rename(path)
    assert make_tokens(state) == made


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b" \n", "empty"), (b"x" * 5000, "too long"), (b"a\nb\n", "one line"),
     (b"\xff\xfe", "one line"), (b"a\0b", "one line")],
)  # fmt: skip
def test_a_file_that_holds_no_token(state: Path, content: bytes, said: str) -> None:
    make_tokens(state)
    (state / "token").write_bytes(content)
    text = refusal(state)
    assert said in text and str(state / "token") in text


def test_a_file_that_the_user_named(tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.write_text("secret\n")
    path.chmod(0o644)
    (tmp_path / "link").symlink_to(path)
    assert tokens.read_token_file(path) == tokens.read_token_file(tmp_path / "link") == "secret"
    os.mkfifo(tmp_path / "fifo")
    for wrong in ("fifo", "absent", "."):
        with pytest.raises(OSError, match=str(tmp_path)):
            tokens.read_token_file(tmp_path / wrong)


# Presented


def test_where_a_token_comes_from(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "ws://127.0.0.1:7470"
    assert find_token(url, USERS) == find_token(url, AGENTS) == ""
    made = make_tokens(state)
    assert find_token(url, USERS) == "", "no master has said that it listens"
    write_address(state, "127.0.0.1", 7470)
    assert find_token(url, USERS) == made.users
    assert find_token(url, AGENTS) == made.agents
    monkeypatch.setenv("VCL_TOKEN", "of the environment")
    assert find_token(url, USERS) == "of the environment"
    assert find_token(url, AGENTS) == made.agents
    monkeypatch.setenv("VCL_AGENT_TOKEN", "of an agent's")
    assert find_token(url, AGENTS) == "of an agent's"
    for far in (url, "ws://192.0.2.1:7470"):
        assert find_token(far, USERS, "given") == "given"
        assert find_token(far, USERS, "") == ""
        assert find_token(far, USERS) == "of the environment"


@pytest.mark.parametrize(
    ("listens", "to", "not_to"),
    [
        (
            "127.0.0.1",
            ["127.0.0.1:7470"],
            ["127.0.0.1:7471", "127.0.0.2:7470", "[::1]:7470", "192.0.2.1:7470", "host:7470",
             "0.0.0.0:7470", "[::ffff:127.0.0.1]:7470", "127.0.0.1.example:7470"],
        ),
        ("::1", ["[::1]:7470", "[0:0::1]:7470"], ["127.0.0.1:7470"]),
        ("0.0.0.0", ["127.0.0.1:7470", "127.9.9.9:7470"], ["[::1]:7470", "192.0.2.1:7470"]),
        ("::", ["[::1]:7470"], ["127.0.0.1:7470"]),
        ("192.0.2.1", [], ["192.0.2.1:7470", "127.0.0.1:7470"]),
    ],
)  # fmt: skip
def test_to_whom_a_token_is_presented(
    state: Path, listens: str, to: list[str], not_to: list[str]
) -> None:
    made = make_tokens(state)
    write_address(state, listens, 7470)
    assert [find_token(f"ws://{address}", USERS) for address in to] == [made.users] * len(to)
    assert [find_token(f"ws://{address}/p", USERS) for address in not_to] == [""] * len(not_to)


@pytest.mark.parametrize(
    ("listens", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")],
)
def test_localhost_may_be_two_addresses(state: Path, listens: str, shown: str) -> None:
    make_tokens(state)
    write_address(state, listens, 7470)
    with pytest.raises(ConnectionProblem, match="rather than localhost") as problem:
        find_token("ws://localhost:7470", USERS)
    assert f"ws://{shown}:7470 " in str(problem.value)
    assert find_token("ws://localhost:7471", USERS) == ""


def test_nothing_is_presented_to_who_listens_after_the_master(state: Path) -> None:
    """It was killed, so its note is still there, and its port is anybody's."""
    source = (
        "import pathlib, sys; from vcl import tokens; directory = pathlib.Path(sys.argv[1])\n"
        "tokens.make_tokens(directory); tokens.write_address(directory, '127.0.0.1', 7470)\n"
        "print('ready', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", source, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as master:
        assert master.stdout is not None
        assert master.stdout.readline() == b"ready\n"
        url = "ws://127.0.0.1:7470"
        assert len(find_token(url, USERS)) >= 32
        tokens.forget_address(state)
        assert len(find_token(url, USERS)) >= 32, "this process isn't the one that listens"
        master.kill()
        master.wait()
        assert find_token(url, USERS) == ""


def test_an_address_is_forgotten_by_who_wrote_it(state: Path) -> None:
    make_tokens(state)
    write_address(state, "127.0.0.1", 1)
    write_address(state, "127.0.0.1", 2)
    assert stat.S_IMODE((state / "address").stat().st_mode) == 0o600
    tokens.forget_address(state)
    tokens.forget_address(state)
    assert sorted(path.name for path in state.iterdir()) == ["agent-token", "token"]


@pytest.mark.parametrize("content", ["x", "127.0.0.1", "127.0.0.1 a 1 1", "127.0.0.1 1 1 1 1"])
def test_an_address_that_is_damaged(state: Path, content: str) -> None:
    make_tokens(state)
    (state / "address").touch(0o600)
    (state / "address").write_text(content)
    with pytest.raises(ConnectionProblem, match="damaged"):
        find_token("ws://127.0.0.1:7470", USERS)
