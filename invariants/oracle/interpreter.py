"""Runs the program of a case on the tape: what the chain rule and the contract say of each action.

The result depends on the case and on the contract of one backend, never on what a framework did.
What its random layers drew is an input like the batch: an array that the framework chose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from invariants.oracle.averaging import Averages
from invariants.oracle.casting import cast, formats
from invariants.oracle.clipping import clipped
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.oracle.expectation import Expectation, ExpectedPoint, moves
from invariants.oracle.forward import Draws, Forward, own
from invariants.oracle.limits import (
    forward_may_leave_the_range,
    may_leave_the_range,
    square_may_underflow,
    surely_overflows,
)
from invariants.oracle.losses import objective
from invariants.oracle.masking import held_part, kept, masked
from invariants.oracle.optimizers import TOGETHER
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import PRECISIONS, SAMPLES, Estimates, Rounding, estimate
from invariants.oracle.scaling import LossScale
from invariants.oracle.stepping import Layout, Stepper, unmoved
from invariants.oracle.tape import Tape, Value, grid_of
from invariants.oracle.tracing import Functions

if TYPE_CHECKING:
    from invariants.case import Case
    from invariants.course import Moment
    from invariants.objective import Term

#: The actions that compute gradients.
_LEARNING = ("gradient", "step")

#: What may be raised where a weight is to become the average of another.
_MISPLACED = ("ValueError", "Shape mismatch")


@dataclass
class _Pass:
    """The outcome of one forward and backward pass, in samples.

    state: the states that it moved and the weights that it rewrote. overflowing: the weights whose
    scaled gradients are surely not finite.
    """

    loss: Array
    gradients: dict[str, Array]
    state: dict[str, Array]
    lookups: dict[str, Array]
    overflowing: frozenset[str] = frozenset()


class _Interpreter:
    """Walks through the program; holds weights, state and slots as samples between actions."""

    def __init__(
        self,
        case: Case,
        backend: str,
        contract: Contract,
        draws: Mapping[int, Draws],
        layouts: Mapping[str, Layout],
    ) -> None:
        self.case = case
        self.backend = backend
        self.draws = draws
        self.contract = contract
        self.options = case.options(backend)
        self.mode = contract.mode(case.realisations[backend].mode)
        self.blind = self.mode.trains_itself
        self.rounding = Rounding(PRECISIONS[case.dtype])
        lower = self.mode.traits.get("autocast")
        self.lower = self.rounding.apart(lower) if lower else None
        self.parameters = case.architecture.parameters
        self.arrays: dict[str, Array] = {name: a[None] for name, a in case.weights.items()}
        self.grids = {name: grid_of(array) for name, array in self.arrays.items()}
        self.state_names = tuple(n for n, p in self.parameters.items() if p.role == "state")
        self.stateful = tuple(
            placed
            for placed in case.architecture.layers
            if any(p.role == "state" for p in placed.parameters)
        )
        self.moments = case.course(backend, contract)
        ever = {
            name
            for action, moment in zip(case.program, self.moments, strict=True)
            if action.action in _LEARNING
            for name in moment.acting.trainable
        }
        self.wanted = tuple(name for name in case.architecture.weights if name in ever)
        self.asked = frozenset(f"input_{n}" for n in case.watched)
        self.layouts = layouts
        self.stepper = Stepper(case, backend, contract, self.rounding, layouts, self.arrays)
        self.averages: Averages | None = None
        if case.average:
            self.averages = Averages(case.average, contract, self.rounding, self.arrays)
        self.fitted = self.mode.traits.get("call") == "fit"
        self.second_order = "second_order" in self.mode.traits
        self.repeats = int(self.mode.traits.get("steps", "1"))
        self.functions = Functions(contract)
        self.scale = LossScale(self.mode.traits)
        self.weights_version = 0
        self.state_version = 0
        self.passes: dict[tuple[Any, ...], _Pass] = {}
        self.ties = 0
        self.draws_of_size: dict[int, Draws] = {}
        self.rewritten: frozenset[str] = frozenset()
        # A forward pass whose draws are not known, or calls: from there on no numbers.
        self.lost = self._calls_in_unknown_order()

    def _calls_in_unknown_order(self) -> bool:
        """Whether a layer is called twice, in an order unknown, whose state goes by that order."""
        return (
            self.case.ever_trains
            and self.contract["order_of_calls"] != "source"
            and any(placed.calls > 1 for placed in self.stateful)
        )

    def run(self) -> tuple[ExpectedPoint, ...]:
        points = []
        for index, (action, moment) in enumerate(zip(self.case.program, self.moments, strict=True)):
            through = self._cast(action) if action.action == "cast" else ()
            if moment.optimizer != self.stepper.number:
                self.stepper.begin(moment.optimizer, self.arrays)
                self.scale.begin()
                self.functions.make_anew()
                if self.averages:
                    self.averages.new_optimizer()
            if action.action in ("freeze", "thaw") and self.mode.traits.get("function") == "anew":
                self.functions.make_anew()
            if action.action in _LEARNING:
                points.append(self._learn(index, action, moment))
            elif action.action == "evaluate":
                points.append(self._evaluate(index, action, moment))
            elif action.action == "reload":
                points.append(self._reload(index, moment))
            elif action.action not in ("freeze", "thaw") or moment.raises:
                if action.action == "set_rate" and self.case.schedule and not moment.raises:
                    self.stepper.set_rate(action.factor)
                same = tuple(self.state_version for _ in self.stateful)
                points.append(replace(self._quiet(index, moment, same), cast=through))
            if points and points[-1].action == index:
                points[-1] = replace(points[-1], dtype=self.rounding.precision.name)
        return tuple(points)

    def _cast(self, action: Any) -> tuple[str, ...]:
        """Goes on in another dtype; the formats that weights and states are rounded to."""
        through = formats(self.rounding.precision.name, action.dtype, self.contract)
        self.rounding = self.stepper.rounding = self.rounding.apart(action.dtype)
        self._move({n: cast(array, through, self.rounding) for n, array in self.arrays.items()})
        self.weights_version += 1
        self.state_version += 1
        self.draws_of_size.clear()
        return through

    def _quiet(self, index: int, moment: Moment, forward: tuple[Any, ...]) -> ExpectedPoint:
        """The point of an action without gradients; what it recorded is what was there before."""
        point = ExpectedPoint(
            action=index,
            raises=moment.raises,
            flags=moment.flags,
            weights_version=self.weights_version,
            forward=forward,
            held=moment.held,
            optimizer=moment.optimizer,
            warns=moment.warns,
        )
        if self.lost or moment.raises:
            return point
        return replace(
            point,
            weights=self._estimates({name: self.arrays[name] for name in self.rewritten}),
            state=self._estimates({name: self.arrays[name] for name in self.state_names}),
        )

    def _evaluate(self, index: int, action: Any, moment: Moment) -> ExpectedPoint:
        """A forward pass in the mode of the evaluation; its value is not recorded."""
        moment = replace(moment, training=action.training, acting=moment.flags)
        forward = self._forward_signature(moment)
        rewritten = self._rewritten(moment)
        self.rewritten |= rewritten
        if any(map(moves, forward)) or rewritten:
            self._move(self._pass(action.batch, moment, forward, {}).state)
            self.state_version += 1
        return replace(self._quiet(index, moment, forward), rewritten=rewritten)

    def _reload(self, index: int, moment: Moment) -> ExpectedPoint:
        """Saving and loading, or copying; what some layers make of their weights in a file.

        They do so as they were before, and may compute something else from there on.
        """
        way = self.case.realisations[self.backend].ways[index] or ""
        if self.averages and self.contract.reloading(way).averages:
            return self._take_averages(index, moment, self.contract.reloading(way).averages)
        before = replace(moment, rebuilt=index > 0 and self.moments[index - 1].rebuilt)
        loaded: dict[str, Array] = {}
        if self.contract.reloading(way).file:
            tape = Tape(self.rounding, self.lower)
            forward = Forward(self.case, self.contract, tape, self.arrays, self.grids, {}, before)
            loaded = forward.loaded(self.case.architecture.layers)
        self._move(loaded)
        self.rewritten |= frozenset(loaded)
        forgetful = moment.rebuilt > before.rebuilt and any(
            placed.layer.kind in self.contract["lora_alpha_forgotten_by"]
            for placed in self.case.architecture.layers
        )
        self.weights_version += bool(loaded) or forgetful
        kept = tuple(self.state_version for _ in self.stateful)
        rounds = moment.loads and self.stepper.load()
        point = self._quiet(index, moment, kept)
        return replace(point, rewritten=frozenset(loaded), rounds_scalars=rounds)

    def _take_averages(self, index: int, moment: Moment, whose: str) -> ExpectedPoint:
        """The weights become their averages: all of them, and the states, or the trainable ones."""
        assert self.averages
        used: tuple[Any, ...] = tuple(self.state_version for _ in self.stateful)
        if moment.held is None and self.contract["average_of_nothing"]:
            return self._quiet(
                index, replace(moment, raises=self.contract["average_of_nothing"]), used
            )
        every = (*self.case.architecture.weights, *self.state_names)
        names = every if whose == "all" else moment.flags.acting.trainable
        misplaces = self._misplaces(moment, moment.held or ())
        taken = self.averages.taken(names)
        if misplaces:
            taken = {name: np.full_like(self.arrays[name], np.nan) for name in names}
        self._move(taken)
        self.weights_version += 1
        if taken.keys() & {*self.state_names}:
            self.state_version += 1
            used = tuple(f"averages at {index}" for _ in self.stateful)
        rewritten = frozenset(taken) - {*self.state_names}
        self.rewritten |= rewritten
        point = replace(self._quiet(index, moment, used), rewritten=rewritten)
        return replace(point, may_raise=_MISPLACED) if misplaces else point

    def _learn(self, index: int, action: Any, moment: Moment) -> ExpectedPoint:
        flags = moment.acting
        batches = (action.batch, *getattr(action, "more", ()))
        asked = self.asked if len(batches) == 1 else frozenset[str]()
        raises = self._raises(action, moment, asked)
        if "function" in self.mode.traits:
            raises = self._called(index, action, moment, raises)
        if raises is not None and self.stepper.traced:
            return self._raised_in_tracing(index, action, moment, raises)
        forward = self._forward_signature(moment)
        version = self.weights_version
        draws = [self._draws(index, batch) for batch in batches]
        self.lost |= None in draws or (self.repeats > 1 and self.case.draws_at(index))
        idle = {*flags.trainable, *asked} - moment.reached
        rewritten = self._rewritten(moment)
        self.rewritten |= rewritten
        point = ExpectedPoint(
            action=index,
            raises=raises,
            flags=flags,
            attributes=moment.flags,
            blind=self.blind,
            weights_version=version,
            forward=forward,
            held=moment.held,
            optimizer=moment.optimizer,
            stops_midway=raises is not None and raises == self._stops(moment),
            idle=frozenset(idle),
            rewritten=rewritten,
            zeros=moment.zeros,
            still=moment.still,
            masked=self._masked(moment),
            warns=self._warns(action, raises, moment),
        )
        ends = self.fitted and action.action == "step" and self.averages
        if ends and self._misplaces(moment, moment.held or ()):
            point = replace(point, may_raise=_MISPLACED)
        steps = raises is None and action.action == "step"
        moved = (*point.moving, *self._dragging(point, moment)) if steps else ()
        if self.lost:
            self.state_version += any(map(moves, forward))
            self.weights_version += bool(moved)
            dragged = self.stepper.step_unseen(moved) if moved else frozenset[str]()
            replaced = dragged | (self._after_step(moment) if steps else frozenset[str]())
            return replace(
                point, rewritten=rewritten | replaced.union(point.stale if steps else ())
            )
        if raises and raises in (
            self.contract["nothing_to_train"],
            self.contract["gradient_by_nothing"],
        ):
            batches = batches[:1]  # the first backward pass has raised
        before = {name: self.arrays[name] for name in moved}
        dragged = replaced = frozenset[str]()
        for remaining in reversed(range(self.repeats if steps else 1)):
            result = self._passes(batches, moment, [known or {} for known in draws])
            zeros = {name: np.zeros_like(self.arrays[name][:1]) for name in moment.zeros}
            unclipped = masked(result.gradients, point.masked) | zeros
            lookups = {n: sums for n, sums in result.lookups.items() if n not in point.masked}
            result = replace(result, gradients=unclipped, lookups=lookups)
            if steps and self.stepper.divides_lookups_by_nan(lookups.keys() & {*moved}):
                point = replace(point, may_raise=("InvalidArgumentError", "is not in [0,"))
            if steps and self.scale.growth and result.overflowing & {*self._reached(moment)}:
                point = replace(point, skipped=True)
                moved = ()
                replaced = self._after_skipping(moment)
                break
            if steps and self.case.clip:
                result = self._clipped(result, self._with_gradients(moment))
            dragged = self._step(result, moved, moment, self._dragging(point, moment))
            replaced = self._after_step(moment, ends=not remaining) if steps else frozenset[str]()
            if steps and (flags.trainable or not self.blind):
                self.scale.after_step(skipped=False)
        self.rewritten |= dragged | replaced
        point = replace(point, rewritten=point.rewritten | dragged | replaced)
        if point.stops_midway:
            broken = (*point.moving, *self._dragging(point, moment))
            self._move({name: np.full_like(self.arrays[name], np.nan) for name in broken})
            self.weights_version += 1
        if raises is not None:
            return point
        wanted = {*self._with_gradients(moment), *asked} - idle
        shown = result.gradients if self.contract["clipping"] == "in_place" else unclipped
        gradients = {name: g for name, g in shown.items() if name in wanted and not self.blind}
        if moved and not self.contract["gradient_kept_by_step"]:
            left = self.stepper.left_behind(gradients, moved)
            gradients |= left
            point = replace(point, forward=(*forward, index)) if left else point
        return replace(
            point,
            loss=estimate(result.loss, self.rounding),
            gradients=self._estimates(gradients),
            weights=self._estimates({n: self.arrays[n] for n in {*point.moving, *self.rewritten}}),
            updates=self._estimates(
                {name: self.arrays[name] - before[name] for name in moved if name in point.moving}
            ),
            state=self._estimates({name: self.arrays[name] for name in self.state_names}),
            averages=self._estimates(self.averages.held if self.averages else {}),
        )

    def _raised_in_tracing(
        self, index: int, action: Any, moment: Moment, raises: tuple[str, str]
    ) -> ExpectedPoint:
        """The point of a step that raises while it is traced: nothing of it has run.

        But for one that has made variables too late: of that nothing says how far it got.
        """
        late = raises == self.contract["variables_made_late"]
        quiet = self._quiet(index, moment, tuple(self.state_version for _ in self.stateful))
        self.lost |= late
        return replace(
            quiet,
            raises=raises,
            flags=moment.acting,
            stops_midway=late,
            warns=self._warns(action, raises, moment),
        )

    def _called(
        self, index: int, action: Any, moment: Moment, raises: tuple[str, str] | None
    ) -> tuple[str, str] | None:
        """What the call of a function raises that is traced; raises: what is in it."""
        name = (action.action, moment.training, len(getattr(action, "more", ())))
        before = self.moments[index - 1].held if index else None
        waited = self.options.get("optimizer_build") == "first_step" and before is None
        makes_variables = waited and moment.held is not None
        return self.functions.call(name, raises, makes_variables, moment.again)

    def _after_step(self, moment: Moment, ends: bool = True) -> frozenset[str]:
        """Goes on with the schedule and the averages; ends: the call of a step ends with it.

        The result names the weights that became their averages though no gradient moves them.
        """
        self.stepper.count(bool(moment.acting.trainable))
        if not self.averages:
            return frozenset()
        trainable = moment.acting.trainable
        if self.contract["averages_belong_to"] == "the_program":
            names = (*self.case.architecture.weights, *self.state_names)
        elif trainable:
            names = tuple(n for n in self.case.architecture.weights if n in (moment.held or ()))
        else:  # the step of an optimizer that has nothing to do
            names = ()
        if names:
            self.averages.update(self.arrays, names, set(self.state_names))
        misplaces = self.fitted and self._misplaces(moment, names)
        replaced = self.averages.overwrites(
            names, trainable, ends and self.fitted and not misplaces
        )
        values = {name: self.averages.held[name] for name in replaced}
        if misplaces:
            values |= {
                n: np.full_like(self.arrays[n], np.nan) for n in moment.flags.acting.trainable
            }
        if values:
            self.weights_version += 1
            self._move(values)
        return frozenset(values) - frozenset(self._reached(moment))

    def _after_skipping(self, moment: Moment) -> frozenset[str]:
        """Goes on after a step that was skipped; the weights that become their averages, as in fit.

        It ends with that whether it has made a step or not.
        """
        self.scale.after_step(skipped=True)
        if not self.averages or not self.fitted:
            return frozenset()
        names = moment.flags.acting.trainable
        taken = self.averages.taken(names)
        if self._misplaces(moment, moment.held or ()):
            taken = {name: np.full_like(self.arrays[name], np.nan) for name in names}
        self.weights_version += bool(taken)
        self._move(taken)
        return frozenset(taken)

    def _misplaces(self, moment: Moment, held: Collection[str]) -> bool:
        """Whether averages are handed out by position, to other weights than they are of."""
        by_position = self.contract["averages_handed_out"] == "by_position"
        return by_position and {*held} != {*moment.flags.acting.trainable}

    def _dragging(self, point: ExpectedPoint, moment: Moment) -> tuple[str, ...]:
        """The frozen weights that the update rule is applied to: with zeros, or at a rate of 0.

        What takes all weights for one vector has zeros for those without a gradient, too.
        """
        if self.case.optimizer.kind in TOGETHER:
            return ()
        return (*point.stale, *(n for n in self._reached(moment) if n in point.still))

    def _step(
        self, result: _Pass, moving: Sequence[str], now: Moment, dragging: Sequence[str]
    ) -> frozenset[str]:
        """Moves the weights; the frozen ones among them, if of no effect, keep their bits.

        The result names the frozen weights that the step has moved.
        """
        if not moving:
            return frozenset()
        self.weights_version += 1
        before = self.arrays
        moved = self.stepper.step(before, result.gradients, result.lookups, moving, now)
        parts = self._masked(now)
        moved |= {n: kept(before[n], moved[n], parts[n]) for n in parts if n in moved}
        stay = {n for n in dragging if unmoved(before[n], moved[n])}
        self._move({name: array for name, array in moved.items() if name not in stay})
        return self.stepper.dragged.union(dragging) - stay

    def _masked(self, moment: Moment) -> dict[str, np.ndarray]:
        """The weights that a mask holds a part of, and which part that is."""
        return {
            name: held_part(self.case.weights[name], self.layouts.get(name))
            for name in self._reached(moment)
            if name in moment.partial
        }

    def _clipped(self, result: _Pass, names: Sequence[str]) -> _Pass:
        """The outcome with the gradients of `names` clipped."""
        held = {name: result.gradients[name] for name in names}
        after = clipped(self.case.clip, self.contract, self.rounding, held, result.lookups)
        return replace(result, gradients={**result.gradients, **after})

    def _passes(self, batches: Sequence[int], moment: Moment, draws: Sequence[Draws]) -> _Pass:
        """Forward and backward on each batch, the gradients added up as they come."""
        total: _Pass | None = None
        for batch, drawn in zip(batches, draws, strict=False):
            asked = self.asked if len(batches) == 1 else frozenset[str]()
            along = self._along(moment, asked) if self.second_order else {}
            one = self._pass(batch, moment, self._forward_signature(moment), drawn, along)
            self._move(one.state)
            self.state_version += bool(one.state)
            one = self._recomputed(one, batch, moment, drawn)
            if total is None:
                total = one
                continue
            # Not those of inputs, which are asked for on one batch alone; in an order that stays.
            gradients = {
                name: self.rounding.disturb(total.gradients[name] + gradient)
                for name, gradient in one.gradients.items()
                if name in self.case.architecture.weights
            }
            overflowing = total.overflowing | one.overflowing
            total = _Pass(one.loss, gradients, one.state, {}, overflowing)
        assert total is not None
        return total

    def _recomputed(self, result: _Pass, batch: int, moment: Moment, draws: Draws) -> _Pass:
        """The outcome where a backward pass runs the forward pass once more, states and all.

        How far it gets again is not said: half of the samples move their states a second time. What
        reads a state that has moved is another function then, and its gradient is not known, nor is
        that of layers which draw anew.
        """
        if not {"checkpoint", "stretches"} & {*self.mode.traits} or not moment.training:
            return result
        unknown = bool(draws) and self.contract["recomputed_draws"] != "the_same"
        if self.contract["recomputed_state"] != "moves_once" and result.state:
            self._move_again(result, self._compute(batch, moment, draws, {}).state)
            unknown |= any(placed.layer.reads_its_state for placed in self.stateful)
        if not unknown:
            return result
        gradients = {name: np.full_like(g, np.inf) for name, g in result.gradients.items()}
        return replace(result, gradients=gradients)

    def _move_again(self, result: _Pass, again: Mapping[str, Array]) -> None:
        """Half of the samples have states as a second pass leaves them."""
        turn = np.arange(1 + SAMPLES) % 2 == 1
        once = {name: self.arrays[name] for name in result.state}
        self._move(
            {
                name: np.where(turn.reshape(-1, *[1] * (array.ndim - 1)), again[name], array)
                for name, array in once.items()
            }
        )

    def _draws(self, index: int, batch: int) -> Draws | None:
        """What the random layers draw at an action, or None where that is not known.

        Every forward pass starts from the same seed: a batch of a size that was there before gets
        the draws that it got then.
        """
        if not self.case.draws_at(index):
            return {}
        size = self.case.batches[batch].size
        if index in self.draws:
            self.draws_of_size[size] = self.draws[index]
        return self.draws_of_size.get(size)

    def _estimates(self, samples: Mapping[str, Array]) -> Estimates:
        return Estimates(samples, self.rounding)

    def _raises(self, action: Any, moment: Moment, asked: frozenset[str]) -> tuple[str, str] | None:
        """The exception that the contract names for this action, if it names one."""
        trainable, reached = moment.acting.trainable, moment.reached
        if not {*trainable, *asked} and self.contract["gradient_by_nothing"]:
            return self.contract["gradient_by_nothing"]
        if not reached & {*trainable, *asked} and self.contract["nothing_to_train"]:
            return self.contract["nothing_to_train"]
        wider = self.rounding.precision.name != "float64" and self.contract["scaled_tangent"]
        if wider and self.case.scaled & {*trainable, *asked}:
            return tuple(wider)
        if action.action == "gradient":
            return None
        clip, of_nothing = self.case.clip, self.contract["clip_by_value_of_nothing"]
        if clip and clip.kind == "value" and of_nothing and not self._with_gradients(moment):
            return tuple(of_nothing)
        if not trainable and moment.held is None and self.averages and self.fitted:
            return self.contract["average_of_nothing"]
        if not trainable:
            silent = self.blind or self.options.get("optimizer_call") != "apply_gradients"
            return None if silent else self.contract["step_with_nothing"]
        if self._stops(moment):
            return self._stops(moment)
        unknown = moment.held is not None and set(trainable) - moment.held
        if unknown and self.contract["unknown_weight"]:
            return self.contract["unknown_weight"]
        return None if self._reached(moment) else self.contract["step_without_gradients"]

    def _stops(self, moment: Moment) -> tuple[str, str] | None:
        return self.stepper.stops(self.arrays, self._with_gradients(moment), moment)

    @staticmethod
    def _reached(moment: Moment) -> tuple[str, ...]:
        """The weights that have a gradient: trainable, and reached by the objective."""
        return tuple(name for name in moment.acting.trainable if name in moment.reached)

    def _with_gradients(self, moment: Moment) -> tuple[str, ...]:
        """The weights that have a gradient, be it one of zeros."""
        return (*self._reached(moment), *sorted(moment.zeros))

    def _warns(self, action: Any, raises: Any, moment: Moment) -> tuple[str, ...]:
        """What the contract says that an action warns of."""
        if self.blind or moment.again:
            return moment.warns
        reached = self._reached(moment)
        if moment.warns:
            return moment.warns
        left_out = len(reached) < len(moment.acting.trainable)
        text = self.contract["unreached_warning"]
        # A step that stops midway has warned.
        stepped = action.action == "step" and raises in (None, self._stops(moment))
        return (text,) if stepped and reached and left_out and text else ()

    def _rewritten(self, moment: Moment) -> frozenset[str]:
        """The weights that a forward pass itself rewrites."""
        return frozenset(
            f"{placed.path}.{name}"
            for placed in self.case.architecture.layers
            for name in placed.layer.rewrites(
                moment.training, own(placed.path, moment.acting.frozen), self.contract
            )
        )

    def _forward_signature(self, moment: Moment) -> tuple[Any, ...]:
        """For each stateful layer the version of a state that is read and kept, or what moves it.

        That is the batch alone, or the batch and the state as it was before. Last stand the mode,
        what the gradient does not pass, a scale that may change, and by what an objective is
        differentiated that has a gradient in it.
        """
        signature: list[Any] = []
        for placed in self.stateful:
            if moment.training and placed.layer.reads_its_state:
                signature.append(f"state {self.state_version}")
                continue
            frozen_inference = (
                placed.path in moment.acting.flagged
                and self.contract["frozen_batch_norm_is_inference"]
            )
            reads = not moment.training or frozen_inference
            signature.append(self.state_version if reads else "batch")
        signature += [moment.training, moment.cut]
        if self.scale.growth:
            signature.append(self.scale.factor)
        if self.second_order:
            signature += [frozenset(self._reached(moment)), moment.hooked]
        return tuple(signature)

    def _along(self, moment: Moment, asked: frozenset[str]) -> dict[str, Any]:
        """What the gradient in the objective is by -> which part of it a hook holds at 0."""
        hooked = {n: part for n, part in self._masked(moment).items() if n in moment.hooked}
        return {name: hooked.get(name) for name in (*self._reached(moment), *sorted(asked))}

    def _pass(
        self,
        batch: int,
        moment: Moment,
        forward: tuple[Any, ...],
        draws: Draws,
        along: Mapping[str, Any] | None = None,
    ) -> _Pass:
        by = (*(along or {}), moment.hooked if along else None)
        key = (self.weights_version, batch, forward, moment.saved_losses, _digest(draws), by)
        if any(map(moves, forward)) or key not in self.passes:
            self.passes[key] = self._compute(batch, moment, draws, along or {})
        return self.passes[key]

    def _compute(
        self, number: int, moment: Moment, draws: Draws, along: Mapping[str, Any]
    ) -> _Pass:
        case, tape = self.case, Tape(self.rounding, self.lower)
        forward = Forward(case, self.contract, tape, self.arrays, self.grids, draws, moment)
        batch = case.batches[number]
        inputs = [tape.constant(array[None]) for array in batch.inputs]
        values = forward.block(case.architecture.network, "", inputs)
        loss = objective(
            self._terms(moment),
            case.penalties,
            [values[n] for n in case.architecture.output_values],
            batch.targets,
            batch.weights,
            {name: forward.parameters[name] for name in case.penalties},
            self.contract,
        )
        state = {
            name: value.data
            for name, value in forward.parameters.items()
            if value.data is not self.arrays[name]
        }
        leaves = {name: forward.versions[name] for name in self.wanted}
        leaves |= {f"input_{n}": [inputs[n]] for n in case.watched}
        gradients = self._gradients(tape, loss, leaves, along)
        self.ties += tape.ties
        squares = "jit" in self.mode.traits and square_may_underflow(tape)
        trained = self.weights_version > 0
        lost = squares or forward_may_leave_the_range(tape, trained)
        overflowing = frozenset(
            name
            for name, (leaf, *_) in leaves.items()
            if not lost
            and name not in case.penalties  # whose gradient is none of the lower format
            and surely_overflows(tape, leaf, gradients[name] * self.scale.factor)
        )
        if lost:
            state = {name: np.full_like(a, np.inf) for name, a in state.items()}
        if lost or may_leave_the_range(tape, gradients, trained):
            gradients = {name: np.full_like(g, np.inf) for name, g in gradients.items()}
        lookups = {
            name: tape.lookups[leaf.index]
            for name, (leaf, *_) in leaves.items()
            if leaf.index in tape.lookups
        }
        return _Pass(loss.data, gradients, state, lookups, overflowing)

    def _terms(self, moment: Moment) -> Sequence[Term]:
        """The objective; a known issue has a Huber loss from a file forget where it bends."""
        if moment.saved_losses and self.contract["delta_of_a_saved_loss"] == "forgotten":
            return [replace(term, delta=1.0) for term in self.case.objective]
        return self.case.objective

    def _gradients(
        self,
        tape: Tape,
        loss: Value,
        leaves: Mapping[str, Sequence[Value]],
        along: Mapping[str, Any],
    ) -> dict[str, Array]:
        """The gradient by each weight and input, summed over the values that it had.

        along: what is itself the direction, halved, in which the loss is differentiated first.
        """
        every = [value for held in leaves.values() for value in held]
        directions: dict[int, Array] = {}
        for name, held_at_zero in along.items():
            *_, last = leaves[name]
            half = 0.5 * last.data
            half = half if held_at_zero is None else np.where(held_at_zero, 0.0, half)
            directions.update((value.index, half) for value in leaves[name])
        found = iter(tape.gradients(loss, every, self.scale.factor, directions))
        gradients = {}
        for name, held in leaves.items():
            total, *others = (next(found) for _ in held)
            for other in others:
                total = self.rounding.disturb(total + other)
            gradients[name] = total
        return gradients

    def _move(self, arrays: Mapping[str, Array]) -> None:
        self.arrays.update(arrays)
        self.grids.update((name, grid_of(array)) for name, array in arrays.items())


def _digest(draws: Draws) -> bytes:
    parts = [array.tobytes() for held in draws.values() for array in held]
    return hashlib.sha256(b"".join(parts)).digest() if parts else b""


def expect(
    case: Case,
    backend: str,
    contract: Contract | None = None,
    draws: Mapping[int, Draws] | None = None,
    layouts: Mapping[str, Layout] | None = None,
) -> Expectation:
    """What the chain rule and the contract of `backend` say of the whole program of `case`.

    contract: another contract than the backend's own, for what a known issue makes of it.
    draws: by action, what the random layers drew there (`Observation.draws`).
    layouts: how the framework lays out each weight, where that is not the canonical layout.
    """
    asked: set[str] = set()
    watched = replace(contract or CONTRACTS[backend], asked=asked)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        acting = watched.in_mode(case.realisations[backend].mode)
        interpreter = _Interpreter(case, backend, acting, draws or {}, layouts or {})
        points = interpreter.run()
    idle = tuple(interpreter.contract["idle_warnings"])
    return Expectation(backend, points, interpreter.ties, idle, frozenset(asked))
