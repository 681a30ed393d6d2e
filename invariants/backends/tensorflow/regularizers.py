"""The penalties of a case as regularizers of Keras.

They are arguments of the layer where its constructor has one for the weight alone; on any other
weight they are set once it is there. What was an argument is in the config of the layer, so that a
model that is made anew from that has it still; what was set is set again.
"""

from __future__ import annotations

from typing import Any

from invariants.architecture.graph import join
from invariants.backends.source import Lowering
from invariants.backends.tensorflow.rows import LOWERINGS
from invariants.case import Case
from invariants.objective import Penalty

#: The attribute of a weight -> the argument of the constructors that have one for it.
_OF_A_KERNEL = {"kernel": "kernel_regularizer", "bias": "bias_regularizer"}
_OF_A_DEPTHWISE_KERNEL = {"kernel": "depthwise_regularizer", "bias": "bias_regularizer"}
_OF_TWO_KERNELS = {
    "depthwise_kernel": "depthwise_regularizer",
    "pointwise_kernel": "pointwise_regularizer",
    "bias": "bias_regularizer",
}
_OF_A_NORM = {"gamma": "gamma_regularizer", "beta": "beta_regularizer"}
_OF_A_TABLE = {"embeddings": "embeddings_regularizer"}
_OF_A_CELL = {
    "cell.kernel": "kernel_regularizer",
    "cell.recurrent_kernel": "recurrent_regularizer",
    "cell.bias": "bias_regularizer",
}

#: What a layer with LoRA calls `_kernel` is not here: its argument is also for the factors.
_ARGUMENTS: dict[str, dict[str, str]] = {
    "Dense": _OF_A_KERNEL,
    "Conv1D": _OF_A_KERNEL,
    "Conv2D": _OF_A_KERNEL,
    "Conv3D": _OF_A_KERNEL,
    "Conv1DTranspose": _OF_A_KERNEL,
    "Conv2DTranspose": _OF_A_KERNEL,
    "Conv3DTranspose": _OF_A_KERNEL,
    "DepthwiseConv1D": _OF_A_DEPTHWISE_KERNEL,
    "DepthwiseConv2D": _OF_A_DEPTHWISE_KERNEL,
    "SeparableConv1D": _OF_TWO_KERNELS,
    "SeparableConv2D": _OF_TWO_KERNELS,
    "Embedding": _OF_A_TABLE,
    "ReversibleEmbedding": _OF_A_TABLE,
    "LayerNormalization": _OF_A_NORM,
    "BatchNormalization": _OF_A_NORM,
    "GroupNormalization": _OF_A_NORM,
    "SimpleRNN": _OF_A_CELL,
    "GRU": _OF_A_CELL,
    "LSTM": _OF_A_CELL,
    "PReLU": {"alpha": "alpha_regularizer"},
}


def regularizer(penalty: Penalty) -> str:
    """The expression of a penalty: "keras.regularizers.L1L2(0.25, 0.0625)"."""
    factors = ", ".join(repr(factor) for _, factor in penalty.parts)
    return f"keras.regularizers.{penalty.kind.upper().replace('_', '')}({factors})"


def _argument(construct: str, row: Lowering, weight: str) -> str:
    """The argument of a construction for one weight of the layer; "" where it has none."""
    native = row.parameters[weight]
    constructor = construct.partition("(")[0].removeprefix("keras.layers.")
    return _ARGUMENTS.get(constructor, {}).get(native.attribute or native.name, "")


def arguments_of(case: Case, path: str, construct: str, row: Lowering) -> str:
    """The regularizers that a layer is made with: ", bias_regularizer=...".

    construct: its construction, which is open at its end.
    """
    made = ""
    for name, penalty in case.penalties.items():
        of, _, weight = name.rpartition(".")
        argument = _argument(construct, row, weight) if of == path else ""
        made += f", {argument}={regularizer(penalty)}" if argument else ""
    return made


def set_afterwards(case: Case) -> dict[str, Penalty]:
    """The penalties, by weight, that are no argument of a layer."""
    left = dict(case.penalties)
    for placed in case.architecture.layers:
        row: Any = LOWERINGS[placed.layer.kind]
        construct = row.construct(placed.layer, placed.specs) if row.construct else ""
        for parameter in placed.parameters:
            if _argument(construct, row, parameter.name):
                left.pop(join(placed.path, parameter.name), None)
    return left
