"""What vcl offers besides pyopencl: `connect` and `launch_report`.

Owns: those functions. Must not know: how they are carried out.
"""

from __future__ import annotations

from typing import Any

from vcl import swap
from vcl.report import LaunchReport


def connect(url: str | None = None, *, token: str | None = None) -> Any:
    """Connect this process to a cluster, and answer its platform.

    url: of the vcl-master, ws://HOST:PORT; without it VCL_MASTER; without that an embedded
    cluster on this host's devices, gone at exit. token: without it VCL_TOKEN, or that of this
    user's own master if the URL is the loopback address at which that listens. An earlier session
    of the process is ended, with its contexts.

    Raises vcl.errors.ConnectionProblem: what, where, how to mend it.
    """
    swap.load_pyopencl()
    from vcl.pyopencl_cl.session import connect as connect_session

    return connect_session(url, token=token)


def launch_report(event: Any) -> LaunchReport:
    """How the launch of this event was carried out; waits until it is complete.

    Raises ValueError for the event of another command, or one so old that the master has
    forgotten it.
    """
    swap.load_pyopencl()
    from vcl.pyopencl_cl.event import Event
    from vcl.wire.messages import session

    if not isinstance(event, Event):
        raise ValueError(f"{event!r} isn't the event of a launch on the cluster")
    runtime = event._runtime
    request = runtime.new_id()
    answer = runtime.ask(request, session.AskReport(request, event._id))
    if answer.report is None:
        raise ValueError("this event isn't of a launch, or is too old: no report was kept")
    return LaunchReport.from_message(answer.report)
