"""Learned rows in front of a sequence: soft prompts, and prefixes of keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from invariants.architecture.layers.attention import attend, in_heads, joined, kernel_scale
from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Size, Spec
from invariants.architecture.layers.convolution import Series
from invariants.oracle.tape import Value


def prepended(rows: Value, x: Value) -> Value:
    """(P, F) in front of (..., T, F), the same for all: (..., P + T, F)."""
    count, time = rows.shape[-2], x.shape[-2]
    first = np.arange(count + time)[:, None] < count
    behind = rows.apply("pad", widths=(*_none(rows), (0, time), (0, 0)))
    before = x.apply("pad", widths=(*_none(x), (count, 0), (0, 0)))
    mask = x.tape.constant(first.astype(np.float64)[None])
    return x.tape.apply("where_positive", mask, behind, before)


def _none(x: Value) -> tuple[tuple[int, int], ...]:
    """No padding on any axis but the last two."""
    return ((0, 0),) * (len(x.shape) - 2)


@dataclass(frozen=True, kw_only=True)
class PromptTokens(Series):
    """Learned tokens (P, F) in front of a sequence: (T, F) -> (P + T, F).

    Lester et al. 2021, arXiv 2104.08691.
    """

    kind: Literal["prompt_tokens"] = "prompt_tokens"
    count: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> PromptTokens:
        return cls(count=choice.integer(1, 3))

    def output(self, specs: Sequence[Spec]) -> Spec:
        time, features = super().output(specs).shape
        return Spec((self.count + time, features))

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        return (Parameter("tokens", (self.count, specs[0].shape[-1]), group="adapter"),)

    def forward(self, call: Call, *xs: Value) -> Value:
        return prepended(call.parameter("tokens"), xs[0])


@dataclass(frozen=True, kw_only=True)
class PrefixAttention(Series):
    """Self-attention of several heads, with learned keys and values in front of its own.

    (T, F) -> (T, F), prefixes of shape (P, heads · d) (Li & Liang 2021, arXiv 2101.00190, in the
    form of He et al. 2022, arXiv 2110.04366, 2.2).
    """

    kind: Literal["prefix_attention"] = "prefix_attention"
    heads: Size = 1
    key_size: Size = 1
    count: Size = 1
    use_bias: bool = False

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> PrefixAttention:
        return cls(
            heads=choice.integer(1, 2),
            key_size=choice.integer(1, 3),
            count=choice.integer(1, 3),
            use_bias=choice.boolean(),
        )

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        features, width = specs[0].shape[-1], self.heads * self.key_size
        held = []
        for name in ("query", "key", "value", "output"):
            shape = (width, features) if name == "output" else (features, width)
            held.append(Parameter(f"{name}_kernel", shape))
            if self.use_bias:
                held.append(Parameter(f"{name}_bias", shape[1:], group="bias"))
        prefixes = (
            Parameter(f"prefix_{name}", (self.count, width), group="adapter")
            for name in ("key", "value")
        )
        return (*held, *prefixes)

    def dense(self, call: Call, name: str, x: Value) -> Value:
        y = x @ call.parameter(f"{name}_kernel")
        return y + call.parameter(f"{name}_bias") if self.use_bias else y

    def prefix(self, call: Call, name: str) -> Value:
        """(P, heads · d) -> (heads, P, d)."""
        rows = call.parameter(f"prefix_{name}", looked_up=True)
        apart = rows.reshape(self.count, self.heads, self.key_size)
        return apart.apply("transpose", axes=(1, 0, 2))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        q, k, v = (
            in_heads(self.dense(call, name, x), self.heads) for name in ("query", "key", "value")
        )
        k, v = prepended(self.prefix(call, "key"), k), prepended(self.prefix(call, "value"), v)
        scale = kernel_scale(self.key_size, call.contract)
        together = joined(attend(q, k, v, scale, False, call.contract["attention_weights"]))
        return self.dense(call, "output", together)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (PromptTokens, PrefixAttention)
