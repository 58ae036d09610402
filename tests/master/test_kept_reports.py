"""Which launches are remembered for their reports, and who is answered when."""

from __future__ import annotations

import pytest

from master import kept_reports
from tests.master.rigs import SessionRig
from tests.master.test_growth import wide_rig
from tests.master.test_sessions import fill, launch, rig
from vcl.errors import RemoteProtocolError
from vcl.wire.messages.session import AskReport, CreateUserEvent, Report, SetUserEvent


def test_reports_are_kept_for_so_many_parts_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_reports, "parts_kept_max", 100)
    r, message = wide_rig(40)
    for event in (1000, 1001, 1002, 1002):
        r.say(message(event))
        r.run()
    assert list(r.session._reports._kept) == [1001, 1002], "and one of a number that came again"
    monkeypatch.setattr(kept_reports, "parts_kept_max", 39)
    r.say(message(1003))
    r.run()
    assert list(r.session._reports._kept) == [1003] and r.session._reports._parts == 40


def begun() -> SessionRig:
    """With a launch that waits for a user event."""
    r = rig()
    r.say(CreateUserEvent(20, 1), launch(21, waits=(20,)))
    return r


def answered(r: SessionRig) -> list[int]:
    found = [m.request for m in r.told(Report)]
    r.client.clear()
    return found


def test_who_asks_is_answered_once_the_command_is_complete() -> None:
    r = begun()
    r.say(AskReport(90, 21), AskReport(91, 21))
    assert answered(r) == []
    r.say(SetUserEvent(20, 0))
    r.run()
    assert answered(r) == [90, 91]
    assert not any(r.session._reports.tables[1:])
    r.say(AskReport(92, 21), AskReport(93, 77))
    assert answered(r) == [92, 93]


def test_more_than_so_many_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_reports, "reports_asked_max", 2)
    reports = begun().session._reports
    for request in (90, 91):
        reports.ask(21, request, under_way=True)
    with pytest.raises(RemoteProtocolError, match="more than 2 reports"):
        reports.ask(21, 92, under_way=True)


def test_a_command_that_is_no_launch_has_none() -> None:
    r = rig()
    r.say(fill(20))
    r.run()
    r.say(AskReport(90, 20))
    (report,) = r.told(Report)
    assert report.report is None
