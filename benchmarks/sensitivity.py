"""How small a fault in one element of one gradient is noticed, beside what people would use.

    python -m benchmarks.sensitivity [--trials N] [--depth D ...] [--backend NAME ...]

Dense networks of several depths, the middle layer frozen. In each trial one element of one gradient
that is neither 0 nor uninformative is taken for (1 + ε) times what it is; the smallest ε that a
checker notices is found by bisection. Beside the suite, on the same networks: `gradcheck` with its
defaults, whose backward pass is disturbed by a hook; `torch.testing.assert_close` and
`tf.debugging.assert_near` against the same network in float64. A checker that complains of what was
not disturbed raises a false alarm; such a trial has no ε.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.chains import chain
from benchmarks.networks import as_torch, disturbed
from invariants.judge import gather
from invariants.program import Dtype
from invariants.properties import findings

Notices = Callable[[float], bool]

DTYPES: tuple[Dtype, ...] = ("float64", "float32", "bfloat16", "float16")
DEPTHS = (2, 4, 8)
TRIALS = 100
WIDTH = 4
_LEAST, _MOST, _CLOSE = 2.0**-60, 16.0, 1.05


@dataclass
class Noticed:
    """What one checker noticed: the smallest ε of each trial, and its false alarms."""

    least: list[float] = field(default_factory=list)
    alarms: int = 0

    def of(self, share: float) -> float:
        """The ε that is noticed in such a share of the trials; infinite where there is none."""
        ranked = sorted(self.least)
        return (
            ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)] if ranked else math.inf
        )


def smallest(notices: Notices) -> float | None:
    """The smallest ε that is noticed; infinite where none is, None where 0 is."""
    if notices(0.0):
        return None
    if not notices(_MOST):
        return math.inf
    low, high = _LEAST, _MOST
    while high / low > _CLOSE:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if notices(middle) else (middle, high)
    return high


def moved(array: np.ndarray, place: tuple[int, ...], share: float) -> np.ndarray:
    """`array` with one element (1 + share) times what it is, in its own dtype."""
    after = array.copy()
    after[place] = after.dtype.type(float(after[place]) * (1.0 + share))
    return after


class Trial:
    """One element of one gradient of a network that is to be disturbed."""

    def __init__(self, backend: str, depth: int, dtype: Dtype, seed: int) -> None:
        self.case = chain(backend, depth, WIDTH, dtype, seed)
        self.evidence = gather(self.case, backend)
        self.exact = gather(replace(self.case, dtype="float64"), backend)
        places = self._places()
        rng = np.random.default_rng((seed, depth))
        self.sign = float(rng.choice((-1.0, 1.0)))
        self.says_nothing = not places
        self.name, self.place = places[rng.integers(len(places))] if places else ("", ())

    def _places(self) -> list[tuple[str, tuple[int, ...]]]:
        """The elements that may be disturbed: informative, and neither expected nor got as 0."""
        (point,) = self.evidence.expectation.points
        return [
            (name, tuple(int(n) for n in place))
            for (_, name), found in self.evidence.deviations.items()
            for place in np.argwhere(
                found.informative
                & (point.gradients[name].value != 0.0)
                & (self._gradient(name).astype(np.float64) != 0.0)
            )
        ]

    @property
    def shares(self) -> tuple[int, int, int]:
        """How many elements of gradients are uninformative, how many 0, and how many there are."""
        (point,) = self.evidence.expectation.points
        told = [found.informative for found in self.evidence.deviations.values()]
        values = [point.gradients[name].value for _, name in self.evidence.deviations]
        zeros = sum(int((value == 0.0).sum()) for value in values)
        return sum(int((~one).sum()) for one in told), zeros, sum(one.size for one in told)

    def _gradient(self, name: str) -> np.ndarray:
        gradient = self.evidence.observation.points[-1].gradients[name]
        assert gradient is not None
        return gradient

    def changed(self, share: float) -> np.ndarray:
        """The gradient with the element disturbed."""
        return moved(self._gradient(self.name), self.place, self.sign * share)

    def suite(self, share: float) -> bool:
        """Whether the suite finds anything."""
        observation = self.evidence.observation
        *before, last = observation.points
        gradients = {**last.gradients, self.name: self.changed(share)}
        points = (*before, replace(last, gradients=gradients))
        evidence = replace(self.evidence, observation=replace(observation, points=points))
        return bool(findings(evidence))

    def gradcheck(self, share: float) -> bool:
        """Whether torch.autograd.gradcheck complains."""
        import torch

        loss, trained = as_torch(self.case)
        number = [*trained].index(self.name)
        wrong = disturbed(loss, number, self.place, self.sign * share)
        return not torch.autograd.gradcheck(wrong, [*trained.values()], raise_exception=False)

    def assert_close(self, share: float) -> bool:
        """Whether torch.testing.assert_close complains of the twin in float64."""
        import torch

        dtype = getattr(torch, self.case.dtype)
        ours, theirs = (torch.tensor(array, dtype=dtype) for array in self._beside_exact(share))
        return _raises(lambda: torch.testing.assert_close(ours, theirs))

    def assert_near(self, share: float) -> bool:
        """Whether tf.debugging.assert_near complains of the twin in float64."""
        import tensorflow as tf

        dtype = self.case.dtype
        ours, theirs = (tf.constant(array, dtype=dtype) for array in self._beside_exact(share))
        return _raises(lambda: tf.debugging.assert_near(ours, theirs))

    def _beside_exact(self, share: float) -> Iterator[np.ndarray]:
        """The disturbed gradient, and that of the same network in float64."""
        yield self.changed(share).astype(np.float64)
        exact = self.exact.observation.points[-1].gradients[self.name]
        assert exact is not None
        yield exact


def _raises(work: Callable[[], object]) -> bool:
    try:
        work()
    except Exception:
        return True
    return False


#: backend -> its checkers; gradcheck takes float64 alone.
CHECKERS = {
    "torch": ("suite", "gradcheck", "assert_close"),
    "tensorflow": ("suite", "assert_near"),
}


def measure(backend: str, depth: int, dtype: Dtype, trials: int) -> dict[str, Any]:
    """What each checker noticed in so many trials, and the share of elements that say nothing."""
    checkers = [c for c in CHECKERS[backend] if c != "gradcheck" or dtype == "float64"]
    noticed = {checker: Noticed() for checker in checkers}
    uninformative = zeros = elements = silent_networks = 0
    for seed in range(trials):
        trial = Trial(backend, depth, dtype, seed)
        silent, none, every = trial.shares
        silent_networks += trial.says_nothing
        uninformative, zeros, elements = uninformative + silent, zeros + none, elements + every
        for checker, one in noticed.items() if not trial.says_nothing else ():
            least = smallest(getattr(trial, checker))
            if least is None:
                one.alarms += 1
            else:
                one.least.append(least)
    return {
        "backend": backend,
        "dtype": dtype,
        "depth": depth,
        "trials": trials,
        "networks that say nothing": silent_networks,
        "uninformative": uninformative / elements,
        "zeros": zeros / elements,
        "checkers": {
            checker: {"half": one.of(0.5), "99 of 100": one.of(0.99), "false alarms": one.alarms}
            for checker, one in noticed.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=TRIALS, metavar="N")
    parser.add_argument("--depth", type=int, action="append", default=[], metavar="D")
    parser.add_argument("--backend", action="append", default=[], choices=[*CHECKERS])
    parser.add_argument("--dtype", action="append", default=[], choices=DTYPES)
    arguments = parser.parse_args()
    for backend in arguments.backend or CHECKERS:
        for dtype in arguments.dtype or DTYPES:
            for depth in arguments.depth or DEPTHS:
                print(measure(backend, depth, dtype, arguments.trials), flush=True)


if __name__ == "__main__":
    main()
