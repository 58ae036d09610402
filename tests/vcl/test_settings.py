"""Settings: the environment, the token file, addresses as users write them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from vcl import settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("VCL_MASTER", "VCL_TOKEN", "VCL_LOCAL_NODES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "state_dir", lambda: tmp_path / "state")


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = settings.Environment()
    assert (nothing.master, nothing.token, nothing.local_nodes) == (None, None, 2)
    monkeypatch.setenv("VCL_MASTER", "ws://there:1")
    monkeypatch.setenv("VCL_TOKEN", "secret")
    monkeypatch.setenv("VCL_LOCAL_NODES", "3")
    found = settings.Environment()
    assert (found.master, found.token, found.local_nodes) == ("ws://there:1", "secret", 3)


def test_a_token_is_made_once_and_for_its_user_only(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "state"
    token = settings.make_token(directory)
    assert len(token) >= 32
    assert settings.make_token(directory) == token
    assert stat.S_IMODE((directory / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert settings.make_token(tmp_path / "b") != token


def test_a_state_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        settings.make_token(tmp_path / "file")


def test_where_a_token_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings.find_token() == ""
    made = settings.make_token(tmp_path / "state")
    assert settings.find_token() == made
    monkeypatch.setenv("VCL_TOKEN", "of the environment")
    assert settings.find_token() == "of the environment"
    assert settings.find_token("given") == "given"
    assert settings.find_token("") == ""


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("node", "ws://node:7470"),
        ("node:1", "ws://node:1"),
        ("ws://node", "ws://node:7470"),
        ("wss://node", "wss://node:7470"),
        ("ws://node:1/path", "ws://node:1/path"),
        ("ws://node/path", "ws://node:7470/path"),
        ("127.0.0.1", "ws://127.0.0.1:7470"),
        ("[::1]", "ws://[::1]:7470"),
        ("ws://[::1]:1", "ws://[::1]:1"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    assert settings.master_url(text) == url


@pytest.mark.parametrize("text", ["", "ws://", "http://node", "tcp://node:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="write ws://HOST:7470"):
        settings.master_url(text)
