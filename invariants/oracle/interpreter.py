"""Runs the program of a case on the tape: what the chain rule and the contract say of each action.

The result depends on the case and on the contract of one backend, never on what a framework did.
What its random layers drew is an input like the batch: an array that the framework chose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from invariants.oracle.clipping import clipped
from invariants.oracle.contract import CONTRACTS, Contract
from invariants.oracle.limits import may_leave_the_range
from invariants.oracle.losses import objective
from invariants.oracle.optimizers import SHAPED, TOGETHER, Slots, step
from invariants.oracle.optimizers.lbfgs import Memory, flat
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import PRECISIONS, Estimate, Estimates, Rounding, estimate
from invariants.oracle.tape import Tape, Value, grid_of

if TYPE_CHECKING:
    from invariants.architecture.graph import Block
    from invariants.architecture.layers.base import Layer
    from invariants.case import Case
    from invariants.course import Moment
    from invariants.freezing import Flags

#: The actions that compute gradients.
_LEARNING = ("gradient", "step")

#: The path of a random layer -> what it drew, one array for each of its calls.
Draws = Mapping[str, tuple[Array, ...]]


class Layout(Protocol):
    """How a framework lays out a weight."""

    def to_native(self, array: Array) -> Array: ...

    def to_canonical(self, array: Array) -> Array: ...


@dataclass(frozen=True)
class ExpectedPoint:
    """What is expected of one action that records: all but freezing and thawing.

    Numbers are missing where the draws of a random layer are not known, or the order of its calls.
    `gradients` holds the trainable weights and "input_N" where the case asks for input gradients;
    `updates` what a step adds to each of them. `zeros` names the frozen weights that have a
    gradient of zeros, `still` those whose learning rate is 0.
    `weights` holds those that a step may move and those that forward passes have rewritten so far;
    `rewritten` names those that the forward pass of this very action rewrites.
    `flags` are those that it went by, `attributes` those that can be read, where they differ.
    `blind`: the mode shows no gradients.
    `held` names the weights that the optimizer has been made with, None for all that are trainable;
    `optimizer` is its number. A step that `stops_midway` raises once some weights have moved.
    `forward` says what the forward pass depended on beside weights and batch: for each layer with
    a state the version of it that was used, or a text where it was moved, and last the mode; two
    points with the same `forward` and the same `weights_version` computed the same function.
    """

    action: int
    raises: tuple[str, str] | None
    flags: Flags
    weights_version: int
    forward: tuple[Any, ...]
    attributes: Flags | None = None
    blind: bool = False
    held: frozenset[str] | None = None
    optimizer: int = 0
    stops_midway: bool = False
    idle: frozenset[str] = frozenset()
    rewritten: frozenset[str] = frozenset()
    zeros: frozenset[str] = frozenset()
    still: frozenset[str] = frozenset()
    warns: tuple[str, ...] = ()
    loss: Estimate | None = None
    gradients: Mapping[str, Estimate] = field(default_factory=dict)
    weights: Mapping[str, Estimate] = field(default_factory=dict)
    updates: Mapping[str, Estimate] = field(default_factory=dict)
    state: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def moving(self) -> tuple[str, ...]:
        """The weights that a step moves."""
        return tuple(
            name
            for name in self.flags.trainable
            if name not in (self.idle | self.still) and (self.held is None or name in self.held)
        )

    @property
    def stale(self) -> tuple[str, ...]:
        """The frozen weights that a step takes along with a gradient of zeros."""
        return tuple(name for name in sorted(self.zeros) if name in (self.held or ()))


@dataclass(frozen=True)
class Expectation:
    """What is expected of a whole program on one backend; `points` in the order of the actions.

    ties: how many elements met a kink (relu at 0, equal maxima) exactly. idle_warnings: those that
    any action may give.
    """

    backend: str
    points: tuple[ExpectedPoint, ...]
    ties: int = 0
    idle_warnings: tuple[str, ...] = ()


def moves(use: Any) -> bool:
    """Whether a layer's forward pass moves its state, by the layer's entry in `forward`."""
    return isinstance(use, str)


def own(path: str, weights: frozenset[str]) -> frozenset[str]:
    """The names within the layer at `path` of those of its weights that are among `weights`."""
    split = (weight.rpartition(".") for weight in weights)
    return frozenset(name for owner, _, name in split if owner == path)


class _LayerCall:
    """One call of a layer: implements architecture.layers.base.Call."""

    def __init__(self, forward: _Forward, path: str) -> None:
        self._forward = forward
        self._path = path
        self.training = forward.training
        self.frozen = path in forward.flags.flagged
        self.frozen_weights = own(path, forward.flags.frozen)
        self.before_steps_first = path in forward.before_steps_first
        self.contract = forward.contract

    def parameter(self, name: str) -> Value:
        return self._forward.parameters[f"{self._path}.{name}"]

    def set_state(self, name: str, value: Value) -> None:
        self._forward.set(f"{self._path}.{name}", value)

    def drawn(self) -> Value:
        return self._forward.tape.constant(next(self._forward.draws[self._path])[None])


class _Forward:
    """One forward pass on a tape of its own."""

    def __init__(
        self,
        case: Case,
        contract: Contract,
        tape: Tape,
        arrays: dict[str, Array],
        grids: dict[str, int | None],
        draws: Draws,
        moment: Moment,
    ) -> None:
        self.contract = contract
        self.tape = tape
        self.draws: dict[str, Iterator[Array]] = {path: iter(held) for path, held in draws.items()}
        self.training = moment.training
        self.flags = moment.acting
        self.before_steps_first = case.architecture.before_steps_first
        self.parameters = {name: Value(tape, array, grids[name]) for name, array in arrays.items()}
        # The gradient of a weight is summed over all the values that it had in the pass.
        self.versions = {name: [value] for name, value in self.parameters.items()}

    def set(self, name: str, value: Value) -> None:
        self.parameters[name] = value
        self.versions[name].append(value)

    def block(self, block: Block, path: str, inputs: list[Value]) -> list[Value]:
        """All values of a block, its inputs first."""
        values = list(inputs)
        for node in block.nodes:
            name = block.name(node.member)
            member_path = f"{path}.{name}" if path else name
            member: Any = block.members[node.member]
            xs = [values[i] for i in node.inputs]
            if member.kind == "block":
                values.append(self.block(member, member_path, xs)[-1])
            else:
                layer: Layer = member
                values.append(layer.forward(_LayerCall(self, member_path), *xs))
        return values


@dataclass
class _Pass:
    """The outcome of one forward and backward pass, in samples.

    state: the states that it moved and the weights that it rewrote.
    """

    loss: Array
    gradients: dict[str, Array]
    state: dict[str, Array]
    lookups: dict[str, Array]


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
        self.draws = draws
        self.contract = contract
        self.layouts = layouts if case.optimizer.kind in SHAPED else {}
        self.options = case.options(backend)
        self.blind = case.realisations[backend].mode in contract.compiled_modes
        self.rounding = Rounding(PRECISIONS[case.dtype])
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
        self.slots, self.memory = self._slots_made_ahead(), Memory()
        self.updates_of: dict[str, int] = {}
        self.steps = 0
        self.weights_version = 0
        self.state_version = 0
        self.optimizer = 0
        self.passes: dict[tuple[Any, ...], _Pass] = {}
        self.ties = 0
        self.draws_of_size: dict[int, Draws] = {}
        self.rewritten: frozenset[str] = frozenset()
        self.dragged: frozenset[str] = frozenset()  # frozen weights that the last step has moved
        # A forward pass whose draws are not known, or calls: from there on no numbers.
        self.lost = self._calls_in_unknown_order()

    def _slots_made_ahead(self) -> dict[str, Slots]:
        """The slots that start with what the weights are when an optimizer is made."""
        ahead = self.options.get("optimizer_build") == "ahead"
        if not ahead or self.case.optimizer.kind != "schedule_free_adamw":
            return {}
        return {name: {"z": self.arrays[name]} for name in self.case.architecture.weights}

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
            if moment.optimizer != self.optimizer:
                self.optimizer, self.updates_of, self.steps = moment.optimizer, {}, 0
                self.slots, self.memory = self._slots_made_ahead(), Memory()
            if action.action in _LEARNING:
                points.append(self._learn(index, action, moment))
            elif action.action == "evaluate":
                points.append(self._evaluate(index, action, moment))
            elif action.action not in ("freeze", "thaw") or moment.raises:
                kept = tuple(self.state_version for _ in self.stateful)
                points.append(self._quiet(index, moment, kept))
        return tuple(points)

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

    def _learn(self, index: int, action: Any, moment: Moment) -> ExpectedPoint:
        flags = moment.acting
        batches = (action.batch, *getattr(action, "more", ()))
        asked = self.asked if len(batches) == 1 else frozenset[str]()
        raises = self._raises(action, moment, asked)
        forward = self._forward_signature(moment)
        version = self.weights_version
        draws = [self._draws(index, batch) for batch in batches]
        self.lost |= None in draws
        idle = {*flags.trainable, *asked} - self.case.reached
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
            warns=self._warns(action, raises, moment),
        )
        steps = raises is None and action.action == "step"
        moved = (*point.moving, *self._dragging(point)) if steps else ()
        if self.lost:
            self.state_version += any(map(moves, forward))
            self.weights_version += bool(moved)
            return replace(point, rewritten=rewritten.union(point.stale if steps else ()))
        if raises and raises == self.contract["nothing_to_train"]:
            batches = batches[:1]  # the first backward pass has raised
        result = self._passes(batches, moment, [known or {} for known in draws])
        zeros = {name: np.zeros_like(self.arrays[name][:1]) for name in moment.zeros}
        unclipped = result.gradients | zeros
        result = replace(result, gradients=unclipped)
        if steps and self.case.clip:
            result = self._clipped(result, self._with_gradients(moment))
        before = {name: self.arrays[name] for name in moved}
        self.dragged = frozenset()
        self._step(result, moved, moment)
        self._drag(before, point)
        self.rewritten |= self.dragged
        point = replace(point, rewritten=point.rewritten | self.dragged)
        if point.stops_midway:
            broken = (*point.moving, *self._dragging(point))
            self._move({name: np.full_like(self.arrays[name], np.nan) for name in broken})
            self.weights_version += 1
        if raises is not None:
            return point
        wanted = {*self._with_gradients(moment), *asked} - idle
        shown = result.gradients if self.contract["clipping"] == "in_place" else unclipped
        gradients = {name: g for name, g in shown.items() if name in wanted and not self.blind}
        if moved and not self.contract["gradient_kept_by_step"]:
            left = self._left_behind(gradients, moved)
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
        )

    def _dragging(self, point: ExpectedPoint) -> tuple[str, ...]:
        """The frozen weights that the update rule is applied to: with zeros, or at a rate of 0.

        What takes all weights for one vector has zeros for those without a gradient, too.
        """
        if self.case.optimizer.kind in TOGETHER:
            return ()
        return (*point.stale, *(n for n in self._reached(point.flags) if n in point.still))

    def _drag(self, before: Mapping[str, Array], point: ExpectedPoint) -> None:
        """Notes the frozen weights that a step has moved; the others keep their bits."""
        for name in self._dragging(point):
            if name not in before:
                continue
            if np.array_equal(self.arrays[name][:1], before[name][:1]):
                self._move({name: before[name]})
            else:
                self.dragged |= {name}

    def _clipped(self, result: _Pass, names: Sequence[str]) -> _Pass:
        """The outcome with the gradients of `names` clipped."""
        held = {name: result.gradients[name] for name in names}
        after = clipped(self.case.clip, self.contract, self.rounding, held, result.lookups)
        return replace(result, gradients={**result.gradients, **after})

    def _left_behind(
        self, gradients: Mapping[str, Array], moved: Sequence[str]
    ) -> dict[str, Array]:
        """What torch's foreach SGD with Nesterov's momentum adds up where the gradients are."""
        o = self.case.optimizer
        if o.kind != "sgd" or not o.nesterov or o.weight_decay:
            return {}
        if self.options.get("optimizer_loop") != "foreach":
            return {}
        return {
            name: self.rounding.disturb(gradients[name] + self.slots[name]["momentum"] * o.momentum)
            for name in moved
        }

    def _passes(self, batches: Sequence[int], moment: Moment, draws: Sequence[Draws]) -> _Pass:
        """Forward and backward on each batch, the gradients added up as they come."""
        total: _Pass | None = None
        for batch, drawn in zip(batches, draws, strict=False):
            one = self._pass(batch, moment, self._forward_signature(moment), drawn)
            self._move(one.state)
            self.state_version += bool(one.state)
            if total is None:
                total = one
                continue
            gradients = {
                name: self.rounding.disturb(total.gradients[name] + one.gradients[name])
                for name in one.gradients
            }
            total = _Pass(one.loss, gradients, one.state, {})
        assert total is not None
        return total

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
        trainable, reached = moment.acting.trainable, self.case.reached
        if not reached & {*trainable, *asked} and self.contract["nothing_to_train"]:
            return self.contract["nothing_to_train"]
        if action.action == "gradient":
            return None
        clip, of_nothing = self.case.clip, self.contract["clip_by_value_of_nothing"]
        if clip and clip.kind == "value" and of_nothing and not self._with_gradients(moment):
            return tuple(of_nothing)
        if not trainable:
            silent = self.blind or self.options.get("optimizer_call") != "apply_gradients"
            return None if silent else self.contract["step_with_nothing"]
        if self._stops(moment):
            return self._stops(moment)
        unknown = moment.held is not None and set(trainable) - moment.held
        if unknown and self.contract["unknown_weight"]:
            return self.contract["unknown_weight"]
        return None if self._reached(moment.acting) else self.contract["step_without_gradients"]

    def _stops(self, moment: Moment) -> tuple[str, str] | None:
        """The exception of a step that does not get through all weights, if there is one."""
        for point, meets in (
            ("momentum_of_a_thawed_weight", self._meets_a_new_weight),
            ("muon_in_bfloat16", self._meets_a_matrix),
        ):
            if self.contract[point] and meets(moment):
                kind, text = self.contract[point]
                return kind, text
        return None

    def _meets_a_matrix(self, moment: Moment) -> bool:
        """Whether Muon is given a bfloat16 matrix to make orthogonal."""
        if self.case.optimizer.kind != "muon" or self.case.dtype != "bfloat16":
            return False
        excluded = self.contract["muon_excludes"]
        return any(
            self._laid_out(name, self.arrays[name]).ndim == 3
            for name in self._with_gradients(moment)
            if not excluded or excluded not in name
        )

    def _meets_a_new_weight(self, moment: Moment) -> bool:
        """Whether torch's fused SGD meets a weight without momentum beside one that has some."""
        o = self.case.optimizer
        if o.kind != "sgd" or not o.momentum or self.options.get("optimizer_loop") != "fused":
            return False
        moving = [n for n in self._with_gradients(moment) if n in (moment.held or ())]
        met = {(self.case.group(name), name in self.slots) for name in moving}
        return len(met) > len({group for group, _ in met})

    def _reached(self, flags: Flags) -> tuple[str, ...]:
        """The weights that have a gradient: trainable, and reached by the objective."""
        return tuple(name for name in flags.trainable if name in self.case.reached)

    def _with_gradients(self, moment: Moment) -> tuple[str, ...]:
        """The weights that have a gradient, be it one of zeros."""
        return (*self._reached(moment.acting), *sorted(moment.zeros))

    def _warns(self, action: Any, raises: Any, moment: Moment) -> tuple[str, ...]:
        """What the contract says that an action warns of."""
        if self.blind:
            return moment.warns
        reached = self._reached(moment.acting)
        left_out = len(reached) < len(moment.acting.trainable)
        text = self.contract["unreached_warning"]
        stepped = action.action == "step" and raises is None
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

        That is the batch alone, or the batch and the state as it was before. Last stands the mode.
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
        return (*signature, moment.training)

    def _pass(self, batch: int, moment: Moment, forward: tuple[Any, ...], draws: Draws) -> _Pass:
        key = (self.weights_version, batch, forward, _digest(draws))
        if any(map(moves, forward)) or key not in self.passes:
            self.passes[key] = self._compute(batch, moment, draws)
        return self.passes[key]

    def _compute(self, number: int, moment: Moment, draws: Draws) -> _Pass:
        case, tape = self.case, Tape(self.rounding)
        forward = _Forward(case, self.contract, tape, self.arrays, self.grids, draws, moment)
        batch = case.batches[number]
        inputs = [tape.constant(array[None]) for array in batch.inputs]
        values = forward.block(case.architecture.network, "", inputs)
        loss = objective(
            case.objective,
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
        gradients = self._gradients(tape, loss, leaves)
        self.ties += tape.ties
        if may_leave_the_range(tape, gradients, trained=self.weights_version > 0):
            gradients = {name: np.full_like(g, np.inf) for name, g in gradients.items()}
            state = {name: np.full_like(a, np.inf) for name, a in state.items()}
        lookups = {
            name: tape.lookups[leaf.index]
            for name, (leaf, *_) in leaves.items()
            if leaf.index in tape.lookups
        }
        return _Pass(loss.data, gradients, state, lookups)

    def _gradients(
        self, tape: Tape, loss: Value, leaves: Mapping[str, Sequence[Value]]
    ) -> dict[str, Array]:
        """The gradient by each weight and input, summed over the values that it had."""
        found = iter(tape.gradients(loss, [value for held in leaves.values() for value in held]))
        gradients = {}
        for name, held in leaves.items():
            total, *others = (next(found) for _ in held)
            for other in others:
                total = self.rounding.disturb(total + other)
            gradients[name] = total
        return gradients

    def _step(self, result: _Pass, moving: Sequence[str], moment: Moment) -> None:
        if not moving:
            return
        self.steps += 1
        self.weights_version += 1
        if self.case.optimizer.kind in TOGETHER:
            self._step_together(result, moving, moment)
            return
        for name in moving:
            self.updates_of[name] = self.updates_of.get(name, 0) + 1
            of_parameter = self.contract["adam_step_count"] == "of_the_parameter"
            rate = 0.0 if name in moment.still else self.case.rate(name) * moment.factor
            moved, self.slots[name] = step(
                replace(self.case.optimizer, learning_rate=rate),
                self.contract,
                self.rounding,
                self._laid_out(name, self.arrays[name]),
                self._laid_out(name, result.gradients[name]),
                self.slots.get(name) or self._first_slots(name),
                self.updates_of[name] if of_parameter else self.steps,
                result.lookups.get(name),
                name,
            )
            if name in self.layouts:
                moved = np.stack([self.layouts[name].to_canonical(sample) for sample in moved])
            self._move({name: np.full_like(moved, np.nan) if self._is_left(name) else moved})

    def _first_slots(self, name: str) -> Slots:
        """The slots that a known issue has a weight start with, where a compiled model makes them.

        Of a schedule-free average: what is assigned while the step is traced is lost.
        """
        traced = self.blind and self.options.get("run_eagerly") == "no"
        if (
            self.contract["schedule_free_start"] == "zero_when_traced"
            and self.case.optimizer.kind == "schedule_free_adamw"
            and traced
            and self.options.get("optimizer_build") == "first_step"
        ):
            return {"z": np.zeros_like(self.arrays[name])}
        return {}

    def _step_together(self, result: _Pass, moving: Sequence[str], moment: Moment) -> None:
        """A step of an optimizer that takes all its weights for one vector."""
        names = [n for n in self.case.architecture.weights if n in (moment.held or ())]
        arrays = [self.arrays[name] for name in names]
        gradients = [
            result.gradients[name] if name in moving else np.zeros_like(array[:1])
            for name, array in zip(names, arrays, strict=True)
        ]
        optimizer: Any = self.case.optimizer
        rate = optimizer.learning_rate * moment.factor
        vector = self.memory.step(
            replace(optimizer, learning_rate=rate), self.rounding, flat(arrays), flat(gradients)
        )
        ends = np.cumsum([array[0].size for array in arrays])[:-1]
        for name, array, part in zip(names, arrays, np.split(vector, ends, axis=1), strict=True):
            moved = part.reshape(part.shape[0], *array.shape[1:])
            frozen = name not in moving and not np.array_equal(moved[:1], array[:1])
            if frozen and self.contract["history_moves_frozen"]:
                self.dragged |= {name}
            if name in moving or name in self.dragged:
                self._move({name: moved})

    def _laid_out(self, name: str, samples: Array) -> Array:
        """A weight or its gradient as the optimizer sees it."""
        if name not in self.layouts:
            return samples
        return np.stack([self.layouts[name].to_native(sample) for sample in samples])

    def _is_left(self, name: str) -> bool:
        """Whether torch's fused SGD works on 16 bits here, and the contract says that it fails.

        It does so in full vectors, of 8 elements at least; which they are, the processor decides.
        """
        return (
            self.contract["fused_sgd_in_16_bits"] == "unknown"
            and self.options.get("optimizer_loop") == "fused"
            and self.case.optimizer.kind == "sgd"
            and self.rounding.precision.significand_bits < 24
            and self.arrays[name][0].size >= 8
        )

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
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        interpreter = _Interpreter(
            case, backend, contract or CONTRACTS[backend], draws or {}, layouts or {}
        )
        points = interpreter.run()
    idle = tuple(interpreter.contract["idle_warnings"])
    return Expectation(backend, points, interpreter.ties, idle)
