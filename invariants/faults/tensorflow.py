"""Known ways to break Keras and TensorFlow; each function takes an original and gives a broken one.

"Frozen" is judged when the patched function is called: the layer's or the kernel's trainable is
False. Neither framework is imported before a fault is applied.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

from invariants.faults.fault import Row, faults

_DENSE = ("keras.layers.Dense.call",)
_ACTIVATION = ("keras.layers.Activation.call",)
_BATCH_NORM = ("keras.layers.BatchNormalization.call",)
_APPLY = ("keras.optimizers.Optimizer.apply",)

_ROWS = {
    # What a frozen layer does to the gradient that passes through it.
    "frozen_dense_blocks": Row("A frozen dense layer hands no gradient to its input.", _DENSE),
    "frozen_dense_amplifies": Row(
        "A frozen dense layer hands 1.5 times the gradient to its input.", _DENSE
    ),
    "frozen_dense_drifts": Row(
        "A frozen dense layer hands 1.00001 times the gradient to its input.", _DENSE
    ),
    "frozen_dense_in_float32": Row(
        "A frozen dense layer computes in float32 whatever its dtype.", _DENSE
    ),
    "frozen_dense_rounds_again": Row(
        "A frozen dense layer rounds the gradient to its input twice more.", _DENSE
    ),
    "frozen_conv_blocks": Row(
        "A frozen convolution hands no gradient to its input.", ("keras.layers.Conv2D.call",)
    ),
    "frozen_conv1d_blocks": Row(
        "A frozen convolution in time hands no gradient to its input.",
        ("keras.layers.Conv1D.call",),
    ),
    "frozen_conv3d_drifts": Row(
        "A frozen convolution of volumes hands 1.00001 times the gradient to its input.",
        ("keras.layers.Conv3D.call",),
    ),
    "frozen_depthwise_conv_blocks": Row(
        "A frozen depthwise convolution hands no gradient to its input.",
        ("keras.layers.DepthwiseConv2D.call",),
    ),
    "frozen_transposed_conv_drifts": Row(
        "A frozen transposed convolution hands 1.00001 times the gradient to its input.",
        ("keras.layers.Conv1DTranspose.call", "keras.layers.Conv2DTranspose.call"),
    ),
    # Wrong derivatives.
    "dense_noise": Row("The gradient to a dense layer's input has relative noise of 1e-6.", _DENSE),
    "dense_bias_misses_last": Row(
        "The gradient of a dense layer's bias leaves out the batch's last element.", _DENSE
    ),
    "shared_dense_counted_once": Row(
        "The second call of a dense layer in one forward pass adds nothing to its gradients.",
        ("keras.layers.Layer.__call__",),
    ),
    "conv_padding_shifts": Row(
        "The gradient to the input of a padded convolution is one column off.",
        ("keras.layers.Conv2D.call",),
    ),
    "tanh_derivative": Row(
        "The derivative of tanh is 1 - |tanh x| instead of 1 - tanh² x.", _ACTIVATION
    ),
    "relu_leaks": Row("relu lets 1% of the gradient pass below 0.", ("keras.layers.ReLU.call",)),
    "gelu_approximate_derivative": Row(
        "The exact gelu has the derivative of its tanh approximation.", _ACTIVATION
    ),
    "softmax_diagonal": Row(
        "The derivative of softmax is the diagonal of its Jacobian alone.",
        ("keras.layers.Softmax.call",),
    ),
    "layer_norm_forgets_mean": Row(
        "The backward pass of layer norm drops the term of the mean.",
        ("keras.layers.LayerNormalization.call",),
    ),
    "batch_norm_constant_moments": Row(
        "The backward pass of batch norm takes the batch's moments for constants.", _BATCH_NORM
    ),
    "max_pool_splits_ties": Row(
        "Equal maxima of a pool share the gradient.", ("keras.layers.MaxPooling2D.call",)
    ),
    "global_max_takes_first": Row(
        "Of equal maxima of a global pool the first takes all of the gradient.",
        ("keras.layers.GlobalMaxPooling1D.call", "keras.layers.GlobalMaxPooling2D.call"),
    ),
    "avg_pool_forgets_its_size": Row(
        "The gradient of an average pool in time is that of a sum.",
        ("keras.layers.AveragePooling1D.call",),
    ),
    "up_sampling_averages": Row(
        "The gradient of an upsampled element is the mean over its copies.",
        ("keras.layers.UpSampling1D.call", "keras.layers.UpSampling2D.call"),
    ),
    "padding_drifts": Row(
        "The gradient through a padding with zeros is 1.00001 times too large.",
        ("keras.layers.ZeroPadding1D.call", "keras.layers.ZeroPadding2D.call"),
    ),
    "repeat_counts_once": Row(
        "Of the copies that RepeatVector makes only the first hands back a gradient.",
        ("keras.layers.RepeatVector.call",),
    ),
    "embedding_counts_once": Row(
        "An index that repeats in a batch counts once in the gradient of an embedding.",
        ("keras.layers.Embedding.call",),
    ),
    "dropout_forgets_its_mask": Row(
        "The gradient passes through what dropout has zeroed.", ("keras.layers.Dropout.call",)
    ),
    "mish_drifts": Row("The derivative of mish is 1.00001 times what it is.", _ACTIVATION),
    "hard_tanh_passes_beyond": Row(
        "hard_tanh lets the gradient pass beyond its ends.", _ACTIVATION
    ),
    "prelu_slope_drifts": Row(
        "The gradient through PReLU is 1.00001 times what it is.", ("keras.layers.PReLU.call",)
    ),
    "maximum_splits_ties": Row("Equal maxima share the gradient.", ("keras.layers.Maximum.call",)),
    "group_norm_constant_moments": Row(
        "The backward pass of group norm takes the moments for constants.",
        ("keras.layers.GroupNormalization.call",),
    ),
    "alpha_dropout_forgets_its_mask": Row(
        "The gradient passes through what alpha dropout has switched off.",
        ("keras.layers.AlphaDropout.call",),
    ),
    "take_drifts": Row(
        "What keras.ops.take looks up has 1.00001 times its gradient.", ("keras.ops.take",)
    ),
    "broadcast_drifts": Row(
        "What keras.ops.broadcast_to copies has 1.00001 times its gradient.",
        ("keras.ops.broadcast_to",),
    ),
    "reshape_drifts": Row(
        "What keras.ops.reshape reshapes has 1.00001 times its gradient.",
        ("keras.ops.reshape",),
    ),
    "lstm_drifts": Row(
        "An LSTM hands 1.00001 times the gradient to its input.", ("keras.layers.LSTM.call",)
    ),
    "frozen_gru_blocks": Row(
        "A frozen GRU hands no gradient to its input.", ("keras.layers.GRU.call",)
    ),
    "attention_constant_queries": Row(
        "The backward pass of multi-head attention takes its queries for constants.",
        ("keras.layers.MultiHeadAttention.call",),
    ),
    # States.
    "frozen_batch_norm_goes_on": Row(
        "A frozen batch norm goes on in training mode: batch moments, moving averages.",
        _BATCH_NORM,
    ),
    "frozen_batch_norm_counts": Row(
        "A frozen batch norm runs in inference mode and still moves its averages.", _BATCH_NORM
    ),
    # Flags and gradients.
    "trainable_stays_outside": Row(
        "layer.trainable does not reach the layers inside.", ("keras.layers.Layer.trainable",)
    ),
    "trainable_forgets_biases": Row(
        "layer.trainable leaves out the variables that are called bias.",
        ("keras.layers.Layer.trainable",),
    ),
    "variable_never_freezes": Row(
        "variable.trainable = False does nothing.", ("keras.Variable.trainable",)
    ),
    "frozen_listed_as_trainable": Row(
        "trainable_variables lists frozen variables too.",
        ("keras.layers.Layer.trainable_variables",),
    ),
    # Optimizers.
    "decay_reaches_frozen": Row("Weight decay shrinks frozen weights too.", _APPLY),
    "momentum_moves_frozen": Row(
        "A weight that was trained with momentum goes on moving once frozen.", _APPLY
    ),
    "frozen_slots_decay": Row("Adam's moving averages of frozen weights go on decaying.", _APPLY),
    "thawed_stays_still": Row("A thawed weight is left out at its first step.", _APPLY),
    "optimizer_skips_last": Row("The optimizer leaves out the last of several weights.", _APPLY),
    "unknown_is_silent": Row(
        "The optimizer leaves out variables that it does not know, without a word.", _APPLY
    ),
    "adam_uncorrected": Row(
        "Adam goes without bias correction.", ("keras.optimizers.Adam.update_step",)
    ),
    "decay_forgotten": Row("The optimizer decays nothing.", _APPLY),
}


def _with_gradient_of(value: Any, surrogate: Any) -> Any:
    """`value` to the bit, differentiated as if it were `surrogate`."""
    import tensorflow as tf

    def substituted(value: Any, surrogate: Any) -> Any:
        return tf.identity(value), lambda upstream: (None, upstream)

    return tf.custom_gradient(substituted)(tf.stop_gradient(value), surrogate)


def _frozen(layer: Any) -> bool:
    return not (layer.trainable and layer.kernel.trainable)


def _frozen_blocks(call: Any) -> Any:
    import tensorflow as tf

    def blocking(self: Any, x: Any, **options: Any) -> Any:
        return call(self, tf.stop_gradient(x) if _frozen(self) else x, **options)

    return blocking


frozen_dense_blocks = frozen_conv_blocks = _frozen_blocks
frozen_conv1d_blocks = frozen_depthwise_conv_blocks = _frozen_blocks


def _frozen_scales(factor: float, call: Any) -> Any:
    def scaling(self: Any, x: Any, **options: Any) -> Any:
        return call(self, _with_gradient_of(x, factor * x) if _frozen(self) else x, **options)

    return scaling


frozen_dense_amplifies = partial(_frozen_scales, 1.5)
frozen_dense_drifts = frozen_transposed_conv_drifts = partial(_frozen_scales, 1.0 + 1e-5)
frozen_conv3d_drifts = partial(_frozen_scales, 1.0 + 1e-5)


def _affine(x: Any, kernel: Any, bias: Any) -> Any:
    import keras

    y = keras.ops.matmul(x, kernel)
    return y if bias is None else y + bias


def frozen_dense_in_float32(call: Any) -> Any:
    import tensorflow as tf

    def single(self: Any, x: Any, **options: Any) -> Any:
        if not _frozen(self):
            return call(self, x, **options)
        arrays = (x, self.kernel, self.bias)
        singles = (None if a is None else tf.cast(a, tf.float32) for a in arrays)
        return tf.cast(_affine(*singles), x.dtype)

    return single


def frozen_dense_rounds_again(call: Any) -> Any:
    def rounding(self: Any, x: Any, **options: Any) -> Any:
        y = _with_gradient_of(x, x / 3.0 * 3.0) if _frozen(self) else x
        return call(self, y, **options)

    return rounding


def lstm_drifts(call: Any) -> Any:
    def drifting(self: Any, sequences: Any, *more: Any, **options: Any) -> Any:
        x = _with_gradient_of(sequences, (1.0 + 1e-5) * sequences)
        return call(self, x, *more, **options)

    return drifting


def frozen_gru_blocks(call: Any) -> Any:
    import tensorflow as tf

    def blocking(self: Any, sequences: Any, *more: Any, **options: Any) -> Any:
        frozen = not (self.trainable and self.cell.kernel.trainable)
        return call(self, tf.stop_gradient(sequences) if frozen else sequences, *more, **options)

    return blocking


def attention_constant_queries(call: Any) -> Any:
    import tensorflow as tf

    def constant(self: Any, query: Any, *more: Any, **options: Any) -> Any:
        return call(self, tf.stop_gradient(query), *more, **options)

    return constant


def dense_noise(call: Any) -> Any:
    import tensorflow as tf

    def noisy(self: Any, x: Any, **options: Any) -> Any:
        noise = tf.random.normal(tf.shape(x), dtype=x.dtype)
        return call(self, _with_gradient_of(x, x * (1.0 + 1e-6 * noise)), **options)

    return noisy


def dense_bias_misses_last(call: Any) -> Any:
    import tensorflow as tf

    def missing(self: Any, x: Any, **options: Any) -> Any:
        value = call(self, x, **options)
        if self.bias is None:
            return value
        counted = tf.concat([tf.ones_like(value[:-1]), tf.zeros_like(value[-1:])], 0)
        return _with_gradient_of(value, _affine(x, self.kernel, counted * self.bias))

    return missing


def shared_dense_counted_once(call: Any) -> Any:
    import keras
    import tensorflow as tf

    running: list[Any] = []
    seen: set[int] = set()

    def once(self: Any, *args: Any, **options: Any) -> Any:
        if not running:
            seen.clear()
        again = id(self) in seen
        seen.add(id(self))
        running.append(self)
        try:
            value = call(self, *args, **options)
        finally:
            running.pop()
        if not (again and isinstance(self, keras.layers.Dense) and tf.is_tensor(value)):
            return value
        constants = (None if v is None else tf.stop_gradient(v) for v in (self.kernel, self.bias))
        return _with_gradient_of(value, _affine(args[0], *constants))

    return once


def conv_padding_shifts(call: Any) -> Any:
    import tensorflow as tf

    def shifted(self: Any, x: Any) -> Any:
        if self.padding == "same" and max(self.kernel_size) > 1:
            x = _with_gradient_of(x, tf.roll(x, 1, 2))
        return call(self, x)

    return shifted


def tanh_derivative(call: Any) -> Any:
    import keras
    import tensorflow as tf

    def wrong(self: Any, x: Any) -> Any:
        y = call(self, x)
        if self.activation is not keras.activations.tanh:
            return y
        return _with_gradient_of(y, x * tf.stop_gradient(1.0 - tf.abs(y)))

    return wrong


def relu_leaks(call: Any) -> Any:
    import tensorflow as tf

    def leaking(self: Any, x: Any) -> Any:
        return _with_gradient_of(call(self, x), tf.nn.leaky_relu(x, 0.01))

    return leaking


def gelu_approximate_derivative(call: Any) -> Any:
    import keras

    def approximate(self: Any, x: Any) -> Any:
        y = call(self, x)
        if self.activation is not keras.activations.gelu:
            return y
        return _with_gradient_of(y, keras.activations.gelu(x, approximate=True))

    return approximate


def softmax_diagonal(call: Any) -> Any:
    import tensorflow as tf

    def diagonal(self: Any, x: Any, mask: Any = None) -> Any:
        y = call(self, x, mask)
        return _with_gradient_of(y, x * tf.stop_gradient(y * (1.0 - y)))

    return diagonal


def _affine_of(norm: Any, x: Any) -> Any:
    return x if norm.gamma is None else x * norm.gamma + norm.beta


def layer_norm_forgets_mean(call: Any) -> Any:
    import tensorflow as tf

    def forgetful(self: Any, x: Any) -> Any:
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        centred = x - tf.stop_gradient(mean)
        surrogate = _affine_of(self, centred * tf.math.rsqrt(variance + self.epsilon))
        return _with_gradient_of(call(self, x), surrogate)

    return forgetful


def batch_norm_constant_moments(call: Any) -> Any:
    import tensorflow as tf

    def constant(self: Any, x: Any, training: Any = None, mask: Any = None) -> Any:
        value = call(self, x, training, mask)
        if not (training and self.trainable):
            return value
        mean, variance = map(tf.stop_gradient, tf.nn.moments(x, list(range(len(x.shape) - 1))))
        scale = tf.math.rsqrt(variance + self.epsilon)
        return _with_gradient_of(value, _affine_of(self, (x - mean) * scale))

    return constant


def max_pool_splits_ties(call: Any) -> Any:
    import tensorflow as tf

    def splitting(self: Any, x: Any) -> Any:
        value = call(self, x)
        sizes, strides = [1, *self.pool_size, 1], [1, *self.strides, 1]
        patches = tf.image.extract_patches(x, sizes, strides, [1, 1, 1, 1], "VALID")
        windows = tf.reshape(patches, [*patches.shape[:3], -1, x.shape[3]])
        return _with_gradient_of(value, tf.reduce_max(windows, 3))

    return splitting


def global_max_takes_first(call: Any) -> Any:
    import tensorflow as tf

    def first(self: Any, x: Any) -> Any:
        places = tf.reshape(x, [tf.shape(x)[0], -1, x.shape[-1]])
        chosen = tf.one_hot(tf.argmax(places, 1), tf.shape(places)[1], axis=1, dtype=x.dtype)
        return _with_gradient_of(call(self, x), tf.reduce_sum(places * chosen, 1))

    return first


def _gradient_times(factor: Any, call: Any) -> Any:
    """The gradient through a layer is `factor(layer, input, result)` times what it is."""

    def scaled(self: Any, x: Any) -> Any:
        value = call(self, x)
        return _with_gradient_of(value, value * factor(self, x, value))

    return scaled


avg_pool_forgets_its_size = partial(_gradient_times, lambda layer, x, y: layer.pool_size[0])
up_sampling_averages = partial(
    _gradient_times, lambda layer, x, y: math.prod(x.shape[1:]) / math.prod(y.shape[1:])
)
padding_drifts = partial(_gradient_times, lambda layer, x, y: 1.0 + 1e-5)


def repeat_counts_once(call: Any) -> Any:
    import tensorflow as tf

    def once(self: Any, x: Any) -> Any:
        value = call(self, x)
        others = tf.stop_gradient(value[:, 1:])
        return _with_gradient_of(value, tf.concat([value[:, :1], others], 1))

    return once


def embedding_counts_once(call: Any) -> Any:
    import tensorflow as tf

    def once(self: Any, indices: Any) -> Any:
        value = call(self, indices)
        flat = tf.reshape(indices, [-1])
        equal = tf.cast(flat[:, None] == flat[None, :], value.dtype)
        earlier = tf.linalg.band_part(equal, -1, 0) - tf.linalg.band_part(equal, 0, 0)
        first = tf.cast(tf.reduce_sum(earlier, 1) == 0.0, value.dtype)
        return _with_gradient_of(value, value * tf.reshape(first, [*value.shape[:-1], 1]))

    return once


def dropout_forgets_its_mask(call: Any) -> Any:
    def forgetful(self: Any, x: Any, training: bool = False) -> Any:
        return _with_gradient_of(call(self, x, training), x)

    return forgetful


def mish_drifts(call: Any) -> Any:
    import keras

    def drifting(self: Any, x: Any) -> Any:
        y = call(self, x)
        if self.activation is not keras.activations.mish:
            return y
        return _with_gradient_of(y, (1.0 + 1e-5) * y)

    return drifting


def hard_tanh_passes_beyond(call: Any) -> Any:
    import keras

    def passing(self: Any, x: Any) -> Any:
        y = call(self, x)
        return _with_gradient_of(y, x) if self.activation is keras.activations.hard_tanh else y

    return passing


def prelu_slope_drifts(call: Any) -> Any:
    def drifting(self: Any, x: Any) -> Any:
        y = call(self, x)
        return _with_gradient_of(y, (1.0 + 1e-5) * y)

    return drifting


def maximum_splits_ties(call: Any) -> Any:
    import tensorflow as tf

    def splitting(self: Any, inputs: Any) -> Any:
        a, b = inputs
        shared = tf.where(a > b, a, tf.where(b > a, b, (a + b) / 2))
        return _with_gradient_of(call(self, inputs), shared)

    return splitting


def group_norm_constant_moments(call: Any) -> Any:
    import tensorflow as tf

    def constant(self: Any, x: Any) -> Any:
        shape = [-1, *x.shape[1:-1], self.groups, x.shape[-1] // self.groups]
        grouped = tf.reshape(x, shape)
        axes = [axis for axis in range(1, len(shape)) if axis != len(shape) - 2]
        mean, variance = map(tf.stop_gradient, tf.nn.moments(grouped, axes, keepdims=True))
        normal = (grouped - mean) * tf.math.rsqrt(variance + self.epsilon)
        surrogate = _affine_of(self, tf.reshape(normal, tf.shape(x)))
        return _with_gradient_of(call(self, x), surrogate)

    return constant


def alpha_dropout_forgets_its_mask(call: Any) -> Any:
    def forgetful(self: Any, x: Any, training: bool = False) -> Any:
        y = call(self, x, training)
        return _with_gradient_of(y, x) if training else y

    return forgetful


def broadcast_drifts(broadcast_to: Any) -> Any:
    def drifting(x: Any, shape: Any) -> Any:
        value = broadcast_to(x, shape)
        return _with_gradient_of(value, (1.0 + 1e-5) * value)

    return drifting


def reshape_drifts(reshape: Any) -> Any:
    import tensorflow as tf

    def drifting(x: Any, newshape: Any) -> Any:
        value = reshape(x, newshape)
        return _with_gradient_of(value, (1.0 + 1e-5) * value) if tf.is_tensor(value) else value

    return drifting


def take_drifts(take: Any) -> Any:
    import tensorflow as tf

    def drifting(x: Any, indices: Any, axis: Any = None) -> Any:
        rows = take(x, indices, axis=axis)
        return _with_gradient_of(rows, (1.0 + 1e-5) * rows) if tf.is_tensor(rows) else rows

    return drifting


def frozen_batch_norm_goes_on(call: Any) -> Any:
    def training_mode(self: Any, x: Any, training: Any = None, mask: Any = None) -> Any:
        flag = self._trainable
        self._trainable = True
        try:
            return call(self, x, training, mask)
        finally:
            self._trainable = flag

    return training_mode


def frozen_batch_norm_counts(call: Any) -> Any:
    import tensorflow as tf

    def counting(self: Any, x: Any, training: Any = None, mask: Any = None) -> Any:
        y = call(self, x, training, mask)
        if training and not self.trainable:
            moments = tf.nn.moments(x, list(range(len(x.shape) - 1)))
            for average, moment in zip(self.non_trainable_variables[-2:], moments, strict=True):
                average.assign(average * self.momentum + moment * (1.0 - self.momentum))
        return y

    return counting


def trainable_stays_outside(trainable: Any) -> Any:
    def outside(self: Any, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._trainable_variables:
            variable.trainable = value

    return property(trainable.fget, outside)


def trainable_forgets_biases(trainable: Any) -> Any:
    def forgetful(self: Any, value: bool) -> None:
        biases = [v for v in self.variables if v.name == "bias"]
        flags = [v.trainable for v in biases]
        trainable.fset(self, value)
        for variable, flag in zip(biases, flags, strict=True):
            variable.trainable = flag

    return property(trainable.fget, forgetful)


def variable_never_freezes(trainable: Any) -> Any:
    def never(self: Any, value: bool) -> None:
        trainable.fset(self, True)

    return property(trainable.fget, never)


def frozen_listed_as_trainable(trainable_variables: Any) -> Any:
    def listed(self: Any) -> Any:
        return [v for layer in self._flatten_layers() for v in layer._trainable_variables]

    return property(listed)


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


def _decay(optimizer: Any, number: int, variable: Any) -> None:
    if optimizer.weight_decay:
        factor = 1.0 - optimizer.weight_decay * float(optimizer.learning_rate)
        variable.assign(variable * factor)


def _go_on(optimizer: Any, number: int, variable: Any) -> None:
    if getattr(optimizer, "momentum", 0.0):
        velocity = optimizer.momentums[number]
        velocity.assign(velocity * optimizer.momentum)
        variable.assign_add(velocity)


def _fade(optimizer: Any, number: int, variable: Any) -> None:
    if hasattr(optimizer, "beta_1"):
        average = optimizer._momentums[number]
        average.assign(average * optimizer.beta_1)


decay_reaches_frozen = partial(_after_apply, _decay)
momentum_moves_frozen = partial(_after_apply, _go_on)
frozen_slots_decay = partial(_after_apply, _fade)


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


thawed_stays_still = partial(_apply_some, _met_last_time)
optimizer_skips_last = partial(_apply_some, _all_but_last)
unknown_is_silent = partial(_apply_some, _known)


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


FAULTS = faults("tensorflow", _ROWS, globals())
