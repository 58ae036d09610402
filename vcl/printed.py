"""What kernels printed, on its way to the program's standard output.

Owns: keeping text until its launch has ended, so that it comes in the order in which events end,
and naming the nodes in it. Must not know: where it is written.

While one node alone has printed in a session, text is left as it is. From the moment that a
second node prints, each line begins with "[node name] ".
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from vcl.errors import RemoteProtocolError
from vcl.wire.limits import printed_bytes_max
from vcl.wire.messages import session


class PrintedText:
    """Messages in, text for the program out."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[str, bytearray]] = {}  # by event, until it has ended
        self._node: str | None = None  # that has printed
        self._several = False
        self._open = False  # the line that was written last hasn't ended

    @property
    def is_held(self) -> bool:
        """Whether there is text of launches that haven't ended."""
        return bool(self._held)

    def take(self, messages: Sequence[Any], events: Container[int]) -> str:
        """The text to be written before these messages are carried out.

        events: the ones under way. Raises RemoteProtocolError for what no honest master says.
        """
        written = []
        for m in messages:
            if type(m) is session.Printed:
                self._hold(m, events)
            elif self._held and type(m) is session.EventsDone:
                for row in m.events:
                    held = self._held.pop(row[0], None)
                    if held is not None:
                        written.append(self._named(held[0], held[1].decode(errors="replace")))
        return "".join(written)

    def _hold(self, m: session.Printed, events: Container[int]) -> None:
        if m.event not in events:
            raise RemoteProtocolError(f"text printed for event {m.event}, which isn't under way")
        _, text = self._held.setdefault(m.event, (m.node_name, bytearray()))
        text += m.text
        if len(text) > printed_bytes_max:
            raise RemoteProtocolError(f"a launch printed more than {printed_bytes_max} bytes")

    def _named(self, node: str, text: str) -> str:
        """The text with its node's name where that is wanted."""
        if not text:
            return ""
        same = self._node in (None, node)
        self._several = self._several or not same
        self._node = node
        goes_on, self._open = self._open, not text.endswith("\n")
        if not self._several:
            return text
        prefix = f"[{node}] "
        lines = text.removesuffix("\n").replace("\n", f"\n{prefix}")
        first = prefix
        if goes_on:
            first = "" if same else f"\n{prefix}"
        return first + lines + ("" if self._open else "\n")
