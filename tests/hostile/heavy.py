"""Honest programs that ask for very much at once.

Owns: running them as they are. Must not know: the protocol.
"""

from __future__ import annotations

from tests.hostile.raw import Attacker


async def _run(attacker: Attacker, name: str) -> str:
    program = await attacker.program(name)
    _, errors = await program.communicate()
    words = errors.decode().strip().splitlines()
    return "done" if program.returncode == 0 else words[-1] if words else "killed"


async def many_launches(attacker: Attacker) -> str:
    """60,000 launches before finish()."""
    return await _run(attacker, "launches")


async def many_writes(attacker: Attacker) -> str:
    """8,000 writes of one byte at stride 2, then a launch on all."""
    return await _run(attacker, "writes")


async def many_markers(attacker: Attacker) -> str:
    """8,000 markers in an out-of-order queue, held up by a user event."""
    return await _run(attacker, "markers")


async def gate_opened(attacker: Attacker) -> str:
    """20,000 launches behind a user event that is then set."""
    return await _run(attacker, "gate")


async def gate_abandoned(attacker: Attacker) -> str:
    """The same, and the client is killed as soon as all is sent."""
    program = await attacker.program("abandoned")
    assert program.stdout is not None
    await program.stdout.readline()
    program.kill()
    await program.wait()
    return "killed"
