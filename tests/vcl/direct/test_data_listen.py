"""Where executors listen: what users may write."""

from __future__ import annotations

import pytest

from vcl.direct.data_listen import DataListen


@pytest.mark.parametrize(
    ("text", "host", "low", "high"),
    [("10.0.0.1", "10.0.0.1", 0, 0), ("node7:5000", "node7", 5000, 5000),
     ("[::1]:5000-5010", "::1", 5000, 5010), ("h:1-65535", "h", 1, 65535)],
)  # fmt: skip
def test_where_to_listen(text: str, host: str, low: int, high: int) -> None:
    assert DataListen.parse(text) == DataListen(host, low, high)


@pytest.mark.parametrize("text", ["", ":5", "h:", "h:0", "h:5-4", "h:70000", "h:1-2-3", "::1:5"])
def test_where_nobody_can_listen(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST|ports"):
        DataListen.parse(text)


def test_the_address_towards_a_master() -> None:
    assert DataListen.towards("ws://127.0.0.1:9") == DataListen("127.0.0.1")
    assert DataListen.towards("wss://127.0.0.1") == DataListen("127.0.0.1")
