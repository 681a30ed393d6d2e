"""Recurrent layers over sequences: (T, F) -> (units,), or (T, units) with every step's output.

How many biases a layer has is an option that a backend offers or not: torch adds one to the input's
part and one to the state's, Keras has one for both. All states start at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from invariants.architecture.layers.base import (
    Call,
    Choice,
    Extent,
    Layer,
    Parameter,
    ShapeError,
    Size,
    Spec,
)
from invariants.architecture.layers.piecewise import hard_sigmoid
from invariants.oracle.tape import Value

Activation = Literal["tanh", "relu"]
Gate = Literal["sigmoid", "hard_sigmoid"]
Biases = Literal["none", "one", "two"]
Merging = Literal["concat", "sum", "mul", "ave"]

#: (input (N, F), the states (N, units), the output first) -> the states after one step.
Cell = Callable[[Value, list[Value]], list[Value]]


#: What the names of the parameters of each level begin with.
LEVELS = ("", "second_")


def steps(x: Value) -> list[Value]:
    """The values of shape (N, F) of a sequence (N, T, F)."""
    n, t, f = x.shape
    flat = x.reshape(n, t * f)
    return [flat.apply("slice", start=i * f, stop=(i + 1) * f) for i in range(t)]


def sequence(values: Sequence[Value]) -> Value:
    """T values of shape (N, F) as one of shape (N, T, F)."""
    n, f = values[0].shape
    joined = values[0].tape.apply("concatenate", *values)
    return joined.reshape(n, len(values), f)


def unrolled(cell: Cell, xs: Sequence[Value], widths: Sequence[int]) -> list[Value]:
    """The outputs of all steps, from states of zeros with so many features."""
    samples = xs[0].shape[0]
    held = [xs[0].tape.constant(np.zeros((1, samples, width))) for width in widths]
    outputs = []
    for x in xs:
        held = cell(x, held)
        outputs.append(held[0])
    return outputs


def parts(x: Value, count: int) -> list[Value]:
    """`x` cut into equal parts along its last axis."""
    width = x.shape[-1] // count
    return [x.apply("slice", start=i * width, stop=(i + 1) * width) for i in range(count)]


def squashed(call: Call, function: Activation | Gate, z: Value) -> Value:
    """The function that a cell has for a gate, or for what passes through one."""
    if function == "relu":
        return z.apply("relu", at_zero=call.contract["relu_derivative_at_zero"])
    return hard_sigmoid(call, z) if function == "hard_sigmoid" else z.apply(function)


GRUBiases = Literal["none", "one", "two", "stacked"]


@dataclass(frozen=True, kw_only=True)
class _Recurrent(Layer):
    """What recurrent layers have in common.

    gates: how many times `units` columns the kernels have. states: how many a cell hands on.
    backwards: from the last step to the first, and the outputs in this order. single: it has one
    cell, which alone may go backwards.
    """

    units: Size = 1
    biases: Biases = "none"
    return_sequences: bool = False
    backwards: bool = False
    steps_first: ClassVar[bool] = True
    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    single: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> _Recurrent:
        backwards = cls.single and True in choice.offered("recurrent_backwards")
        units = choice.integer(1, 4)
        return cls(
            kind=cls.kind_of(),
            units=units,
            return_sequences=choice.boolean(),
            backwards=backwards and choice.integer(0, 4) == 4,
            **cls.drawn_cell(choice, units),
        )

    @classmethod
    def drawn_cell(cls, choice: Choice, units: int) -> dict[str, Any]:
        """The options of a cell of so many units."""
        return {"biases": choice.one_of(choice.offered("recurrent_biases"))}

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 2

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """In one step the state is zero, and so is the gradient of what the state meets."""
        return specs[0].shape[0] > 1

    def needs(self) -> Mapping[str, Any]:
        backwards = {"recurrent_backwards": True} if self.backwards else {}
        return {**backwards, "recurrent_biases": self.biases}

    def output(self, specs: Sequence[Spec]) -> Spec:
        steps_, *_ = super().output(specs).shape
        if self.backwards and not self.single:
            raise ShapeError(f"a {self.kind} layer has more than one cell, and none goes backwards")
        return Spec((steps_, self.width) if self.return_sequences else (self.width,))

    @property
    def state_widths(self) -> tuple[int, ...]:
        """The features of each state, that of the output first."""
        return (self.units,) * self.states

    @property
    def width(self) -> int:
        """The features of one step's output."""
        return self.state_widths[0]

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        return self.weights("", specs[0].shape[-1])

    def weights(self, prefix: str, features: int) -> tuple[Parameter, ...]:
        """The parameters of one cell: (F, gates · units), (units, gates · units), its biases."""
        columns = self.gates * self.units
        return (
            Parameter(prefix + "kernel", (features, columns)),
            Parameter(prefix + "recurrent_kernel", (self.state_widths[0], columns)),
            *(
                Parameter(prefix + name, (columns,), group="bias")
                for name in ("bias", "recurrent_bias")[: ("none", "one", "two").index(self.biases)]
            ),
        )

    def in_levels(
        self, levels: Sequence[str], ends: Collection[str], features: int
    ) -> tuple[Parameter, ...]:
        """The parameters of a cell from each end in one level, or in two, one over the other.

        levels, ends: what their names begin with, one after the other.
        """
        return tuple(
            parameter
            for level, width in zip(levels, (features, self.width), strict=False)
            for end in ends
            for parameter in self.weights(level + end, width)
        )

    def projected(self, call: Call, prefix: str, x: Value, state: Value) -> tuple[Value, Value]:
        """What the input and what the state add to the gates, each of shape (N, gates · units)."""
        from_input = x @ call.parameter(prefix + "kernel")
        from_state = state @ call.parameter(prefix + "recurrent_kernel")
        if self.biases != "none":
            from_input = from_input + call.parameter(prefix + "bias")
        if self.biases == "two":
            from_state = from_state + call.parameter(prefix + "recurrent_bias")
        return from_input, from_state

    def cell(self, call: Call, prefix: str, x: Value, states: list[Value]) -> list[Value]:
        """One step; the parameters are those whose names start with `prefix`."""
        raise TypeError(f"{self.kind} has no cell")

    def run(self, call: Call, prefix: str, xs: Sequence[Value]) -> list[Value]:
        """The outputs of one cell for a sequence."""
        return unrolled(partial(self.cell, call, prefix), xs, self.state_widths)

    def forward(self, call: Call, *xs: Value) -> Value:
        outputs = self.run(call, "", steps(xs[0])[:: -1 if self.backwards else 1])
        return sequence(outputs) if self.return_sequences else outputs[-1]


