"""The update rules as plain float64 loops, written from the papers and the documentation.

One function for each backend and optimizer; it moves a `Reference` by one step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass
class Reference:
    """One weight and what its optimizer remembers of it."""

    optimizer: Any
    w: Array
    memory: dict[str, Any] = field(default_factory=dict)

    def remembered(self, name: str) -> Any:
        return self.memory.get(name, np.zeros_like(self.w))


Follow = Callable[[Reference, Array, int], None]


def coupled(r: Reference, g: Array) -> Array:
    """torch: λθ joins the gradient."""
    return g + r.optimizer.weight_decay * r.w


def shrunk(r: Reference) -> Array:
    """Keras, and what is decoupled in torch: the weight loses lr·λ of itself, first and apart."""
    return r.w * (1.0 - r.optimizer.learning_rate * r.optimizer.weight_decay)


def torch_sgd(r: Reference, g: Array, t: int) -> None:
    """torch.optim.SGD's algorithm box: λθ joins the gradient, the first velocity is g."""
    o = r.optimizer
    g = coupled(r, g)
    if o.momentum != 0.0:
        first = "b" not in r.memory
        r.memory["b"] = g if first else o.momentum * r.memory["b"] + (1.0 - o.dampening) * g
        g = g + o.momentum * r.memory["b"] if o.nesterov else r.memory["b"]
    r.w = r.w - o.learning_rate * g


def keras_sgd(r: Reference, g: Array, t: int) -> None:
    """keras.optimizers.SGD: decay first and apart, then velocity = μ·velocity - lr·g."""
    o = r.optimizer
    r.w = shrunk(r)
    velocity = o.momentum * r.remembered("velocity") - o.learning_rate * g
    r.memory["velocity"] = velocity
    r.w = r.w + (o.momentum * velocity - o.learning_rate * g if o.nesterov else velocity)


def moments(r: Reference, g: Array) -> tuple[Array, Array]:
    """m and v, or with AMSGrad m and the largest v so far."""
    o = r.optimizer
    r.memory["m"] = o.beta_1 * r.remembered("m") + (1.0 - o.beta_1) * g
    r.memory["v"] = o.beta_2 * r.remembered("v") + (1.0 - o.beta_2) * g * g
    if getattr(o, "amsgrad", False):
        r.memory["top"] = np.maximum(r.remembered("top"), r.memory["v"])
        return r.memory["m"], r.memory["top"]
    return r.memory["m"], r.memory["v"]


def corrected(r: Reference, g: Array, t: int) -> tuple[Array, Array]:
    m, v = moments(r, g)
    return m / (1.0 - r.optimizer.beta_1**t), v / (1.0 - r.optimizer.beta_2**t)


def adam_after_correction(r: Reference, g: Array, t: int) -> None:
    """Algorithm 1 of arXiv 1412.6980."""
    m, v = corrected(r, g, t)
    r.w = r.w - r.optimizer.learning_rate * m / (np.sqrt(v) + r.optimizer.epsilon)


def adam_before_correction(r: Reference, g: Array, t: int) -> None:
    """The formula before Section 2.1 there, with ε hat."""
    o = r.optimizer
    m, v = moments(r, g)
    rate = o.learning_rate * math.sqrt(1.0 - o.beta_2**t) / (1.0 - o.beta_1**t)
    r.w = r.w - rate * m / (np.sqrt(v) + o.epsilon)


def torch_adam(r: Reference, g: Array, t: int) -> None:
    adam_after_correction(r, coupled(r, g), t)


def decoupled(adam: Follow) -> Follow:
    """arXiv 1711.05101: the weight shrinks by lr·λ of itself, untouched by the moments."""

    def update(r: Reference, g: Array, t: int) -> None:
        r.w = shrunk(r)
        adam(r, g, t)

    return update


def torch_nadam(r: Reference, g: Array, t: int) -> None:
    """torch.optim.NAdam's algorithm box."""
    o, g = r.optimizer, coupled(r, g)
    m, v = moments(r, g)
    mu = [o.beta_1 * (1.0 - 0.96 ** (n * o.momentum_decay) / 2.0) for n in range(1, t + 2)]
    product = float(np.prod(mu[:t]))
    hat = mu[t] * m / (1.0 - product * mu[t]) + (1.0 - mu[t - 1]) * g / (1.0 - product)
    root = np.sqrt(v / (1.0 - o.beta_2**t))
    r.w = r.w - o.learning_rate * hat / (root + o.epsilon)


