"""Averages of weights between steps, as the documentation of each framework has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from invariants.oracle.contract import Contract
from invariants.oracle.primitives import Array
from invariants.oracle.world import World

if TYPE_CHECKING:
    from invariants.case import Case
    from invariants.course import Moment

#: What may be raised where a weight is to become the average of another.
MISPLACED = ("ValueError", "Shape mismatch")


class Averages:
    """A copy of the weights, in samples, that follows them.

    first: the weights and states that it is made with. count: the steps before the last one.
    fitted: a step is a call of fit(), which ends with the averages.
    """

    def __init__(self, case: Case, contract: Contract, world: World, fitted: bool) -> None:
        assert case.average
        self.case, self.average = case, case.average
        self.contract = contract
        self.world = world
        self.fitted = fitted
        self.weights = case.architecture.weights
        self.first = dict(world.arrays)
        self.forget()

    def forget(self) -> None:
        """Starts anew."""
        self.held: dict[str, Array] = {}
        self.calls = self.count = 0

    def new_optimizer(self) -> None:
        """The averages of an optimizer are gone with it."""
        if self.contract["averages_belong_to"] == "the_optimizer":
            self.first = dict(self.world.arrays)
            self.forget()

    def follow(self, moment: Moment, ends: bool, made: bool, update: bool) -> frozenset[str]:
        """After a step; the weights that it replaces by their averages.

        ends: the call of fit(), if it is one, ends with this step. made: false where nobody can
        tell whether it was skipped. update: it has moved weights, and has not only added their
        gradients up.
        """
        trainable = moment.acting.trainable
        if self.contract["averages_belong_to"] == "the_program":
            names = (*self.weights, *self.world.state_names)
        elif trainable:
            names = tuple(n for n in self.weights if n in (moment.held or ()))
            if self.contract["first_average"] == "of_the_start":
                self.held = {name: self.first[name] for name in names} | self.held
            if self.contract["averages_follow"] == "what_moves":
                names = tuple(name for name in names if name in moment.receiving)
        else:  # the step of an optimizer that has nothing to do
            names = ()
        always = self.contract["average_while_accumulating"] == "follows"
        follows = bool(names) and (update or always)
        if follows:
            self._update(names, self.case.accumulation if always else 1)
        if not made and self.contract["averages_belong_to"] == "the_optimizer":
            self.held = {name: np.full_like(array, np.nan) for name, array in self.held.items()}
        misplaces = self.fitted and self._by_position(moment, names)
        ends = ends and self.fitted and not misplaces
        replaced = self._overwritten(names, trainable, ends, follows)
        values = {name: self.held[name] for name in replaced}
        if misplaces:
            values |= self._of_others(moment)
        return self._put(values)

    def take(self, moment: Moment, whose: str) -> tuple[frozenset[str], bool]:
        """The weights, and states, that become their averages, and whether those are of others.

        whose: "all" or the "trainable" ones. Those without an average stay.
        """
        trainable = moment.flags.acting.trainable
        names = (*self.weights, *self.world.state_names) if whose == "all" else trainable
        if self.misplaces(moment):
            return self._put(self._of_others(moment)), True
        before = self.contract["average_before_a_step"]
        if self.held or before == "the_weight":
            return self._put({name: self.held[name] for name in names if name in self.held}), False
        first = {name: self.first[name] for name in names}
        if before == "zeros":
            first = {name: np.zeros_like(array) for name, array in first.items()}
        return self._put(first), False

    @property
    def copied(self) -> Mapping[str, Array]:
        """The weights and states of the copy."""
        return self.held or self.first

    def leave(self, arrays: Mapping[str, Array]) -> None:
        """What a forward pass of the copy leaves behind."""
        self.first |= arrays
        if self.held:
            self.held |= arrays

    def misplaces(self, moment: Moment) -> bool:
        """Whether averages are handed out by position, to other weights than they are of."""
        return self._by_position(moment, moment.held or ())

    def _by_position(self, moment: Moment, held: Iterable[str]) -> bool:
        by_position = self.contract["averages_handed_out"] == "by_position"
        return by_position and {*held} != {*moment.flags.acting.trainable}

    def _of_others(self, moment: Moment) -> dict[str, Array]:
        """What nobody can tell: the averages of other weights."""
        trainable = moment.flags.acting.trainable
        return {name: np.full_like(self.world.arrays[name], np.nan) for name in trainable}

    def _put(self, values: dict[str, Array]) -> frozenset[str]:
        if values:
            self.world.weights_version += 1
            self.world.move(values)
        return frozenset(values)

    def _update(self, names: Iterable[str], accumulation: int) -> None:
        """After a step: the averages of `names`, of which states may be taken as they are.

        accumulation: so many calls make one step of those that count.
        """
        self.count = self.calls // accumulation
        self.calls += 1
        for name in names:
            array = self.world.arrays[name]
            synced = name in self.world.state_names and not self.average.buffers
            if synced and self.contract["buffers_beside_averages"] == "stay":
                self.held.setdefault(name, self.first[name])
                continue
            starts = self.count == 0 and self.contract["first_average"] == "the_weight"
            plain = starts or synced
            self.held[name] = array if plain else self._next(self.held[name], array)

    def _next(self, old: Array, new: Array) -> Array:
        """decay · old + (1 - decay) · new; the mean of all so far has another decay each time."""
        if self.contract["average_of_a_constant"] == "kept" and np.array_equal(old, new):
            return new
        equal = self.average.kind == "equal"
        decay = self.count / (self.count + 1.0) if equal else self.average.decay
        rounded = self.world.rounding.disturb
        share = rounded(np.array([decay])).reshape(-1, *[1] * (old.ndim - 1))
        return rounded(rounded(share * old) + rounded(rounded(1.0 - share) * new))

    def _overwritten(
        self, held: Iterable[str], trainable: Iterable[str], ends: bool, follows: bool
    ) -> set[str]:
        """The weights that a step replaces by their averages.

        held: those of the optimizer. ends: it ends a call of fit(). follows: with averages that
        have followed the weights at it.
        """
        every = self.average.overwrite
        due = follows and bool(every) and (self.count + 1) % every == 0
        known = set(held) & set(self.held)
        if due and self.contract["average_overwrites"] == "held":
            return known
        return known & set(trainable) if due or ends else set()
