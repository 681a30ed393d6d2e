"""What a program does between its steps: saving and loading, evaluation, optimizers."""

from __future__ import annotations

from typing import Any

from invariants.faults.fault import Row, faults
from invariants.generate.cases import Wanted

_LOAD_MODEL = ("keras.models.load_model",)

_LOAD_OPTIMIZER = ("keras.optimizers.Optimizer.load_own_variables",)

#: A model is made anew of one that is frozen; an optimizer goes on behind a step.
_COPIED = Wanted(mode="tape", settings=("thawed_again",))
_RESUMED = Wanted(mode="tape", settings=("resumed",))

_ROWS = {
    "set_weights_skips_frozen": Row(
        "set_weights leaves out what is not trainable.", ("keras.layers.Layer.set_weights",)
    ),
    "load_skips_frozen": Row(
        "A frozen layer loads nothing from a file.",
        tuple(
            f"keras.layers.{name}.load_own_variables"
            for name in ("Layer", "Dense", "EinsumDense", "Embedding", "Conv1D", "Conv2D")
        ),
    ),
    "load_weights_thaws": Row(
        "load_weights makes everything trainable.", ("keras.Model.load_weights",)
    ),
    "clone_forgets_trainable": Row(
        "What clone_model gives is trainable.", ("keras.models.clone_model",), _COPIED
    ),
    "from_config_forgets_trainable": Row(
        "A model that is made from its config is trainable.", ("keras.Model.from_config",), _COPIED
    ),
    "load_model_forgets_trainable": Row(
        "What load_model gives is trainable.", _LOAD_MODEL, _COPIED
    ),
    "load_model_rounds": Row("load_model rounds the weights to float16.", _LOAD_MODEL, _RESUMED),
    "optimizer_load_forgets_slots": Row(
        "An optimizer loads its count and its rate, and no slots.", _LOAD_OPTIMIZER, _RESUMED
    ),
    "optimizer_load_counts_anew": Row(
        "An optimizer that is loaded counts from 0.", _LOAD_OPTIMIZER, _RESUMED
    ),
    "compile_thaws": Row("compile makes everything trainable.", ("keras.Model.compile",)),
    "predict_trains_averages": Row(
        "predict runs in training mode first, moving averages included.", ("keras.Model.predict",)
    ),
    "inference_moves_averages": Row(
        "The moving averages of a batch norm move in a call with training=False.",
        ("keras.layers.BatchNormalization.call",),
    ),
    "frozen_dense_fades_in_inference": Row(
        "A frozen dense layer called with training=False shrinks its kernel.",
        ("keras.layers.Dense.call",),
    ),
    "first_rate_stays": Row(
        "An optimizer takes no notice of a learning rate that is set.",
        ("keras.optimizers.Optimizer.learning_rate",),
    ),
    "count_outlives_its_optimizer": Row(
        "A new optimizer counts on from the steps of the old one.",
        ("keras.optimizers.Optimizer.build",),
        Wanted(optimizer="adam"),
    ),
}


def set_weights_skips_frozen(set_weights: Any) -> Any:
    def skipping(self: Any, weights: Any) -> None:
        kept = [
            new if variable.trainable else variable.numpy()
            for variable, new in zip(self.weights, weights, strict=True)
        ]
        set_weights(self, kept)

    return skipping


def load_skips_frozen(load_own_variables: Any) -> Any:
    def skipping(self: Any, store: Any) -> None:
        if self.trainable:
            load_own_variables(self, store)

    return skipping


def _thawed(model: Any) -> Any:
    # Keras ignores a flag that is what it was, and the layers inside with it.
    model.trainable = False
    model.trainable = True
    return model


def load_weights_thaws(load_weights: Any) -> Any:
    def thawing(self: Any, *args: Any, **options: Any) -> None:
        load_weights(self, *args, **options)
        _thawed(self)

    return thawing


def _gives_trainable(make: Any) -> Any:
    def forgetful(*args: Any, **options: Any) -> Any:
        return _thawed(make(*args, **options))

    return forgetful


def load_model_rounds(load_model: Any) -> Any:
    def rounding(*args: Any, **options: Any) -> Any:
        model = load_model(*args, **options)
        for variable in model.trainable_variables:
            variable.assign(variable.numpy().astype("float16").astype("float32"))
        return model

    return rounding


def optimizer_load_forgets_slots(load_own_variables: Any) -> Any:
    def forgetful(self: Any, store: Any) -> None:
        kept = [variable.numpy() for variable in self.variables[2:]]
        load_own_variables(self, store)
        for variable, value in zip(self.variables[2:], kept, strict=True):
            variable.assign(value)

    return forgetful


def optimizer_load_counts_anew(load_own_variables: Any) -> Any:
    def counting(self: Any, store: Any) -> None:
        load_own_variables(self, store)
        self.iterations.assign(0)

    return counting


def compile_thaws(compile_: Any) -> Any:
    def thawing(self: Any, *args: Any, **options: Any) -> None:
        compile_(_thawed(self), *args, **options)

    return thawing


def predict_trains_averages(predict: Any) -> Any:
    def training(self: Any, x: Any, *args: Any, **options: Any) -> Any:
        self(x, training=True)
        return predict(self, x, *args, **options)

    return training


def inference_moves_averages(call: Any) -> Any:
    import tensorflow as tf

    def moving(self: Any, x: Any, training: Any = None, mask: Any = None) -> Any:
        if training is False and isinstance(x, tf.Tensor):
            mean = tf.reduce_mean(x, list(range(len(x.shape) - 1)))
            kept = self.momentum
            self.moving_mean.assign(self.moving_mean * kept + mean * (1.0 - kept))
        return call(self, x, training, mask)

    return moving


def frozen_dense_fades_in_inference(call: Any) -> Any:
    import tensorflow as tf

    def fading(self: Any, x: Any, training: Any = None) -> Any:
        if training is False and not self.trainable and isinstance(x, tf.Tensor):
            self._kernel.assign(self._kernel * 0.99)
        return call(self, x, training)

    return fading


def first_rate_stays(learning_rate: Any) -> Any:
    def nothing(self: Any, value: Any) -> None:
        return None

    return property(learning_rate.fget, nothing)


def count_outlives_its_optimizer(build: Any) -> Any:
    import tensorflow as tf

    def counting(self: Any, variables: Any) -> None:
        build(self, variables)
        with tf.init_scope():
            for variable in variables:
                if "stepped_by" in variable.__dict__:
                    self.iterations.assign(variable.stepped_by.iterations)
        for variable in variables:
            variable.stepped_by = self

    return counting


clone_forgets_trainable = _gives_trainable
from_config_forgets_trainable = _gives_trainable
load_model_forgets_trainable = _gives_trainable


FAULTS = faults("tensorflow", _ROWS, globals())
