"""Forward and backward passes on the tape: what a batch gives at the weights as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from invariants.oracle.contract import Contract, Mode
from invariants.oracle.expectation import moves
from invariants.oracle.forward import Draws, Forward
from invariants.oracle.limits import (
    cube_may_overflow,
    forward_may_leave_the_range,
    is_chaos,
    may_leave_the_range,
    square_may_underflow,
    surely_overflows,
)
from invariants.oracle.losses import objective
from invariants.oracle.masking import held_parts
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import SAMPLES, half_of_the_samples
from invariants.oracle.scaling import LossScale
from invariants.oracle.stepping import Layout
from invariants.oracle.tape import Tape, Value
from invariants.oracle.world import World

if TYPE_CHECKING:
    from invariants.case import Case
    from invariants.course import Moment
    from invariants.objective import Term


#: The layers whose tangent torch composes of operations in the dtype of their input.
_WITH_TANGENTS = (
    "layer_norm",
    "batch_norm",
    "instance_norm",
    "transformer_encoder",
    "packed_transformer_encoder",
)


@dataclass
class Pass:
    """The outcome of one forward and backward pass, in samples.

    state: the states that it moved and the weights that it rewrote. overflowing: the weights whose
    scaled gradients are surely not finite.
    """

    loss: Array
    gradients: dict[str, Array]
    state: dict[str, Array]
    lookups: dict[str, Array]
    overflowing: frozenset[str] = frozenset()


class Passes:
    """The passes of a program, each computed once for as long as nothing that it reads has moved.

    wanted: the weights whose gradient is asked for at some time. scale: by which a loss is
    multiplied. ties: how many elements have met a kink exactly.
    """

    def __init__(
        self,
        case: Case,
        contract: Contract,
        mode: Mode,
        world: World,
        scale: LossScale,
        wanted: Sequence[str],
        layouts: Mapping[str, Layout],
    ) -> None:
        self.case = case
        self.contract = contract
        self.mode = mode
        self.world = world
        self.scale = scale
        self.wanted = wanted
        self.layouts = layouts
        self.second_order = "second_order" in mode.traits
        self.keeps_casts = "kept" in mode.traits
        self.known: dict[tuple[Any, ...], Pass] = {}
        self.ties = 0

    def asked(self, batches: Sequence[int]) -> frozenset[str]:
        """The inputs whose gradient is asked for: those of one batch, of several none."""
        watched = self.case.watched if len(batches) == 1 else ()
        return frozenset(f"input_{n}" for n in watched)

    def signature(self, moment: Moment) -> tuple[Any, ...]:
        """For each stateful layer the version of a state that is read and kept, or what moves it.

        That is the batch alone, or the batch and the state as it was before. Last stand the mode,
        what the gradient does not pass, a scale that may change, which casts are kept, and by what
        an objective is differentiated that has a gradient in it.
        """
        signature: list[Any] = []
        for placed in self.world.stateful:
            if moment.training and placed.layer.reads_its_state:
                signature.append(f"state {self.world.state_version}")
                continue
            frozen_inference = (
                placed.path in moment.acting.flagged
                and self.contract["frozen_batch_norm_is_inference"]
            )
            reads = not moment.training or frozen_inference
            signature.append(self.world.state_version if reads else "batch")
        signature += [moment.training, moment.cut]
        if self.scale.growth:
            signature.append(self.scale.factor)
        if self.keeps_casts:
            signature += [frozenset(moment.acting.trainable), self.world.regions]
        if self.second_order:
            signature += [frozenset(moment.receiving), moment.hooked]
        return tuple(signature)

    def _along(self, moment: Moment, asked: frozenset[str]) -> dict[str, Any]:
        """What the gradient in the objective is by -> which part of it a hook holds at 0."""
        parts = held_parts(self.case.weights, self.layouts, moment)
        hooked = {name: part for name, part in parts.items() if name in moment.hooked}
        return {name: hooked.get(name) for name in (*moment.receiving, *sorted(asked))}

    def one(
        self,
        batch: int,
        moment: Moment,
        forward: tuple[Any, ...],
        draws: Draws,
        along: Mapping[str, Any] | None = None,
    ) -> Pass:
        by = (*(along or {}), moment.hooked if along else None, moment.severed)
        key = (self.world.weights_version, batch, forward, moment.saved_losses, _digest(draws), by)
        if any(map(moves, forward)) or key not in self.known:
            self.known[key] = self._compute(batch, moment, draws, along or {})
        return self.known[key]

    def left_by(self, batch: int, moment: Moment, world: World) -> dict[str, Array]:
        """The states and weights that a forward pass alone makes others, in some world."""
        return _left(self._forward(batch, moment, {}, world)[0], world)

    def _forward(
        self, number: int, moment: Moment, draws: Draws, world: World
    ) -> tuple[Forward, list[Value], list[Value]]:
        """A forward pass of a batch in some world, its inputs, and all values."""
        forward = Forward(self.case, self.contract, world, draws, moment)
        inputs = [forward.tape.constant(array[None]) for array in self.case.batches[number].inputs]
        return forward, inputs, forward.block(self.case.architecture.network, "", inputs)

    def _compute(self, number: int, moment: Moment, draws: Draws, along: Mapping[str, Any]) -> Pass:
        case = self.case
        forward, inputs, values = self._forward(number, moment, draws, self.world)
        tape = forward.tape
        batch = case.batches[number]
        loss = objective(
            self._terms(moment),
            case.penalties,
            [values[n] for n in case.architecture.output_values],
            batch.targets,
            batch.weights,
            {name: forward.parameters[name] for name in case.penalties},
            self.contract,
        )
        state = _left(forward, self.world)
        leaves = {name: forward.versions[name] for name in self.wanted}
        leaves |= {f"input_{n}": [inputs[n]] for n in case.watched}
        gradients = self._gradients(tape, loss, leaves, along)
        if along and is_chaos({name: gradients[name] for name in along}):
            gradients = {name: np.full_like(g, np.inf) for name, g in gradients.items()}
        self.ties += tape.ties
        squares = "jit" in self.mode.traits and square_may_underflow(tape)
        trained = self.world.weights_version > 0
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
        cubed = self._cubes(tape, twice=bool(along))
        unknown = lost or cubed or self._drops_writes()
        if unknown or may_leave_the_range(tape, gradients, trained):
            gradients = {name: np.full_like(g, np.inf) for name, g in gradients.items()}
        lookups = {
            name: tape.lookups[leaf.index]
            for name, (leaf, *_) in leaves.items()
            if leaf.index in tape.lookups
            and name not in case.penalties  # whose gradient is of every row, and all of it added up
            and (leaf.index not in tape.adapted or self._keeps_slices(leaf.shape))
        }
        return Pass(loss.data, gradients, state, lookups, overflowing)

    def _keeps_slices(self, table: Sequence[int]) -> bool:
        """Whether the gradient of a sum of tables is one of lookups, as that of a table is.

        TensorFlow adds it up where it runs op by op, but for a table of one row of several columns.
        """
        row, *columns = table
        return self.case.traced(self.contract.backend) or (row == 1 and max(columns) > 1)

    def _cubes(self, tape: Tape, twice: bool) -> bool:
        """Whether a derivative that cubes the deviation of a norm may overflow.

        twice: a second one does.
        """
        if twice:
            return cube_may_overflow(tape)
        kinds = {placed.layer.kind for placed in self.case.architecture.layers}
        # Each is asked for where it may matter alone: an issue that nothing asks for is not tried.
        slope = "group_norm" in kinds and self.contract["group_norm_slope"] == "cubed"
        along = not kinds.isdisjoint(_WITH_TANGENTS) and self.contract["norm_tangent"] == "cubed"
        return (slope or along) and cube_may_overflow(tape)

    def _drops_writes(self) -> bool:
        """Whether what a layer writes into a tensor that it has made is lost to the derivatives."""
        writes = any(
            getattr(placed.layer, "padding_mode", "") == "circular"
            for placed in self.case.architecture.layers
        )
        linear = writes and "linear" in self.mode.traits
        return linear and self.contract["writes_in_a_linear_map"] == "dropped"

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
                total = self.world.rounding.disturb(total + other) if total.any() else other
            gradients[name] = total
        return gradients

    def met(self, moment: Moment) -> None:
        """A region of an autocast that is not left has cast what is trainable."""
        if self.keeps_casts:
            self.world.meet(moment.acting.trainable)

    def on(self, batches: Sequence[int], moment: Moment, draws: Sequence[Draws]) -> Pass:
        """Forward and backward on each batch, the gradients added up as they come."""
        total: Pass | None = None
        self.met(moment)
        for batch, drawn in zip(batches, draws, strict=False):
            along = self._along(moment, self.asked(batches)) if self.second_order else {}
            one = self.one(batch, moment, self.signature(moment), drawn, along)
            self.world.leave(one.state)
            one = self._recomputed(one, batch, moment, drawn)
            if total is None:
                total = one
                continue
            # Not those of inputs, which are asked for on one batch alone; in an order that stays.
            gradients = {
                name: self.world.rounding.disturb(total.gradients[name] + gradient)
                for name, gradient in one.gradients.items()
                if name in self.case.architecture.weights
            }
            overflowing = total.overflowing | one.overflowing
            total = Pass(one.loss, gradients, one.state, {}, overflowing)
        assert total is not None
        return total

    def _recomputed(self, result: Pass, batch: int, moment: Moment, draws: Draws) -> Pass:
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
            unknown |= any(placed.layer.reads_its_state for placed in self.world.stateful)
        if not unknown:
            return result
        gradients = {name: np.full_like(g, np.inf) for name, g in result.gradients.items()}
        return replace(result, gradients=gradients)

    def _move_again(self, result: Pass, again: Mapping[str, Array]) -> None:
        """Half of the samples have states as a second pass leaves them, others each time.

        Of a layer that is called more than once any of its calls may be made again: that of which
        no stretch is recomputed is not, and a stretch within another depends on both.
        """
        turn = np.zeros(1 + SAMPLES, dtype=bool)
        turn[half_of_the_samples(self.world.state_version)] = True
        several = [layer.path for layer in self.world.stateful if layer.calls > 1]
        once = {name: self.world.arrays[name] for name in result.state}
        self.world.move(
            {
                name: np.full_like(array, np.inf)
                if name.rpartition(".")[0] in several
                else np.where(
                    turn.reshape(-1, *[1] * (array.ndim - 1)), again.get(name, array), array
                )
                for name, array in once.items()
            }
        )


def _left(forward: Forward, world: World) -> dict[str, Array]:
    """The states and weights that are others after a forward pass."""
    return {
        name: value.data
        for name, value in forward.parameters.items()
        if value.data is not world.arrays[name]
    }


def _digest(draws: Draws) -> bytes:
    parts = [array.tobytes() for held in draws.values() for array in held]
    return hashlib.sha256(b"".join(parts)).digest() if parts else b""
