"""Adam and what came of it."""

from __future__ import annotations

import math

import numpy as np

from invariants.oracle.optimizers.base import (
    Turn,
    Update,
    average,
    by_sign,
    decayed,
    held,
    larger,
    norm,
    one_less,
    power,
    size,
    slot,
    squared,
    straddled,
)
from invariants.oracle.tape import Value


def _moments(w: Value, g: Value, turn: Turn) -> dict[str, Value]:
    """The moving averages of the gradient and of its square."""
    m = average(slot(w, turn, "m"), g, turn.o.beta_1)
    v = average(slot(w, turn, "v"), squared(g, turn), turn.o.beta_2)
    return {"m": m, "v": v}


def _correction(w: Value, beta: float, turn: Turn) -> Value:
    """1 - β^t as Keras works it out."""
    return one_less(w, held(beta, turn.contract), turn.t, turn.contract)


def _moved(w: Value, after: dict[str, Value], turn: Turn) -> Value:
    """w - lr·m̂ / (√v̂ + ε), ε and the corrections as the contract has them."""
    o, t = turn.o, turn.t
    m, v = after["m"], after.get("largest", after["v"])
    if turn.contract["adam_epsilon"] == "after_correction":
        denominator = v.apply("sqrt") / math.sqrt(1.0 - o.beta_2**t) + o.epsilon
        return w - m * (o.learning_rate / (1.0 - o.beta_1**t)) / denominator
    first, second = (_correction(w, beta, turn) for beta in (o.beta_1, o.beta_2))
    alpha = second.apply("sqrt") * o.learning_rate / first
    return w - m * alpha / (v.apply("sqrt") + o.epsilon)


def adam(w: Value, g: Value, turn: Turn, decoupled: bool = False) -> Update:
    """Kingma & Ba 2015, arXiv 1412.6980; AMSGrad: Reddi et al. 2018, arXiv 1904.09237.

    ε and the step count t as the contract has them.
    """
    w, g = decayed(w, g, turn, decoupled)
    after = _moments(w, straddled(g, turn), turn)
    if getattr(turn.o, "amsgrad", False):
        after["largest"] = larger(slot(w, turn, "largest"), after["v"])
    return _moved(w, after, turn), after


def adamw(w: Value, g: Value, turn: Turn) -> Update:
    """Loshchilov & Hutter 2019, arXiv 1711.05101: w ← w - lr·λ·w, then Adam."""
    return adam(w, g, turn, decoupled=True)


def _schedule(turn: Turn, t: int) -> float:
    """μ_t = β₁·(1 - ½·0.96^(tψ))."""
    return float(turn.o.beta_1 * (1.0 - 0.5 * 0.96 ** (t * turn.o.momentum_decay)))


def _product(turn: Turn) -> float:
    """μ_1 ⋯ μ_t, in float32 at each step where that is how it is kept.

    What is loaded has the dtype of the weight, and goes on in it.
    """
    schedule = [_schedule(turn, n) for n in range(1, turn.t + 1)]
    if turn.contract["state_scalars"] != "float32":
        return math.prod(schedule)
    in_float32 = np.array(schedule[: turn.loaded_at], dtype=np.float32)
    loaded = [] if turn.loaded_at is None else schedule[turn.loaded_at :]
    return float(np.prod(in_float32, dtype=np.float32)) * math.prod(loaded)


def _counted_twice(turn: Turn, product: float, mu: float, following: float) -> float:
    """The product up to the next step with μ_t in it twice, where it is held as `_product` is."""
    if turn.contract["state_scalars"] != "float32" or turn.loaded_at is not None:
        return product * mu * following
    return float(np.float32(product) * np.float32(mu) * np.float32(following))


def nadam(w: Value, g: Value, turn: Turn) -> Update:
    """Dozat 2016, "Incorporating Nesterov Momentum into Adam"; μ_t after its Section 3.2."""
    o, t = turn.o, turn.t
    w, g = decayed(w, g, turn)
    g = straddled(g, turn)
    beta_1, beta_2 = (held(beta, turn.contract) for beta in (o.beta_1, o.beta_2))
    m = average(slot(w, turn, "m"), g, beta_1)
    v = average(slot(w, turn, "v"), squared(g, turn), beta_2)
    after = {"m": m, "v": v}
    if turn.contract["adam_epsilon"] == "after_correction":
        product = _product(turn)
        mu, following = _schedule(turn, t), _schedule(turn, t + 1)
        of_g = o.learning_rate * (1.0 - mu) / (1.0 - product)
        following_product = product * following
        if turn.contract["nadam_product"] == "counts_twice":
            following_product = _counted_twice(turn, product, mu, following)
        of_m = o.learning_rate * following / (1.0 - following_product)
        denominator = (v / (1.0 - o.beta_2**t)).apply("sqrt") + o.epsilon
        return w - g * of_g / denominator - m * of_m / denominator, after
    # Keras works all of it out in the weight's dtype, μ from constants that are cast to it.
    lift, half = w.tape.lift, w.tape.lift(0.5)
    base = lift(held(0.96, turn.contract))
    at, after_it = ((lift(1.0) - half * power(base, n)) * beta_1 for n in (t, t + 1))
    rounded = turn.contract["nadam_product"] == "of_the_constants"
    beta, decay = (beta_1, base) if rounded else (o.beta_1, lift(0.96))
    total = lift(1.0)
    for n in range(1, t + 1):
        total = total * beta * (lift(1.0) - half * power(decay, n))
    hat = after_it * m / (lift(1.0) - total * after_it)
    hat = hat + (lift(1.0) - at) * g / (lift(1.0) - total)
    corrected = v / _correction(w, o.beta_2, turn)
    return w - hat * o.learning_rate / (corrected.apply("sqrt") + o.epsilon), after


