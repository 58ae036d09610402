"""The names of when launches are split, which users write."""

from __future__ import annotations

import pytest

from vcl.split import Split


def test_a_name_is_its_own_text() -> None:
    assert [f"{each}" for each in Split] == ["pays", "always"] and Split("pays") is Split.pays


def test_another_name() -> None:
    with pytest.raises(ValueError, match="'never' is not a valid Split"):
        Split("never")
