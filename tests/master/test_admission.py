"""Tokens by role, and names that stay their hosts'."""

from __future__ import annotations

from typing import Any

import pytest

from master import admission
from master.admission import Admission
from vcl.wire.messages.handshake import Hello


def hello(role: str = "agent", **fields: Any) -> Hello:
    return Hello.model_validate({"software": "9", "role": role, "token": "", **fields})


@pytest.mark.parametrize(
    ("role", "token", "said"),
    [
        ("client", "u", ""),
        ("agent", "a", ""),
        ("client", "a", "this is the agents' token; a client needs the users'"),
        ("agent", "u", "this is the users' token; an agent needs another"),
        ("client", "x", "the token is wrong (from there:1)"),
        ("agent", "x", "the token is wrong (from there:1)"),
        ("client", "", "no token was given (from there:1): give the one that"),
        ("agent", "", "no token was given (from there:1): give the one that"),
    ],
)
def test_which_token_is_good_for_what(role: str, token: str, said: str) -> None:
    text = Admission("u", "a").token_problem(hello(role, token=token), "there:1")
    assert text.startswith(said) and bool(text) == bool(said)


def test_a_name_belongs_to_the_host_that_had_it_first() -> None:
    made = Admission("u", "a")
    mine, other = hello(name="n", host="secret"), hello(name="n", host="another")
    assert made.name_problem(mine) == made.name_problem(other) == ""
    made.admitted(mine, "192.0.2.7:5123")
    assert made.name_problem(mine) == ""
    text = made.name_problem(other)
    assert "'n'" in text and "192.0.2.7:" in text and "5123" not in text and "--name" in text
    assert "secret" not in text
    assert made.name_problem(hello(name="n")) != "", "no host is a host of its own"


def test_agents_that_get_their_names_from_the_master() -> None:
    made = Admission("u", "a")
    made.admitted(hello(host="one"), "p")
    assert made.name_problem(hello(host="two")) == ""


def test_how_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "names_remembered_max", 3)
    made = Admission("u", "a")
    for name in "abcad":
        made.admitted(hello(name=name, host="one"), "p")
    taken = [name for name in "abcd" if made.name_problem(hello(name=name, host="two"))]
    assert taken == ["a", "c", "d"]
    assert r"the name 'n\\nlog' has char" in made.name_problem(hello(name="n\nlog"))
