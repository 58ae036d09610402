"""What kernels printed: held until the launch ends, in order, with names once two nodes print."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcl.errors import RemoteProtocolError
from vcl.printed import PrintedText
from vcl.wire.limits import printed_bytes_max
from vcl.wire.messages.session import EventsDone, Printed

EVENTS = range(1, 100)


def done(*events: int) -> EventsDone:
    return EventsDone([[event, 0, 1, 2, None] for event in events])


def take(text: PrintedText, *messages: Any) -> str:
    return text.take(messages, EVENTS)


def launch(text: PrintedText, node: str, printed: bytes) -> str:
    return take(text, Printed(1, node, printed), done(1))


def test_text_comes_when_its_launch_has_ended() -> None:
    text = PrintedText()
    assert take(text, Printed(1, "a", b"one\ntw")) == ""
    assert take(text, done(2)) == ""
    assert take(text, Printed(1, "a", b"o\n"), done(3, 1)) == "one\ntwo\n"
    assert take(text, done(4)) == ""


def test_text_comes_in_the_order_of_ends() -> None:
    text = PrintedText()
    take(text, Printed(2, "a", b"second\n"), Printed(1, "a", b"first\n"))
    assert take(text, done(1, 2)) == "first\nsecond\n"


def test_a_letter_in_two_pieces() -> None:
    text = PrintedText()
    assert take(text, Printed(1, "a", b"\xc3"), Printed(1, "a", b"\xa4\xff"), done(1)) == "ä\ufffd"


def test_names_from_the_second_node_on() -> None:
    text = PrintedText()
    assert launch(text, "a", b"one\n\ntwo\n") == "one\n\ntwo\n"
    assert launch(text, "b", b"three\nfour\n") == "[b] three\n[b] four\n"
    assert launch(text, "b", b"\n") == "[b] \n"
    assert launch(text, "a", b"five\n") == "[a] five\n"


def test_a_line_that_goes_on() -> None:
    text = PrintedText()
    assert launch(text, "a", b"one") == "one"
    assert launch(text, "a", b" two\nthree") == " two\nthree"
    assert launch(text, "b", b"four") == "\n[b] four"
    assert launch(text, "b", b" five\nsix") == " five\n[b] six"
    assert launch(text, "b", b"\n") == "\n"
    assert launch(text, "a", b"seven\n") == "[a] seven\n"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text("x\n", min_size=1)), min_size=1))
def test_every_line_is_of_one_node(printed: list[tuple[str, str]]) -> None:
    text = PrintedText()
    launch(text, "a", b"\n")
    launch(text, "b", b"\n")
    out = "".join(launch(text, node, piece.encode()) for node, piece in printed)
    assert all(line[:4] in ("[a] ", "[b] ") for line in out.splitlines())
    assert out.count("x") == sum(piece.count("x") for _, piece in printed)
    assert out.endswith("\n") == printed[-1][1].endswith("\n")


def test_what_no_master_says() -> None:
    text = PrintedText()
    with pytest.raises(RemoteProtocolError, match="isn't under way"):
        take(text, Printed(1000, "a", b"x"))
    take(text, Printed(1, "a", b"x" * printed_bytes_max))
    with pytest.raises(RemoteProtocolError, match="printed more than"):
        take(text, Printed(1, "a", b"x"))
