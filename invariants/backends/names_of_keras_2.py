# The names of Keras 3 on Keras 2, which is in TensorFlow up to 2.15: what a script asks for and
# Keras 2 has by another name. What it does not have is not here, so that it says so itself.
# Needs tensorflow alone, on any Python from 3.8 on; a script for Keras 2 holds this text verbatim.
import types

import keras
import tensorflow as tf


def renamed(module, **names):
    # A copy of a module of Keras with more names in it; Keras itself stays as it is.
    copy = types.ModuleType(module.__name__)
    vars(copy).update(vars(module))
    vars(copy).update(names)
    return copy


def matmul(x, y):
    # tf.matmul has no vectors, and no matrix for each of several matrices.
    return tf.tensordot(x, y, 1) if len(y.shape) < 3 else tf.matmul(x, y)


def one_hot(x, classes):
    return tf.one_hot(x, classes, dtype=keras.backend.floatx())


def without_none(kind):
    # The reduction that Keras 3 calls None.
    def made(**options):
        if options.get("reduction", "") is None:
            options["reduction"] = "none"
        return kind(**options)

    return made


def leaky_relu(negative_slope, kind=keras.layers.LeakyReLU, **options):
    return kind(alpha=negative_slope, **options)


def apply(optimizer, gradients, variables):
    return optimizer.apply_gradients(zip(gradients, variables))


# Names that are added to classes of Keras itself, which are made and held by others.
keras.optimizers.Optimizer.apply = apply
for kind in (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D):
    kind.kernel = property(lambda layer: layer.depthwise_kernel)
for name in ("query", "key", "value", "output"):
    part = property(lambda layer, held="_" + name + "_dense": getattr(layer, held))
    setattr(keras.layers.MultiHeadAttention, name + "_dense", part)
# Random layers draw from a generator that can be reset, as those of Keras 3 do.
keras.backend.experimental.enable_tf_random_generator()

ops = types.ModuleType("keras.ops")
vars(ops).update(
    arange=tf.range,
    broadcast_to=tf.broadcast_to,
    concatenate=tf.concat,
    copy=tf.identity,
    expand_dims=tf.expand_dims,
    matmul=matmul,
    mean=tf.reduce_mean,
    one_hot=one_hot,
    reshape=tf.reshape,
    shape=tf.shape,
    softmax=tf.nn.softmax,
    split=tf.split,
    sqrt=tf.sqrt,
    square=tf.square,
    squeeze=tf.squeeze,
    stop_gradient=tf.stop_gradient,
    sum=tf.reduce_sum,
    take=tf.gather,
)
config = types.ModuleType("keras.config")
config.set_floatx = keras.backend.set_floatx
config.set_dtype_policy = keras.mixed_precision.set_global_policy

keras = renamed(
    keras,
    ops=ops,
    config=config,
    activations=renamed(
        keras.activations, log_softmax=tf.nn.log_softmax, relu6=tf.nn.relu6, silu=tf.nn.silu
    ),
    layers=renamed(keras.layers, LeakyReLU=leaky_relu),
    losses=renamed(
        keras.losses,
        **{
            name: without_none(kind)
            for name, kind in vars(keras.losses).items()
            if isinstance(kind, type) and issubclass(kind, keras.losses.Loss)
        },
    ),
)
