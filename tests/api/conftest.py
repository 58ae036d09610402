"""A session with the cluster for all tests of the API, and contexts on its devices.

Every test runs on the cluster device and on a single remote device where it takes `ctx` and
`queue`. The process of the tests imports vcl and never the native driver; where a native result is
wanted, a program of its own computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import vcl as cl

DEVICES = {"cluster": 0, "remote": 1}
Build = Callable[..., Any]


@pytest.fixture(scope="session")
def _session_ends(cluster: cl.LocalCluster) -> Iterator[None]:
    """At the end the session is over before its master is."""
    yield
    from vcl.pyopencl_cl import session

    session.disconnect()


@pytest.fixture(scope="module")
def platform(cluster: cl.LocalCluster, _session_ends: None) -> Any:
    """The platform of this process's session; of a new one if a test broke the old."""
    from vcl.api.session import PROCESS

    if PROCESS.platform is None or PROCESS.runtime is None or PROCESS.runtime.dead:
        return cl.connect(cluster.url, token=cluster.token)
    return PROCESS.platform


@pytest.fixture(scope="module")
def contexts(platform: Any) -> dict[str, Any]:
    """A context on the cluster device and one on a single remote device."""
    devices = platform.get_devices()
    return {name: cl.Context([devices[index]]) for name, index in DEVICES.items()}


@pytest.fixture(scope="module", params=list(DEVICES))
def ctx(request: pytest.FixtureRequest, contexts: dict[str, Any]) -> Any:
    """A context on the cluster device, then on a single remote device."""
    return contexts[request.param]


@pytest.fixture(scope="module")
def queue(ctx: Any) -> Any:
    """An in-order queue with profiling in `ctx`."""
    return cl.CommandQueue(ctx, properties=cl.command_queue_properties.PROFILING_ENABLE)


@pytest.fixture(scope="module")
def cluster_ctx(contexts: dict[str, Any]) -> Any:
    """The context on the cluster device."""
    return contexts["cluster"]


@pytest.fixture(scope="module")
def cluster_queue(cluster_ctx: Any) -> Any:
    """An in-order queue with profiling on the cluster device."""
    return cl.CommandQueue(cluster_ctx, properties=cl.command_queue_properties.PROFILING_ENABLE)


@pytest.fixture(scope="module")
def read() -> Callable[..., np.ndarray]:
    """read(queue, buffer, dtype): a buffer's contents."""

    def read_all(queue: Any, buffer: Any, dtype: Any = np.int32) -> np.ndarray:
        found = np.empty(buffer.size // np.dtype(dtype).itemsize, dtype)
        cl.enqueue_copy(queue, found, buffer)
        return found

    return read_all
