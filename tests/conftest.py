"""One cluster of real processes for every test that only uses it."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from vcl.local import LocalCluster

# How long an example takes says nothing on a busy machine; time is for benchmarks.
hypothesis.settings.register_profile("vcl", deadline=None)
hypothesis.settings.load_profile("vcl")


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """A master and two agents, each on one core. Tests may end executors of their own sessions,
    never the master or an agent."""
    with LocalCluster(nodes=2, cores_per_node=1) as running:
        yield running


@pytest.fixture(scope="session")
def variables(cluster: LocalCluster) -> dict[str, str]:
    """The environment variables that make a program use the cluster."""
    return {"VCL_MASTER": cluster.url, "VCL_TOKEN": cluster.token}