@dataclass(frozen=True, kw_only=True)
class SimpleRNN(_Recurrent):
    """h ← f(x @ kernel + h @ recurrent_kernel + biases) (Elman 1990), f tanh or relu."""

    kind: Literal["simple_rnn"] = "simple_rnn"
    activation: Activation = "tanh"

    @classmethod
    def drawn_cell(cls, choice: Choice, units: int) -> dict[str, Any]:
        activation = choice.one_of(("tanh", "relu"))
        return {**super().drawn_cell(choice, units), "activation": activation}

    def cell(self, call: Call, prefix: str, x: Value, states: list[Value]) -> list[Value]:
        from_input, from_state = self.projected(call, prefix, x, states[0])
        return [squashed(call, self.activation, from_input + from_state)]


@dataclass(frozen=True, kw_only=True)
class _Gated(_Recurrent):
    """A cell with gates: the functions of the gates and of what passes through them."""

    activation: Activation = "tanh"
    gate: Gate = "sigmoid"

    @classmethod
    def drawn_cell(cls, choice: Choice, units: int) -> dict[str, Any]:
        usual, *others = choice.offered("recurrent_activations")
        activation, gate = choice.one_of((*(usual,) * 3, *others))
        return {**super().drawn_cell(choice, units), "activation": activation, "gate": gate}

    def needs(self) -> Mapping[str, Any]:
        return {**super().needs(), "recurrent_activations": (self.activation, self.gate)}

    def opened(self, call: Call, z: Value) -> Value:
        """How far a gate is open."""
        return squashed(call, self.gate, z)

    def passing(self, call: Call, z: Value) -> Value:
        """What passes through the gates."""
        return squashed(call, self.activation, z)


