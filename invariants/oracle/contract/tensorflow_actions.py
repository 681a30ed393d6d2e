"""How Keras's users write what a program does, and what Keras documents of it, a row each."""

from __future__ import annotations

from invariants.oracle.contract.clauses import Writing

_KERAS = "https://keras.io/api/"

_GUIDE = "https://keras.io/guides/transfer_learning/#"

_TAPE = "https://www.tensorflow.org/api_docs/python/tf/GradientTape"

ACTIONS = (
    Writing(
        "freeze",
        "`layer.trainable = False`, and the ways below",
        "Setting layer.trainable to False moves all the layer's weights from trainable to "
        "non-trainable: its state will not be updated during training.",
        _GUIDE + "freezing-layers-understanding-the-trainable-attribute",
    ),
    Writing(
        "thaw",
        "`layer.trainable = True`, and the ways below",
        "trainable, settable: whether the layer's potentially-trainable weights should be returned "
        "as part of layer.trainable_weights; set on a layer with sublayers it is set on these.",
        _KERAS + "layers/base_layer/#layer-class",
    ),
    Writing(
        "gradient",
        "`tape.gradient(loss, model.trainable_variables)`",
        "Computes the gradient using operations recorded in context of this tape.",
        _TAPE + "#gradient",
    ),
    Writing(
        "step",
        "`optimizer.apply(gradients, variables)`, `model.fit()`, `model.train_on_batch()`",
        "apply() updates trainable variables according to the provided gradient values; fit() and "
        "train_on_batch() do so for each batch.",
        _KERAS + "optimizers/",
    ),
    Writing(
        "step, on several batches",
        "the sum of the gradients of a tape each, then `optimizer.apply()`",
        "apply() updates by the gradients that it is given; a tape has those of its own operations "
        "alone, so that the loop adds them up.",
        _KERAS + "optimizers/",
    ),
    Writing(
        "step, with clipping",
        "`clipvalue=`, `clipnorm=`, `global_clipnorm=` of the optimizer",
        "clipnorm: the gradient of each weight is individually clipped so that its norm is no "
        "higher than this value; global_clipnorm: of all weights; clipvalue: by value.",
        _KERAS + "optimizers/sgd/",
    ),
    Writing(
        "step, gradients before it",
        "nothing to write",
        "gradient() returns the gradients; no variable keeps one, so that there is none to reset.",
        _TAPE + "#gradient",
    ),
    Writing(
        "step, with a schedule",
        "`learning_rate=schedule` of the optimizer",
        "learning_rate: a float, a LearningRateSchedule instance, or a callable; a schedule is "
        "passed the current optimizer step.",
        _KERAS + "optimizers/learning_rate_schedules/learning_rate_schedule/",
    ),
    Writing(
        "step, with averages",
        "`use_ema=True` of the optimizer",
        "use_ema: exponential moving average is applied; it computes one of the weights of the "
        "model as they change after each training batch, and periodically overwrites the weights.",
        _KERAS + "optimizers/sgd/",
    ),
    Writing(
        "evaluate",
        "`model(x, training=...)`, `model.predict()`, `model.evaluate()`",
        "predict, evaluate: the model is run in inference mode, batch by batch.",
        _KERAS + "models/model_training_apis/",
    ),
    Writing(
        "set_mode",
        "`training=True`, `training=False` at each call",
        "training: whether the layer should behave in training mode or in inference mode; not the "
        "same as trainable, but of a BatchNormalization that is frozen.",
        "https://keras.io/getting_started/faq/",
    ),
    Writing(
        "set_rate",
        "`optimizer.learning_rate = rate`",
        "learning_rate is a property of every optimizer that can be set, unless it was given as a "
        "schedule.",
        _KERAS + "optimizers/",
    ),
    Writing(
        "compile",
        "`keras.optimizers.SGD(...)`, then `model.compile()` where the model trains itself",
        "Calling compile() on a model is meant to freeze the behavior of that model: if you change "
        "any trainable value, call compile() again for the changes to be taken into account.",
        _GUIDE + "finetuning",
    ),
    Writing(
        "cast",
        "no way",
        "dtype, an argument of every layer: the dtype of the layer's computations and weights; no "
        "method casts a layer that has been made.",
        _KERAS + "layers/base_layer/#layer-class",
    ),
    Writing(
        "reload",
        "`model.save()`, `load_model()`, and the ways below",
        "A .keras file contains the model's configuration, its weights and its optimizer's state.",
        _KERAS + "models/model_saving_apis/model_saving_and_loading/#save-method",
    ),
)
