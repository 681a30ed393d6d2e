"""Random programs: freeze, then stretches of gradients and steps with what people do in between."""

from __future__ import annotations

from invariants.architecture.graph import Architecture
from invariants.freezing import Flags
from invariants.generate.choice import Drawn
from invariants.generate.masks import draw_mask, transition
from invariants.program import (
    Action,
    Compile,
    Evaluate,
    Gradient,
    Reload,
    SetMode,
    SetRate,
    Step,
)

_SEGMENTS = (
    "gradient",
    *("two_masks",) * 3,
    *("step",) * 2,
    "step_step",
    "step_two_masks",
    "five_steps",
)

#: What happens between two stretches, the simplest first.
_EVENTS = ("nothing", "nothing", "evaluate", "reload", "compile", "set_rate", "set_mode")

#: A program that is this long gets no further stretch.
_LONGEST = 12


class _Program:
    """A program in the making."""

    def __init__(self, choice: Drawn, architecture: Architecture, batches: int) -> None:
        self.choice, self.architecture, self.batches = choice, architecture, batches
        self.flags = Flags.initial(architecture)
        self.actions: list[Action] = []

    def change(self) -> None:
        """Another mask."""
        mask = draw_mask(self.choice, self.architecture)
        actions, self.flags = transition(self.choice, self.flags, mask)
        self.actions.extend(actions)

    def batch(self) -> int:
        return self.choice.integer(0, self.batches - 1)

    def event(self) -> None:
        kind = self.choice.one_of(_EVENTS)
        if kind == "evaluate":
            training = self.choice.boolean() and not self.architecture.stochastic
            self.actions.append(Evaluate(self.batch(), training))
        elif kind == "reload":
            self.actions.append(Reload())
        elif kind == "compile":
            self.actions.append(Compile())
        elif kind == "set_rate":
            self.actions.append(SetRate(self.choice.one_of((0.5, 0.25, 2.0))))
        elif kind == "set_mode":
            self.actions.append(SetMode(self.choice.boolean()))

    def stretch(self) -> None:
        """Gradients and steps, at times under two masks."""
        kind, batch = self.choice.one_of(_SEGMENTS), self.batch()
        if kind == "five_steps":
            self.actions.extend([Step(batch)] * 5)
        elif kind.startswith("step"):
            more = (self.batch(),) if self.choice.chance(6) else ()
            self.actions.append(Step(batch, more))
        if kind == "step_step":
            self.actions.append(Step(batch))
        if kind == "gradient":
            self.actions.append(Gradient(batch))
        if kind.endswith("two_masks"):
            self.actions.append(Gradient(batch))
            self.change()
            self.actions.append(Gradient(batch))


def draw_program(choice: Drawn, architecture: Architecture, batches: int) -> tuple[Action, ...]:
    """Freeze, then one to three stretches, the mask changing in between."""
    program = _Program(choice, architecture, batches)
    program.change()
    for segment in range(choice.integer(1, 3)):
        if segment and len(program.actions) >= _LONGEST:
            break
        if segment and choice.boolean():
            program.change()
        if segment or choice.chance(4):
            program.event()
        program.stretch()
    return tuple(program.actions)
