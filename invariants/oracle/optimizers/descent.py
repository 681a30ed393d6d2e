"""Steps along the gradient or along its sign."""

from __future__ import annotations

from invariants.oracle.optimizers.base import (
    Turn,
    Update,
    by_sign,
    coarse,
    decayed,
    exactly,
    held,
    larger,
    number,
    opposite,
    slot,
    smaller,
)
from invariants.oracle.tape import Value


def sgd(w: Value, g: Value, turn: Turn) -> Update:
    """Sutskever et al. 2013, "On the importance of initialization and momentum".

    Dampening and Nesterov's momentum as in the documentation of torch.optim.SGD and
    keras.optimizers.SGD.
    """
    o = turn.o
    w, g = decayed(w, g, turn)
    if not o.momentum:
        return w - g * o.learning_rate, {}
    momentum = held(o.momentum, turn.contract)
    previous = turn.slots.get("momentum")
    if turn.contract["sgd_momentum"] == "velocity":
        v = g if previous is None else previous * momentum + g * (1.0 - o.dampening)
        direction = g + v * momentum if o.nesterov else v
        return w - direction * o.learning_rate, {"momentum": v}
    step = g * opposite(o.learning_rate)
    v = step if previous is None else previous * momentum + step
    return w + (v * momentum + step if o.nesterov else v), {"momentum": v}


def asgd(w: Value, g: Value, turn: Turn) -> Update:
    """Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging".

    η_t = lr / (1 + λ·lr·t)^α, as documented for torch.optim.ASGD. The average is kept beside the
    weights and moves none of them.
    """
    o = turn.o
    w, g = decayed(w, g, turn)
    kept = exactly if turn.contract["state_scalars"] == "exact" else coarse
    rate = number(o.learning_rate)
    eta = turn.slots.get("eta", kept(w, rate))
    shrunk = w - w * (eta * o.shrinkage)
    following = rate / (1.0 + o.shrinkage * rate * turn.t) ** o.power
    return shrunk - g * eta, {"eta": kept(w, following)}


def rprop(w: Value, g: Value, turn: Turn) -> Update:
    """Riedmiller & Braun 1993, "A direct adaptive method for faster backpropagation learning".

    As documented for torch.optim.Rprop: where the sign has changed, no step and no memory of it.
    """
    o, lift = turn.o, w.tape.lift
    size = turn.slots.get("size", lift(o.learning_rate))
    previous, zero = turn.slots.get("previous"), lift(0.0)
    if previous is not None:
        agreement = (g * previous).apply("sign")
        size = by_sign(agreement, size * o.grow, size, size * o.shrink)
        g = by_sign(agreement, g, g, zero)
    size = larger(smaller(size, lift(o.largest)), lift(o.smallest))
    return w - g.apply("sign") * size, {"size": size, "previous": g}


def lion(w: Value, g: Value, turn: Turn) -> Update:
    """Chen et al. 2023, arXiv 2302.06675, Algorithm 2."""
    o, one = turn.o, w.tape.lift(1.0)
    w, g = decayed(w, g, turn)
    beta_1, beta_2 = (w.tape.lift(held(beta, turn.contract)) for beta in (o.beta_1, o.beta_2))
    m = slot(w, turn, "m")
    direction = m * beta_1 + g * (one - beta_1)
    m = m * beta_2 + g * (one - beta_2)
    return w - direction.apply("sign") * o.learning_rate, {"m": m}
