"""The warning that a node is gone."""

from __future__ import annotations

import warnings

import pytest

from vcl import losses


def test_each_loss_is_told_once_at_the_caller_s_line() -> None:
    told = ["node a is gone: it crashed", "node b is gone"]
    with pytest.warns(losses.NodeLost) as caught:
        losses.warn(told)
    assert [str(each.message).partition(";")[0] for each in caught] == [
        "node a is gone: it crashed", "node b is gone",
    ]  # fmt: skip
    assert {each.filename for each in caught} == {__file__}
    assert not told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses.warn(told)


def test_a_filter_may_raise_and_the_next_is_told_later() -> None:
    told = ["node a is gone", "node b is gone"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(losses.NodeLost, match="node a"):
            losses.warn(told)
    assert told == ["node b is gone"]
