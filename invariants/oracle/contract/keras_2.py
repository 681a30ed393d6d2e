"""What Keras 2 documents otherwise than Keras 3: the one in TensorFlow up to 2.15."""

from __future__ import annotations

from invariants.oracle.contract.clauses import Clause, Release

_SOURCE = "https://github.com/keras-team/keras/blob/v2.15.0/keras/"

_API = "https://www.tensorflow.org/versions/r2.15/api_docs/python/tf/keras/"

_OPTIMIZER = _SOURCE + "optimizers/optimizer.py"

#: An activation that came with Keras 3 -> its name in keras.activations.
_NEW_ACTIVATIONS = {
    "celu": "celu",
    "glu": "glu",
    "hard_shrink": "hard_shrink",
    "hard_silu": "hard_silu",
    "hard_tanh": "hard_tanh",
    "log_sigmoid": "log_sigmoid",
    "softshrink": "soft_shrink",
    "tanhshrink": "tanh_shrink",
}

_FLAG = "a variable of Keras 2 is one of TensorFlow's, whose trainable is settled when it is made"

_LORA = "Keras 2 has no LoRA in its layers"

_DOT_PRODUCT = "Keras 2 and TensorFlow have no dot_product_attention"

KERAS_2 = Release(
    name="Keras 2",
    package="keras",
    before=(3,),
    clauses={
        "optimizers": Clause(
            (
                *("sgd", "adam", "adamw", "nadam", "adamax"),
                *("adagrad", "adadelta", "rmsprop"),
                *("lion", "ftrl", "adafactor"),
            ),
            "The optimizers of tf.keras.optimizers.",
            _API + "optimizers",
        ),
        "gradient_accumulation": Clause(
            False,
            "An optimizer has no argument for it; a loop adds gradients up itself.",
            _API + "optimizers/Optimizer",
        ),
        "averages_follow": Clause(
            "what_moves",
            "Silent; the averages of the variables that a step is given gradients of are updated.",
            _OPTIMIZER,
        ),
        "first_average": Clause(
            "of_the_start",
            "Make a copy of the model variables, we will use the copy to store the moving average "
            "of model variables: of the variables as they are when the optimizer is built.",
            _OPTIMIZER,
        ),
        "flags_around": Clause(
            "count",
            "trainable_weights of a layer are those of the layers in it while its own trainable is "
            "True, and none while that is False, whatever these say.",
            _SOURCE + "engine/training.py",
        ),
        "attention_scales": Clause(
            (False,),
            _DOT_PRODUCT + "; keras.layers.Attention does not scale by the size of a key.",
            _API + "layers/Attention",
        ),
        "hard_sigmoid": Clause(
            "a_fifth",
            "hard_sigmoid: 0 if x < -2.5, 1 if x > 2.5, 0.2 * x + 0.5 in between.",
            _API + "activations/hard_sigmoid",
        ),
        "probability_offset": Clause(
            1e-7,
            "Silent; binary_crossentropy takes the logarithm of output + epsilon(), a fuzz factor.",
            _SOURCE + "backend.py",
        ),
        "step_with_nothing": Clause(
            None,
            "It is possible that the grad is empty. In this case, apply_gradients is a no-op.",
            _OPTIMIZER,
        ),
        "unknown_weight": Clause(
            ("KeyError", "The optimizer cannot recognize variable"),
            "The optimizer cannot recognize variable: please call optimizer.build(variables) with "
            "the full list of trainable variables before the training loop.",
            _OPTIMIZER,
        ),
        "unknown_weight_told": Clause(
            "at_the_weight",
            "Silent; weight decay moves all variables, then one after the other is looked up and "
            "updated.",
            _OPTIMIZER,
        ),
        "unreached_warning": Clause(
            None,
            "Silent; variables without a gradient are left out of the step, which is logged.",
            _SOURCE + "optimizers/utils.py",
        ),
        "changed_flags_warning": Clause(
            None,
            "Silent; that trainable has changed since compile() is logged.",
            _SOURCE + "engine/training.py",
        ),
        "untrainable_model_warning": Clause(
            None, "Silent; a model without trainable weights trains none.", _SOURCE
        ),
        "optimizer_of_other_weights": Clause(
            None,
            "Silent; that an optimizer has another number of variables than the saved one is "
            "logged.",
            _OPTIMIZER,
        ),
    },
    lacks={
        **{
            kind: f"Keras 2 has no keras.activations.{name}"
            for kind, name in _NEW_ACTIVATIONS.items()
        },
        **dict.fromkeys(
            (
                *("dense_with_lora", "embedding_with_lora"),
                *("conv1d_with_lora", "conv2d_with_lora", "conv3d_with_lora"),
            ),
            _LORA,
        ),
        "prefix_attention": _DOT_PRODUCT,
        "rms_norm": "Keras 2 has no RMSNormalization",
        "tied_embedding": "Keras 2 has no ReversibleEmbedding",
    },
    without={
        "variable_trainable": _FLAG,
        "each_variable": _FLAG,
        **dict.fromkeys(
            ("mixed_float16_scaled", "mixed_float16_skipped", "fit_mixed_float16"),
            "a LossScaleOptimizer of Keras 2 leaves it to the loop to unscale gradients, and is "
            "made with a scale that nothing sets afterwards",
        ),
        **dict.fromkeys(
            (
                *("constructor of masked_mean", "constructor of masked_simple_rnn"),
                *("constructor of masked_lstm", "constructor of masked_gru"),
            ),
            "a Sequential of Keras 2 takes no trainable when it is made",
        ),
        "forward_mode": "a model of Keras 2 has no stateless_call",
        "bfloat16": "set_floatx of Keras 2 takes float16, float32 and float64",
        "batch_norm in float16": "Keras 2 raises the parameters of a batch norm from float16 to "
        "float32",
        "masked mean": "no reduction of a loss of Keras 2 divides by the sum of the weights",
    },
)
