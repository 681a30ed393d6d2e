"""The chain rule: a reverse mode over the table of primitives, with rounding.

A `Value` remembers which primitive made it from which parents; `gradients` walks the tape back and
adds up vector-Jacobian products (Griewank & Walther 2008, "Evaluating Derivatives", §3.2). Nothing
in here knows of layers, of frozen parameters or of a framework: whether a weight is trainable
changes nothing about the value of a derivative, and that is the promise under test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from invariants.oracle.curvature import bends, on_the_way, received, tangent
from invariants.oracle.primitives import (
    KINKS,
    POLES,
    PRIMITIVES,
    STRADDLES,
    Array,
    concatenate_vjp,
    exact_in,
    lookup_sums,
)
from invariants.oracle.rounding import Precision, Rounding, near_a_pole


class Value:
    """An array on the tape; `data` has shape (samples or 1, ...), 1 where nothing was rounded.

    `grid` is g where the value is known to be a multiple of 2^-g in every element. `rounding` is
    that of the format in which it is held, and its adjoint; `summed` that in which contributions to
    the adjoint are added up.
    """

    __slots__ = ("data", "grid", "index", "name", "params", "parents", "rounding", "summed", "tape")

    def __init__(
        self,
        tape: Tape,
        data: Array,
        grid: int | None,
        name: str = "",
        parents: tuple[Value, ...] = (),
        params: dict[str, Any] | None = None,
    ) -> None:
        self.tape = tape
        self.data = data
        self.grid = grid
        self.name = name
        self.parents = parents
        self.params = params or {}
        self.rounding = self.summed = tape.rounding
        self.index = len(tape.values)
        tape.values.append(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the sample axis."""
        return self.data.shape[1:]

    def __add__(self, other: Value | float) -> Value:
        return self.tape.apply("add", self, self.tape.lift(other))

    def __sub__(self, other: Value | float) -> Value:
        return self.tape.apply("subtract", self, self.tape.lift(other))

    def __mul__(self, other: Value | float) -> Value:
        return self.tape.apply("multiply", self, self.tape.lift(other))

    def __truediv__(self, other: Value | float) -> Value:
        return self.tape.apply("divide", self, self.tape.lift(other))

    def __matmul__(self, kernel: Value) -> Value:
        return self.tape.apply("matmul", self, kernel)

    def apply(self, name: str, **params: Any) -> Value:
        """The one-argument primitive `name` of this value."""
        return self.tape.apply(name, self, **params)

    def sum(self, axis: int | tuple[int, ...], keepdims: bool = False) -> Value:
        return self.apply("sum", axis=axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...], keepdims: bool = False) -> Value:
        axes = (axis,) if isinstance(axis, int) else axis
        count = 1
        for a in axes:
            count *= self.shape[a]
        return self.sum(axis, keepdims) / float(count)

    def reshape(self, *shape: int) -> Value:
        return self.apply("reshape", shape=shape)


def grid_of(array: Array) -> int | None:
    """The coarsest of a few grids (multiples of 2^-g) that holds all of `array`, or None.

    None for an array of more than one sample, which was rounded.
    """
    if array.shape[0] != 1:
        return None
    for grid in (0, 6, 12):
        scaled = array * 2.0**grid
        if np.array_equal(scaled, np.rint(scaled)):
            return grid
    return None


@lru_cache(maxsize=4096)
def _number(number: float) -> tuple[Array, int | None]:
    array = np.array([number])
    array.setflags(write=False)
    return array, grid_of(array)


