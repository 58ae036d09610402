"""Programs that are rewritten for devices of one kind aren't run on those of another."""

from __future__ import annotations

from typing import Any

from master.access.analyser.analysis import Analyser
from master.access.kernels import Footprint
from master.access.programs import Variant
from master.ledger import Question, RewriteQuestion
from master.places import Place
from tests.master.rigs import GLOBAL, SessionRig, kernel, place
from vcl.wire.messages import part
from vcl.wire.messages.session import AskReport, CreateBuffer, Launch, Report

SIZE = 256
SOURCE = "kernel void k(global int *a) { a[get_global_id(0)] = get_group_id(0); }"
ANSWERS = ("64", "1", "", "OpenCL C 1.2", "OpenCL 3.0")


def kind_of(device: int, bits: str) -> Place:
    plain = place(device)
    return Place(
        plain.device, plain.node, plain.device_name, plain.node_name, plain.group_items_max,
        plain.item_sizes_max, (bits, *ANSWERS[1:]),
    )  # fmt: skip


class Rig(SessionRig):
    """Devices of these address widths; program 5 has the kernel k(a), and buffer 10 is its a."""

    def __init__(self, *bits: str) -> None:
        super().__init__(*(kind_of(d, b) for d, b in enumerate(bits, 1)))
        self._analyser = Analyser()
        self.analyse = self._analysed
        self.rewrite = self._rewritten
        self.build(5, kernel("k", (GLOBAL, "int*")), source=SOURCE)
        self.say(CreateBuffer(10, 1, SIZE))

    def _analysed(self, question: Question) -> Footprint | str:
        _, *what = question
        return self._analyser.analyse(*what)

    def _rewritten(self, question: RewriteQuestion) -> Variant | str:
        return self._analyser.rewrite(question.units, question.device)

    def launch(self, event: int, buffer: int = 10) -> None:
        self.say(Launch(event, 2, [], 5, "k", [0], [64], [4], [[1, buffer, 0, SIZE]]))

    def built(self, node: int) -> None:
        """The variant that the node was asked for last."""
        message = self.said(part.Build, node)[-1]
        self.answer(node, part.BuildDone(message.request, 0, "", [], []))

    def answered(self, event: int) -> list[Any]:
        self.client.clear()
        self.say(AskReport(900 + event, event))
        (found,) = self.told(Report)
        assert found.report is not None
        return found.report[:2]


def test_devices_of_another_kind_do_not_run_what_was_rewritten_for_others() -> None:
    """Their macros are other ones, and what the parts are told has another width."""
    r = Rig("64", "64", "32", "32")
    r.launch(20)
    for node in (1, 2):
        r.built(node)
    r.run()
    assert r.answered(20)[0] == "regions"
    r.lose(1)
    r.lose(2)
    r.say(CreateBuffer(11, 1, SIZE))
    r.clear()
    r.launch(21, 11)
    assert [m.program for m in r.said(part.Run)] == [5]
    r.run()
    assert r.answered(21)[0] == "whole"
    assert r.answered(21)[1].endswith("(it was rewritten for devices of another kind)")
