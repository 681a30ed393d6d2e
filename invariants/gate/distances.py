"""How far arrays are from what they are compared with, in spreads: the sums of a group of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from invariants.document import Document, Number

#: What is told of a distribution: its middle, its quarters, and all but its ends.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Distances(Document):
    """How far the arrays of a group are apart.

    by: what the arrays are grouped by; name: of the group. equal: how many are not apart;
    quantiles: of all others.
    """

    backend: str
    by: str
    name: str
    arrays: int
    equal: int
    quantiles: tuple[Number, Number, Number, Number, Number]
    largest: Number

    @property
    def median(self) -> float:
        return self.quantiles[2]

    @property
    def share(self) -> float:
        """The share of equal arrays."""
        return self.equal / self.arrays if self.arrays else 1.0


@dataclass
class Sample:
    """The arrays of a group as they are counted.

    apart: the worst element of each that is not equal to what it is compared with.
    """

    arrays: int = 0
    apart: list[float] = field(default_factory=list)

    def add(self, apart: float | None) -> None:
        """Counts one more array; None where it is equal."""
        self.arrays += 1
        self.apart += [] if apart is None else [apart]

    def join(self, other: Sample) -> None:
        """Counts the arrays of another one."""
        self.arrays += other.arrays
        self.apart += other.apart

    def distances(self, backend: str, by: str, name: str) -> Distances:
        """What is told of them."""
        equal, largest = self.arrays - len(self.apart), max(self.apart, default=0.0)
        return Distances(backend, by, name, self.arrays, equal, quantiles(self.apart), largest)


def quantiles(numbers: Sequence[float]) -> tuple[float, float, float, float, float]:
    """The QUANTILES of some numbers, each one of these numbers: infinity has no middle."""
    if not numbers:
        return (0.0, 0.0, 0.0, 0.0, 0.0)
    a, b, c, d, e = np.quantile(numbers, QUANTILES, method="inverted_cdf").tolist()
    return a, b, c, d, e
