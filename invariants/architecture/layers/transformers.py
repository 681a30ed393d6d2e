"""Blocks of attention and two dense layers, each with a residual sum and a layer norm.

Post-norm as in arXiv 1706.03762: x ← norm(x + f(x)); pre-norm (arXiv 2002.04745):
x ← x + f(norm(x)).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from invariants.architecture.layers.activations import Gelu, Relu
from invariants.architecture.layers.attention import OverSequence, Projected, projections
from invariants.architecture.layers.base import Call, Choice, Layer, Parameter, Size, Spec
from invariants.architecture.layers.normalization import (
    EPSILONS,
    Epsilon,
    moments,
    standardised,
)
from invariants.architecture.layers.packed_attention import (
    check_heads,
    draw_heads,
    packed_parameters,
    self_attention,
)
from invariants.oracle.tape import Value


@dataclass(frozen=True, kw_only=True)
class _Block(OverSequence):
    """What the two have in common: everything but the attention."""

    heads: Size = 1
    hidden: Size = 1
    norm_first: bool = False
    causal: bool = False
    activation: Literal["relu", "gelu"] = "relu"
    epsilon: Epsilon = 1e-3

    @classmethod
    def worth_drawing(cls, specs: Sequence[Spec]) -> bool:
        """A norm over one feature puts out beta alone."""
        return super().worth_drawing(specs) and specs[0].shape[-1] > 1

    @abstractmethod
    def attended(self, call: Call, x: Value) -> Value:
        """The attention of (N, T, F) -> (N, T, F)."""

    @property
    def has_biases(self) -> bool:
        """Whether the dense layers and the norms have biases."""
        return True

    def parameters_behind(self, features: int) -> list[Parameter]:
        """Those of the dense layers and of the norms."""
        n, held = features, []
        for name, shape in (("up", (n, self.hidden)), ("down", (self.hidden, n))):
            held.append(Parameter(f"{name}_kernel", shape))
            held.append(Parameter(f"{name}_bias", shape[1:], group="bias"))
        for place in ("attention", "dense"):
            held.append(Parameter(f"{place}_norm_gamma", (n,), group="norm", initial="scale"))
            held.append(Parameter(f"{place}_norm_beta", (n,), group="norm"))
        biases = ("_bias", "_beta")
        return [p for p in held if self.has_biases or not p.name.endswith(biases)]

    def norm(self, call: Call, place: str, x: Value) -> Value:
        mean, variance = moments(x, -1, call.contract)
        names = ("gamma", "beta") if self.has_biases else ("gamma",)
        affine = {name: call.parameter(f"{place}_norm_{name}") for name in names}
        return standardised(x, mean, variance, self.epsilon, affine)

    def linear(self, call: Call, name: str, x: Value) -> Value:
        y = x @ call.parameter(f"{name}_kernel")
        return y + call.parameter(f"{name}_bias") if self.has_biases else y

    def dense(self, call: Call, x: Value) -> Value:
        made = Relu() if self.activation == "relu" else Gelu()
        return self.linear(call, "down", made.forward(call, self.linear(call, "up", x)))

    def forward(self, call: Call, *xs: Value) -> Value:
        (x,) = xs
        if self.norm_first:
            x = x + self.attended(call, self.norm(call, "attention", x))
            return x + self.dense(call, self.norm(call, "dense", x))
        x = self.norm(call, "attention", x + self.attended(call, x))
        return self.norm(call, "dense", x + self.dense(call, x))


@dataclass(frozen=True, kw_only=True)
class TransformerEncoder(_Block, Projected):
    """The block with attention of `key_size` features a head, as people write it."""

    kind: Literal["transformer_encoder"] = "transformer_encoder"
    key_size: Size = 1

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> TransformerEncoder:
        return cls(
            heads=choice.integer(1, 2),
            key_size=choice.integer(1, 3),
            hidden=choice.integer(1, 4),
            norm_first=choice.boolean(),
            causal=choice.boolean(),
            activation=choice.one_of(("relu", "gelu")),
            epsilon=choice.one_of(EPSILONS),
        )

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        n, size = specs[0].shape[-1], self.key_size
        attention = projections("attention_", (n, n), self.heads, (size, size), True)
        return (*attention, *self.parameters_behind(n))

    def attended(self, call: Call, x: Value) -> Value:
        return self.attention(call, x, "attention_", self.heads, self.causal)


@dataclass(frozen=True, kw_only=True)
class PackedTransformerEncoder(_Block):
    """The block with packed attention, as nn.TransformerEncoderLayer has it.

    use_bias: whether attention, dense layers and norms have biases.
    """

    kind: Literal["packed_transformer_encoder"] = "packed_transformer_encoder"
    frequency: ClassVar[int] = 2
    steps_first: ClassVar[bool] = True
    use_bias: bool = True

    @classmethod
    def draw(cls, choice: Choice, specs: Sequence[Spec]) -> PackedTransformerEncoder:
        return cls(
            heads=draw_heads(choice, specs[0].shape[-1]),
            hidden=choice.integer(1, 4),
            norm_first=choice.boolean(),
            causal=choice.boolean(),
            activation=choice.one_of(("relu", "gelu")),
            epsilon=choice.one_of(EPSILONS),
            use_bias=choice.one_of((True, True, False)),
        )

    @property
    def has_biases(self) -> bool:
        return self.use_bias

    def output(self, specs: Sequence[Spec]) -> Spec:
        spec = super().output(specs)
        check_heads(self.heads, spec.shape[-1])
        return spec

    def parameters(self, specs: Sequence[Spec]) -> tuple[Parameter, ...]:
        n = specs[0].shape[-1]
        kernel = Parameter("attention_packed_kernel", (n, 3 * n))
        attention = packed_parameters("attention_", [kernel], self.use_bias)
        return (*attention, *self.parameters_behind(n))

    def cast_when_fused(self) -> tuple[str, ...]:
        """Kernels of the dense layers go in as views, and norms as they are.

        torch/nn/modules/transformer.py takes the layer for fused if it has biases and heads in
        pairs.
        """
        attention = [f"attention_{n}_{p}" for n in ("packed", "output") for p in ("kernel", "bias")]
        fused = self.use_bias and self.heads % 2 == 0
        return (*attention, "up_bias", "down_bias") if fused else ()

    def attended(self, call: Call, x: Value) -> Value:
        form, bias = call.contract["attention_weights"], self.use_bias
        return self_attention(call, x, "attention_", self.heads, self.causal, form, 0, bias)


#: The layers of this family, the simplest first.
LAYERS: tuple[type[Layer], ...] = (TransformerEncoder, PackedTransformerEncoder)