def keras_nadam(r: Reference, g: Array, t: int) -> None:
    """Dozat's report, Section 3.2, with ψ = 1."""
    r.w = shrunk(r)
    decay, r.optimizer = r.optimizer, _without_decay(r.optimizer)
    torch_nadam(r, g, t)
    r.optimizer = decay


def _without_decay(optimizer: Any) -> Any:
    return type(optimizer)(**{**vars(optimizer), "weight_decay": 0.0})


def torch_radam(r: Reference, g: Array, t: int) -> None:
    """torch.optim.RAdam's algorithm box."""
    o = r.optimizer
    m, v = moments(r, coupled(r, g))
    m = m / (1.0 - o.beta_1**t)
    rho = 2.0 / (1.0 - o.beta_2) - 1.0
    rho_t = rho - 2.0 * t * o.beta_2**t / (1.0 - o.beta_2**t)
    step = o.learning_rate * m
    if rho_t > 5.0:
        length = np.sqrt(1.0 - o.beta_2**t) / (np.sqrt(v) + o.epsilon)
        top = (rho_t - 4.0) * (rho_t - 2.0) * rho
        step = step * length * math.sqrt(top / ((rho - 4.0) * (rho - 2.0) * rho_t))
    r.w = r.w - step


def torch_adamax(r: Reference, g: Array, t: int) -> None:
    """torch.optim.Adamax's algorithm box: ε stands inside the maximum."""
    o, g = r.optimizer, coupled(r, g)
    r.memory["m"] = o.beta_1 * r.remembered("m") + (1.0 - o.beta_1) * g
    r.memory["u"] = np.maximum(o.beta_2 * r.remembered("u"), np.abs(g) + o.epsilon)
    r.w = r.w - o.learning_rate / (1.0 - o.beta_1**t) * r.memory["m"] / r.memory["u"]


def keras_adamax(r: Reference, g: Array, t: int) -> None:
    """keras.optimizers.Adamax: ε joins the norm."""
    o = r.optimizer
    r.w = shrunk(r)
    r.memory["m"] = o.beta_1 * r.remembered("m") + (1.0 - o.beta_1) * g
    r.memory["u"] = np.maximum(o.beta_2 * r.remembered("u"), np.abs(g))
    rate = o.learning_rate / (1.0 - o.beta_1**t)
    r.w = r.w - rate * r.memory["m"] / (r.memory["u"] + o.epsilon)


def torch_adagrad(r: Reference, g: Array, t: int) -> None:
    o, g = r.optimizer, coupled(r, g)
    r.memory["s"] = r.memory.get("s", o.initial_accumulator) + g * g
    rate = o.learning_rate / (1.0 + (t - 1) * o.rate_decay)
    r.w = r.w - rate * g / (np.sqrt(r.memory["s"]) + o.epsilon)


def keras_adagrad(r: Reference, g: Array, t: int) -> None:
    o = r.optimizer
    r.w = shrunk(r)
    r.memory["s"] = r.memory.get("s", o.initial_accumulator) + g * g
    r.w = r.w - o.learning_rate * g / np.sqrt(r.memory["s"] + o.epsilon)


def adadelta(r: Reference, g: Array) -> None:
    """Algorithm 1 of arXiv 1212.5701."""
    o = r.optimizer
    r.memory["g"] = o.rho * r.remembered("g") + (1.0 - o.rho) * g * g
    rms = (np.sqrt(r.remembered(name) + o.epsilon) for name in ("x", "g"))
    step = next(rms) / next(rms) * g
    r.memory["x"] = o.rho * r.remembered("x") + (1.0 - o.rho) * step * step
    r.w = r.w - o.learning_rate * step


def torch_adadelta(r: Reference, g: Array, t: int) -> None:
    adadelta(r, coupled(r, g))


def keras_adadelta(r: Reference, g: Array, t: int) -> None:
    r.w = shrunk(r)
    adadelta(r, g)


def _variance(r: Reference, g: Array) -> Array:
    o = r.optimizer
    r.memory["v"] = o.rho * r.remembered("v") + (1.0 - o.rho) * g * g
    if not o.centered:
        return np.asarray(r.memory["v"])
    r.memory["a"] = o.rho * r.remembered("a") + (1.0 - o.rho) * g
    return np.asarray(r.memory["v"] - r.memory["a"] ** 2)


def torch_rmsprop(r: Reference, g: Array, t: int) -> None:
    """torch.optim.RMSprop's algorithm box."""
    o, g = r.optimizer, coupled(r, g)
    r.memory["b"] = o.momentum * r.remembered("b") + g / (np.sqrt(_variance(r, g)) + o.epsilon)
    r.w = r.w - o.learning_rate * r.memory["b"]


