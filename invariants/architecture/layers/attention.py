"""Attention over a sequence, (T, F) -> (T, F), of itself or of a memory (S, G)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from invariants.oracle.primitives import Pair
from invariants.oracle.tape import Value


def attend(
    q: Value,
    k: Value,
    v: Value,
    scale: float,
    causal: bool,
    form: str = "normalised",
    padded: int = 0,
    added: int = 0,
) -> Value:
    """softmax(scale · q @ kᵀ) @ v, all of shape (..., T, d); causal: no key after the query's own.

    padded: how many keys at the end are padding, which no query sees. added: how many stand behind
    these, which every query sees.

    The scale meets both factors by its root, as in torch's kernel; on the scores, as Keras has it,
    it rounds no more than that. form: how the softmax is computed, exp(score - maximum) over its
    sum, or exp(score - log Σ exp(scores)), which is rounded relative to the scores.
    """
    tape = q.tape
    if scale != 1.0:
        q, k = q * math.sqrt(scale), k * math.sqrt(scale)
    rank = len(k.shape)
    scores = tape.apply("batch_matmul", q, k.apply("transpose", axes=swapped(rank)))
    allowed = np.ones(scores.shape[-2:])
    if causal:
        allowed = np.tril(allowed)
    own = allowed.shape[1] - added
    allowed[:, own - padded : own] = 0.0
    allowed[:, own:] = 1.0
    mask = tape.constant(allowed[None])
    largest = tape.constant(
        np.where(allowed > 0.0, scores.data, -np.inf).max(axis=-1, keepdims=True)
    )

    def seen(exponents: Value) -> Value:
        """exp, and zero behind the mask, where a number far below all scores keeps it finite."""
        if allowed.all():
            return exponents.apply("exp")
        return tape.apply("where_positive", mask, exponents, tape.lift(-1e9)).apply("exp") * mask

    e = seen(tape.apply("centred", scores, largest))
    total = e.sum(-1, keepdims=True)
    if form == "normalised":
        return tape.apply("batch_matmul", e / total, v)
    # The fused backward pass has p(dp - D) with p = exp(scores - log Σ exp(scores)), rounded anew,
    # and D = Σ dy · y over the features of the output y: neither rounds as the softmax does that
    # it derives. So here the weights have a constant for their normaliser, and its gradient comes
    # through a divisor that is 1.
    logsumexp = tape.constant(np.log(total.data) + largest.data)
    weights = seen(tape.apply("centred", scores, logsumexp))
    return tape.apply("batch_matmul", weights, v) / (total / tape.constant(total.data))


def kernel_scale(size: int, contract: Any) -> float:
    """1 / √size, where it is left to the framework's kernel to work it out."""
    if contract["attention_scale"] == "float32":
        return float(np.float32(1.0) / np.sqrt(np.float32(size)))
    return 1.0 / math.sqrt(size)


def swapped(rank: int) -> tuple[int, ...]:
    """All axes in order but for the last two."""
    return (*range(rank - 2), rank - 1, rank - 2)


