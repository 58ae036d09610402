"""One cluster of real processes for every test that only uses it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from master.commands import Command
from master.plan import invariants
from master.plan.commit import Committer
from master.plan.plan import Plan
from master.plan.planner import Planner
from vcl.local import LocalCluster

# How long an example takes says nothing on a busy machine; time is for benchmarks.
hypothesis.settings.register_profile("vcl", deadline=None)
hypothesis.settings.load_profile("vcl")


# Tests are of small launches, and of what becomes of them in parts.
os.environ["VCL_SPLIT"] = "always"


@pytest.fixture(autouse=True)
def checked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every plan and every commit is checked, but where the test counts what they cost."""
    if request.node.get_closest_marker("unchecked") is not None:
        return
    commit, plan = Committer.commit, Planner.plan

    def checking(self: Committer, plan: Plan, command: Command | None) -> None:
        invariants.check_plan(plan)
        commit(self, plan, command)
        invariants.check(self._ledger, self._buffers)

    def compared(self: Planner, command: Command) -> Plan:
        made = plan(self, command)
        if made.steps or made.complete:  # else what a launch touches is looked at in turns
            another = Planner(self._view)
            anew = another.anew(command)
            while not (anew.steps or anew.complete):
                anew = another.anew(command)
            assert made == anew, "a plan that is used again is what a new one would be"
        return made

    monkeypatch.setattr(Committer, "commit", checking)
    monkeypatch.setattr(Planner, "plan", compared)


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
