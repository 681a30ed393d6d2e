"""The optimizer of a case between steps: slots, counts, and what a step makes of the weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from invariants.oracle.contract import Contract
from invariants.oracle.optimizers import SHAPED, TOGETHER, Slots, step
from invariants.oracle.optimizers.lbfgs import Memory, flat
from invariants.oracle.primitives import Array
from invariants.oracle.rounding import SAMPLES, Rounding
from invariants.oracle.schedules import rate_at, share_after

if TYPE_CHECKING:
    from invariants.case import Case
    from invariants.course import Moment

Arrays = Mapping[str, Array]


class Layout(Protocol):
    """How a framework lays out a weight."""

    def to_native(self, array: Array) -> Array: ...

    def to_canonical(self, array: Array) -> Array: ...


#: The slots that move a weight on where its gradient is 0.
_CARRYING = ("m", "momentum")

#: The optimizers whose weight decay is a part of the gradient, and that may add it to that itself.
_DECAYING_GRADIENTS = ("adadelta", "adagrad", "adam", "adamax", "nadam", "radam", "rmsprop")

#: The optimizers of Keras that divide the gradient of lookups itself by what they keep of it.
_DIVIDING_LOOKUPS = ("adadelta", "adafactor", "adagrad", "rmsprop", "schedule_free_adamw")


def unmoved(before: Array, after: Array) -> bool:
    """Whether a step keeps a weight as it is, as far as it is known."""
    return bool(np.isfinite(after[0]).all()) and np.array_equal(before[0], after[0])


class Stepper:
    """Steps weights in samples; the weights themselves it is given each time.

    counted: the steps that a schedule goes by. rate_set: the factor of a learning rate that was
    set under a schedule, and after how many steps. dragged: the frozen weights that the last step
    of all weights together has moved. added: the sums of gradients that have moved nothing yet.
    """

    def __init__(
        self,
        case: Case,
        backend: str,
        contract: Contract,
        rounding: Rounding,
        layouts: Mapping[str, Layout],
        arrays: Arrays,
    ) -> None:
        self.case = case
        self.contract = contract
        self.rounding = rounding
        self.layouts = layouts if case.optimizer.kind in SHAPED else {}
        self.options = case.options(backend, contract)
        mode = case.runs_in(backend)
        self.traced = case.traced(backend)
        self.assigns = "functional" in mode.traits
        self.begin(0, arrays)

    def load(self) -> bool:
        """Another optimizer, in the state of this one; whether the contract says that this rounds.

        What is rounded then are factors of a weight that torch keeps beside its slots, in float32.
        """
        for name, count in self.updates_of.items():
            self.loaded_at.setdefault(name, count)
        self.rounded = (
            self.contract["scalars_of_a_loaded_optimizer"] == "rounded"
            and self.case.optimizer.kind in ("asgd", "nadam")
            and self.rounding.precision.significand_bits < 24
        )
        return self.rounded

    def begin(self, number: int, arrays: Arrays) -> None:
        """With a new optimizer."""
        self.number = number
        self.slots: dict[str, Slots] = self._slots_made_ahead(arrays)
        self.memory = Memory()
        self.updates_of: dict[str, int] = {}
        self.loaded_at: dict[str, int] = {}  # the updates that are in the file it was loaded from
        self.steps = 0
        self.calls = 0
        self.added: dict[str, Array] = {}
        self.counted = 0  # the steps that a schedule has seen
        self.rate_set: tuple[float, int] | None = None
        self.rounded = False
        self.dragged: frozenset[str] = frozenset()

    def _slots_made_ahead(self, arrays: Arrays) -> dict[str, Slots]:
        """The slots that start with what the weights are when an optimizer is made."""
        ahead = self.options.get("optimizer_build") == "ahead"
        if not ahead or self.case.optimizer.kind != "schedule_free_adamw":
            return {}
        return {name: {"z": arrays[name]} for name in self.case.architecture.weights}

    def begin_before_a_file(self, arrays: Arrays) -> None:
        """What starts with the weights has had those of a new model, by a known issue.

        Nobody has seen them: the file has brought others since.
        """
        before = self.contract["schedule_free_start_of_a_file"] == "before_the_file"
        if before and self.case.optimizer.kind == "schedule_free_adamw":
            weights = self.case.architecture.weights
            self.slots = {name: {"z": np.full_like(arrays[name], np.nan)} for name in weights}

    def step(
        self, arrays: Arrays, gradients: Arrays, lookups: Arrays, moving: Sequence[str], now: Moment
    ) -> dict[str, Array]:
        """What a step makes of the weights that it moves."""
        self._count(moving)
        self.dragged = frozenset()
        if self.case.optimizer.kind in TOGETHER:
            return self._step_together(arrays, gradients, moving, now)
        moved, optimizer = {}, cast(Any, self.case.optimizer)
        # Asked of what could differ alone.
        foreach = optimizer.kind == "radam" and self.options.get("optimizer_loop") == "foreach"
        if foreach and self.contract["radam_denominator"] == "without":
            optimizer = replace(optimizer, epsilon=0.0)
        for name in moving:
            of_parameter = self.contract["adam_step_count"] == "of_the_parameter"
            rate = 0.0 if name in now.still else self.rate(self.case.rate(name), now)
            after, self.slots[name] = step(
                replace(optimizer, learning_rate=rate),
                self.contract,
                self.rounding,
                self._laid_out(name, arrays[name]),
                self._laid_out(name, -gradients[name] if self.case.maximize else gradients[name]),
                self.slots.get(name) or self._first_slots(name, arrays[name]),
                self.updates_of[name] if of_parameter else self.steps,
                lookups.get(name),
                name,
                self.loaded_at.get(name),
            )
            after = self._canonical(name, after)
            left = self.rounded or self._is_left(arrays[name]) or self._is_misread(arrays[name])
            left = left or self._multiplies_again
            moved[name] = np.full_like(after, np.nan) if left else after
        return moved

    def updates(self, calls: int) -> tuple[bool, ...]:
        """Which of so many further calls of the optimizer move weights; the others add up alone."""
        first, self.calls = self.calls, self.calls + calls
        return tuple((first + n + 1) % self.case.accumulation == 0 for n in range(calls))

    def accumulate(self, gradients: Arrays, names: Sequence[str], update: bool) -> dict[str, Array]:
        """The sums of gradients since the last update, or their averages for an `update`.

        At a step at which a weight was frozen there is no gradient of it to be added.
        """
        rounded = self.rounding.disturb
        for name in names:
            before, gradient = self.added.get(name), gradients[name]
            self.added[name] = gradient if before is None else rounded(before + gradient)
        sums = {name: self.added[name] for name in names}
        if not update:
            return sums
        self.added = {}
        return {name: rounded(total / self.case.accumulation) for name, total in sums.items()}

    def _count(self, moving: Sequence[str]) -> None:
        self.steps += 1
        for name in moving:
            self.updates_of[name] = self.updates_of.get(name, 0) + 1

    def step_unseen(self, moving: Sequence[str], held: Collection[str]) -> frozenset[str]:
        """A step with gradients that nobody knows; the frozen weights that it may move.

        Of what takes all weights that it holds for one vector those that it has moved before, and
        in float16, where a product of two vectors may be 0, all of them: a direction divided by
        that is no number anywhere.
        """
        self._count(moving)
        if self.case.optimizer.kind not in TOGETHER or not self.contract["history_moves_frozen"]:
            return frozenset()
        narrow = self.rounding.precision.name == "float16"
        return frozenset({*(held if narrow else self.updates_of)} - {*moving})

    def rate(self, base: float, now: Moment) -> float | Array:
        """The learning rate of a weight that starts with `base`; under a schedule in samples."""
        schedule, first = self.case.schedule, self.case.optimizer.learning_rate
        if schedule is None:
            return base * now.factor
        if self.rate_set is None:
            return rate_at(schedule, self.contract, self.rounding, self.counted, base, first)
        factor, since = self.rate_set
        share = share_after(schedule, since, self.counted)
        exact = self.rounding.apart(self.contract["scheduled_rate"])
        rate = np.full(SAMPLES + 1, base * factor)
        return exact.disturb(rate * share, self.counted - since + 1.0)

    def set_rate(self, factor: float) -> None:
        """A rate that is set under a schedule, times as large as the first one."""
        self.rate_set = (factor, self.counted)

    def count(self, trainable: bool) -> None:
        """A step has been made; where nothing is trainable it is one of the scheduler alone."""
        if trainable or self.contract["schedule_counts"] == "its_own_steps":
            self.counted += 1

    def _first_slots(self, name: str, array: Array) -> Slots:
        """The slots that a known issue has a weight start with, where a compiled model makes them.

        Of a schedule-free average: what is assigned while the step is traced is lost.
        """
        if (
            self.case.optimizer.kind == "schedule_free_adamw"
            and self.traced
            and self.options.get("optimizer_build") == "first_step"
            and self.contract["schedule_free_start"] == "zero_when_traced"
        ):
            return {"z": np.zeros_like(array)}
        return {}

    def carried(self, name: str, now: Moment) -> Array:
        """Which elements of a weight a slot moves on, be it by what rounding has left there.

        A gradient that is a sum of 0 is one in the undisturbed sample alone.
        """
        slots = self.slots.get(name, {})
        held = [slots[slot] for slot in _CARRYING if slot in slots]
        if name in now.still or not held:
            return np.zeros(1, bool)
        (samples,) = held
        return np.asarray((self._canonical(name, samples) != 0.0).any(axis=0))

    def _step_together(
        self, arrays: Arrays, gradients: Arrays, moving: Sequence[str], now: Moment
    ) -> dict[str, Array]:
        """A step of an optimizer that takes all its weights for one vector."""
        held = {n: arrays[n] for n in self.case.architecture.weights if n in (now.held or ())}
        optimizer: Any = self.case.optimizer
        vector = self.memory.step(
            replace(optimizer, learning_rate=self.rate(optimizer.learning_rate, now)),
            self.rounding,
            flat(list(held.values())),
            self._slopes(held, gradients, moving),
        )
        ends = np.cumsum([array[0].size for array in held.values()])[:-1]
        moved = {}
        for (name, array), part in zip(held.items(), np.split(vector, ends, axis=1), strict=True):
            after = part.reshape(part.shape[0], *array.shape[1:])
            # In every sample: a gradient that is a sum of 0 may be another sum in the history.
            moves = name not in moving and not np.all(array == after)
            if moves and self.contract["history_moves_frozen"]:
                self.dragged |= {name}
            if name in moving or name in self.dragged:
                moved[name] = after
        return moved

    def _slopes(self, held: Arrays, gradients: Arrays, moving: Sequence[str]) -> Array:
        """The gradients of what is held for one vector, with zeros for what has none."""
        return flat(
            [
                gradients[name] if name in moving else np.zeros_like(array[:1])
                for name, array in held.items()
            ]
        )

    @property
    def iterations(self) -> int:
        """How often a step may move the weights, which it evaluates the loss in between for."""
        optimizer: Any = self.case.optimizer
        return optimizer.iterations if optimizer.kind in TOGETHER else 1

    @property
    def uncertain(self) -> bool:
        """Whether rounding may have decided how often a step has evaluated the loss."""
        return self.iterations > 1 and self.memory.lost

    def evaluates_again(self, iteration: int) -> bool:
        """Whether the loss is evaluated after so many iterations of a step: not after the last."""
        return iteration < self.iterations and self.memory.moved and not self.memory.lost

    def goes_on(
        self,
        evaluations: int,
        gained: Array,
        arrays: Arrays,
        gradients: Arrays,
        moving: Sequence[str],
        now: Moment,
    ) -> bool:
        """Whether there is a further iteration after so many evaluations of the loss in a step."""
        optimizer: Any = self.case.optimizer
        if evaluations >= (optimizer.evaluations or optimizer.iterations * 5 // 4):
            return False
        held = {n: arrays[n] for n in self.case.architecture.weights if n in (now.held or ())}
        slopes = self._slopes(held, gradients, moving)
        return self.memory.goes_on(self.rounding, gained, slopes)

    def _laid_out(self, name: str, samples: Array) -> Array:
        """A weight or its gradient as the optimizer sees it."""
        if name not in self.layouts:
            return samples
        return np.stack([self.layouts[name].to_native(sample) for sample in samples])

    def _canonical(self, name: str, samples: Array) -> Array:
        """A weight or a slot of it, from as the optimizer sees it."""
        if name not in self.layouts:
            return samples
        return np.stack([self.layouts[name].to_canonical(sample) for sample in samples])

    @property
    def _multiplies_again(self) -> bool:
        """Whether Nadam may multiply its momenta once a weight instead of once a step."""
        kept = not self.traced or self.contract["nadam_product"] != "unknown_when_traced"
        return self.case.optimizer.kind == "nadam" and not kept

    def _is_left(self, array: Array) -> bool:
        """Whether torch's fused SGD works on 16 bits here, and the contract says that it fails.

        It does so in full vectors, of 8 elements at least; which they are, the processor decides.
        """
        return (
            self.options.get("optimizer_loop") == "fused"
            and self.case.optimizer.kind == "sgd"
            and self.rounding.precision.significand_bits < 24
            and array[0].size >= 8
            and self.contract["fused_sgd_in_16_bits"] == "unknown"
        )

    def divides_lookups_by_nan(self, gradients: Arrays) -> bool:
        """Whether the gradient of a table may be divided by NaN.

        Keras divides a gradient of lookups by way of their places then, and where two are of one
        row it adds the places up. A β of 1 makes it NaN, and so does the root of a variance that is
        less than 0: a mean of squares taken lookup by lookup, less the square of a mean that is
        not. So does what has been NaN in a gradient once. gradients: of the tables that are moved.
        """
        o = self.case.optimizer
        if not gradients or o.kind not in _DIVIDING_LOOKUPS:
            return False
        if o.kind == "schedule_free_adamw" and 1.0 - o.beta_2 < self.rounding.unit / 2.0:
            return self.contract["beta_that_rounds_to_1"] == "stops"
        if self.contract["sparse_second_moment"] != "sum_of_squares":
            return False
        if o.kind == "rmsprop" and o.centered:
            return True
        held = (slot for name in gradients for slot in self.slots.get(name, {}).values())
        return any(not np.isfinite(array).all() for array in (*gradients.values(), *held))

    def _is_misread(self, array: Array) -> bool:
        """Whether a fused step may read a gradient in the order of memory, and that is another.

        Where a program assigns gradients itself nothing lays them out as their weights are.
        """
        return (
            self.assigns
            and self.options.get("optimizer_loop") == "fused"
            and array[0].ndim > 1
            and self.contract["fused_gradient"] == "by_memory"
        )

    def refuses(self, arrays: Arrays, names: Sequence[str]) -> tuple[str, str] | None:
        """The exception of a step that may not take a gradient as it finds it, if there is one.

        names: the weights that have a gradient. L-BFGS may find one that a program assigns laid out
        in the order of others; Muon, in a graph, one of a row of which the shape is not known.
        """
        kind, named = self.case.optimizer.kind, None
        if kind == "lbfgs" and self.assigns and any(arrays[n][0].ndim > 1 for n in names):
            named = self.contract["lbfgs_gradient"]
        if kind == "muon" and self.traced and any(self._is_a_row(n, arrays) for n in names):
            named = self.contract["muon_of_a_row"]
        return tuple(named) if named else None

    def _is_a_row(self, name: str, arrays: Arrays) -> bool:
        """Whether Muon makes a weight orthogonal that is a matrix of one row."""
        return self._is_a_matrix(name, arrays) and self._laid_out(name, arrays[name]).shape[1] == 1

    def left_behind(
        self, gradients: Arrays, moved: Sequence[str], before: Arrays
    ) -> dict[str, Array]:
        """What torch's foreach optimizers add up where the gradients are.

        Nesterov's momentum of SGD, or weight decay. One that maximizes has made others of them.
        before: the weights before the step.
        """
        o: Any = self.case.optimizer
        disturb = self.rounding.disturb
        if self.case.maximize or self.options.get("optimizer_loop") != "foreach":
            return {}
        if o.kind in _DECAYING_GRADIENTS:
            if not o.weight_decay or self.contract["gradient_kept_by_decay"]:
                return {}
            return {n: disturb(gradients[n] + before[n] * o.weight_decay) for n in moved}
        if o.kind != "sgd" or not o.nesterov or o.weight_decay:
            return {}
        if self.contract["gradient_kept_by_step"]:
            return {}
        momenta = {n: self.slots[n]["momentum"] * o.momentum for n in moved}
        return {n: disturb(gradients[n] + momenta[n]) for n in moved}

    def stops(self, arrays: Arrays, names: Sequence[str], now: Moment) -> tuple[str, str] | None:
        """The exception of a step that does not get through all weights, if there is one.

        names: the weights that have a gradient.
        """
        meets = self._meets_a_new_weight(names, now)
        if meets and (thawed := self.contract["momentum_of_a_thawed_weight"]):
            kind, text = thawed
            return kind, text
        return self._stops_at_a_matrix(arrays, names)

    def stopping(self, arrays: Arrays) -> frozenset[str]:
        """The weights at which every step stops that finds a gradient there."""
        weights = self.case.architecture.weights
        return frozenset(name for name in weights if self._stops_at_a_matrix(arrays, [name]))

    def _stops_at_a_matrix(self, arrays: Arrays, names: Sequence[str]) -> tuple[str, str] | None:
        """The exception of Muon, if the contract names one."""
        for point, meets in (
            ("muon_in_bfloat16", self._meets_a_matrix(arrays, names, "bfloat16")),
            ("muon_under_a_schedule", self._schedules_a_matrix(arrays, names)),
        ):
            if meets and self.contract[point]:
                kind, text = self.contract[point][self.traced]
                return kind, text
        return None

    def _schedules_a_matrix(self, arrays: Arrays, names: Sequence[str]) -> bool:
        """Whether Muon multiplies a matrix by the rate of a schedule, which is of float32."""
        wide = self.case.schedule is not None and self.rounding.precision.name != "float32"
        return wide and self._meets_a_matrix(arrays, names, self.rounding.precision.name)

    def _meets_a_matrix(self, arrays: Arrays, names: Sequence[str], dtype: str) -> bool:
        """Whether Muon is given a matrix of a dtype to make orthogonal."""
        if self.case.optimizer.kind != "muon" or self.rounding.precision.name != dtype:
            return False
        return any(self._is_a_matrix(name, arrays) for name in names)

    def _is_a_matrix(self, name: str, arrays: Arrays) -> bool:
        """Whether Muon makes a weight orthogonal."""
        excluded = self.contract["muon_excludes"]
        left_out = excluded and excluded in name
        return not left_out and self._laid_out(name, arrays[name]).ndim == 3

    def _meets_a_new_weight(self, names: Sequence[str], now: Moment) -> bool:
        """Whether torch's fused SGD meets a weight without momentum beside one that has some."""
        o = self.case.optimizer
        if o.kind != "sgd" or not o.momentum or self.options.get("optimizer_loop") != "fused":
            return False
        moving = [name for name in names if name in (now.held or ())]
        met = {(self.case.group(name), name in self.updates_of) for name in moving}
        return len(met) > len({group for group, _ in met})