@dataclass(frozen=True, kw_only=True)
class LSTM(_Gated):
    """Long short-term memory with gates i, f, g, o in this order of columns.

    c ← σ(f) · c + σ(i) · tanh(g), h ← σ(o) · tanh(c) (Hochreiter & Schmidhuber 1997, with the
    forget gate of Gers et al. 2000). projected_to: so many features of h, which a matrix without a
    bias makes of it (Sak et al. 2014, arXiv 1402.1128); 0: as many as units, and no matrix.
    """

    kind: Literal["lstm"] = "lstm"
    projected_to: Extent = 0
    frequency: ClassVar[int] = 2
    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    @classmethod
    def drawn_cell(cls, choice: Choice, units: int) -> dict[str, Any]:
        projects = units > 1 and True in choice.offered("lstm_projection")
        width = choice.integer(1, units - 1) if projects and choice.integer(0, 3) == 3 else 0
        return {**super().drawn_cell(choice, units), "projected_to": width}

    def needs(self) -> Mapping[str, Any]:
        return {**super().needs(), **({"lstm_projection": True} if self.projected_to else {})}

    def output(self, specs: Sequence[Spec]) -> Spec:
        if self.projected_to >= self.units:
            raise ShapeError(f"{self.units} units are projected to fewer, not {self.projected_to}")
        return super().output(specs)

    @property
    def state_widths(self) -> tuple[int, ...]:
        return self.projected_to or self.units, self.units

    def weights(self, prefix: str, features: int) -> tuple[Parameter, ...]:
        projection = Parameter(prefix + "projection", (self.units, self.projected_to))
        return (*super().weights(prefix, features), *([projection] if self.projected_to else []))

    def cell(self, call: Call, prefix: str, x: Value, states: list[Value]) -> list[Value]:
        from_input, from_state = self.projected(call, prefix, x, states[0])
        i, f, g, o = parts(from_input + from_state, 4)
        kept = self.opened(call, f) * states[1]
        c = kept + self.opened(call, i) * self.passing(call, g)
        h = self.opened(call, o) * self.passing(call, c)
        return [h @ call.parameter(prefix + "projection") if self.projected_to else h, c]


@dataclass(frozen=True, kw_only=True)
class GRU(_Gated):
    """A gated recurrent unit with gates z, r, n in this order of columns (arXiv 1406.1078).

    h ← z · h + (1 - z) · tanh(n), z and r sigmoids. The reset gate r meets the state after its
    matrix product, r · (h @ U + b) as in cuDNN, or before it, (r · h) @ U as in the paper.
    biases: "stacked" is one parameter of shape (2, 3 · units), the input's row first.
    """

    kind: Literal["gru"] = "gru"
    biases: GRUBiases = "none"  # type: ignore[assignment]
    reset: Literal["after", "before"] = "after"
    frequency: ClassVar[int] = 2
    gates: ClassVar[int] = 3

    @classmethod
    def drawn_cell(cls, choice: Choice, units: int) -> dict[str, Any]:
        reset, biases = choice.one_of(choice.offered("gru_forms"))
        return {**super().drawn_cell(choice, units), "reset": reset, "biases": biases}

    def needs(self) -> Mapping[str, Any]:
        others = dict(super().needs())
        del others["recurrent_biases"]  # the forms say which
        return {**others, "gru_forms": (self.reset, self.biases)}

    def weights(self, prefix: str, features: int) -> tuple[Parameter, ...]:
        if self.biases != "stacked":
            return super().weights(prefix, features)
        columns = self.gates * self.units
        return (
            Parameter(prefix + "kernel", (features, columns)),
            Parameter(prefix + "recurrent_kernel", (self.units, columns)),
            Parameter(prefix + "bias", (2, columns), group="bias"),
        )

    def cell(self, call: Call, prefix: str, x: Value, states: list[Value]) -> list[Value]:
        (h,) = states
        from_input = x @ call.parameter(prefix + "kernel")
        recurrent = call.parameter(prefix + "recurrent_kernel")
        columns = self.gates * self.units
        bias = recurrent_bias = None
        if self.biases == "stacked":
            both = call.parameter(prefix + "bias").reshape(2 * columns)
            bias, recurrent_bias = parts(both, 2)
        elif self.biases != "none":
            bias = call.parameter(prefix + "bias")
            recurrent_bias = (
                call.parameter(prefix + "recurrent_bias") if self.biases == "two" else None
            )
        if bias is not None:
            from_input = from_input + bias
        x_z, x_r, x_n = parts(from_input, 3)
        if self.reset == "after":
            from_state = h @ recurrent
            if recurrent_bias is not None:
                from_state = from_state + recurrent_bias
            h_z, h_r, h_n = parts(from_state, 3)
            n = x_n + self.opened(call, x_r + h_r) * h_n
        else:
            u_z, u_r, u_n = parts(recurrent, 3)
            h_z, h_r = h @ u_z, h @ u_r
            n = x_n + (self.opened(call, x_r + h_r) * h) @ u_n
        z = self.opened(call, x_z + h_z)
        one = z.tape.lift(1.0)
        return [z * h + (one - z) * self.passing(call, n)]


