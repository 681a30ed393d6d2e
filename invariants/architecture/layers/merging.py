"""Merges of two values or more beside sums and products: subtract, average, maximum, dot, ..."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from invariants.architecture.layers.base import Call, Layer, ShapeError, Spec, describe
from invariants.architecture.layers.shaping import Merge
from invariants.oracle.tape import Value


@dataclass(frozen=True, kw_only=True)
class Subtract(Merge):
    """a - b of one shape."""

    kind: Literal["subtract"] = "subtract"
    arity: ClassVar[int | None] = 2

    def forward(self, call: Call, *xs: Value) -> Value:
        return xs[0] - xs[1]


@dataclass(frozen=True, kw_only=True)
class Average(Merge):
    """The mean of values of one shape."""

    kind: Literal["average"] = "average"

    def forward(self, call: Call, *xs: Value) -> Value:
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total / float(len(xs))


def larger(a: Value, b: Value, call: Call, sign: float = 1.0) -> Value:
    """The larger of a and b, or for sign -1 the smaller; who gets the gradient of a tie is said."""
    share = 1.0 if call.contract["maximum_tie"] == "first" else 0.5
    return a.tape.apply("where_positive", (a - b) * sign, a, b, share=share)


@dataclass(frozen=True, kw_only=True)
class Maximum(Merge):
    """The largest of values of one shape, element by element; ties are the contract's."""

    kind: Literal["maximum"] = "maximum"
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        largest = xs[0]
        for x in xs[1:]:
            largest = larger(largest, x, call)
        return largest


@dataclass(frozen=True, kw_only=True)
class Minimum(Merge):
    """The smallest of values of one shape, element by element; ties are the contract's."""

    kind: Literal["minimum"] = "minimum"
    kinked: ClassVar[bool] = True

    def forward(self, call: Call, *xs: Value) -> Value:
        smallest = xs[0]
        for x in xs[1:]:
            smallest = larger(smallest, x, call, -1.0)
        return smallest


@dataclass(frozen=True, kw_only=True)
class Dot(Layer):
    """Inner products over the last axis: (F,), (F,) -> (1,) and (T, F), (S, F) -> (T, S)."""

    kind: Literal["dot"] = "dot"
    frequency: ClassVar[int] = 2
    arity: ClassVar[int | None] = 2

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return (
            len(specs) == 2
            and all(s.vocabulary is None and s.rank in (1, 2) for s in specs)
            and specs[0].rank == specs[1].rank
            and specs[0].shape[-1] == specs[1].shape[-1]
        )

    def output(self, specs: Sequence[Spec]) -> Spec:
        if not self.accepts(specs):
            raise ShapeError(f"a dot layer does not take {describe(specs)}")
        return Spec((1,) if specs[0].rank == 1 else (specs[0].shape[0], specs[1].shape[0]))

    def forward(self, call: Call, *xs: Value) -> Value:
        a, b = xs
        if len(a.shape) == 2:
            return (a * b).sum(-1, keepdims=True)
        n, t, f = a.shape
        s = b.shape[1]
        return (a.reshape(n, t, 1, f) * b.reshape(n, 1, s, f)).sum(-1)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Subtract, Average, Maximum, Minimum, Dot)
