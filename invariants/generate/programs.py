"""Random programs: freeze, then stretches of gradients and steps with what people do in between."""

from __future__ import annotations

from collections.abc import Sequence

from invariants.architecture.graph import Architecture
from invariants.freezing import Flags
from invariants.generate.choice import Drawn
from invariants.generate.masks import Mask, draw_mask, draw_stages, everything, transition
from invariants.program import (
    Action,
    Cast,
    Compile,
    Dtype,
    Evaluate,
    Freeze,
    Gradient,
    Reload,
    SetMode,
    SetRate,
    Step,
    Thaw,
)

_SEGMENTS = (
    "gradient",
    *("two_masks",) * 3,
    *("step",) * 2,
    "step_step",
    "step_two_masks",
    *("step_change_step",) * 2,
    "five_steps",
)

#: Where a model trains by itself there are steps alone.
_FITTED = ("step", "step", "step_step", "step_change_step", "five_steps")

#: What happens between two stretches, the simplest first.
_EVENTS = ("nothing", "nothing", "evaluate", "reload", "reload", "compile", "set_rate", "set_mode")

#: A program that is this long gets no further stretch.
_LONGEST = 12


#: One program in so many thaws or freezes its layers in stages.
_STAGED = 12


#: Beginnings of programs that are asked for: a step with everything frozen before something is
#: thawed; a layer that is frozen and thawed before the first step; another model, or averages that
#: are taken, before it; a freeze and then another model between two steps; other weights that are
#: frozen behind five steps.
BEGINNINGS = ("frozen_first", "thawed_again", "reloaded_first", "resumed", "frozen_later")


