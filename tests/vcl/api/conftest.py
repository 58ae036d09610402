"""A session on a stub, and objects on it."""

from __future__ import annotations

import pytest

from tests.vcl.api.world import StubRuntime, make_context
from vcl.api.context import CommandQueue, Context


@pytest.fixture
def runtime() -> StubRuntime:
    """A session that keeps what is said."""
    return StubRuntime()


@pytest.fixture
def context(runtime: StubRuntime) -> Context:
    """A context of the cluster device."""
    return make_context(runtime)


@pytest.fixture
def queue(context: Context) -> CommandQueue:
    """An in-order queue on the cluster device."""
    return CommandQueue(context, context._devices[0], 0)
