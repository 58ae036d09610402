"""Settings: the environment, and addresses as users write them."""

from __future__ import annotations

import pytest

from vcl import settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER", "TOKEN", "AGENT_TOKEN", "LOCAL_NODES", "CHECK_ACCESS"):
        monkeypatch.delenv(f"VCL_{name}", raising=False)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = settings.Environment()
    assert (nothing.master, nothing.token, nothing.local_nodes) == (None, None, 2)
    assert nothing.agent_token is None and not nothing.check_access
    monkeypatch.setenv("VCL_MASTER", "ws://there:1")
    monkeypatch.setenv("VCL_TOKEN", "secret")
    monkeypatch.setenv("VCL_AGENT_TOKEN", "another")
    monkeypatch.setenv("VCL_LOCAL_NODES", "3")
    monkeypatch.setenv("VCL_CHECK_ACCESS", "1")
    found = settings.Environment()
    assert (found.master, found.token, found.local_nodes) == ("ws://there:1", "secret", 3)
    assert found.agent_token == "another" and found.check_access


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
