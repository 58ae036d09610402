"""Destructors and exit handlers that use the cluster while Python ends, in every order."""

from __future__ import annotations

import pytest

import vcl
from tests.processes import run_program

PROGRAM = """
    import atexit, sys
    {before}
    import numpy as np
    import vcl as cl
    ctx = cl.create_some_context(interactive=False)
    queue = cl.CommandQueue(ctx)
    source = "__kernel void f(__global int *a) {{ a[0] += 1; }}"

    class User:
        def __init__(self):
            self.queue = queue
            self.buffer = cl.Buffer(ctx, cl.mem_flags.COPY_HOST_PTR, hostbuf=np.zeros(4, "i4"))
            self.kernel = cl.Program(ctx, source).build().f
            self.found = np.empty(4, "i4")
            self.copy = cl.enqueue_copy

        def use(self):
            self.kernel(self.queue, (1,), None, self.buffer)
            self.queue.finish()
            self.copy(self.queue, self.found, self.buffer)
            return int(self.found[0])

        def __del__(self):
            print("gone", self.use())
            self.buffer.release()

    user = User()
    print("used", user.use())
    {after}
    """

# name: (what the program does before its imports and at its end, what it prints)
ORDERS = {
    "a global": ("", "", "used 1\ngone 2\n"),
    # Collected at the end, not by whichever thread allocates something meanwhile: on the session's
    # own it would get an error.
    "in a cycle": ("import gc; gc.disable()", "user.itself = user; del user", "used 1\ngone 2\n"),
    "held by a class": ("", "User.kept = user; del user", "used 1\ngone 2\n"),
    "an exit handler": (
        "",
        "atexit.register(lambda: print('exit', user.use()))",
        "used 1\nexit 2\ngone 3\n",
    ),
    "an exit handler from before vcl": (
        "atexit.register(lambda: print('exit', user.use()))",
        "",
        "used 1\nexit 2\ngone 3\n",
    ),
    "by sys.exit": ("", "sys.exit(0)", "used 1\ngone 2\n"),
    "commands under way": (
        "",
        "for _ in range(100): user.kernel(queue, (1,), None, user.buffer)",
        "used 1\ngone 102\n",
    ),
}


@pytest.mark.parametrize(
    ("order", "transport"), [*((order, "picows") for order in ORDERS), ("a global", "websockets")]
)
def test_the_cluster_lasts_as_long_as_the_program_s_objects(
    cluster: vcl.LocalCluster, order: str, transport: str
) -> None:
    before, after, expected = ORDERS[order]
    source = PROGRAM.format(before=before, after=after)
    done = run_program(
        source, VCL_MASTER=cluster.url, VCL_TOKEN=cluster.token, VCL_TRANSPORT=transport
    )
    assert (done.stdout, done.stderr, done.returncode) == (expected, "", 0)


def test_an_embedded_cluster_lasts_as_long() -> None:
    source = PROGRAM.format(before="", after="")
    done = run_program(source, VCL_LOCAL_NODES="1")
    assert (done.stdout, done.stderr, done.returncode) == ("used 1\ngone 2\n", "", 0)


def test_an_idle_session_does_not_put_the_end_off(cluster: vcl.LocalCluster) -> None:
    """Whoever waits for it to be idle is told of the last batch that went, too."""
    source = """
        import vcl as cl
        from vcl import runtime
        runtime.idle_at_exit_timeout_s = 1e6
        queue = cl.CommandQueue(cl.create_some_context(interactive=False))
        cl.enqueue_marker(queue)
        queue.finish()
        print("the end")
        """
    done = run_program(source, VCL_MASTER=cluster.url, VCL_TOKEN=cluster.token)
    assert (done.stdout, done.stderr, done.returncode) == ("the end\n", "", 0)


def test_another_thread_waits_while_the_main_one_ends_python(cluster: vcl.LocalCluster) -> None:
    """The thread may have been the one that read."""
    source = """
        import atexit, threading
        import numpy as np

        def last():
            for _ in range(200):
                cl.enqueue_fill_buffer(queue, buffer, np.int32(1), 0, 64)
                queue.finish()
            print("the end", flush=True)

        atexit.register(last)
        import vcl as cl

        ctx = cl.create_some_context(interactive=False)
        queue, other = cl.CommandQueue(ctx), cl.CommandQueue(ctx)
        buffer, another = cl.Buffer(ctx, 0, 64), cl.Buffer(ctx, 0, 64)
        waits, paused = threading.Event(), threading.Event()

        def work():
            while True:
                cl.enqueue_fill_buffer(other, another, np.int32(1), 0, 64)
                other.finish()
                waits.set()
                paused.wait(0.002)  # the session is idle for a moment

        threading.Thread(target=work, daemon=True).start()
        waits.wait()
        """
    done = run_program(source, VCL_MASTER=cluster.url, VCL_TOKEN=cluster.token)
    assert (done.stdout, done.returncode) == ("the end\n", 0), done.stderr


def test_what_waits_for_ever_does_not_put_the_end_off_for_ever(cluster: vcl.LocalCluster) -> None:
    """A user event that nobody sets: the end isn't silent about a destructor that can't work."""
    source = PROGRAM.format(
        before="", after="event = cl.enqueue_marker(queue, wait_for=[cl.UserEvent(ctx)])"
    )
    done = run_program(source, VCL_MASTER=cluster.url, VCL_TOKEN=cluster.token)
    assert done.stdout == "used 1\n"
    assert "closed by the program" in done.stderr
