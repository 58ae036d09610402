"""What vcl offers besides pyopencl: `access`, `cluster`, `connect` and `launch_report`.

Owns: those functions. Must not know: how they are carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, cast

from vcl import family, swap
from vcl.mappers import Mapper, none
from vcl.report import LaunchReport
from vcl.summary import ClusterSummary

if TYPE_CHECKING:
    # Its types are those that a program sees; at run time they are vcl.pyopencl_cl's.
    import pyopencl
    from numpy.typing import DTypeLike


def access(
    kernel: pyopencl.Kernel,
    arg: int | str,
    *,
    shape: SupportsIndex | Sequence[SupportsIndex],
    dtype: DTypeLike,
    reads: Mapper | None = None,
    writes: Mapper | None = None,
    ids: SupportsIndex | Sequence[SupportsIndex] | None = None,
    check: bool | None = None,
) -> None:
    """Declare what the work-items of a kernel touch of an argument, so that its launches are split
    by that: in place of what an analysis finds, and unasked whether it is true.

    - kernel: this object, from its next launch on.
    - arg: by index from 0, or by name.
    - reads, writes: how far a work-item reaches around its place, by one of `vcl.one_to_one()`,
      `vcl.neighborhood(radius, ...)`, `vcl.slice(axis)`, `vcl.all()` and `vcl.none()`, which is
      what isn't given.
    - shape, dtype: of the array that the buffer holds, of one to three axes in C order, from its
      first byte on.
    - ids: for each axis the dimension of the global id that is a work-item's place along it, as
      get_global_id answers it; without it get_global_id(0) goes along the last axis,
      get_global_id(1) along the one before it.
    - check: whether each launch is tried on copies first; without it VCL_CHECK_ACCESS.

    All buffers that the kernel may write have to be declared; those that it declares const needn't.
    Raises ValueError or TypeError for what is no declaration, pyopencl's LogicError for one that
    the argument can't have. Launches that are checked raise vcl.errors.AccessError.
    """
    swap.load_pyopencl()
    from vcl.pyopencl_cl.access import access as declare

    declare(
        cast(Any, kernel), arg, reads=none() if reads is None else reads,
        writes=none() if writes is None else writes, shape=shape, dtype=dtype, ids=ids,
        check=check,
    )  # fmt: skip


def connect(url: str | None = None, *, token: str | None = None) -> pyopencl.Platform:
    """Connect this process to a cluster, and answer its platform.

    - url: of the vcl-master, ws://HOST:PORT; without it VCL_MASTER; without that an embedded
      cluster on this host's devices, gone at exit.
    - token: without it VCL_TOKEN, or that of this user's own master if the URL is the loopback
      address at which that listens.

    An earlier session of the process is ended, with its contexts.

    Raises vcl.errors.ConnectionProblem: what, where, how to mend it.
    """
    swap.load_pyopencl()
    from vcl.pyopencl_cl.session import connect as connect_session

    return cast("pyopencl.Platform", connect_session(url, token=token))


def cluster() -> ClusterSummary:
    """The cluster that this process computes on, connecting first if need be: its master, whether
    it is embedded, and its nodes with their devices. A notebook shows it as a table.

    Raises pyopencl's RuntimeError if there is none.
    """
    swap.load_pyopencl()
    from vcl.api.session import PROCESS
    from vcl.pyopencl_cl.session import current_platform

    runtime = current_platform()._runtime
    return ClusterSummary.of(runtime.url, PROCESS.is_embedded, runtime.devices)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext vcl` in a notebook: from now on pyopencl means the cluster, in its Python children
    too. Raises ImportError if pyopencl was imported before."""
    swap.load_pyopencl()
    family.hand_swap_to_children()


def launch_report(event: pyopencl.Event) -> LaunchReport:
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
    answer = runtime.ask(session.AskReport(request, event._id))
    if answer.report is None:
        raise ValueError("this event isn't of a launch, or is too old: no report was kept")
    return LaunchReport.from_message(answer.report)
