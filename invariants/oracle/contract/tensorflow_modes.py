"""The modes in which people train with Keras on TensorFlow, a row each."""

from __future__ import annotations

from invariants.oracle.contract.clauses import Mode

_FIT = "https://keras.io/api/models/model_training_apis/"

_FUNCTION = "https://www.tensorflow.org/guide/function"

#: The graph is optimised as a whole, https://www.tensorflow.org/guide/graph_optimization: Grappler
#: simplifies arithmetic operations and replaces subgraphs by fused kernels.
_TRACED = (
    "Python side effects, and what Python's variables hold, are of the trace: reading from Python "
    "global and free variables only happens during tracing. The same types and shapes of arguments "
    "go to the same trace; "
)


_TAPE = "https://www.tensorflow.org/api_docs/python/tf/GradientTape"


def _function(name: str, sentence: str, seconds: float = 0.9, **traits: str) -> Mode:
    return Mode(name, sentence, _FUNCTION, traits=traits, optimised=True, seconds=seconds)


_POLICY = (
    "A mixed precision policy causes the compute dtype to be float16 or bfloat16 and the variable "
    "dtype to be float32: a layer casts its inputs and its variables, and puts the compute dtype "
    "out."
)

_OUTPUTS = (
    " Even if the model does not end in a softmax, the outputs should still be float32: a linear "
    "activation of that dtype casts them."
)


_SCALED = (
    " LossScaleOptimizer scales the loss to prevent underflow, and divides gradients by the scale: "
    "on any train step, if a nonfinite gradient is encountered, the loss scale is halved, and the "
    "train step is skipped; after dynamic_growth_steps steps without one it is doubled."
)

_SCALING = "https://keras.io/api/optimizers/loss_scale_optimizer/"


def _mixed(
    name: str, dtype: str, sentence: str, source: str, *, fit: bool = False, **traits: str
) -> Mode:
    return Mode(
        name,
        sentence,
        source,
        trains_itself=fit,
        traits={"autocast": dtype, **({"call": "fit"} if fit else {}), **traits},
        dtypes=("float32",),
        seconds=1.2 if fit else 0.3,
    )


_CELLS = ("simple_rnn", "gru", "lstm")

#: kind of a layer -> why forward mode cannot run it: a product is made of the gradient's gradient.
_BACKWARD_ALONE = {
    "softsign": "TensorFlow registers no gradient of the operation that its gradient is: "
    "SoftsignGrad",
    **dict.fromkeys(
        (
            f"{which}{cell}"
            for cell in _CELLS
            for which in ("", "bidirectional_", "stacked_", "masked_")
        ),
        "TensorFlow has no tangent of the list in which a loop that is traced keeps its outputs: "
        "`dtype` variant is not compatible with 1",
    ),
    **dict.fromkeys(
        ("spectral_normalization_dense", "spectral_normalization_conv2d"),
        "stateless_call returns no update of a trainable variable, and its call assigns the kernel",
    ),
}


