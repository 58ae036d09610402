"""Calls drawn at random, right and wrong, do on a cluster what they do natively.

Each call is carried out by PoCL in a process of its own, on the cluster device and on a remote
device; exception class, status and effects are compared (`native_calls`). A failure prints the
seed and the calls; `python -m tests.api.call_world` carries out the same list again.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any

import pytest

import vcl as cl
from tests.api import call_templates, call_world, native_calls
from tests.processes import within


@lru_cache(maxsize=10)
def natively(seed: int, count: int) -> list[call_world.Outcome]:
    """The native outcomes of the first calls of a seed; the same for every device."""
    return native_calls.native_outcomes([c.text for c in call_templates.draw(seed, count)])


def differences(device: Any, seed: int, count: int, compared_min: int) -> list[str]:
    """What differs, by call, without what is meant to."""
    import pyopencl.tools  # noqa: F401  part of what calls name

    calls = call_templates.draw(seed, count)
    shared = call_world.lasting(cl, device)
    found = []
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call, native in zip(calls, natively(seed, count), strict=True):
            if native[0] in ("crash", "hang"):
                continue
            world = call_world.World(cl, shared)
            here = within(lambda world=world, text=call.text: world.carry_out(text))
            dead = shared["ctx"]._runtime.dead
            assert dead is None, f"seed {seed}: {call.text} ended the session: {dead}"
            compared += 1
            if not native_calls.agree(native, here, call.faults) and not native_calls.reason_for(
                call.text, native, here
            ):
                told = [native_calls.summary(one)[:300] for one in (native, here)]
                changed = {
                    name: (before[:160], here[-1].get(name, "")[:160])
                    for name, before in native[-1].items()
                    if before != here[-1].get(name)
                }
                found.append(f"{call.text}\n  native {told[0]}\n  here {told[1]}\n  {changed}")
    assert compared >= compared_min, f"seed {seed}: only {compared} of {count} calls compared"
    return found


@pytest.fixture(scope="module", params=[0, 1], ids=["cluster", "remote"])
def device(request: pytest.FixtureRequest, platform: Any) -> Any:
    return platform.get_devices()[request.param]


def report(seed: int, found: list[str]) -> str:
    return f"seed {seed}: {len(found)} calls differ\n" + "\n".join(found)


def test_calls_agree_with_the_native_driver(device: Any) -> None:
    seed = 20
    found = differences(device, seed, 300, 270)
    assert not found, report(seed, found)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200, 210))
def test_ten_thousand_calls_agree(device: Any, seed: int) -> None:
    found = differences(device, seed, 1000, 900)
    assert not found, report(seed, found)


def test_every_command_of_pyopencl_has_a_template() -> None:
    """And what has none is named with a reason."""
    called = set(re.findall(r"cl\.(enqueue_\w+)", " ".join(call_templates.TEMPLATES)))
    commands = {name for name in dir(cl) if name.startswith("enqueue_")}
    # pyopencl has those of OpenGL only where it was built with it.
    assert commands - called <= set(call_templates.ABSENT)
    assert called <= commands


def test_calls_are_drawn_from_the_seed_alone() -> None:
    once, again = (call_templates.draw(7, 300) for _ in range(2))
    assert once == again
    assert once != call_templates.draw(8, 300)


def test_a_crash_costs_one_call_only() -> None:
    calls = ["1 + 1", "__import__('os').abort()", "[2, None]"]
    assert native_calls.native_outcomes(calls) == [
        ["ok", 2, {}], ["crash", -6], ["ok", [2, None], {}]
    ]  # fmt: skip