class _Program:
    """A program in the making."""

    def __init__(
        self,
        choice: Drawn,
        architecture: Architecture,
        batches: int,
        fitted: bool,
        scheduled: bool,
        averaged: bool,
        castable: Sequence[Dtype],
    ) -> None:
        self.castable = castable
        self.fitted, self.averaged = fitted, averaged
        self.segments = _FITTED if fitted or scheduled or averaged else _SEGMENTS
        self.choice, self.architecture, self.batches = choice, architecture, batches
        self.flags = Flags.initial(architecture)
        self.actions: list[Action] = []

    def change(self) -> None:
        """Another mask."""
        self.freeze(draw_mask(self.choice, self.architecture))

    def freeze(self, mask: Mask) -> None:
        """Exactly these weights from here on."""
        actions, self.flags = transition(self.choice, self.flags, mask)
        self.actions.extend(actions)
        if self.fitted and actions and not self.choice.chance(4):
            self.actions.append(Compile())

    def batch(self) -> int:
        return self.choice.integer(0, self.batches - 1)

    def event(self) -> None:
        events = [e for e in _EVENTS if not (self.fitted and e == "set_mode")]
        taking = ["reload"] * (8 * self.averaged)  # averages are there to be taken
        events += ["evaluate"] * (3 * self.fitted)  # as fit is interleaved with evaluate
        kind = self.choice.one_of([*events, *["cast"] * bool(self.castable), *taking])
        if kind == "evaluate":
            plain = self.fitted or self.architecture.stochastic
            training = not plain and self.choice.boolean()
            self.actions.append(Evaluate(self.batch(), training))
        elif kind == "reload":
            self.actions.append(Reload())
        elif kind == "compile":
            self.actions.append(Compile())
        elif kind == "cast":
            self.actions.append(Cast(self.choice.one_of(self.castable)))
        elif kind == "set_rate":
            self.actions.append(SetRate(self.choice.one_of((0.5, 0.25, 2.0))))
        elif kind == "set_mode":
            self.actions.append(SetMode(self.choice.boolean()))

    def stages(self, masks: Sequence[Mask]) -> None:
        """A step or two under each mask, at times with a new optimizer or an event between two."""
        compiled = self.choice.boolean() and not self.fitted
        for number, mask in enumerate(masks):
            self.freeze(mask)
            if number and compiled:
                self.actions.append(Compile())
            if number and self.choice.chance(6):
                self.event()
            self.actions.extend([Step(self.batch())] * (2 if self.choice.chance(3) else 1))

    def begin(self, setting: str, kind: str) -> None:
        """How it begins where a setting asks for it (`BEGINNINGS`); kind: that of a layer."""
        if setting == "frozen_first":
            self.thaw_after_a_step()
        elif setting == "thawed_again":
            self.thaw_again(kind)
        elif setting == "frozen_later":
            for steps in (5, 2):
                self.change()
                self.actions += [Step(self.batch())] * steps
        else:
            if setting == "resumed":
                self.actions.append(Step(self.batch()))
                self.change()
            self.actions += [Reload(), Step(self.batch())]

    def thaw_again(self, kind: str) -> None:
        """A layer of a kind is frozen and thawed, at times in a copy, and a step is made.

        A part where there is none of the kind; where no kind is asked for the model, in a copy.
        """
        target = ""
        if kind:
            placed = [p.path for p in self.architecture.layers if p.layer.kind == kind]
            target = self.choice.one_of(placed or self.architecture.modules)
        self.actions.append(Freeze(target))
        if not kind or self.choice.boolean():
            self.actions.append(Reload())
        self.actions.append(Thaw(target))
        self.flags = self.flags.freeze(target, True).thaw(target, True)
        self.actions.append(Step(self.batch()))

    def thaw_after_a_step(self) -> None:
        """A step with everything frozen and one with less of it, at times of another model."""
        self.freeze(everything(self.choice, self.architecture))
        self.actions.append(Step(self.batch()))
        if self.choice.boolean():
            self.actions.append(Reload())
        self.change()
        self.actions.append(Step(self.batch()))

    def stretch(self) -> None:
        """Gradients and steps, at times under two masks."""
        kind = self.choice.one_of(self.segments)
        batch = self.batch()
        if kind == "five_steps":
            self.actions.extend([Step(batch)] * 5)
        elif kind.startswith("step"):
            further = self.choice.one_of((1, 1, 2, 3)) if self.choice.chance(6) else 0
            more = () if self.fitted else tuple(self.batch() for _ in range(further))
            self.actions.append(Step(batch, more))
        if kind == "step_change_step":
            self.change()
        if kind in ("step_step", "step_change_step"):
            self.actions.append(Step(batch))
        if kind == "gradient":
            self.actions.append(Gradient(batch))
        if kind.endswith("two_masks"):
            self.actions.append(Gradient(batch))
            self.change()
            self.actions.append(Gradient(batch))


def draw_program(
    choice: Drawn,
    architecture: Architecture,
    batches: int,
    fitted: bool,
    scheduled: bool = False,
    averaged: bool = False,
    castable: Sequence[Dtype] = (),
    beginning: str = "",
    layer: str = "",
) -> tuple[Action, ...]:
    """Freeze, then one to three stretches, the mask changing in between.

    Some begin with layers that thaw or freeze in stages instead (`draw_stages`).

    fitted: for a model that trains by itself, which is compiled after most changes. scheduled,
    averaged: with what goes from step to step, so of steps alone. castable: the dtypes that it may
    change to. beginning: how it begins, one of BEGINNINGS. layer: the kind of which it freezes one
    there.
    """
    program = _Program(choice, architecture, batches, fitted, scheduled, averaged, castable)
    stages = draw_stages(choice, architecture) if choice.chance(_STAGED) else []
    if beginning:
        program.begin(beginning, layer)
    elif stages:
        program.stages(stages)
    else:
        program.change()
    for segment in range(bool(beginning or stages), choice.integer(1, 3)):
        if segment and len(program.actions) >= _LONGEST:
            break
        if segment and choice.boolean():
            program.change()
        if segment or choice.chance(4):
            program.event()
        program.stretch()
    return tuple(program.actions)
