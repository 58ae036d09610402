"""Run one seed again and show it: `python -m tests.sim.replay SEED [--trace]`.

Owns: printing. Must not know: anything else. `--trace` prints every batch of messages.
"""

from __future__ import annotations

import sys
import traceback

from tests.sim.world import World


def describe(world: World) -> str:
    """The seed, the schedule of faults and the programs."""
    lines = [f"seed {world.seed}; replay with `python -m tests.sim.replay {world.seed} --trace`"]
    lines += [f"  {fault}" for fault in world.schedule]
    for number, program in enumerate(world.programs):
        lines.append(f"  client {number}: queues {program.queues and _queues(program)}")
        for step in program.steps:
            if step[0] == "command":
                c = program.commands[step[1]]
                detail = str(c.detail)[:90]
                lines.append(
                    f"    {c.index} {c.kind} q{c.queue} after {c.waits} reads {c.reads} "
                    f"writes {c.writes} {detail}{' skipped' if c.skipped else ''}"
                )
            else:
                lines.append(f"    {step}")
    return "\n".join(lines)


def _queues(program: object) -> list[tuple[bool, int]]:
    return [(q.in_order, q.device) for q in program.queues]  # type: ignore[attr-defined]


def main() -> int:
    """Entry point; answers the exit status."""
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    world = World(int(arguments[0]), print if "--trace" in sys.argv else None)
    print(describe(world))
    try:
        marks = world.run()
    except Exception:
        traceback.print_exc()
        return 1
    print(f"passed after {world.heap.count} actions: {dict(marks)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
