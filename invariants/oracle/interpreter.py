"""Runs the program of a case on the tape: what the chain rule and the contract say of each action.

The result depends on the case and on the contract of one backend, never on what a framework did.
What its random layers drew is an input like the batch: an array that the framework chose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from invariants.oracle.averaging import MISPLACED, Averages
from invariants.oracle.casting import cast, formats
from invariants.oracle.clipping import clipped
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.oracle.expectation import Expectation, ExpectedPoint, moves
from invariants.oracle.forward import Draws, Forward, own
from invariants.oracle.layouts import (
    lays_out_otherwise,
    normalises_a_part,
    strides_of_their_own,
)
from invariants.oracle.masking import held_parts, kept, masked
from invariants.oracle.optimizers import REMAKING, TOGETHER
from invariants.oracle.passes import Pass, Passes
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import Estimates, estimate
from invariants.oracle.scaling import (
    LossScale,
    ScaleOfNew,
    if_not_skipped,
    stepped_on_a_scaled_loss,
)
from invariants.oracle.stepping import Layout, Stepper, unmoved
from invariants.oracle.tracing import Functions
from invariants.oracle.world import World

if TYPE_CHECKING:
    from invariants.case import Case
    from invariants.course import Moment

#: The function that fit() trains by, and what a call of it raises that gives nothing any more.
TRAINING = "training"
EMPTIED = ("ValueError", "'Toutput_types'")

#: The actions that compute gradients.
_LEARNING = ("gradient", "step")

#: The layers that assign a normalised kernel to the kernel in a forward pass.
SPECTRAL = ("spectral_normalization_dense", "spectral_normalization_conv2d")


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
        self.options = case.options(backend, contract)
        self.mode = case.runs_in(backend)
        self.blind = self.mode.trains_itself
        self.world = World(case, self.mode.traits.get("autocast"))
        world = self.world
        self.stepper = Stepper(case, backend, contract, world.rounding, layouts, world.arrays)
        self.moments = case.course(backend, contract, self.stepper.stopping(world.arrays))
        ever = {
            name
            for action, moment in zip(case.program, self.moments, strict=True)
            if action.action in _LEARNING
            for name in moment.acting.trainable
        }
        self.layouts = layouts
        self.fitted = self.mode.traits.get("call") == "fit"
        self.averages = Averages(case, contract, world, self.fitted) if case.average else None
        self.repeats = int(self.mode.traits.get("steps", "1"))
        self.functions = Functions(contract)
        self.scale = LossScale(self.mode.traits)
        wanted = tuple(name for name in case.architecture.weights if name in ever)
        self.passes = Passes(case, contract, self.mode, world, self.scale, wanted, layouts)
        self.draws_of_size: dict[int, Draws] = {}
        self.rewritten: frozenset[str] = frozenset()
        # A forward pass whose draws are not known, or calls: from there on no numbers.
        self.lost = self._calls_in_unknown_order()
        self.refused_view = self._refused_view()

    def _refused_view(self) -> tuple[str, str] | None:
        """What a forward pass may raise in a graph that is traced ahead."""
        traits, refused = self.mode.traits, self.contract["view_in_a_traced_graph"]
        if not refused or traits.get("compile") != "aot_eager":
            return None
        terms = self.case.objective if traits["of"] in ("loss", "step") else ()
        losses = {term.output: term.loss for term in terms}
        if not strides_of_their_own(self.case.architecture, losses):
            return None
        name, text = refused
        return name, text

    def _calls_in_unknown_order(self) -> bool:
        """Whether a layer is called twice, in an order unknown, whose state goes by that order."""
        return (
            self.case.ever_trains
            and self.contract["order_of_calls"] != "source"
            and any(placed.calls > 1 for placed in self.world.stateful)
        )

    def run(self) -> tuple[ExpectedPoint, ...]:
        points = []
        for index, (action, moment) in enumerate(zip(self.case.program, self.moments, strict=True)):
            through = self._cast(action) if action.action == "cast" else ()
            if action.action != "reload":  # which makes one of the weights that it brings
                self._begin(moment)
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
                same = self.world.still
                points.append(replace(self._quiet(index, moment, same), cast=through))
            if points and points[-1].action == index:
                points[-1] = replace(points[-1], dtype=self.world.rounding.precision.name)
        return tuple(points)

    def _begin(self, moment: Moment, scale: ScaleOfNew = "set") -> None:
        """Goes on with another optimizer where there is one."""
        if moment.optimizer == self.stepper.number:
            return
        self.stepper.begin(moment.optimizer, self.world.arrays)
        self.scale.begin(scale)
        self.functions.make_anew()
        if self.averages:
            self.averages.new_optimizer()

    def _cast(self, action: Any) -> tuple[str, ...]:
        """Goes on in another dtype; the formats that weights and states are rounded to."""
        world = self.world
        through = formats(world.rounding.precision.name, action.dtype, self.contract)
        world.rounding = self.stepper.rounding = world.rounding.apart(action.dtype)
        world.move({n: cast(array, through, world.rounding) for n, array in world.arrays.items()})
        self.world.weights_version += 1
        self.world.state_version += 1
        self.draws_of_size.clear()
        return through

    def _quiet(self, index: int, moment: Moment, forward: tuple[Any, ...]) -> ExpectedPoint:
        """The point of an action without gradients; what it recorded is what was there before."""
        point = ExpectedPoint(
            action=index,
            raises=moment.raises,
            flags=moment.flags,
            weights_version=self.world.weights_version,
            forward=forward,
            held=moment.held,
            optimizer=moment.optimizer,
            warns=moment.warns,
        )
        if self.lost or moment.raises:
            return point
        return replace(
            point,
            weights=self._estimates({name: self.world.arrays[name] for name in self.rewritten}),
            state=self._estimates(
                {name: self.world.arrays[name] for name in self.world.state_names}
            ),
        )

    def _evaluate(self, index: int, action: Any, moment: Moment) -> ExpectedPoint:
        """A forward pass in the mode of the evaluation; its value is not recorded."""
        moment = replace(moment, training=action.training, acting=moment.flags)
        if self.case.realisations[self.backend].ways[index] == "no_grad":  # no inference tensor
            self.passes.met(moment)
        forward = self.passes.signature(moment)
        rewritten = self._rewritten(moment)
        way = self.case.realisations[self.backend].ways[index] or ""
        if self.contract.evaluation(way).averaged:
            self._evaluate_averages(action.batch, moment, rewritten)
            point = self._quiet(index, moment, forward)
            return replace(point, averages_rewritten=rewritten, may_raise=self.refused_view)
        self.rewritten |= rewritten
        before = {name: self.world.arrays[name] for name in rewritten}
        if any(map(moves, forward)) or rewritten:
            self.world.leave(self.passes.one(action.batch, moment, forward, {}).state)
        left = {} if self.lost else self._left(before)
        point = self._quiet(index, moment, forward)
        return replace(point, rewritten=rewritten, left=left, may_raise=self.refused_view)

    def _evaluate_averages(self, batch: int, moment: Moment, rewritten: frozenset[str]) -> None:
        """A forward pass of the averaged model, whose layers rewrite its weights alone."""
        if rewritten and self.averages and not self.lost:
            world = self.world.with_others(self.averages.copied)
            self.averages.leave(self.passes.left_by(batch, moment, world))

    def _left(self, before: Mapping[str, Array]) -> dict[str, Array]:
        """Which elements of the weights are, in every sample, the number that they were."""
        now = self.world.arrays
        return {
            name: ((now[name] == old) & np.isfinite(old)).all(axis=0)
            for name, old in before.items()
        }

    def _reload(self, index: int, moment: Moment) -> ExpectedPoint:
        """Saving and loading, or copying; what some layers make of their weights in a file.

        They do so as they were before, and may compute something else from there on.
        """
        way = self.case.realisations[self.backend].ways[index] or ""
        reloading = self.contract.reloading(way)
        if self.averages and reloading.averages:
            self._begin(moment)
            return self._take_averages(index, moment, reloading.averages)
        if reloading.other_weights and reloading.optimizer != "kept":
            self.world.replace_weights()
        before = replace(moment, rebuilt=index > 0 and self.moments[index - 1].rebuilt)
        loaded: dict[str, Array] = {}
        if reloading.file:
            forward = Forward(self.case, self.contract, self.world, {}, before)
            loaded = forward.loaded(self.case.architecture.layers)
        self.world.move(loaded)
        scale: ScaleOfNew = "set"
        loads = reloading.optimizer == "loaded"
        without_state = loads and self.contract["optimizer_of_other_weights"] in moment.warns
        if loads:
            scale = "default" if without_state else "loaded"
        self._begin(moment, scale)
        if without_state:
            self.stepper.begin_before_a_file(self.world.arrays)
        self.rewritten |= frozenset(loaded)
        forgetful = moment.rebuilt > before.rebuilt and any(
            placed.layer.kind in self.contract["lora_alpha_forgotten_by"]
            for placed in self.case.architecture.layers
        )
        self.world.weights_version += bool(loaded) or forgetful
        kept = self.world.still
        rounds = moment.loads and self.stepper.load()
        point = self._quiet(index, moment, kept)
        return replace(point, rewritten=frozenset(loaded), rounds_scalars=rounds)

    def _take_averages(self, index: int, moment: Moment, whose: str) -> ExpectedPoint:
        """The weights become their averages: all of them, and the states, or the trainable ones."""
        assert self.averages
        used: tuple[Any, ...] = self.world.still
        if moment.held is None and self.contract["average_of_nothing"]:
            return self._quiet(
                index, replace(moment, raises=self.contract["average_of_nothing"]), used
            )
        taken, misplaced = self.averages.take(moment, whose)
        if taken & {*self.world.state_names}:
            self.world.state_version += 1
            used = tuple(f"averages at {index}" for _ in self.world.stateful)
        rewritten = taken - {*self.world.state_names}
        self.rewritten |= rewritten
        point = replace(self._quiet(index, moment, used), rewritten=rewritten)
        return replace(point, may_raise=MISPLACED) if misplaced else point

    def _learn(self, index: int, action: Any, moment: Moment) -> ExpectedPoint:
        flags = moment.acting
        batches = (action.batch, *getattr(action, "more", ()))
        asked = self.passes.asked(batches)
        raises = self._raises(action, moment, asked)
        if "function" in self.mode.traits:
            raises = self._called(index, action, moment, raises)
        elif self.blind and self.stepper.traced:
            if self.functions.is_empty(TRAINING) and not self.fitted:
                quiet = self._quiet(index, moment, self.world.still)
                return replace(quiet, flags=moment.acting, skipped=True)
            raises = self._trained(index, moment, raises)
        ran = raises == self.contract["average_of_nothing"]  # which `fit` does behind its steps
        if raises is not None and not ran and (self.stepper.traced or self._told_before(raises)):
            return self._raised_before(index, action, moment, raises)
        forward = self.passes.signature(moment)
        version = self.world.weights_version
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
            unheld=moment.unheld,
            stops_midway=raises is not None and raises == self._stops(moment),
            idle=frozenset(idle),
            rewritten=rewritten,
            zeros=moment.zeros,
            still=moment.still,
            masked=held_parts(self.case.weights, self.layouts, moment),
            warns=self._warns(action, raises, moment),
            may_raise=self._may_raise(index, action, moment, asked),
        )
        steps = raises is None and action.action == "step"
        if steps and self.stepper.iterations > 1:  # the gradient shown is that of other weights
            forward = (*forward, index)
            point = replace(point, forward=forward)
        dragging = self._dragging(point, moment)
        moved = given = (*point.moving, *dragging) if steps else ()
        updates = self.stepper.updates(self.repeats) if given else (True,) * self.repeats
        if not any(updates):
            point, moved = replace(point, skipped=True), ()
        if self.lost:
            eager = self.scale.growth and not self.stepper.traced
            if eager and action.action == "step" and moment.receiving:
                point = if_not_skipped(point, self.contract["unreached_warning"])
            self.world.state_version += any(map(moves, forward))
            self.world.weights_version += bool(moved)
            dragged = (
                self.stepper.step_unseen(moved, moment.held or ()) if moved else frozenset[str]()
            )
            follows = self._after_step(moment, update=any(updates)) if steps else frozenset[str]()
            replaced = dragged | follows
            return replace(
                point, rewritten=rewritten | replaced.union(point.stale if steps else ())
            )
        of_a_pass = ("nothing_to_train", "gradient_by_nothing", "scaled_tangent")
        if raises and any(raises == tuple(self.contract[name] or ()) for name in of_a_pass):
            batches = batches[:1]  # the first backward pass has raised, or what follows it
        before = {name: self.world.arrays[name] for name in {*moved, *rewritten}}
        dragged = replaced = frozenset[str]()
        known = [drawn or {} for drawn in draws]
        for turn in range(self.repeats if steps else 1):
            result = self._evaluated(batches, moment, known, point.masked)
            untouched = self._left({name: before[name] for name in rewritten})
            unclipped = result.gradients
            if given and self.case.accumulation > 1:
                sums = self.stepper.accumulate(unclipped, given, updates[turn])
                result = replace(result, gradients=unclipped | sums, lookups={})
            looked_up = {name: result.gradients[name] for name in moved if name in result.lookups}
            if steps and self.stepper.divides_lookups_by_nan(looked_up):
                point = replace(point, may_raise=("InvalidArgumentError", "is not in [0,"))
            if self.scale.growth and action.action == "step":
                point = stepped_on_a_scaled_loss(
                    point,
                    {name: result.gradients[name] for name in moment.receiving},
                    result.overflowing.intersection(moment.receiving),
                    self.contract["unreached_warning"],
                    self.stepper.traced,
                )
                raises = point.raises
            if point.skipped and self.scale.growth:
                moved = ()
                replaced = self._after_skipping(moment)
                break
            if steps and self.case.clip:
                result = self._clipped(result, moment.with_gradients)
            moving = moved if updates[turn] else ()
            dragged = self._step(result, moving, moment, dragging, point.masked)
            if moved and self.stepper.iterations > 1:
                evaluate = partial(self._evaluated, batches, moment, known, point.masked)
                result, further = self._iterate(result, evaluate, moved, moment, point.masked)
                dragged |= further
            reached = (result.gradients[name] for name in moment.receiving)
            made = not self.scale.growth or all(np.isfinite(array).all() for array in reached)
            replaced = frozenset[str]()
            if steps:
                ends = turn == self.repeats - 1
                replaced = self._after_step(moment, ends, made, updates[turn])
            if steps and (flags.trainable or not self.blind):
                self.scale.after_step(skipped=False)
        self.rewritten |= dragged | replaced
        alone = {n: part for n, part in untouched.items() if n not in dragged | replaced}
        point = replace(point, rewritten=point.rewritten | dragged | replaced, left=alone)
        if point.stops_midway:
            strayed = self._decayed_unknown(moment)
            point = replace(point, rewritten=point.rewritten | strayed)
            broken = (*point.moving, *dragging, *strayed)
            self.world.move(
                {name: np.full_like(self.world.arrays[name], np.nan) for name in broken}
            )
            self.world.weights_version += 1
        if raises is not None:
            return point
        wanted = {*moment.with_gradients, *asked} - idle
        shown = result.gradients if self.contract["clipping"] == "in_place" else unclipped
        gradients = {name: g for name, g in shown.items() if name in wanted and not self.blind}
        if moved:
            left = self.stepper.left_behind(gradients, moved, before)
            gradients |= left
            point = replace(point, forward=(*forward, index)) if left else point
        return replace(
            point,
            loss=estimate(result.loss, self.world.rounding),
            gradients=self._estimates(gradients),
            weights=self._estimates(
                {n: self.world.arrays[n] for n in {*point.moving, *self.rewritten}}
            ),
            updates=self._estimates(
                {
                    name: self.world.arrays[name] - before[name]
                    for name in moved
                    if name in point.moving
                }
            ),
            state=self._estimates(
                {name: self.world.arrays[name] for name in self.world.state_names}
            ),
            averages=self._estimates(self.averages.held if self.averages else {}),
        )

    def _told_before(self, raises: tuple[str, str]) -> bool:
        """Whether an action raises before its forward pass has run."""
        nothing = raises == self.contract["nothing_to_train"]
        return nothing and self.contract["nothing_to_train_told"] == "before_the_pass"

    def _raised_before(
        self, index: int, action: Any, moment: Moment, raises: tuple[str, str]
    ) -> ExpectedPoint:
        """The point of an action that raises while it is traced, or before: nothing of it has run.

        But for one that has made variables too late: of that nothing says how far it got.
        """
        late = raises == self.contract["variables_made_late"]
        quiet = self._quiet(index, moment, self.world.still)
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
        makes_variables = self._builds_the_optimizer(index, moment)
        return self.functions.call(name, raises, makes_variables, moment.again)

    def _trained(
        self, index: int, moment: Moment, raises: tuple[str, str] | None
    ) -> tuple[str, str] | None:
        """What a step raises that a model makes by itself; raises: what is in it does.

        `fit` wants of its function what a step gives, and raises where that is nothing. The first
        trace makes what holds the loss of each output, too, where there are several.
        """
        if self.functions.is_empty(TRAINING):
            return EMPTIED
        several = len(self.case.objective) > 1
        makes_variables = several or self._builds_the_optimizer(index, moment)
        self.functions.call(TRAINING, raises, makes_variables, again=True)
        return raises

    def _builds_the_optimizer(self, index: int, moment: Moment) -> bool:
        """Whether an action makes the variables of the optimizer while it runs."""
        before = self.moments[index - 1].held if index else None
        waited = self.options.get("optimizer_build") == "first_step" and before is None
        return waited and moment.held is not None

    def _after_step(
        self, moment: Moment, ends: bool = True, made: bool = True, update: bool = True
    ) -> frozenset[str]:
        """Goes on with the schedule and the averages; ends: the call of a step ends with it; made:
        false where nobody can tell whether it was skipped; update: it has moved weights.

        The result names the weights that became their averages though no gradient moves them.
        """
        self.stepper.count(bool(moment.acting.trainable))
        if not self.averages:
            return frozenset()
        replaced = self.averages.follow(moment, ends, made, update)
        return replaced - frozenset(moment.receiving if update else ())

    def _after_skipping(self, moment: Moment) -> frozenset[str]:
        """Goes on after a step that was skipped; the weights that become their averages, as in fit.

        It ends with that whether it has made a step or not.
        """
        self.scale.after_step(skipped=True)
        if not self.averages or not self.fitted:
            return frozenset()
        return self.averages.take(moment, "trainable")[0]

    def _dragging(self, point: ExpectedPoint, moment: Moment) -> tuple[str, ...]:
        """The frozen weights that the update rule is applied to: with zeros, or at a rate of 0.

        What takes all weights for one vector has zeros for those without a gradient, too.
        """
        if self.case.optimizer.kind in TOGETHER:
            return ()
        return (*point.stale, *(n for n in moment.receiving if n in point.still))

    def _step(
        self,
        result: Pass,
        moving: Sequence[str],
        now: Moment,
        dragging: Sequence[str],
        parts: Mapping[str, np.ndarray],
    ) -> frozenset[str]:
        """Moves the weights; the frozen ones among them, if of no effect, keep their bits.

        parts: what a mask holds of some. The result names the frozen weights that it has moved.
        """
        if not moving:
            return frozenset()
        self.world.weights_version += 1
        before = self.world.arrays
        moved = self.stepper.step(before, result.gradients, result.lookups, moving, now)
        carried = {n: self.stepper.carried(n, now) for n in (*parts, *dragging)}
        if self.case.optimizer.kind not in REMAKING:
            held = {n: parts[n] & ~carried[n] for n in parts if n in moved}
            moved |= {n: kept(before[n], moved[n], part) for n, part in held.items()}
        stay = {n for n in dragging if unmoved(before[n], moved[n]) and not carried[n].any()}
        self.world.move({name: array for name, array in moved.items() if name not in stay})
        return self.stepper.dragged.union(dragging) - stay

    def _evaluated(
        self,
        batches: Sequence[int],
        moment: Moment,
        draws: Sequence[Draws],
        parts: Mapping[str, np.ndarray],
    ) -> Pass:
        """The loss and its gradients, masked by `parts`, at the weights as they are."""
        result = self.passes.on(batches, moment, draws)
        zeros = {name: np.zeros_like(self.world.arrays[name][:1]) for name in moment.zeros}
        lookups = {name: sums for name, sums in result.lookups.items() if name not in parts}
        return replace(result, gradients=masked(result.gradients, parts) | zeros, lookups=lookups)

    def _iterate(
        self,
        result: Pass,
        evaluate: Callable[[], Pass],
        moving: Sequence[str],
        now: Moment,
        parts: Mapping[str, np.ndarray],
    ) -> tuple[Pass, frozenset[str]]:
        """Further iterations in a step that has made one, with the loss evaluated before each.

        result: the first evaluation, whose loss the step gives. The gradients are the last one's,
        unknown where it is not sure which was the last, and so are the states then. Beside it stand
        the frozen weights that have moved.
        """
        dragged, first = frozenset[str](), result.loss
        for iteration in count(1):
            if not self.stepper.evaluates_again(iteration):
                break
            last, result = result.loss, evaluate()
            if self.case.clip:
                result = self._clipped(result, now.with_gradients)
            gained, arrays = result.loss - last, self.world.arrays
            if not self.stepper.goes_on(
                iteration + 1, gained, arrays, result.gradients, moving, now
            ):
                break
            dragged |= self._step(result, moving, now, (), parts)
        if self.stepper.uncertain:
            unknown = {name: np.full_like(g, np.inf) for name, g in result.gradients.items()}
            result = replace(result, gradients=unknown)
            lost = {*moving, *self.stepper.dragged, *result.state}
            arrays = self.world.arrays
            self.world.move({name: np.full_like(arrays[name], np.nan) for name in lost})
            self.world.weights_version += 1
            self.world.state_version += bool(result.state)
        return replace(result, loss=first), dragged

    def _clipped(self, result: Pass, names: Sequence[str]) -> Pass:
        """The outcome with the gradients of `names` clipped."""
        held = {name: result.gradients[name] for name in names}
        after = clipped(self.case.clip, self.contract, self.world.rounding, held, result.lookups)
        return replace(result, gradients={**result.gradients, **after})

    def _may_raise(
        self, index: int, action: Any, moment: Moment, asked: frozenset[str]
    ) -> tuple[str, str] | None:
        """What an action may raise, by an issue."""
        refusals = [*self._refusals(index, action, moment, asked)]
        return next((tuple(refused) for refused in reversed(refusals) if refused), None)

    def _refusals(
        self, index: int, action: Any, moment: Moment, asked: frozenset[str]
    ) -> Iterator[Any]:
        """What each of the issues that an action may meet raises there; none where it is not."""
        steps, changing = action.action == "step", {*moment.acting.trainable, *asked}
        yield self.refused_view
        normalises = any(p.layer.kind in SPECTRAL for p in self.case.architecture.layers)
        if normalises and self.stepper.traced and moment.training:
            yield self.contract["spectral_normalization_when_traced"]
        if steps and self.fitted and self.averages and self.averages.misplaces(moment):
            yield MISPLACED
        if action.action in ("gradient", "step") and self._in_the_layout_of_a_sample(moment):
            yield self.contract["kernel_gradient_of_a_sample"]
        if "samples" in self.mode.traits and normalises_a_part(self.case.architecture):
            yield self.contract["group_norm_of_a_part"]
        if "linear" in self.mode.traits and lays_out_otherwise(self.case.architecture, changing):
            yield self.contract["view_in_a_linear_map"]
        unreached = moment.hooked - moment.reached
        if unreached and changing and self.mode.traits.get("hooked") == "model":
            yield self.contract["hook_of_unreached"]
        if steps:
            yield self.stepper.refuses(self.world.arrays, moment.with_gradients)
        if steps and self.case.clip and self._shares_zeros(index, asked):
            yield self.contract["clipping_of_shared_zeros"]

    def _in_the_layout_of_a_sample(self, moment: Moment) -> bool:
        """Whether transposed convolutions have gradients of their kernels one by one.

        In float32 another library's kernel takes them, whatever the layout.
        """
        if "samples" not in self.mode.traits or self.world.rounding.precision.name == "float32":
            return False
        kernels = {
            f"{placed.path}.kernel"
            for placed in self.case.architecture.layers
            if placed.layer.kind in ("conv1d_transpose", "conv2d_transpose")
        }
        return not kernels.isdisjoint(moment.acting.trainable)

    def _shares_zeros(self, index: int, asked: frozenset[str]) -> bool:
        """Whether the elements of a gradient of zeros may share their memory.

        vmap makes one number of all tangents of a loss that nothing trained reaches. A gradient
        that is set to zeros and kept has that memory still at a later step.
        """
        first = 0 if self.options.get("zero_grad") == "zeros" else index
        return any(
            self.case.reached.isdisjoint({*moment.acting.trainable, *asked})
            and any(self.world.arrays[name][0].size > 1 for name in moment.acting.trainable)
            for moment in self.moments[first : index + 1]
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
        return Estimates(samples, self.world.rounding)

    def _raises(self, action: Any, moment: Moment, asked: frozenset[str]) -> tuple[str, str] | None:
        """The exception that the contract names for this action, if it names one."""
        trainable, reached = moment.acting.trainable, moment.reached
        if not {*trainable, *asked} and self.contract["gradient_by_nothing"]:
            return self.contract["gradient_by_nothing"]
        if not reached & {*trainable, *asked} and self.contract["nothing_to_train"]:
            return self.contract["nothing_to_train"]
        wider = self.world.rounding.precision.name != "float64" and self.contract["scaled_tangent"]
        if wider and self.case.scaled & {*trainable, *asked}:
            return tuple(wider)
        if action.action == "gradient":
            return None
        clip = self.case.clip
        clips_nothing = clip and clip.kind == "value" and not moment.with_gradients
        if clips_nothing and (of_nothing := self.contract["clip_by_value_of_nothing"]):
            return tuple(of_nothing)
        if not trainable and moment.held is None and self.averages and self.fitted:
            return self.contract["average_of_nothing"]
        if not trainable:
            silent = self.blind or self.options.get("optimizer_call") != "apply_gradients"
            return None if silent else self.contract["step_with_nothing"]
        unknown = moment.held is not None and set(trainable) - moment.held
        at_once = self.contract["unknown_weight_told"] == "before_the_step"
        if unknown and at_once and self.contract["unknown_weight"]:
            return self.contract["unknown_weight"]
        if self._stops(moment):
            return self._stops(moment)
        return None if moment.receiving else self.contract["step_without_gradients"]

    def _stops(self, moment: Moment) -> tuple[str, str] | None:
        """The exception of a step that has moved some of the weights by then."""
        if self._met_unknown(moment):
            return self.contract["unknown_weight"]
        return self.stepper.stops(self.world.arrays, moment.with_gradients, moment)

    def _met_unknown(self, moment: Moment) -> frozenset[str]:
        """The weights that a step gets to, one by one, and that its optimizer does not know."""
        if moment.held is None:
            return frozenset()
        unknown = frozenset(moment.receiving) - moment.held
        told = unknown and self.contract["unknown_weight_told"] == "at_the_weight"
        return unknown if told else frozenset()

    def _decayed_unknown(self, moment: Moment) -> frozenset[str]:
        """The weights that a step has decayed before it has found that it does not know them."""
        decays = getattr(self.case.optimizer, "weight_decay", 0.0)
        return self._met_unknown(moment) if decays else frozenset()

    def _warns(self, action: Any, raises: Any, moment: Moment) -> tuple[str, ...]:
        """What the contract says that an action warns of."""
        if self.blind or moment.again:
            return moment.warns
        reached = moment.receiving
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
        if not case.differentiates_a_graph(backend):
            acting = acting.as_if({"softmax_in_a_graph": "kept"})
        interpreter = _Interpreter(case, backend, acting, draws or {}, layouts or {})
        points = interpreter.run()
    idle = tuple(interpreter.contract["idle_warnings"])
    return Expectation(backend, points, interpreter.passes.ties, idle, frozenset(asked))