def keras_rmsprop(r: Reference, g: Array, t: int) -> None:
    """keras.optimizers.RMSprop: ε under the root, steps added up."""
    o = r.optimizer
    r.w = shrunk(r)
    step = o.learning_rate * g / np.sqrt(_variance(r, g) + o.epsilon)
    r.memory["b"] = o.momentum * r.remembered("b") + step
    r.w = r.w - r.memory["b"]


def torch_rprop(r: Reference, g: Array, t: int) -> None:
    """torch.optim.Rprop's algorithm box, element by element."""
    o, g = r.optimizer, g.copy()
    size = r.memory.get("size", np.full_like(r.w, o.learning_rate))
    previous = r.remembered("previous")
    for at in np.ndindex(g.shape):
        if previous[at] * g[at] > 0.0:
            size[at] = min(size[at] * o.grow, o.largest)
        elif previous[at] * g[at] < 0.0:
            size[at], g[at] = max(size[at] * o.shrink, o.smallest), 0.0
    r.memory.update(size=size, previous=g)
    r.w = r.w - size * np.sign(g)


def torch_asgd(r: Reference, g: Array, t: int) -> None:
    """torch.optim.ASGD: θ ← (1 - λη)θ - ηg, η from the step before."""
    o, g = r.optimizer, coupled(r, g)
    eta = r.memory.get("eta", o.learning_rate)
    r.w = (1.0 - o.shrinkage * eta) * r.w - eta * g
    r.memory["eta"] = o.learning_rate / (1.0 + o.shrinkage * o.learning_rate * t) ** o.power


def keras_lion(r: Reference, g: Array, t: int) -> None:
    """Algorithm 2 of arXiv 2302.06675."""
    o = r.optimizer
    r.w = shrunk(r)
    m = r.remembered("m")
    r.w = r.w - o.learning_rate * np.sign(o.beta_1 * m + (1.0 - o.beta_1) * g)
    r.memory["m"] = o.beta_2 * m + (1.0 - o.beta_2) * g


def keras_ftrl(r: Reference, g: Array, t: int) -> None:
    """keras.optimizers.Ftrl's pseudocode, the power of the rate being -½."""
    o = r.optimizer
    r.w = shrunk(r)
    n = r.memory.get("n", o.initial_accumulator)
    n_new = n + g * g
    sigma = (np.sqrt(n_new) - np.sqrt(n)) / o.learning_rate
    z = r.remembered("z") + g + 2.0 * o.shrinkage * r.w - sigma * r.w
    r.memory.update(n=n_new, z=z)
    l2 = o.l2 + o.beta / (2.0 * o.learning_rate)
    r.w = np.where(
        np.abs(z) > o.l1,
        (np.sign(z) * o.l1 - z) / (np.sqrt(n_new) / o.learning_rate + 2.0 * l2),
        0.0,
    )


def keras_lamb(r: Reference, g: Array, t: int) -> None:
    """Algorithm 2 of arXiv 1904.00962, the decay apart."""
    o = r.optimizer
    r.w = shrunk(r)
    m, v = corrected(r, g, t)
    step = m / (np.sqrt(v) + o.epsilon)
    trust = np.linalg.norm(r.w) / np.linalg.norm(step)
    r.w = r.w - o.learning_rate * trust * step


def keras_schedule_free_adamw(r: Reference, g: Array, t: int) -> None:
    """Algorithm 1 of arXiv 2405.15682, which keeps z and x; the weight is y between them."""
    o = r.optimizer
    z = r.memory.get("z", r.w)
    y = shrunk(r)
    x = (y - (1.0 - o.beta_1) * z) / o.beta_1
    r.memory["v"] = o.beta_2 * r.remembered("v") + (1.0 - o.beta_2) * g * g
    rate = o.learning_rate * (min(1.0, t / o.warmup_steps) if o.warmup_steps else 1.0)
    z = z - rate * g / (np.sqrt(r.memory["v"] / (1.0 - o.beta_2**t)) + o.epsilon)
    x = (1.0 - 1.0 / t) * x + z / t
    r.memory["z"], r.w = z, (1.0 - o.beta_1) * z + o.beta_1 * x


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x * x)))


def _factored(r: Reference, squares: Array, keep: float) -> tuple[Array, Array | float]:
    """The second moment and what it is to be divided by; that of a vector is kept as it is."""
    if squares.ndim < 2:
        r.memory["v"] = keep * r.remembered("v") + (1.0 - keep) * squares
        return r.memory["v"], 1.0
    r.memory["R"] = keep * r.memory.get("R", 0.0) + (1.0 - keep) * squares.mean(axis=-1)
    r.memory["C"] = keep * r.memory.get("C", 0.0) + (1.0 - keep) * squares.mean(axis=-2)
    outer = np.einsum("...i,...j->...ij", r.memory["R"], r.memory["C"])
    return outer, r.memory["R"].mean(axis=-1)[..., None, None]


