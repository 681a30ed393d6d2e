"""How many spreads a framework's sums and products of matrices are away, each by itself.

    python -m benchmarks.contractions [--rounds N]

One row for each primitive that adds numbers up, and one for its derivative ('): the largest
|error|/σ over arrays of random normal numbers, with sums of 2 to 512 terms, by framework and dtype.
σ is the oracle's, of that one operation; the error is that of the framework against the oracle's
value. λ = 20 is what a violation is judged by.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.functions.kernels import DTYPES
from invariants.oracle.rounding import LAMBDA, PRECISIONS, Rounding, deviation, estimate
from invariants.oracle.tape import Tape, Value

Array = np.ndarray

#: How many terms a sum has.
TERMS = (2, 8, 64, 512)

#: The window of the patches of an image, and what they are taken with.
WINDOW = (2, 2)
_PATCHES: dict[str, Any] = {"kernel": WINDOW, "strides": (1, 1)}


@dataclass(frozen=True)
class Contraction:
    """One primitive: the shapes of its arguments for sums of k terms, and as each has it.

    torch and tensorflow get the module and the arguments; None: the framework has no such function.
    """

    shapes: Callable[[int], Sequence[tuple[int, ...]]]
    oracle: Callable[..., Value]
    torch: Callable[..., Any] | None
    tensorflow: Callable[..., Any] | None


def _image(k: int) -> list[tuple[int, ...]]:
    return [(1, 4, 2 + k, 1)]


def _unfolded(torch: Any, x: Any) -> Any:
    """(N, H, W, 1) -> (N, OH, OW, KH·KW, 1), as the oracle has patches."""
    (kh, kw), (n, h, w, _) = WINDOW, x.shape
    columns = torch.nn.functional.unfold(x.permute(0, 3, 1, 2), WINDOW)
    return columns.transpose(1, 2).reshape(n, h - kh + 1, w - kw + 1, kh * kw, 1)


def _folded(torch: Any, x: Any) -> Any:
    """(N, OH, OW, KH·KW, 1) -> (N, H, W, 1), windows added up where they lie."""
    n, oh, ow, count, _ = x.shape
    size = (oh + WINDOW[0] - 1, ow + WINDOW[1] - 1)
    columns = x.reshape(n, oh * ow, count).transpose(1, 2)
    return torch.nn.functional.fold(columns, size, WINDOW).permute(0, 2, 3, 1)


def _extracted(tf: Any, x: Any) -> Any:
    sizes = [1, *WINDOW, 1]
    return tf.image.extract_patches(x, sizes, [1] * 4, [1] * 4, "VALID")[..., None]


def _overlapping(x: Value) -> Value:
    _, oh, ow, _, _ = x.shape
    size = (oh + WINDOW[0] - 1, ow + WINDOW[1] - 1)
    return x.apply("overlap", size=size, dilation=(1, 1), **_PATCHES)


def _rows(x: Any) -> Array:
    """Every row of a table of three, again and again."""
    return np.arange(4 * x.shape[0]) % x.shape[0]


CONTRACTIONS: dict[str, Contraction] = {
    "matmul": Contraction(
        lambda k: [(5, k), (k, 3)],
        lambda a, b: a @ b,
        lambda torch, a, b: a @ b,
        lambda tf, a, b: a @ b,
    ),
    "batch_matmul": Contraction(
        lambda k: [(2, 5, k), (2, k, 3)],
        lambda a, b: a.tape.apply("batch_matmul", a, b),
        lambda torch, a, b: a @ b,
        lambda tf, a, b: a @ b,
    ),
    "sum": Contraction(
        lambda k: [(5, k)],
        lambda x: x.sum(-1),
        lambda torch, x: x.sum(-1),
        lambda tf, x: tf.reduce_sum(x, -1),
    ),
    "running_mean": Contraction(
        lambda k: [(5, k)],
        lambda x: x.apply("running_mean", axis=-1),
        lambda torch, x: torch.var_mean(x, -1, keepdim=True)[1],
        lambda tf, x: tf.reduce_mean(x, -1, keepdims=True),
    ),
    "log_softmax": Contraction(
        lambda k: [(5, k)],
        lambda x: x.apply("log_softmax"),
        lambda torch, x: torch.log_softmax(x, -1),
        lambda tf, x: tf.nn.log_softmax(x),
    ),
    "repeat": Contraction(
        lambda k: [(5, 3)],
        lambda x: x.apply("repeat", axis=-1, times=4),
        lambda torch, x: x.repeat_interleave(4, -1),
        lambda tf, x: tf.repeat(x, 4, axis=-1),
    ),
    "take": Contraction(
        lambda k: [(3, 5)],
        lambda table: table.apply("take", indices=_rows(table)),
        lambda torch, table: torch.nn.functional.embedding(torch.tensor(_rows(table)), table),
        lambda tf, table: tf.gather(table, _rows(table)),
    ),
    "patches": Contraction(_image, lambda x: x.apply("patches", **_PATCHES), _unfolded, _extracted),
    "overlap": Contraction(
        lambda k: [(1, 4, 2 + k, WINDOW[0] * WINDOW[1], 1)], _overlapping, _folded, None
    ),
}


def by_torch(
    function: Callable[..., Any], dtype: str, xs: Sequence[Array], g: Array
) -> list[Array]:
    """The result and the gradient of each argument."""
    import torch

    torch.set_num_threads(1)
    own = getattr(torch, dtype)
    leaves = [torch.tensor(x).to(own).requires_grad_() for x in xs]
    y = function(torch, *leaves)
    gradients = torch.autograd.grad(y, leaves, torch.tensor(g).to(own))
    return [y.detach().double().numpy(), *(d.double().numpy() for d in gradients)]


def by_tensorflow(
    function: Callable[..., Any], dtype: str, xs: Sequence[Array], g: Array
) -> list[Array]:
    """The result and the gradient of each argument."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    leaves = [tf.constant(x.astype(DTYPES[dtype])) for x in xs]
    with tf.GradientTape() as tape:
        tape.watch(leaves)
        y = function(tf, *leaves)
    gradients = tape.gradient(y, leaves, output_gradients=tf.constant(g.astype(DTYPES[dtype])))
    dense = [tf.convert_to_tensor(d) for d in gradients]
    return [d.numpy().astype(np.float64) for d in (y, *dense)]