@dataclass(frozen=True, kw_only=True)
class _BothEnds(_Recurrent):
    """Two cells, one from each end; their outputs are merged at each step.

    levels: how many such pairs there are, each over the merged outputs of the one before.
    Without the whole sequence: what each has put out after its own last step.
    """

    merge: Merging = "concat"
    levels: Literal[1, 2] = 1
    frequency: ClassVar[int] = 1
    single: ClassVar[bool] = False

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> Any:
        layer: Any = super().draw(choice, specs)
        return replace(
            layer,
            merge=choice.one_of(choice.offered("bidirectional_merges")),
            levels=choice.one_of(choice.offered("bidirectional_levels")),
        )

    def needs(self) -> Mapping[str, Any]:
        own = {"bidirectional_merges": self.merge, "bidirectional_levels": self.levels}
        return {**super().needs(), **own}

    @property
    def width(self) -> int:
        return self.state_widths[0] * (2 if self.merge == "concat" else 1)

    def merged(self, there: Value, back: Value) -> Value:
        """One value of those of the two ends."""
        if self.merge == "concat":
            return there.tape.apply("concatenate", there, back)
        if self.merge == "mul":
            return there * back
        return there + back if self.merge == "sum" else (there + back) / 2.0

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        ends = ("forward_", "backward_")
        return self.in_levels(LEVELS[: self.levels], ends, specs[0].shape[-1])

    def forward(self, call: Call, *xs: Value) -> Value:
        held = steps(xs[0])
        for level in LEVELS[: self.levels]:
            there = self.run(call, level + "forward_", held)
            back = self.run(call, level + "backward_", held[::-1])
            held = [self.merged(*pair) for pair in zip(there, back[::-1], strict=True)]
        return sequence(held) if self.return_sequences else self.merged(there[-1], back[-1])


@dataclass(frozen=True, kw_only=True)
class _Stacked(_Recurrent):
    """Two cells, the second over the outputs of the first."""

    frequency: ClassVar[int] = 1
    single: ClassVar[bool] = False

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        return self.in_levels(("first_", "second_"), ("",), specs[0].shape[-1])

    def forward(self, call: Call, *xs: Value) -> Value:
        outputs = self.run(call, "second_", self.run(call, "first_", steps(xs[0])))
        return sequence(outputs) if self.return_sequences else outputs[-1]


@dataclass(frozen=True, kw_only=True)
class BidirectionalLSTM(_BothEnds, LSTM):
    """Two LSTMs, one from each end."""

    kind: Literal["bidirectional_lstm"] = "bidirectional_lstm"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class BidirectionalGRU(_BothEnds, GRU):
    """Two GRUs, one from each end."""

    kind: Literal["bidirectional_gru"] = "bidirectional_gru"  # type: ignore[assignment]
    biases: GRUBiases = "none"  # type: ignore[assignment]  # as a GRU has them


@dataclass(frozen=True, kw_only=True)
class BidirectionalSimpleRNN(_BothEnds, SimpleRNN):
    """Two simple RNNs, one from each end."""

    kind: Literal["bidirectional_simple_rnn"] = "bidirectional_simple_rnn"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class StackedLSTM(_Stacked, LSTM):
    """Two LSTMs, the second over the outputs of the first."""

    kind: Literal["stacked_lstm"] = "stacked_lstm"  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class StackedGRU(_Stacked, GRU):
    """Two GRUs, the second over the outputs of the first."""

    kind: Literal["stacked_gru"] = "stacked_gru"  # type: ignore[assignment]
    biases: GRUBiases = "none"  # type: ignore[assignment]  # as a GRU has them


@dataclass(frozen=True, kw_only=True)
class StackedSimpleRNN(_Stacked, SimpleRNN):
    """Two simple RNNs, the second over the outputs of the first."""

    kind: Literal["stacked_simple_rnn"] = "stacked_simple_rnn"  # type: ignore[assignment]


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (
    SimpleRNN,
    LSTM,
    GRU,
    BidirectionalLSTM,
    StackedLSTM,
    BidirectionalGRU,
    StackedGRU,
    BidirectionalSimpleRNN,
    StackedSimpleRNN,
)