def radam(w: Value, g: Value, turn: Turn) -> Update:
    """Liu et al. 2020, arXiv 1908.03265, Algorithm 2; rectified where ρ_t > 5, as torch has it."""
    o, t = turn.o, turn.t
    w, g = decayed(w, g, turn)
    g = straddled(g, turn)
    after = _moments(w, g, turn)
    rate = o.learning_rate / (1.0 - o.beta_1**t)
    most = 2.0 / (1.0 - o.beta_2) - 1.0
    length = most - 2.0 * t * o.beta_2**t / (1.0 - o.beta_2**t)
    if length <= 5.0:
        moved = w - after["m"] * rate
        if not o.epsilon:  # as an issue has it: 0 times what is nothing where nothing was learned
            moved = moved - after["m"] * 0.0 / after["v"].apply("sqrt")
        return moved, after
    share = (length - 4.0) * (length - 2.0) * most / ((most - 4.0) * (most - 2.0) * length)
    factor = rate * math.sqrt(share * (1.0 - o.beta_2**t))
    return w - after["m"] * factor / (after["v"].apply("sqrt") + o.epsilon), after


def adamax(w: Value, g: Value, turn: Turn) -> Update:
    """arXiv 1412.6980, Algorithm 2; where ε is added, the contract says."""
    o, t = turn.o, turn.t
    w, g = decayed(w, g, turn)
    g = straddled(g, turn)
    m = average(slot(w, turn, "m"), g, o.beta_1)
    u = slot(w, turn, "u") * o.beta_2
    if turn.contract["adamax_epsilon"] == "in_the_norm":
        u = larger(u, size(g, turn) + o.epsilon)
        return w - m * (o.learning_rate / (1.0 - o.beta_1**t)) / u, {"m": m, "u": u}
    u = larger(u, size(g, turn))
    correction = _correction(w, o.beta_1, turn)
    return w - m * o.learning_rate / (correction * (u + o.epsilon)), {"m": m, "u": u}


def lamb(w: Value, g: Value, turn: Turn) -> Update:
    """You et al. 2020, arXiv 1904.00962, Algorithm 2: Adam's step, as long as the weight itself."""
    o, lift = turn.o, w.tape.lift
    w, g = decayed(w, g, turn)
    after = _moments(w, straddled(g, turn), turn)
    first, second = (_correction(w, beta, turn) for beta in (o.beta_1, o.beta_2))
    step = after["m"] / first / ((after["v"] / second).apply("sqrt") + o.epsilon)
    ratio, one = norm(w) / norm(step), lift(1.0)
    ratio = by_sign(norm(step).apply("sign"), ratio, one, one)
    ratio = by_sign(norm(w).apply("sign"), ratio, one, one)
    return w - ratio * o.learning_rate * step, after


def schedule_free_adamw(w: Value, g: Value, turn: Turn) -> Update:
    """Defazio et al. 2024, arXiv 2405.15682, Algorithm 1 at y: z moves, x averages, y between."""
    o, t, lift = turn.o, turn.t, w.tape.lift
    z = turn.slots.get("z", w)
    y, g = decayed(w, g, turn)
    beta_1, beta_2 = (lift(held(beta, turn.contract)) for beta in (o.beta_1, o.beta_2))
    rest = lift(1.0) - beta_1
    v = slot(w, turn, "v")
    v = v + (squared(g, turn) - v) * (lift(1.0) - beta_2)
    corrected = v / _correction(w, o.beta_2, turn)
    warm = min(1.0, t / o.warmup_steps) if o.warmup_steps else 1.0
    step = straddled(g, turn) * (o.learning_rate * warm)
    moved = z - step / (corrected.apply("sqrt") + held(o.epsilon, turn.contract))
    before = moved if turn.contract["schedule_free_iterate"] == "after_the_step" else z
    x = (y - rest * before) / beta_1
    share = lift(1.0 / t)
    x = (lift(1.0) - share) * x + share * moved
    return rest * moved + beta_1 * x, {"z": moved, "v": v}
