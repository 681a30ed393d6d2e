"""Attention of heads of F / heads features each, as torch packs its projections into one kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from invariants.architecture.layers.attention import (
    OverSequence,
    attend,
    check_padded,
    draw_padded,
    in_heads,
    joined,
)
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
from invariants.architecture.layers.prompting import prepended
from invariants.oracle.tape import Value


def draw_heads(choice: Choice, features: int) -> int:
    """1 to 3 heads that divide the features."""
    return choice.one_of([n for n in (1, 2, 3) if features % n == 0])


def check_heads(heads: int, features: int) -> None:
    """Raises ShapeError where the heads do not divide the features."""
    if features % heads:
        raise ShapeError(f"{heads} heads do not divide {features} features")


def packed_parameters(prefix: str, kernels: Sequence[Parameter], bias: bool) -> list[Parameter]:
    """The kernels that make queries, keys and values, the one behind the heads, and biases."""
    n = kernels[0].shape[0]
    biases = [
        Parameter(f"{prefix}packed_bias", (3 * n,), group="bias"),
        Parameter(f"{prefix}output_bias", (n,), group="bias"),
    ]
    return [*kernels, Parameter(f"{prefix}output_kernel", (n, n)), *(biases if bias else ())]


def part(packed: Value, number: int) -> Value:
    """One of the three parts that stand side by side on the last axis."""
    size = packed.shape[-1] // 3
    return packed.apply("slice", start=number * size, stop=(number + 1) * size)


def put_out(call: Call, prefix: str, y: Value, bias: bool) -> Value:
    """The projection behind the heads."""
    y = y @ call.parameter(f"{prefix}output_kernel")
    return y + call.parameter(f"{prefix}output_bias") if bias else y


def attended(
    made: Sequence[Value], heads: int, causal: bool, form: str, padded: int = 0, added: int = 0
) -> Value:
    """Attention of queries, keys and values (N, ..., F) by heads, side by side."""
    q, k, v = (in_heads(value, heads) for value in made)
    scale = 1.0 / math.sqrt(made[0].shape[-1] // heads)
    return joined(attend(q, k, v, scale, causal, form, padded, added))


def of_one_product(call: Call, x: Value, prefix: str, bias: bool) -> list[Value]:
    """Queries, keys and values: the three parts of one product of x (N, T, F)."""
    packed = x @ call.parameter(f"{prefix}packed_kernel")
    packed = packed + call.parameter(f"{prefix}packed_bias") if bias else packed
    return [part(packed, number) for number in range(3)]


def self_attention(
    call: Call, x: Value, prefix: str, heads: int, causal: bool, form: str, padded: int, bias: bool
) -> Value:
    """Attention of a sequence (N, T, F) over itself."""
    made = of_one_product(call, x, prefix, bias)
    return put_out(call, prefix, attended(made, heads, causal, form, padded), bias)


@dataclass(frozen=True, kw_only=True)
class _WithAdded(Layer):
    """Attention that may have keys and values behind those of its input, which every query sees.

    added_bias: a learned key and a learned value. added_zeros: a key and a value of zeros.
    """

    heads: Size = 1
    use_bias: bool = False
    padded: Extent = 0
    weights_returned: bool = False
    added_bias: bool = False
    added_zeros: bool = False

    def added_parameters(self, features: int) -> tuple[Parameter, ...]:
        names = ("key_bias", "value_bias") if self.added_bias else ()
        return tuple(Parameter(name, (features,), group="bias") for name in names)

    def over_added(self, call: Call, made: Sequence[Value], causal: bool = False) -> Value:
        """Attention of queries, keys and values, and of what is added to these."""
        query, *sides = made
        for number, name in enumerate(("key_bias", "value_bias")):
            if self.added_bias:
                row = call.parameter(name, looked_up=True).reshape(1, query.shape[-1])
                sides[number] = prepended(sides[number], row)
            if self.added_zeros:
                zeros = query.tape.constant(np.zeros((1, 1, query.shape[-1])))
                sides[number] = prepended(sides[number], zeros)
        form = "normalised" if self.weights_returned else call.contract["attention_weights"]
        added = self.added_bias + self.added_zeros
        hinted = causal and not self.padded and not self.weights_returned
        if added and hinted and call.contract["added_keys_under_a_hint"] == "unseen":
            added = 0
        y = attended([query, *sides], self.heads, causal, form, self.padded, added)
        return put_out(call, "", y, self.use_bias)


@dataclass(frozen=True, kw_only=True)
class PackedMultiHeadAttention(_WithAdded, OverSequence):
    """Heads of F / heads features each, all three projections in one kernel of shape (F, 3 · F).

    weights_returned: the attention weights are put out too, so that the softmax stands by itself.
    padded: how many steps at the end are padding, which no query attends to.
    """

    kind: Literal["packed_multi_head_attention"] = "packed_multi_head_attention"
    frequency: ClassVar[int] = 2
    steps_first: ClassVar[bool] = True
    causal: bool = False

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> PackedMultiHeadAttention:
        return cls(
            heads=draw_heads(choice, specs[0].shape[-1]),
            use_bias=choice.boolean(),
            causal=choice.boolean(),
            padded=draw_padded(choice, specs[0].shape[0]),
            weights_returned=choice.boolean(),
            added_bias=choice.one_of((False, False, True)),
            added_zeros=choice.one_of((False, False, True)),
        )

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_heads(self.heads, spec.shape[-1])
        check_padded(self.padded, spec.shape[0])
        return spec

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        n = specs[0].shape[-1]
        kernel = Parameter("packed_kernel", (n, 3 * n))
        return (*packed_parameters("", [kernel], self.use_bias), *self.added_parameters(n))

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.over_added(call, of_one_product(call, xs[0], "", self.use_bias), self.causal)


@dataclass(frozen=True, kw_only=True)
class PackedCrossAttention(_WithAdded):
    """Heads of F / heads features of queries (T, F) over keys (S, G) and values (S, H) -> (T, F).

    The values are the keys where no third value is given. The projections are in one kernel of
    shape (F, 3 · F) where F, G and H are one, else in three, (F, F), (G, F) and (H, F); their bias
    is always one. padded: how many keys at the end are padding.
    """

    kind: Literal["packed_cross_attention"] = "packed_cross_attention"
    arity: ClassVar[int | None] = None
    frequency: ClassVar[int] = 2
    steps_first: ClassVar[bool] = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> PackedCrossAttention:
        return cls(
            heads=draw_heads(choice, specs[0].shape[-1]),
            use_bias=choice.boolean(),
            padded=draw_padded(choice, specs[1].shape[0]),
            weights_returned=choice.boolean(),
            added_bias=choice.one_of((False, False, True)),
            added_zeros=choice.one_of((False, False, True)),
        )

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        sequences = all(s.rank == 2 and s.vocabulary is None for s in specs)
        return len(specs) in (2, 3) and sequences and specs[1].shape[0] == specs[-1].shape[0]

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """All attention goes to one step, whatever the scores."""
        return specs[1].shape[0] > 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_heads(self.heads, spec.shape[-1])
        check_padded(self.padded, specs[1].shape[0])
        return spec

    @staticmethod
    def packed(features: Sequence[int]) -> bool:
        """Whether one kernel holds the projections of values of so many features."""
        return len(set(features)) == 1

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        features = [spec.shape[-1] for spec in (specs[0], specs[1], specs[-1])]
        n = features[0]
        kernels = [
            Parameter(f"{name}_kernel", (size, n))
            for name, size in zip(("query", "key", "value"), features, strict=True)
        ]
        kernels = [Parameter("packed_kernel", (n, 3 * n))] if self.packed(features) else kernels
        return (*packed_parameters("", kernels, self.use_bias), *self.added_parameters(n))

    def forward(self, call: Call, *xs: Value) -> Value:
        sources = xs[0], xs[1], xs[-1]
        if self.packed([source.shape[-1] for source in sources]):
            packed = call.parameter("packed_kernel")
            kernels = [part(packed, number) for number in range(3)]
        else:
            kernels = [call.parameter(f"{name}_kernel") for name in ("query", "key", "value")]
        made = [source @ kernel for source, kernel in zip(sources, kernels, strict=True)]
        if self.use_bias:
            bias = call.parameter("packed_bias")
            made = [value + part(bias, number) for number, value in enumerate(made)]
        return self.over_added(call, made)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (PackedMultiHeadAttention, PackedCrossAttention)