RUN = {"torch": by_torch, "tensorflow": by_tensorflow}
COLUMNS = [(backend, dtype) for backend in RUN for dtype in DTYPES]


def numbers(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> Array:
    """Normal numbers of a dtype, in float64."""
    return rng.normal(size=shape).astype(DTYPES[dtype]).astype(np.float64)


def away(name: str, backend: str, dtype: str, rounds: int) -> tuple[float, float] | None:
    """The largest |error|/σ of the result and of the derivatives; None where there is none."""
    row = CONTRACTIONS[name]
    function: Callable[..., Any] | None = getattr(row, backend)
    if function is None:
        return None
    rng, worst = np.random.default_rng(0), [0.0, 0.0]
    for k in TERMS:
        for _ in range(rounds):
            rounding = Rounding(PRECISIONS[dtype])
            tape = Tape(rounding)
            xs = [numbers(rng, shape, dtype) for shape in row.shapes(k)]
            leaves = [tape.constant(x[None]) for x in xs]
            y = row.oracle(*leaves)
            g = numbers(rng, y.shape, dtype)
            weighed = (y * tape.constant(g[None])).sum(tuple(range(-g.ndim, 0)))
            told = [y.data, *tape.gradients(weighed, leaves)]
            try:
                seen = RUN[backend](function, dtype, xs, g)
            except (RuntimeError, NotImplementedError):  # the framework lacks it in this dtype
                return None
            for place, (samples, observed) in enumerate(zip(told, seen, strict=True)):
                spreads = deviation(observed, estimate(samples, rounding)).spreads
                worst[place > 0] = max(worst[place > 0], float(spreads.max()))
    return worst[0], worst[1]


def table(rounds: int) -> Iterator[str]:
    """Two rows for each primitive, in Markdown."""
    yield "| primitive | " + " | ".join(" ".join(column) for column in COLUMNS) + " |"
    yield "|" + " --- |" * (len(COLUMNS) + 1)
    for name in CONTRACTIONS:
        found = [away(name, *column, rounds) for column in COLUMNS]
        for place, label in enumerate((name, f"{name}'")):
            cells = ["" if pair is None else f"{pair[place]:.2f}" for pair in found]
            yield "| " + " | ".join([label, *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200, metavar="N")
    rounds = parser.parse_args().rounds
    print(f"largest |error|/σ, {rounds} rounds for each of {TERMS} terms, λ = {LAMBDA:g}\n")
    for line in table(rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
