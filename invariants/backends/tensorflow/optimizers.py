"""The optimizers of a Keras script: one row each.

A row is the constructor in keras.optimizers and its arguments from the hyperparameters of the case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invariants.backends.source import arguments
from invariants.backends.tensorflow import modes, schedules
from invariants.case import Case

NAME = "tensorflow"

Row = tuple[str, Callable[[Any], dict[str, Any]]]


def _adam(o: Any) -> dict[str, Any]:
    return {"beta_1": o.beta_1, "beta_2": o.beta_2, "epsilon": o.epsilon}


def _amsgrad(o: Any) -> dict[str, Any]:
    return {**_adam(o), "amsgrad": True} if o.amsgrad else _adam(o)


ROWS: dict[str, Row] = {
    "sgd": ("SGD", lambda o: {"momentum": o.momentum, "nesterov": o.nesterov}),
    "adam": ("Adam", _amsgrad),
    "adamw": ("AdamW", _amsgrad),
    "nadam": ("Nadam", _adam),
    "adamax": ("Adamax", _adam),
    "adagrad": (
        "Adagrad",
        lambda o: {"initial_accumulator_value": o.initial_accumulator, "epsilon": o.epsilon},
    ),
    "adadelta": ("Adadelta", lambda o: {"rho": o.rho, "epsilon": o.epsilon}),
    "rmsprop": (
        "RMSprop",
        lambda o: {
            "rho": o.rho,
            "momentum": o.momentum,
            "epsilon": o.epsilon,
            "centered": o.centered,
        },
    ),
    "lion": ("Lion", lambda o: {"beta_1": o.beta_1, "beta_2": o.beta_2}),
    "ftrl": (
        "Ftrl",
        lambda o: {
            "initial_accumulator_value": o.initial_accumulator,
            "l1_regularization_strength": o.l1,
            "l2_regularization_strength": o.l2,
            "l2_shrinkage_regularization_strength": o.shrinkage,
            "beta": o.beta,
        },
    ),
    "lamb": ("Lamb", _adam),
    "adafactor": (
        "Adafactor",
        lambda o: {
            "beta_2_decay": o.decay_power,
            "epsilon_1": o.floor,
            "epsilon_2": o.least_scale,
            "clip_threshold": o.threshold,
        },
    ),
    "muon": (
        "Muon",
        lambda o: {
            "adam_beta_1": o.beta_1,
            "adam_beta_2": o.beta_2,
            "adam_weight_decay": o.weight_decay,
            "epsilon": o.epsilon,
            "momentum": o.momentum,
            "ns_steps": o.newton_steps,
            "nesterov": o.nesterov,
        },
    ),
    "schedule_free_adamw": (
        "ScheduleFreeAdamW",
        lambda o: {**_adam(o), "warmup_steps": o.warmup_steps},
    ),
}

#: Those whose weight_decay is no None by default.
_DECAYING = ("adamw", "muon")

#: The argument for each kind of clipping.
_CLIPS = {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}


def made(case: Case) -> list[str]:
    """The lines that make the optimizer."""
    o: Any = case.optimizer
    constructor, rest = ROWS[o.kind]
    options = {"learning_rate": o.learning_rate, **rest(o)}
    if o.weight_decay or o.kind in _DECAYING:
        options["weight_decay"] = o.weight_decay
    if case.average:
        options |= {"use_ema": True, "ema_momentum": case.average.decay}
        if case.average.overwrite:
            options["ema_overwrite_frequency"] = case.average.overwrite
    if case.accumulation > 1:
        options["gradient_accumulation_steps"] = case.accumulation
    if case.clip:
        options[_CLIPS[case.clip.kind]] = case.clip.limit
    given = arguments(**options)
    if case.schedule:
        given = given.replace(arguments(learning_rate=o.learning_rate), "learning_rate=schedule", 1)
    made = f"keras.optimizers.{constructor}({given})"
    lines = [*schedules.made(case), f"optimizer = {modes.optimizer(case, made)}"]
    if case.options(NAME)["optimizer_build"] == "ahead":
        lines.append("optimizer.build(model.trainable_variables)")
    return lines
