"""Settings: the environment, and addresses as users write them."""

from __future__ import annotations

import pytest

from vcl import settings
from vcl.errors import ConnectionProblem


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER", "TOKEN", "AGENT_TOKEN", "LOCAL_NODES", "CHECK_ACCESS", "QUIET"):
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
    ("name", "value", "problem"),
    [
        ("LOCAL_NODES", "two", "VCL_LOCAL_NODES is 'two': input should be a valid integer"),
        ("LOCAL_NODES", "0", "VCL_LOCAL_NODES is '0': input should be greater than or equal to 1"),
        ("SPLIT", "no", "VCL_SPLIT is 'no': input should be 'pays' or 'always'"),
        ("QUIET", "x", "VCL_QUIET is 'x': input should be a valid boolean"),
    ],
)
def test_a_value_that_is_none_is_told_in_one_line(
    name: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"VCL_{name}", value)
    with pytest.raises(ConnectionProblem) as caught:
        settings.Environment()
    assert str(caught.value) == problem


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
