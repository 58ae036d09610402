"""How long a node is left out whose executors don't start."""

from __future__ import annotations

from master.quarantine import Quarantine, quarantine_first_s, quarantine_max_s


def test_two_failures_in_a_row_leave_it_out_for_a_while() -> None:
    q = Quarantine()
    assert q.start_failed("no driver", 0.0) is None and q.why is None
    assert q.start_failed("no memory", 100.0) == quarantine_first_s
    assert q.why == "no memory"
    assert q.start_failed("of before", 101.0) is None, "it doesn't make it longer"
    assert not q.over(159.0) and q.why is not None
    assert q.over(160.0) and q.why is None
    assert not q.over(161.0)


def test_a_success_in_between() -> None:
    q = Quarantine()
    q.start_failed("no driver", 0.0)
    assert not q.started()
    assert q.start_failed("no driver", 1.0) is None


def test_each_time_that_did_not_help_doubles_it() -> None:
    q, now = Quarantine(), 0.0
    q.start_failed("no driver", now)
    lengths = []
    for _ in range(8):
        length = q.start_failed("no driver", now)
        assert length is not None
        lengths.append(length)
        now += length
        assert q.over(now)
    assert lengths == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, quarantine_max_s]
    assert not q.started()
    q.start_failed("no driver", now)
    assert q.start_failed("no driver", now) == quarantine_first_s


def test_a_success_ends_it() -> None:
    q = Quarantine()
    for _ in range(2):
        q.start_failed("no driver", 0.0)
    assert q.started() and q.why is None
    assert q.start_failed("no driver", 1.0) is None