MODES: tuple[Mode, ...] = (
    Mode(
        "tape",
        "Calling a model inside a GradientTape scope enables you to retrieve the gradients of "
        "the trainable weights of the layer with respect to a loss value.",
        "https://keras.io/guides/writing_a_custom_training_loop_in_tensorflow/",
        seconds=0.2,
    ),
    Mode(
        "tape_persistent",
        "persistent: whether a persistent gradient tape is created, which lets gradient() be "
        "called several times; by default it can be called at most once.",
        _TAPE,
        traits={"tape": "persistent=True"},
        seconds=0.3,
    ),
    Mode(
        "tape_explicit",
        "watch_accessed_variables: if False, gradients can only be requested from variables "
        "explicitly watched by the user with watch().",
        _TAPE,
        traits={"tape": "watch_accessed_variables=False"},
        seconds=0.2,
    ),
    Mode(
        "tape_nested",
        "GradientTapes can be nested; operations inside of the context of an outer one, the "
        "gradient that an inner one computes included, are recorded by both.",
        _TAPE,
        traits={"tape": "", "around": "with tf.GradientTape():"},
        seconds=0.3,
    ),
    Mode(
        "second_order",
        "Operations inside of the GradientTape context manager are recorded; if gradients are "
        "computed in that context, then the gradient computation is recorded as well, so the "
        "exact same API works for higher-order gradients. Here half of the derivative of the loss "
        "along the weights that are trained (and the inputs asked for) is added to the loss: its "
        "gradient is a product of these with the Hessian matrix, which goes through every frozen "
        "layer twice.",
        "https://www.tensorflow.org/guide/advanced_autodiff#higher-order_gradients",
        traits={"second_order": "nested"},
        lacks={
            "softsign": "TensorFlow registers no gradient of the operation that its gradient is: "
            "SoftsignGrad"
        },
        seconds=0.4,
    ),
    Mode(
        "forward_mode",
        "ForwardAccumulator computes Jacobian-vector products using forward-mode autodiff: "
        "forwardprop computes one column of the Jacobian matrix at a time, here with every unit "
        "vector of the weights that are trained (and the inputs asked for), zeros where the result "
        "does not depend on one. stateless_call calls the model without any side effects, for "
        "values of its variables, and returns what its state has become.",
        "https://www.tensorflow.org/api_docs/python/tf/autodiff/ForwardAccumulator",
        traits={"forward": "ForwardAccumulator"},
        optimised=True,
        otherwise={"unreached_gradient": "zeros"},
        lacks=_BACKWARD_ALONE,
        seconds=6.0,
    ),
    Mode(
        "recompute_grad",
        "g = recompute_grad(f) wraps f and recomputes it on the backwards pass of a gradient call.",
        "https://www.tensorflow.org/api_docs/python/tf/recompute_grad",
        traits={"checkpoint": "tf.recompute_grad", "of": "model"},
        seconds=0.3,
    ),
    _mixed(
        "mixed_bfloat16",
        "bfloat16",
        _POLICY,
        "https://keras.io/api/mixed_precision/policy/",
    ),
    _mixed(
        "mixed_float16",
        "float16",
        _POLICY + _OUTPUTS,
        "https://www.tensorflow.org/guide/mixed_precision",
        outputs="float32",
    ),
    _mixed(
        "mixed_float16_scaled",
        "float16",
        _POLICY + _SCALED,
        _SCALING,
        scale="1024.0",
        growth="2",
    ),
    _mixed(
        "mixed_float16_skipped",
        "float16",
        _POLICY + _SCALED + " It is recommended for the initial scale to be a very high number: "
        "here one with which most steps are skipped.",
        _SCALING,
        scale="17179869184.0",
        growth="2000",
    ),
    _function(
        "function",
        _TRACED + "flags that are changed after it are not seen.",
        function="kept",
    ),
    _function(
        "function_signature",
        _TRACED + "with an input signature there is but one.",
        function="kept",
        signature="yes",
    ),
    _function(
        "function_anew",
        _TRACED + "separate Function objects are guaranteed not to share traces, so one that is "
        "made anew sees them.",
        function="anew",
    ),
    _function(
        "function_xla",
        _TRACED + "with jit_compile=True it is compiled as a whole by XLA, with explicit "
        "compilation or an error.",
        seconds=3.0,
        function="kept",
        jit="True",
    ),
    Mode(
        "fit",
        "Trains the model for a fixed number of epochs (dataset iterations).",
        _FIT + "#fit-method",
        trains_itself=True,
        traits={"call": "fit"},
        seconds=1.2,
    ),
    Mode(
        "train_on_batch",
        "Runs a single gradient update on a single batch of data.",
        _FIT + "#trainonbatch-method",
        trains_itself=True,
        traits={"call": "train_on_batch"},
        seconds=1.2,
    ),
    Mode(
        "fit_train_step",
        "fit() with a train_step() of one's own: override the training step function of the Model "
        "class, and still use fit(), compile() and all that comes with them.",
        "https://keras.io/guides/custom_train_step_in_tensorflow/",
        trains_itself=True,
        traits={"call": "fit", "train_step": "own"},
        seconds=1.2,
    ),
    Mode(
        "fit_several_steps",
        "steps_per_execution: the number of batches to run during each single compiled function "
        "call.",
        _FIT + "#compile-method",
        trains_itself=True,
        traits={"call": "fit", "steps": "2", "run_eagerly": "no"},
        seconds=1.2,
    ),
    _mixed(
        "fit_mixed_float16",
        "float16",
        _POLICY + _OUTPUTS + " In compile(), the passed optimizer is automatically wrapped in a "
        "LossScaleOptimizer if the model dtype policy is mixed_float16; here it starts with a "
        "smaller scale." + _SCALED,
        _FIT + "#compile-method",
        fit=True,
        outputs="float32",
        scale="256.0",
        growth="2000",
    ),
    Mode(
        "fit_xla",
        "jit_compile: whether to use XLA compilation when compiling a model.",
        _FIT + "#compile-method",
        trains_itself=True,
        traits={"call": "fit", "jit": "True", "run_eagerly": "no"},
        seconds=3.0,
    ),
)