def in_heads(x: Value, heads: int) -> Value:
    """(N, T, heads · d) -> (N, heads, T, d)."""
    n, t, width = x.shape
    return x.reshape(n, t, heads, width // heads).apply("transpose", axes=(0, 2, 1, 3))


def joined(x: Value) -> Value:
    """(N, heads, T, d) -> (N, T, heads · d)."""
    n, heads, t, width = x.shape
    return x.apply("transpose", axes=(0, 2, 1, 3)).reshape(n, t, heads * width)


def draw_padded(choice: Choice, steps: int) -> int:
    """How many of so many steps are padding: none for the most part, two are always left."""
    return choice.integer(1, steps - 2) if steps > 2 and choice.integer(0, 3) == 3 else 0


def check_padded(padded: int, steps: int) -> None:
    """Raises ShapeError where padding would leave nothing to attend to."""
    if padded >= steps:
        raise ShapeError(f"{padded} padded steps leave none of {steps}")


class OverSequence(Layer):
    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return super().accepts(specs) and specs[0].rank == 2

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """One step attends to itself alone, whatever the scores."""
        return specs[0].shape[0] > 1


@dataclass(frozen=True, kw_only=True)
class DotProductAttention(OverSequence):
    """softmax(x @ xᵀ / √F) @ x (arXiv 1706.03762, 3.2.1), or without the scale."""

    kind: Literal["dot_product_attention"] = "dot_product_attention"
    frequency: ClassVar[int] = 3
    scaled: bool = True
    causal: bool = False

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> DotProductAttention:
        offered = choice.offered("attention_scales")
        scales = [scaled for scaled in (True, True, False) if scaled in offered]
        return cls(scaled=choice.one_of(scales), causal=choice.boolean())

    def needs(self) -> Mapping[str, Any]:
        return {"attention_scales": self.scaled}

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        scale = kernel_scale(x.shape[-1], call.contract) if self.scaled else 1.0
        return attend(x, x, x, scale, self.causal)


class Projected(OverSequence):
    """Attention of several heads between projections of its own."""

    def attention(
        self,
        call: Call,
        x: Value,
        prefix: str,
        heads: int,
        causal: bool,
        memory: Value | None = None,
        padded: int = 0,
    ) -> Value:
        """The heads' attention over (N, T, F), projected back to (N, T, F).

        The kernels have the shapes (F, heads, d) and back (heads, d, F), as Keras has them.
        memory: (N, S, G), what keys and values are made from; `x` itself where there is none.
        """
        bias = self.has_bias()
        made, widths = [], []
        for name in ("query", "key", "value"):
            source = x if name == "query" or memory is None else memory
            kernel = call.parameter(f"{prefix}{name}_kernel")
            features, _, width = kernel.shape
            widths.append(width)
            y = source @ kernel.reshape(features, heads * width)
            if bias:
                added = call.parameter(f"{prefix}{name}_bias").reshape(heads * width)
                if width == 1 and call.contract["bias_of_heads"] == "along_steps":
                    # What a known issue makes of it where there are as many steps as heads.
                    added = added.reshape(heads, 1) if heads == source.shape[1] else added
                y = y + added
            made.append(in_heads(y, heads))
        q, k, v = made
        scale = 1.0 / math.sqrt(widths[1])
        if call.contract["attention_scale"] == "float32":
            scale = float(np.float32(scale))
        # torch's fused kernel takes keys and values of one size alone.
        alike = widths[1] == widths[2]
        form = call.contract["attention_weights"] if alike else "normalised"
        together = joined(attend(q, k, v, scale, causal, form, padded))
        kernel = call.parameter(f"{prefix}output_kernel")
        y = together @ kernel.reshape(heads * width, kernel.shape[-1])
        return y + call.parameter(f"{prefix}output_bias") if bias else y

    def has_bias(self) -> bool:
        return True


def projections(
    prefix: str, features: Pair, heads: int, sizes: Pair, bias: bool
) -> tuple[Parameter, ...]:
    """The parameters of `Projected.attention`.

    features: F and G, of `x` and of the memory. sizes: those of a head's keys and of its values.
    """
    (own, remembered), (key, value) = features, sizes
    kernels = {
        "query": (own, heads, key),
        "key": (remembered, heads, key),
        "value": (remembered, heads, value),
        "output": (heads, value, own),
    }
    held = []
    for name, shape in kernels.items():
        held.append(Parameter(f"{prefix}{name}_kernel", shape))
        if bias:
            added = shape[2:] if name == "output" else shape[1:]
            held.append(Parameter(f"{prefix}{name}_bias", added, group="bias"))
    return tuple(held)


@dataclass(frozen=True, kw_only=True)
class MultiHeadAttention(Projected):
    """Heads of attention over `key_size` features each (arXiv 1706.03762, 3.2.2).

    value_size: the features of a head's values; 0: as many as of its keys. padded: how many steps
    at the end are padding, which no query attends to.
    Whatever the bias of the keys, it adds the same to all scores of a query: its derivative is 0.
    """

    kind: Literal["multi_head_attention"] = "multi_head_attention"
    frequency: ClassVar[int] = 4
    heads: Size = 1
    key_size: Size = 1
    value_size: Extent = 0
    use_bias: bool = False
    causal: bool = False
    padded: Extent = 0

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> MultiHeadAttention:
        return cls(
            heads=choice.integer(1, 3),
            key_size=choice.one_of((1, 1, 2, 3, 4)),
            value_size=choice.one_of((0, 0, 0, 1, 2, 3)),
            use_bias=choice.boolean(),
            causal=choice.boolean(),
            padded=draw_padded(choice, specs[0].shape[0]),
        )

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_padded(self.padded, spec.shape[0])
        return spec

    def has_bias(self) -> bool:
        return self.use_bias

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        n, sizes = specs[0].shape[-1], (self.key_size, self.value_size or self.key_size)
        return projections("", (n, n), self.heads, sizes, self.use_bias)

    def forward(self, call: Call, *xs: Value) -> Value:
        return self.attention(call, xs[0], "", self.heads, self.causal, padded=self.padded)


@dataclass(frozen=True, kw_only=True)
class CrossAttention(Projected):
    """Heads of attention of queries (T, F) over a memory (S, G) -> (T, F), arXiv 1706.03762, 3.2.3.

    Queries and keys have `key_size` features a head, values `value_size`. padded: how many steps at
    the end of the memory are padding.
    """

    kind: Literal["cross_attention"] = "cross_attention"
    arity: ClassVar[int | None] = 2
    frequency: ClassVar[int] = 2
    heads: Size = 1
    key_size: Size = 1
    value_size: Size = 1
    use_bias: bool = False
    padded: Extent = 0

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> CrossAttention:
        return cls(
            heads=choice.integer(1, 3),
            key_size=choice.integer(1, 4),
            value_size=choice.integer(1, 4),
            use_bias=choice.boolean(),
            padded=draw_padded(choice, specs[1].shape[0]),
        )

    @classmethod
    def accepts(cls, specs: Sequence[Spec]) -> bool:
        return len(specs) == 2 and all(s.rank == 2 and s.vocabulary is None for s in specs)

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """All attention goes to a memory of one step, whatever the scores."""
        return specs[1].shape[0] > 1

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_padded(self.padded, specs[1].shape[0])
        return spec

    def has_bias(self) -> bool:
        return self.use_bias

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        features = specs[0].shape[-1], specs[1].shape[-1]
        sizes = self.key_size, self.value_size
        return projections("", features, self.heads, sizes, self.use_bias)

    def forward(self, call: Call, *xs: Value) -> Value:
        x, memory = xs
        return self.attention(call, x, "", self.heads, False, memory, self.padded)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (DotProductAttention, MultiHeadAttention, CrossAttention)