def _adafactor_step(r: Reference, g: Array, v: Array, scale: float, t: int) -> None:
    o = r.optimizer
    u = g / np.sqrt(v)
    rate = max(o.least_scale, scale) * min(o.learning_rate, 1.0 / math.sqrt(t))
    r.w = r.w - rate * u / max(1.0, _rms(u) / o.threshold)


def torch_adafactor(r: Reference, g: Array, t: int) -> None:
    """torch.optim.Adafactor's algorithm box; the scale is that of the weight before its decay."""
    o, scale = r.optimizer, _rms(r.w)
    r.w = shrunk(r)
    outer, mean = _factored(r, g * g, 1.0 - t**o.decay_power)
    v = outer / np.maximum(mean, o.floor)
    _adafactor_step(r, g, np.maximum(v, o.floor**2), scale, t)


def keras_adafactor(r: Reference, g: Array, t: int) -> None:
    """Algorithms 4 and 5 of arXiv 1804.04235."""
    o = r.optimizer
    r.w = shrunk(r)
    outer, mean = _factored(r, g * g + o.floor, 1.0 - t**o.decay_power)
    _adafactor_step(r, g, outer / mean, _rms(r.w), t)


def _orthogonal(x: Array, steps: int, floor: float) -> Array:
    """Jordan's polynomial of the singular values, which the iteration applies to the matrix."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    s = s / (np.linalg.norm(s) + floor)
    for _ in range(steps):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return np.asarray((u * s) @ vt)


def muon(factor: Callable[[int, int], float]) -> Follow:
    """Jordan's post; `factor` is how long the step is for a matrix of so many rows and columns."""

    def update(r: Reference, g: Array, t: int) -> None:
        o = r.optimizer
        r.w = shrunk(r)
        r.memory["b"] = o.momentum * r.remembered("b") + g
        direction = g + o.momentum * r.memory["b"] if o.nesterov else r.memory["b"]
        step = _orthogonal(direction, o.newton_steps, o.floor)
        r.w = r.w - o.learning_rate * factor(*r.w.shape) * step

    return update


#: A vector goes by AdamW.
def with_adamw(matrices: Follow, adamw: Follow) -> Follow:
    def update(r: Reference, g: Array, t: int) -> None:
        (matrices if g.ndim == 2 else adamw)(r, g, t)

    return update


REFERENCES: dict[tuple[str, str], Follow] = {
    ("torch", "sgd"): torch_sgd,
    ("torch", "adam"): torch_adam,
    ("torch", "adamw"): decoupled(adam_after_correction),
    ("torch", "nadam"): torch_nadam,
    ("torch", "radam"): torch_radam,
    ("torch", "adamax"): torch_adamax,
    ("torch", "adagrad"): torch_adagrad,
    ("torch", "adadelta"): torch_adadelta,
    ("torch", "rmsprop"): torch_rmsprop,
    ("torch", "rprop"): torch_rprop,
    ("torch", "asgd"): torch_asgd,
    ("torch", "adafactor"): torch_adafactor,
    ("torch", "muon"): with_adamw(
        muon(lambda rows, columns: math.sqrt(max(1.0, rows / columns))),
        decoupled(adam_after_correction),
    ),
    ("tensorflow", "sgd"): keras_sgd,
    ("tensorflow", "adam"): decoupled(adam_before_correction),
    ("tensorflow", "adamw"): decoupled(adam_before_correction),
    ("tensorflow", "nadam"): keras_nadam,
    ("tensorflow", "adamax"): keras_adamax,
    ("tensorflow", "adagrad"): keras_adagrad,
    ("tensorflow", "adadelta"): keras_adadelta,
    ("tensorflow", "rmsprop"): keras_rmsprop,
    ("tensorflow", "lion"): keras_lion,
    ("tensorflow", "ftrl"): keras_ftrl,
    ("tensorflow", "lamb"): keras_lamb,
    ("tensorflow", "schedule_free_adamw"): keras_schedule_free_adamw,
    ("tensorflow", "adafactor"): keras_adafactor,
    ("tensorflow", "muon"): with_adamw(
        muon(lambda rows, columns: 0.2 * math.sqrt(max(rows, columns))),
        decoupled(adam_before_correction),
    ),
}
