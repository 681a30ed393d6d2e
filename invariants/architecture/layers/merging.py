"""Merges of two values or more beside sums and products: subtract, average, maximum, dot, ..."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from invariants.architecture.layers.base import Call, Choice, Layer, ShapeError, Spec, describe
from invariants.architecture.layers.grouping import of_unit_length
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

    def forward(self, call: Call, *xs: Value) -> Value:
        largest = xs[0]
        for x in xs[1:]:
            largest = larger(largest, x, call)
        return largest


@dataclass(frozen=True, kw_only=True)
class Minimum(Merge):
    """The smallest of values of one shape, element by element; ties are the contract's."""

    kind: Literal["minimum"] = "minimum"

    def forward(self, call: Call, *xs: Value) -> Value:
        smallest = xs[0]
        for x in xs[1:]:
            smallest = larger(smallest, x, call, -1.0)
        return smallest


@dataclass(frozen=True, kw_only=True)
class Dot(Layer):
    """Inner products over the features, (F,), (F,) -> (1,) and (T, F), (S, F) -> (T, S).

    Or over the steps: (T, F), (T, G) -> (F, G). normalize: of vectors of unit length, cosines.
    """

    kind: Literal["dot"] = "dot"
    over: Literal["features", "steps"] = "features"
    normalize: bool = False
    frequency: ClassVar[int] = 2
    arity: ClassVar[int | None] = 2

    @staticmethod
    def fitting(specs: Sequence[Spec]) -> tuple[Literal["features", "steps"], ...]:
        """What products of values of `specs` can go over."""
        a, b = specs
        if a.rank != b.rank or a.rank > 2 or {a.vocabulary, b.vocabulary} != {None}:
            return ()
        found: list[Literal["features", "steps"]] = []
        if a.shape[-1] == b.shape[-1]:
            found.append("features")
        if a.rank == 2 and a.shape[0] == b.shape[0]:
            found.append("steps")
        return tuple(found)

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Dot:
        over = choice.one_of(cls.fitting(specs))
        # Of vectors of one element nothing is left but signs.
        several = specs[0].shape[-1 if over == "features" else 0] > 1
        return cls(over=over, normalize=several and choice.one_of((False, False, True)))

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return len(specs) == 2 and bool(cls.fitting(specs))

    def output(self, specs: Sequence[Spec]) -> Spec:
        if not self.accepts(specs) or self.over not in self.fitting(specs):
            raise ShapeError(f"a dot layer does not take {describe(specs)}")
        if specs[0].rank == 1:
            return Spec((1,))
        kept = 0 if self.over == "features" else 1
        return Spec((specs[0].shape[kept], specs[1].shape[kept]))

    def forward(self, call: Call, *xs: Value) -> Value:
        if self.over == "steps":
            xs = tuple(x.apply("transpose", axes=(0, 2, 1)) for x in xs)
        if self.normalize:
            least = call.contract["dot_least_length"]
            xs = tuple(of_unit_length(x, (-1,), least, call.contract) for x in xs)
        a, b = xs
        if len(a.shape) == 2:
            return (a * b).sum(-1, keepdims=True)
        n, t, f = a.shape
        s = b.shape[1]
        return (a.reshape(n, t, 1, f) * b.reshape(n, 1, s, f)).sum(-1)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (Subtract, Average, Maximum, Minimum, Dot)