class Tape:
    """Records what is computed; one tape serves one forward and backward pass.

    rounding: that of what is computed next. lower: that of the format to which an autocast lowers
    some of it.
    """

    def __init__(self, rounding: Rounding, lower: Rounding | None = None) -> None:
        self.rounding = self.widest = rounding
        self.lower = lower
        self.casts: dict[tuple[int, str], Value] = {}
        self.values: list[Value] = []
        # As they were after each contribution, with the largest number of the format.
        self.adjoints: list[tuple[float, Array]] = []
        self.ties = 0  # elements that met a kink exactly
        self.lookups: dict[int, Array] = {}  # table -> lookup_sums of its gradients
        self.adapted: set[int] = set()  # the tables to which something was added for that
        self.uses: dict[int, int] = {}  # a value -> how often its adjoint was contributed to

    @property
    def narrowest(self) -> Precision:
        """The narrowest of the formats in which something may be held."""
        return (self.lower or self.widest).precision

    @contextmanager
    def within(self, rounding: Rounding) -> Iterator[None]:
        """What is applied inside of the with is rounded so, and held in that format."""
        before, self.rounding = self.rounding, rounding
        try:
            yield
        finally:
            self.rounding = before

    def computing(self, lower: bool) -> AbstractContextManager[None]:
        """What is applied inside of the with is computed in the lower format, or in the widest."""
        return self.within((lower and self.lower) or self.widest)

    def cast(self, value: Value, lower: bool, held: Array | None = None) -> Value:
        """`value` in the lower format, or in the widest; the same each time.

        held: what it is the cast of instead, where that was made before.
        """
        target = (lower and self.lower) or self.widest
        if value.rounding is target:
            return value
        name = target.precision.name
        key = value.index, name if held is None else f"{name}, as it was held"
        if key not in self.casts:
            with self.computing(lower):
                name = "narrowed" if target.unit > value.rounding.unit else "widened"
                held_as = {} if held is None else {"held": held}
                self.casts[key] = self.apply(name, value, **held_as)
        return self.casts[key]

    @property
    def largest_adjoint(self) -> float:
        """Of all samples and values, as a share of what the format holds; NaN do not count."""
        # Beginning with 0, for `max` keeps the number that it has against a NaN.
        return max([0.0, *(float(np.abs(g).max(initial=0.0)) / most for most, g in self.adjoints)])

    def constant(self, samples: Array) -> Value:
        """A leaf from `samples` of shape (S or 1, ...)."""
        return Value(self, samples, grid_of(samples))

    def lift(self, other: Value | float) -> Value:
        if isinstance(other, Value):
            return other
        number, grid = _number(float(other))
        if grid is None:  # the framework rounds the number itself to the dtype
            number = self.rounding.disturb(number)
        return Value(self, number, grid)

    def apply(self, name: str, *parents: Value, **params: Any) -> Value:
        """The primitive `name` of `parents`, rounded as its row in the table says."""
        if name in STRADDLES and parents[0].data.shape[0] > 1:
            turn = len(self.values)
            parents = (self.apply(STRADDLES[name], parents[0], turn=turn), *parents[1:])
        primitive = PRIMITIVES[name]
        xs = [parent.data for parent in parents]
        y = primitive.forward(*xs, **params)
        grid: int | None = None
        grids = [parent.grid for parent in parents if parent.grid is not None]
        if primitive.grid is not None and len(grids) == len(parents):
            grid = primitive.grid(grids)
            if not exact_in(name, y, xs, grid, self.rounding.exact_limit):
                grid = None
        if grid is None and primitive.ulps > 0.0:
            magnitude = primitive.magnitude(y, *xs, **params) if primitive.magnitude else None
            y = self.rounding.disturb(y, primitive.ulps, magnitude)
            if primitive.may_flush:
                y = self.rounding.flush(y, 1.0)
        poles = POLES if self.rounding.precision.absolute else POLES[:1]
        if name in poles and xs[0].shape[0] > 1:
            y[1:] = np.where(near_a_pole(xs[0]), np.nan, y[1:])
        if name in KINKS and grid is not None:
            self.ties += KINKS[name](xs[0])
        return Value(self, y, grid, name, parents, params)

    def gradients(
        self,
        output: Value,
        wrt: Sequence[Value],
        scale: float = 1.0,
        along: Mapping[int, Array] | None = None,
    ) -> list[Array]:
        """d(output)/d(each of wrt) for a scalar output; arrays of shape (S or 1, *value.shape).

        A value that the output does not depend on has the gradient zero. scale: a power of two, by
        which adjoints are larger on the way, and gradients divided at the end. along: by index, a
        direction for some leaves; the gradient is then that of the output and of its derivative in
        this direction together, ∇f + ∇²f·v.
        """
        needed = self._ancestors_of(output, wrt)
        adjoints = self._backward(output, needed, scale)
        if along:
            tangents = self._tangents(output, along)
            largest = self.rounding.precision.largest
            self.adjoints += [(largest, change) for change in tangents.values()]
            self.lookups.clear()
            adjoints = self._backward(output, needed, scale, tangents, adjoints)
        unscaled = 1.0 / np.reshape([scale**2, scale], (2, 1, 1, 1))  # of squares, and of sizes
        self.lookups = {table: sums * unscaled for table, sums in self.lookups.items()}
        return [
            adjoints.get(value.index, np.zeros((1, *value.shape), dtype=np.float64)) / scale
            for value in wrt
        ]

    def _backward(
        self,
        output: Value,
        needed: set[int],
        scale: float,
        tangents: Mapping[int, Array] | None = None,
        first: Mapping[int, Array] | None = None,
    ) -> dict[int, Array]:
        """The adjoints of all values in `needed`, by index.

        tangents: how the values change along a direction, where the adjoints are to be those of
        that change as well; first: those without it.
        """
        adjoints: dict[int, Array] = {output.index: np.full_like(output.data[:1], scale)}
        for value in reversed(self.values[: output.index + 1]):
            g = adjoints.get(value.index)
            if g is None or not value.parents:
                continue
            for position, parent in enumerate(value.parents):
                if parent.index not in needed:
                    continue
                self._accumulate(adjoints, parent, self._vjp(value, position, g))
                if tangents is not None and first is not None:
                    for bend in bends(value, position, first[value.index], tangents):
                        self._accumulate(adjoints, parent, bend)
            if tangents is not None and first is not None and value.index in tangents:
                largest = value.rounding.precision.largest
                met = on_the_way(value, first[value.index])
                self.adjoints += [(largest, number) for number in met]
        return adjoints

    def _tangents(self, output: Value, along: Mapping[int, Array]) -> dict[int, Array]:
        """How each value changes along the direction, by index; none for those that do not."""
        tangents = dict(along)
        for value in self.values[: output.index + 1]:
            if value.index not in along and any(p.index in tangents for p in value.parents):
                changes = tangent(value, tangents)
                if changes is not None:
                    tangents[value.index] = changes
        return tangents

    def _ancestors_of(self, output: Value, wrt: Sequence[Value]) -> set[int]:
        """The indices of the values that lie between `wrt` and the output, `wrt` included."""
        needed = {value.index for value in wrt}
        for value in self.values[: output.index + 1]:
            if any(parent.index in needed for parent in value.parents):
                needed.add(value.index)
        return needed

    def _vjp(self, value: Value, position: int, g: Array) -> Array:
        primitive = PRIMITIVES[value.name]
        parent = value.parents[position]
        if value.name == "concatenate":
            return concatenate_vjp(g, [p.shape[-1] for p in value.parents])[position]
        vjp = primitive.vjps[position]
        if vjp is None:
            return np.zeros((1, *parent.shape))
        xs = [p.data for p in value.parents]
        product = vjp(g, value.data, *xs, **value.params)
        if value.name == "take":
            sums = lookup_sums(g, **value.params, rows=parent.shape[0])
            table = parent
            while table.name in ("narrowed", "add"):
                self.adapted |= {table.parents[0].index} if table.name == "add" else set()
                table = table.parents[0]
            self.lookups[table.index] = self.lookups.get(table.index, 0.0) + sums
        return received(value, position, product, primitive.vjp_ulps, np.abs(g[:1]))

    def _accumulate(self, adjoints: dict[int, Array], parent: Value, gradient: Array) -> None:
        self.uses[parent.index] = self.uses.get(parent.index, 0) + 1
        present = adjoints.get(parent.index)
        if present is not None:
            gradient = parent.summed.disturb(present + gradient)
        self.adjoints.append((parent.rounding.precision.largest, gradient))
        adjoints[parent.index] = gradient
