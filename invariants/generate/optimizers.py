"""Random optimizers: half of them SGD and Adam, the others in equal parts.

A hyperparameter is drawn where every backend can express it. Rates and decays are such that a few
steps move a weight by more than rounding and by less than its size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invariants.generate.choice import Drawn
from invariants.optimizer import (
    ASGD,
    LBFGS,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Clip,
    Ftrl,
    Lamb,
    Lion,
    Muon,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
    ScheduleFreeAdamW,
)

#: The optimizers that half of all cases have.
_COMMON = ("sgd", "sgd", "adam", "adamw")

#: Those with a second rule or more weights than one inside: twice as often as the rest.
_INTRICATE = ("muon", "schedule_free_adamw", "lbfgs")


class _Hyperparameters:
    """Draws the hyperparameters of one optimizer."""

    def __init__(self, choice: Drawn) -> None:
        self.choice = choice
        self.rate = choice.one_of((0.125, 0.03125, 0.0078125))

    def decay(self) -> float:
        return self.choice.one_of((0.0, 0.0, 0.0625, 0.1))

    def some(self, kind: str, name: str, plain: Any, *others: Any) -> Any:
        """Another value than the plain one at times, where every backend can express it."""
        if f"{kind}.{name}" not in self.choice.offered("optimizer_settings"):
            return plain
        return self.choice.one_of((plain, *others))

    def of_roots(self) -> dict[str, Any]:
        """The rate and what those have in common that divide by a root of squares."""
        epsilon = self.choice.one_of((1e-7, 1e-7, 1e-3))
        return {"learning_rate": self.rate, "epsilon": epsilon, "weight_decay": self.decay()}

    def of_adam(self) -> dict[str, Any]:
        """What Adam and its relatives have in common."""
        return {**self.of_roots(), **self.betas(0.999)}

    def betas(self, plain: float) -> dict[str, Any]:
        """The decays of both moments: as they are by default, shorter, or exact in every dtype."""
        pairs = ((0.9, plain), (0.9, plain), (0.8, 0.95), (0.5, 0.75))
        beta_1, beta_2 = self.choice.one_of(pairs)
        return {"beta_1": beta_1, "beta_2": beta_2}

    def rho(self) -> float:
        return self.choice.one_of((0.9, 0.9, 0.95, 0.5))


def _sgd(h: _Hyperparameters) -> SGD:
    momentum = h.choice.one_of((0.0, 0.5, 0.9))
    nesterov = bool(momentum) and h.choice.chance(3)
    return SGD(
        learning_rate=h.rate,
        momentum=momentum,
        weight_decay=h.choice.one_of((0.0, 0.0625)),
        nesterov=nesterov,
        dampening=0.0 if nesterov else h.some("sgd", "dampening", 0.0, 0.0, 0.5, 0.1),
    )


def _adam(h: _Hyperparameters) -> Adam:
    return Adam(**h.of_adam(), amsgrad=h.choice.chance(4))


def _adamw(h: _Hyperparameters) -> AdamW:
    settings = {**h.of_adam(), "weight_decay": h.choice.one_of((0.0625, 0.5))}
    return AdamW(**settings, amsgrad=h.choice.chance(4))


def _nadam(h: _Hyperparameters) -> NAdam:
    decay = h.some("nadam", "momentum_decay", 1.0, 0.004)
    return NAdam(**h.of_adam(), momentum_decay=decay)


def _adagrad(h: _Hyperparameters) -> Adagrad:
    return Adagrad(
        **h.of_roots(),
        initial_accumulator=h.choice.one_of((0.125, 0.1, 0.0)),
        rate_decay=h.some("adagrad", "rate_decay", 0.0, 0.1),
    )


def _adadelta(h: _Hyperparameters) -> Adadelta:
    rate, epsilon = h.choice.one_of((1.0, 0.125)), h.choice.one_of((1e-3, 1e-6))
    return Adadelta(learning_rate=rate, epsilon=epsilon, rho=h.rho(), weight_decay=h.decay())


def _rmsprop(h: _Hyperparameters) -> RMSprop:
    momentum = h.choice.one_of((0.0, 0.0, 0.5, 0.9))
    return RMSprop(**h.of_roots(), rho=h.rho(), momentum=momentum, centered=h.choice.boolean())


def _asgd(h: _Hyperparameters) -> ASGD:
    shrinkage, power = h.choice.one_of((1e-4, 0.1)), h.choice.one_of((0.75, 0.5))
    return ASGD(learning_rate=h.rate, weight_decay=h.decay(), shrinkage=shrinkage, power=power)


def _ftrl(h: _Hyperparameters) -> Ftrl:
    return Ftrl(
        learning_rate=h.rate,
        initial_accumulator=h.choice.one_of((0.125, 0.1)),
        l1=h.choice.one_of((0.0, 0.0625)),
        l2=h.choice.one_of((0.0, 0.1)),
        shrinkage=h.choice.one_of((0.0, 0.0625)),
        beta=h.choice.one_of((0.0, 1.0)),
        weight_decay=h.decay(),
    )


def _adafactor(h: _Hyperparameters) -> Adafactor:
    return Adafactor(
        learning_rate=h.rate,
        decay_power=h.choice.one_of((-0.8, -0.5)),
        floor=h.choice.one_of((1e-7, 1e-3)),
        least_scale=h.choice.one_of((1e-3, 0.125)),
        threshold=h.choice.one_of((1.0, 2.0)),
        weight_decay=h.decay(),
    )


def _muon(h: _Hyperparameters) -> Muon:
    return Muon(
        learning_rate=h.rate,
        momentum=h.choice.one_of((0.5, 0.95)),
        nesterov=h.choice.boolean(),
        newton_steps=h.choice.one_of((1, 2, 5)),
        floor=h.some("muon", "floor", 1e-7, 0.125),
        weight_decay=h.decay(),
    )


def _rprop(h: _Hyperparameters) -> Rprop:
    shrink, grow = h.choice.one_of(((0.5, 1.25), (0.25, 1.2)))
    return Rprop(learning_rate=h.rate, shrink=shrink, grow=grow)


def _lbfgs(h: _Hyperparameters) -> LBFGS:
    """Of one iteration in half of the cases; in the others at times with fewer evaluations."""
    history, iterations = h.choice.one_of((10, 2)), h.choice.one_of((1, 1, 1, 2, 3, 4))
    limit = h.choice.one_of((None, None, None, 2, 3)) if iterations > 1 else None
    return LBFGS(learning_rate=h.rate, history=history, iterations=iterations, evaluations=limit)


#: kind -> what draws one.
DRAWN: dict[str, Callable[[_Hyperparameters], Any]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
    "nadam": _nadam,
    "radam": lambda h: RAdam(**h.of_adam()),
    "adamax": lambda h: Adamax(**h.of_adam()),
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "rmsprop": _rmsprop,
    "rprop": _rprop,
    "asgd": _asgd,
    "adafactor": _adafactor,
    "muon": _muon,
    "lbfgs": _lbfgs,
    "lion": lambda h: Lion(learning_rate=h.rate / 4.0, weight_decay=h.decay(), **h.betas(0.99)),
    "ftrl": _ftrl,
    "lamb": lambda h: Lamb(**h.of_adam()),
    "schedule_free_adamw": lambda h: ScheduleFreeAdamW(
        **h.of_adam(), warmup_steps=h.choice.one_of((0, 0, 3))
    ),
}


def draw_clip(choice: Drawn, *, certain: bool = False) -> Clip | None:
    """Clipping, in one case of seven unless it is certain; half of it by value."""
    if not choice.chance(7) and not certain:
        return None
    kinds: tuple[Any, ...] = ("value", "value", "norm", "global_norm")
    return Clip(kind=choice.one_of(kinds), limit=choice.one_of((0.125, 0.5, 2.0, 0.1)))


def draw_optimizer(choice: Drawn, kind: str = "") -> Optimizer:
    """An optimizer that every backend has; kind: one of that kind."""
    if not kind:
        others = [k for k in choice.offered("optimizers") if k not in _COMMON]
        intricate = [k for k in others if k in _INTRICATE]
        kind = choice.one_of([*others, *intricate] if choice.boolean() else _COMMON)
    drawn: Optimizer = DRAWN[kind](_Hyperparameters(choice))
    return drawn
