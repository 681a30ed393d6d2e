"""The same functions as the frameworks have them: arguments in, value and gradients out.

A kernel takes the arguments and the gradient of its result, arrays in the dtype under test, and
gives the result and the gradient of each argument. Where a framework has no such function, or not
in this dtype, there is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray

#: (arguments, gradient of the result) -> (result, gradients of the arguments), all in float64.
Kernel = Callable[[Sequence[Array], Array], tuple[Array, list[Array]]]

DTYPES: dict[str, Any] = {
    "float64": np.float64,
    "float32": np.float32,
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
}


def torch_kernel(name: str, dtype: str, params: dict[str, Any]) -> Kernel | None:
    """The function of torch for a primitive, or None."""
    import torch

    torch.set_num_threads(1)
    functional = torch.nn.functional
    functions: dict[str, Callable[..., Any]] = {
        "add": torch.add,
        "subtract": torch.subtract,
        "multiply": torch.multiply,
        "divide": torch.divide,
        "square": torch.square,
        "sqrt": torch.sqrt,
        "rsqrt": torch.rsqrt,
        "exp": torch.exp,
        "celu": lambda x: functional.celu(x, params["alpha"]),
        "log": torch.log,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "softplus": lambda x: functional.softplus(x, threshold=1000.0),
        "erf": torch.erf,
        "relu": torch.relu,
        "leaky_relu": lambda x: functional.leaky_relu(x, params["slope"]),
        "binary_likelihood": lambda p, t: functional.binary_cross_entropy(p, t, reduction="none"),
    }
    if name not in functions:
        return None

    def kernel(xs: Sequence[Array], g: Array) -> tuple[Array, list[Array]]:
        own = getattr(torch, dtype)
        leaves = [torch.tensor(x.astype(np.float64)).to(own) for x in xs]
        asked = leaves[:1] if name == "binary_likelihood" else leaves
        for leaf in asked:
            leaf.requires_grad_()
        y = functions[name](*leaves)
        gradients = torch.autograd.grad(y, asked, torch.tensor(g.astype(np.float64)).to(own))
        return y.detach().double().numpy(), [gradient.double().numpy() for gradient in gradients]

    return kernel


def tensorflow_kernel(
    name: str, dtype: str, params: dict[str, Any], compiled: bool = False
) -> Kernel | None:
    """The function of TensorFlow, or of Keras on it, for a primitive, or None.

    compiled: value and gradients are one function, compiled by XLA.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    functions: dict[str, Callable[..., Any]] = {
        "add": tf.math.add,
        "subtract": tf.math.subtract,
        "multiply": tf.math.multiply,
        "divide": tf.math.divide,
        "square": tf.math.square,
        "squared_deviation": tf.math.squared_difference,
        "sqrt": tf.math.sqrt,
        "rsqrt": tf.math.rsqrt,
        "exp": tf.math.exp,
        "exp_less_one": tf.nn.elu,
        "celu": lambda x: keras.activations.celu(x, params["alpha"]),
        "log": tf.math.log,
        "tanh": tf.math.tanh,
        "sigmoid": tf.math.sigmoid,
        "softplus": tf.math.softplus,
        "erf": tf.math.erf,
        "relu": tf.nn.relu,
        "leaky_relu": lambda x: tf.nn.leaky_relu(x, params["slope"]),
    }
    if name not in functions:
        return None

    def differentiated(leaves: list[Any], upstream: Any) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            y = functions[name](*leaves)
        return y, tape.gradient(y, leaves, output_gradients=upstream)

    run = tf.function(differentiated, jit_compile=True) if compiled else differentiated

    def kernel(xs: Sequence[Array], g: Array) -> tuple[Array, list[Array]]:
        y, gradients = run([tf.constant(x) for x in xs], tf.constant(g))
        return y.numpy().astype(np.float64), [d.numpy().astype(np.float64) for d in gradients]

    return kernel


BACKENDS: dict[str, Callable[[str, str, dict[str, Any]], Kernel | None]] = {
    "torch": torch_kernel,
    "TensorFlow": tensorflow_kernel,
    "XLA": partial(tensorflow_kernel, compiled=True),
}
