"""From a command to its plan.

Owns: `Planner`, which knows who plans what, and when a plan is used again. Must not know: how
plans are carried out.
"""

from __future__ import annotations

from typing import Any

from master.commands import Command
from master.places import PlanPaused
from master.plan import commands, launches, movement
from master.plan.looked import Looked
from master.plan.plan import Draft, Plan
from master.plan.residency import Buffer
from master.plan.templates import Templates
from master.plan.uses import uses_of
from master.plan.view import View
from vcl.wire.messages import session

_PLANS: dict[type, Any] = {
    session.Write: commands.plan_write,
    session.Read: commands.plan_read,
    session.Copy: commands.plan_copy,
    session.CopyRect: commands.plan_copy,
    session.Fill: commands.plan_fill,
}


class Planner:
    """Plans the commands of one session."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.templates = Templates()
        """Plans of launches that may be repeated."""
        self._looking: tuple[Command, Looked] | None = None  # at one whose planning goes on

    def places_changed(self) -> None:
        """The view's places aren't what they were."""
        self._view.places_changed()
        self.templates.clear()

    def forget_plans(self) -> None:
        """What plans depend on besides what `Template.holds` looks at is different: the rates of
        links, or why something isn't known."""
        self.templates.clear()

    def plan(self, command: Command) -> Plan:
        """The plan of a command, perhaps one that was made before.

        Raises PlanFailed, and NotAnalysed if it has to be known first what a launch touches.
        """
        m = command.message
        if type(m) is not session.Launch:
            return self.anew(command)
        plan = self.templates.find(command)
        if plan is None:
            plan = self.anew(command)
            self.templates.keep(command, uses_of(self._view, m), plan)
        return plan

    def anew(self, command: Command) -> Plan:
        """The plan of a command; nothing changes but what is remembered of it until it is
        complete. Raises PlanFailed and NotAnalysed."""
        m = command.message
        if isinstance(m, session.Marker):
            return Plan(())
        draft = Draft(movement.brought_max)
        looked, self._looking = self._looking, None
        try:
            if isinstance(m, session.Launch):
                if looked is None or looked[0] is not command:
                    looked = command, Looked()
                return launches.plan_launch(draft, self._view, command.queue, m, looked[1])
            plan: Plan = _PLANS[type(m)](draft, self._view, command.queue, m)
            return plan
        except PlanPaused:
            self._looking = looked
            return draft.plan(complete=False)

    def written(self, message: Any) -> list[tuple[Buffer, int, int]]:
        """The regions that a command writes, or may write."""
        if isinstance(message, session.Launch):
            return launches.written(self._view, message)
        return commands.written(self._view, message)
