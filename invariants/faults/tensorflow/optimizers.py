"""Optimizers: each function takes an original and gives what replaces it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from invariants.faults.fault import Row, faults
from invariants.generate.cases import Wanted

_APPLY = ("keras.optimizers.Optimizer.apply",)
_CLIP = ("keras.optimizers.Optimizer._clip_gradients",)
_STEP_OF = "keras.optimizers.{}.update_step"

_ROWS = {
    "decay_reaches_frozen": Row("Weight decay shrinks frozen weights too.", _APPLY),
    "momentum_moves_frozen": Row(
        "A weight that was trained with momentum goes on moving once frozen.", _APPLY
    ),
    "frozen_slots_decay": Row("The moving averages of frozen weights go on decaying.", _APPLY),
    "thawed_stays_still": Row("A thawed weight is left out at its first step.", _APPLY),
    "optimizer_skips_last": Row("The optimizer leaves out the last of several weights.", _APPLY),
    "zero_elements_drift": Row(
        "A step adds a ten-thousandth to elements whose gradient is 0.", _APPLY
    ),
    "unknown_is_silent": Row(
        "The optimizer leaves out variables that it does not know, without a word.", _APPLY
    ),
    "adam_uncorrected": Row(
        "Adam goes without bias correction.", ("keras.optimizers.Adam.update_step",)
    ),
    "sums_outlive_an_update": Row(
        "An update leaves the sum of gradients of what is frozen then.",
        ("keras.optimizers.Optimizer._backend_reset_gradient_accumulators",),
    ),
    "decay_forgotten": Row("The optimizer decays nothing.", _APPLY),
    "clipping_forgotten": Row("The optimizer clips nothing.", _CLIP),
    "each_norm_clipped": Row("global_clipnorm clips the norm of each weight by itself.", _CLIP),
    "decay_reaches_unreached": Row("Weight decay shrinks weights that no loss reaches.", _APPLY),
    "nesterov_looks_back": Row(
        "SGD steps by its momentum alone where it should look ahead.",
        (_STEP_OF.format("SGD"),),
        Wanted(optimizer="sgd"),
    ),
    "amsgrad_forgets": Row(
        "AMSGrad takes the second moment of now for the largest.",
        (_STEP_OF.format("Adam"),),
        Wanted(optimizer="adam"),
    ),
    "nadam_uncorrected": Row(
        "Nadam does not correct its mean.", (_STEP_OF.format("Nadam"),), Wanted(optimizer="nadam")
    ),
    "adamax_forgets": Row(
        "Adamax forgets its norm.", (_STEP_OF.format("Adamax"),), Wanted(optimizer="adamax")
    ),
    "adagrad_forgets": Row(
        "Adagrad adds nothing up: each step starts from 0.",
        (_STEP_OF.format("Adagrad"),),
        Wanted(optimizer="adagrad"),
    ),
    "adadelta_forgets": Row(
        "Adadelta forgets the sizes of its steps.",
        (_STEP_OF.format("Adadelta"),),
        Wanted(optimizer="adadelta"),
    ),
    "rmsprop_uncentered": Row(
        "RMSprop subtracts no mean.", (_STEP_OF.format("RMSprop"),), Wanted(optimizer="rmsprop")
    ),
    "lion_forgets": Row(
        "Lion forgets its momentum.", (_STEP_OF.format("Lion"),), Wanted(optimizer="lion")
    ),
    "ftrl_shrinks_nothing": Row(
        "Ftrl forgets its L1 strength.", (_STEP_OF.format("Ftrl"),), Wanted(optimizer="ftrl")
    ),
    "lamb_forgets": Row(
        "Lamb forgets its second moment.", (_STEP_OF.format("Lamb"),), Wanted(optimizer="lamb")
    ),
    "schedule_free_warms_not": Row(
        "ScheduleFreeAdamW starts at its full rate.",
        (_STEP_OF.format("ScheduleFreeAdamW"),),
        Wanted(optimizer="schedule_free_adamw"),
    ),
    "adafactor_unclipped": Row(
        "Adafactor clips no update.", (_STEP_OF.format("Adafactor"),), Wanted(optimizer="adafactor")
    ),
    "muon_unscaled": Row(
        "Muon's step has no scale.", (_STEP_OF.format("Muon"),), Wanted(optimizer="muon")
    ),
}


def _left_out(optimizer: Any, variables: Any) -> Iterator[tuple[int, Any]]:
    """The variables of `optimizer` that a step leaves out, with their numbers."""
    stepped = {id(v) for v in variables}
    for number, variable in enumerate(optimizer._trainable_variables):
        if id(variable) not in stepped:
            yield number, variable


def _after_apply(move_frozen: Any, apply: Any) -> Any:
    """A step that calls `move_frozen(optimizer, number, variable)` for what it left out."""

    def moving(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        apply(self, grads, trainable_variables)
        if self.built and grads:
            for number, variable in _left_out(self, trainable_variables):
                move_frozen(self, number, variable)

    return moving


def sums_outlive_an_update(reset: Any) -> Any:
    def partly(self: Any) -> None:
        sums = zip(self._trainable_variables, self._accumulated_gradients, strict=True)
        kept = [(held, held.numpy()) for variable, held in sums if not variable.trainable]
        reset(self)
        for held, before in kept:
            held.assign(before)

    return partly


def _decay(optimizer: Any, number: int, variable: Any) -> None:
    import tensorflow as tf

    if optimizer.weight_decay:
        rate = tf.cast(optimizer.learning_rate, variable.dtype)
        variable.assign(variable * (1.0 - optimizer.weight_decay * rate))


def _go_on(optimizer: Any, number: int, variable: Any) -> None:
    if getattr(optimizer, "momentums", None):
        velocity = optimizer.momentums[number]
        velocity.assign(velocity * optimizer.momentum)
        variable.assign_add(velocity)


def _fade(optimizer: Any, number: int, variable: Any) -> None:
    if getattr(optimizer, "_momentums", None):
        average = optimizer._momentums[number]
        average.assign(average * 0.5)


def zero_elements_drift(apply: Any) -> Any:
    import tensorflow as tf

    def drifting(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        apply(self, grads, trainable_variables)
        for gradient, variable in zip(grads, trainable_variables or (), strict=False):
            if isinstance(gradient, tf.Tensor):
                zeros = tf.cast(gradient == 0.0, gradient.dtype)
                variable.assign_add(1e-4 * tf.cast(zeros, variable.dtype))

    return drifting


def _apply_some(keep: Any, apply: Any) -> Any:
    """A step on the variables that `keep(optimizer, variables)` tells it to."""

    def some(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        kept = keep(self, list(trainable_variables))
        pairs = zip(grads, trainable_variables, strict=True)
        chosen = [(g, v) for (g, v), keeps in zip(pairs, kept, strict=True) if keeps]
        apply(self, [g for g, _ in chosen], [v for _, v in chosen])

    return some


def _met_last_time(optimizer: Any, variables: list[Any]) -> list[bool]:
    met = {id(v) for v in variables}
    missed = {id(v) for v in optimizer._trainable_variables if optimizer.iterations > 0}
    missed -= optimizer.__dict__.get("_met", met)
    optimizer.__dict__["_met"] = met
    return [id(v) not in missed for v in variables]


def _all_but_last(optimizer: Any, variables: list[Any]) -> list[bool]:
    return [True] * (len(variables) - 1) + [len(variables) == 1] * bool(variables)


def _known(optimizer: Any, variables: list[Any]) -> list[bool]:
    known = {id(v) for v in optimizer._trainable_variables}
    return [not optimizer.built or id(v) in known for v in variables]


def adam_uncorrected(update_step: Any) -> Any:
    import tensorflow as tf

    def uncorrected(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        old = tf.identity(variable)
        update_step(self, gradient, variable, learning_rate)
        number = self._get_variable_index(variable)
        m, v = self._momentums[number], self._velocities[number]
        rate = tf.cast(learning_rate, old.dtype)
        variable.assign(old - rate * m / (tf.sqrt(v) + self.epsilon))

    return uncorrected


def decay_forgotten(apply: Any) -> Any:
    def forgetful(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        decay, self.weight_decay = self.weight_decay, None
        try:
            apply(self, grads, trainable_variables)
        finally:
            self.weight_decay = decay

    return forgetful


def clipping_forgotten(clip: Any) -> Any:
    return lambda self, grads: grads


def each_norm_clipped(clip: Any) -> Any:
    return lambda self, grads: [g if g is None else clip(self, [g])[0] for g in grads]


def _with(name: str, value: Any, update_step: Any) -> Any:
    """An update under another setting."""

    def changed(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        before = getattr(self, name)
        setattr(self, name, value)
        try:
            update_step(self, gradient, variable, learning_rate)
        finally:
            setattr(self, name, before)

    return changed


def _forgetting(slots: str, update_step: Any) -> Any:
    """An update before which a slot of the variable is 0."""

    def forgetful(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        held = getattr(self, slots, None)
        if held:
            slot = held[self._get_variable_index(variable)]
            slot.assign(slot * 0.0)
        update_step(self, gradient, variable, learning_rate)

    return forgetful


def nadam_uncorrected(update_step: Any) -> Any:
    import tensorflow as tf

    def uncorrected(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        product = tf.identity(self._u_product)
        self._u_product.assign(0.0)
        update_step(self, gradient, variable, learning_rate)
        self._u_product.assign(product)

    return uncorrected


nesterov_looks_back = partial(_with, "nesterov", False)
rmsprop_uncentered = partial(_with, "centered", False)
ftrl_shrinks_nothing = partial(_with, "l1_regularization_strength", 0.0)
schedule_free_warms_not = partial(_with, "warmup_steps", 0)
adafactor_unclipped = partial(_with, "clip_threshold", 1e9)
muon_unscaled = partial(_with, "rms_rate", None)
amsgrad_forgets = partial(_forgetting, "_velocity_hats")
adamax_forgets = partial(_forgetting, "_u")
adagrad_forgets = partial(_forgetting, "_accumulators")
adadelta_forgets = partial(_forgetting, "_accumulated_delta_vars")
lion_forgets = partial(_forgetting, "_momentums")
lamb_forgets = partial(_forgetting, "_velocities")
decay_reaches_frozen = partial(_after_apply, _decay)
momentum_moves_frozen = partial(_after_apply, _go_on)
frozen_slots_decay = partial(_after_apply, _fade)
thawed_stays_still = partial(_apply_some, _met_last_time)
optimizer_skips_last = partial(_apply_some, _all_but_last)
unknown_is_silent = partial(_apply_some, _known)


def decay_reaches_unreached(apply: Any) -> Any:
    def moving(self: Any, grads: Any, trainable_variables: Any = None) -> None:
        apply(self, grads, trainable_variables)
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            if gradient is None:
                _decay(self, 0, variable)

    return moving


FAULTS = faults("tensorflow", _ROWS, globals())
