"""What a property is judged from: the case, what was observed, what was expected."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from invariants.case import NARROW, Case, cast
from invariants.observation import Array, Observation, ObservedPoint, same_bits
from invariants.oracle.contract import CONTRACTS, Contract, Device, Mode, Reloading
from invariants.oracle.expectation import Expectation, ExpectedPoint
from invariants.oracle.rounding import LAMBDA, Deviation, deviation
from invariants.program import Reload


def kept(before: Array, through: Sequence[str], after: Array) -> bool:
    """Whether a weight is what it was, to the bit, or what rounding to these formats makes of it.

    A cast says nothing of which NaN it makes of one.
    """
    if not through:
        return same_bits(before, after)
    rounded = cast(before, through)
    if rounded.dtype != after.dtype or rounded.shape != after.shape:
        return False
    neither = np.isnan(rounded.astype(np.float64)) & np.isnan(after.astype(np.float64))
    return same_bits(rounded, np.where(neither, rounded, after))


@dataclass(frozen=True)
class Evidence:
    """One run of one case on one backend.

    repeat: a second run of the same script, where determinism is to be judged.
    other: the evidence of the same case on another backend, where the two are to be compared.
    release: the contract of the versions that ran it, where it is not that of today's.
    """

    case: Case
    backend: str
    observation: Observation
    expectation: Expectation
    repeat: Observation | None = None
    other: Evidence | None = None
    release: Contract | None = None

    @property
    def contract(self) -> Contract:
        """What is documented of the versions that ran the case."""
        return self.release or CONTRACTS[self.backend]

    @property
    def options(self) -> dict[str, str]:
        """What the options of the case come to in the versions that ran it."""
        return self.case.options(self.backend, self.contract)

    @property
    def mode(self) -> Mode:
        """The mode that the case ran in."""
        return self.case.runs_in(self.backend)

    def reloading(self, action: int) -> Reloading | None:
        """How an action saves and loads, or copies; None where it does not."""
        if action < 0 or not isinstance(self.case.program[action], Reload):
            return None
        return self.contract.reloading(self.case.realisations[self.backend].ways[action] or "")

    @property
    def device(self) -> Device:
        """The device that the case ran on."""
        return self.case.runs_on(self.backend)

    @property
    def ordered(self) -> bool:
        """Whether all that ran is documented to give the same bits each time."""
        kinds = {placed.layer.kind for placed in self.case.architecture.layers}
        return not self.device.reorders(kinds | {term.loss for term in self.case.objective})

    @property
    def narrow(self) -> bool:
        """Whether some of it ran in a format of 16 bits."""
        dtypes = {self.case.dtype, *self.case.dtypes}
        return not dtypes.isdisjoint(NARROW) or "autocast" in self.mode.traits

    @cached_property
    def horizon(self) -> int:
        """The first action that raised unexpectedly; nothing from there on can be judged."""
        expected = {p.action for p in self.expectation.points if p.raises is not None}
        surprises = [action for action in self.observation.errors if action not in expected]
        return min(surprises, default=len(self.case.program))

    @cached_property
    def pairs(self) -> tuple[tuple[ExpectedPoint, ObservedPoint], ...]:
        """Expected and observed points of the actions that recorded something, in order."""
        observed = {point.action: point for point in self.observation.points}
        return tuple(
            (expected, observed[expected.action])
            for expected in self.expectation.points
            if expected.raises is None
            and expected.action < self.horizon
            and expected.action in observed
        )

    @cached_property
    def _walk(self) -> tuple[int, dict[tuple[int, str], Deviation]]:
        """The departure, and how the weights and states until then compare with the expected."""
        held: dict[tuple[int, str], Deviation] = {}
        previous = self.observation.at(-1)
        loaded = previous.weights.values() if previous else ()
        if any(array.dtype.name != self.case.dtype for array in loaded):
            return -1, held
        for expected, observed in self.pairs:
            stay = {*self.case.architecture.weights} - {*expected.moving}
            if previous is not None:
                stay -= self.rewritten_between(previous.action, expected.action)
            departs = previous is not None and not all(
                kept(previous.weights[n], expected.cast, observed.weights[n]) for n in stay
            )
            for name, estimate in (*expected.weights.items(), *expected.state.items()):
                array = observed.weights[name]
                if array.shape != estimate.value.shape:
                    departs = True
                    continue
                found = held[expected.action, name] = deviation(array, estimate)
                departs |= bool(found.spreads.max(initial=0.0) > LAMBDA)
            if departs:
                return expected.action, held
            previous = observed
        return len(self.case.program), held

    @property
    def departure(self) -> int:
        """The first action that left other weights or states than expected.

        What is expected of later actions starts from those, so their numbers say nothing more.
        """
        return self._walk[0]

    @property
    def held(self) -> dict[tuple[int, str], Deviation]:
        """(action, weight or state) -> how it compares with the expected, up to the departure."""
        return self._walk[1]

    @cached_property
    def comparable(self) -> tuple[tuple[ExpectedPoint, ObservedPoint], ...]:
        """The pairs whose numbers can be compared: up to the departure."""
        return tuple(pair for pair in self.pairs if pair[0].action <= self.departure)

    @cached_property
    def deviations(self) -> dict[tuple[int, str], Deviation]:
        """(action, weight or input) -> how its gradient compares with the chain rule's."""
        found = {}
        for expected, observed in self.comparable:
            for name, estimate in expected.gradients.items():
                gradient = observed.gradients.get(name)
                if gradient is not None and gradient.shape == estimate.value.shape:
                    found[expected.action, name] = deviation(gradient, estimate)
        return found

    def steps_between(self, earlier: int, later: int) -> Iterator[ExpectedPoint]:
        """The optimizer steps among the actions after `earlier`, up to and with `later`."""
        for point in self.expectation.points:
            is_step = self.case.program[point.action].action == "step"
            moves = point.raises is None or point.stops_midway
            if earlier < point.action <= later and is_step and moves:
                yield point

    def rewritten_between(self, earlier: int, later: int) -> frozenset[str]:
        """The weights that a forward pass after `earlier`, up to and with `later`, rewrites.

        One that raises afterwards has rewritten them, too.
        """
        return frozenset[str]().union(
            *(p.rewritten for p in self.expectation.points if earlier < p.action <= later)
        )

    def averages_rewritten_between(self, earlier: int, later: int) -> frozenset[str]:
        """The averages that an evaluation of them between two actions rewrites."""
        points = self.expectation.points
        rewritten = (p.averages_rewritten for p in points if earlier < p.action <= later)
        return frozenset[str]().union(*rewritten)

    def left_between(self, earlier: int, later: int, name: str) -> np.ndarray | None:
        """The elements of a rewritten weight that no forward pass between two actions touches.

        None where something else may have rewritten it, or nothing is known.
        """
        parts = [
            point.left.get(name)
            for point in self.expectation.points
            if earlier < point.action <= later and name in point.rewritten
        ]
        known = [part for part in parts if part is not None]
        return np.logical_and.reduce(known) if known and len(known) == len(parts) else None

    def consecutive(self) -> Iterator[tuple[ObservedPoint, ObservedPoint]]:
        """Each recorded point with the one before it, the loading of the weights first."""
        points = [p for p in self.observation.points if p.action < self.horizon]
        yield from itertools.pairwise(points)
