"""What the daemons' logs look like; each case is a process, as a process has one log."""

from __future__ import annotations

import json
import logging
import textwrap

import pytest

from tests.processes import run
from vcl.logs import Level, set_up

SPEAKER = """
    import logging, sys
    from vcl.logs import Level, set_up
    set_up(Level(sys.argv[1]), sys.argv[2] == "json")
    log = logging.getLogger("vcl-master")
    for level in ("debug", "info", "warning", "error"):
        getattr(log, level)("%s said", level)
    logging.getLogger("picows").info("a connection")
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("gone wrong")
    """


def said(level: str, form: str) -> list[str]:
    done = run(["-c", textwrap.dedent(SPEAKER), level, form])
    assert done.returncode == 0 and not done.stdout
    return done.stderr.splitlines()


@pytest.mark.parametrize("level", list(Level))
def test_from_a_level_on(level: Level) -> None:
    lines = [line for line in said(level, "text") if line.endswith(" said")]
    assert [line.split()[-2] for line in lines] == list(Level)[list(Level).index(level) :]
    assert all(" vcl-master " in line for line in lines)


def test_a_line_of_json_a_message() -> None:
    found = [json.loads(line) for line in said("info", "json")]
    assert [(each["level"], each["message"]) for each in found] == [
        ("info", "info said"), ("warning", "warning said"), ("error", "error said"),
        ("error", "gone wrong"),
    ]  # fmt: skip
    assert "ZeroDivisionError" in found[-1]["exception"] and found[0]["logger"] == "vcl-master"


def test_nobody_s_handlers_are_replaced() -> None:
    """As pytest's here."""
    before = list(logging.getLogger().handlers)
    set_up(Level.info, True)
    assert logging.getLogger().handlers == before
